"""All files: clouds and meshes in; meshes, grids, arrays and reports out.

Reading never trusts a file: whatever it holds, the result is a cloud or one CloudError that names the
path. Writing is atomic.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import obj_off, ply, records
from .atomic import PathLike, atomic, shown
from .clouds import NO_NORMALS, CleaningReport, OrientedCloud, clean
from .errors import CloudError, ReconstructionWarning

COORDINATES, NORMALS = ("x", "y", "z"), (("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z"))
COARSE_STEP = 1e-4  # of the cloud's length: coarser float32 coordinates are worth a warning
MAX_LOSS = 0.01  # voxels that rounding to float32 may move a vertex


# -- in ----------------------------------------------------------------------------------------------


def load_point_cloud(path: PathLike) -> tuple[OrientedCloud, CleaningReport]:
    """The cleaned oriented cloud of a PLY, OBJ or OFF file, and what cleaning dropped.

    PLY: text or binary of either byte order, any scalar types and order of properties, normals as
    nx ny nz or normal_x normal_y normal_z. Coordinates are float64 from here on. Warns
    (ReconstructionWarning) of data that the header does not declare, and of float32 coordinates so
    far from the origin that their steps show.
    """
    with _errors_name(path):
        points, normals = _parse_cloud(_bytes(path), Path(path).suffix.lower(), shown(path))
    return clean(torch.from_numpy(points), torch.from_numpy(normals), shown(path))


def load_mesh(path: PathLike) -> tuple[Tensor, Tensor]:
    """Vertices [v, 3] float64 and faces [f, 3] int64 of a PLY mesh; polygons become fans of triangles."""
    with _errors_name(path):
        data = _bytes(path)
        header = ply.parse_header(data)
        face = header.find("face")
        corners = face.find("vertex_indices", "vertex_index")
        if corners is None or corners.count_type is None:
            raise CloudError("its faces have no list vertex_indices; export it as a triangle mesh")
        _require(header.find("vertex"), COORDINATES)
        columns, _ = records.read(data, header, {"vertex": COORDINATES, "face": (corners.name,)})
        vertices = np.stack([columns["vertex"][name] for name in COORDINATES], 1)
        faces = records.triangles(columns["face"][corners.name])
        if len(faces) == 0:
            raise CloudError("the mesh has no faces; check how it was made")
        if not np.isfinite(vertices).all():
            raise CloudError("the mesh has vertices that are not finite; remove them, e.g. with MeshLab")
        if faces.min() < 0 or faces.max() >= len(vertices):
            raise CloudError(f"faces refer to vertices that are not there; {ply.TRUNCATED}")
        return torch.from_numpy(vertices), torch.from_numpy(faces)


@contextlib.contextmanager
def _errors_name(path: PathLike) -> Iterator[None]:
    """Every failure to read becomes one CloudError that begins with the path."""
    try:
        yield
    except CloudError as error:
        raise CloudError(f"{shown(path)}: {error}") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        reason = getattr(error, "strerror", None) or str(error)
        raise CloudError(f"{shown(path)}: cannot be read ({reason}); check the path and its permissions") from None
    except MemoryError:
        raise CloudError(f"{shown(path)}: does not fit into memory; thin it out first") from None


def _bytes(path: PathLike) -> bytes:
    """All bytes of a regular file that is not empty."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise CloudError("is a directory; give a file in it")
    if not stat.S_ISREG(mode):
        raise CloudError("is not a regular file; save the data to one first")
    with open(path, "rb") as stream:
        data = stream.read()
    if not data:
        raise CloudError("the file is empty; export it again")
    return data.removeprefix(b"\xef\xbb\xbf")  # a byte order mark that editors put before text


def _parse_cloud(data: bytes, suffix: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    if suffix == ".ply" or ply.is_ply(data):
        return _parse_ply(data, name)
    if suffix == ".obj":
        return obj_off.read_obj(data)
    if suffix == ".off":
        return obj_off.read_off(data)
    if suffix == ".stl":
        raise CloudError("STL files have no vertex normals; sample the mesh with normals and export it as PLY")
    raise CloudError("not a PLY, OBJ or OFF file; convert it to PLY, e.g. with MeshLab or CloudCompare")


def _parse_ply(data: bytes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Points and normals [n, 3], float64."""
    header = ply.parse_header(data)
    vertex = header.find("vertex")
    _require(vertex, COORDINATES)
    normals = next((names for names in NORMALS if all(vertex.find(n) for n in names)), None)
    if normals is None:
        raise CloudError(NO_NORMALS)
    _require(vertex, normals)
    columns, left_over = records.read(data, header, {"vertex": (*COORDINATES, *normals)})
    points, normals = (np.stack([columns["vertex"][n] for n in names], 1) for names in (COORDINATES, normals))
    if left_over and not header.ascii and b"\r\n" in data[: header.size]:
        raise CloudError("its bytes were changed when it was transferred as text; transfer it as binary")
    if left_over:
        _warn(f"{name}: ignored {left_over} bytes after the {len(points)} points that the header declares; check it")
    if not header.ascii and vertex.find("x").type.itemsize == 4 and vertex.find("x").type.kind == "f":
        _warn_of_steps(points[np.isfinite(points).all(1)], name)
    return points, normals


def _require(element: ply.Element, names: tuple[str, ...]) -> None:
    for name in names:
        found = element.find(name)
        if found is None:
            raise CloudError(f"element 'vertex' has no property {name!r}; export the file with x y z coordinates")
        if found.count_type is not None:
            raise CloudError(f"property {name!r} is a list where a number belongs; {ply.REPAIR}")


def _warn_of_steps(points: np.ndarray, name: str) -> None:
    if len(points) < 2:
        return
    step, side = float(np.spacing(np.float32(np.abs(points).max()))), float(np.ptp(points, 0).max())
    if step > COARSE_STEP * side > 0.0:
        _warn(
            f"{name}: its float32 coordinates are so far from the origin that they go in steps of {step:.3g}, and the "
            f"cloud is {side:.3g} long; subtract an offset before it is exported, or export as double"
        )


def _warn(message: str) -> None:
    warnings.warn(message, ReconstructionWarning, stacklevel=2)


# -- out ---------------------------------------------------------------------------------------------


def save_mesh(
    path: PathLike, vertices: Tensor, normals: Tensor | None, faces: Tensor, *, voxel_size: float | None = None
) -> None:
    """Binary little-endian PLY: vertices [v, 3], their unit normals [v, 3], triangles [f, 3].

    Vertices are float, but double where rounding to float would move one by more than 0.01 voxels,
    or at all if `voxel_size` is not given. Normals are float.
    """
    vertices, faces = _array(vertices), _array(faces)
    with np.errstate(over="ignore"):
        rounded = vertices.astype("<f4")
    loss = float(np.abs(rounded - vertices).max(initial=0.0))
    small = loss <= MAX_LOSS * (voxel_size or 0.0)
    fields = [("position", "<f4" if small else "<f8", 3)] + ([("normal", "<f4", 3)] if normals is not None else [])
    points = np.empty(len(vertices), fields)
    points["position"] = rounded if small else vertices
    triangles = np.empty(len(faces), [("count", "u1"), ("corners", "<i4", 3)])
    triangles["count"], triangles["corners"] = 3, faces
    names = [("float" if small else "double", name) for name in COORDINATES]
    if normals is not None:
        points["normal"] = _array(normals)
        names += [("float", name) for name in NORMALS[0]]
    header = ["ply", "format binary_little_endian 1.0", "comment made by neural-splines"]
    header += [f"element vertex {len(points)}", *(f"property {type_} {name}" for type_, name in names)]
    header += [f"element face {len(triangles)}", "property list uchar int vertex_indices", "end_header", ""]
    with atomic(path) as (stream,):
        stream.write("\n".join(header).encode())
        stream.write(points)
        stream.write(triangles)


def save_arrays(path: PathLike, **arrays: Any) -> None:
    """An .npz file of these arrays, tensors or numbers, which np.load reads without pickle."""
    with atomic(path) as (stream,):
        np.savez(stream, **{name: _array(values) for name, values in arrays.items()})


def save_grid(path_npy: PathLike, array: Any, path_json: PathLike, metadata: Mapping[str, Any]) -> None:
    """A grid as .npy and what it means as .json: both appear, or neither."""
    with atomic(path_npy, path_json) as (grid, text):
        np.save(grid, _array(array), allow_pickle=False)
        text.write(_json(metadata))


def save_json(path: PathLike, data: Any) -> None:
    with atomic(path) as (stream,):
        stream.write(_json(data))


def _array(values: Any) -> np.ndarray:
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.dtype.hasobject:
        raise TypeError(f"arrays of numbers or text can be written, not {type(values).__name__}")
    return array


def _json(data: Any) -> bytes:
    return (json.dumps(_plain(data), indent=1, allow_nan=False) + "\n").encode()


def _plain(value: Any) -> Any:
    """What JSON has for a value: lists for arrays, null for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        return _plain(_array(value).tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
