"""Triangle meshes in and out."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import CloudError, OutputError
from . import obj_off, ply, records, stl
from .arrays import as_array
from .atomic import PathLike, atomic, shown
from .reading import COORDINATES, errors_name, read_bytes, require

FORMATS = (".ply",)  # that can be written
NORMALS = ("nx", "ny", "nz")
MAX_LOSS = 0.01  # voxels that rounding to float32 may move a vertex


def load_mesh(path: PathLike) -> tuple[Tensor, Tensor]:
    """Vertices [v, 3] float64 and faces [f, 3] int64 of a PLY, OBJ or STL mesh; polygons become fans of triangles."""
    with errors_name(path):
        data, suffix = read_bytes(path), os.path.splitext(os.fspath(path))[1].lower()
        if suffix == ".obj":
            vertices, faces = obj_off.read_obj_mesh(data)
        elif suffix == ".stl":
            vertices, faces = stl.read_stl(path, data)
        else:
            vertices, faces = _read_ply(data)
        if len(faces) == 0:
            raise CloudError("the mesh has no faces; check how it was made")
        if not np.isfinite(vertices).all():
            raise CloudError("the mesh has vertices that are not finite; remove them, e.g. with MeshLab")
        if faces.min() < 0 or faces.max() >= len(vertices):
            raise CloudError(f"faces refer to vertices that are not there; {ply.TRUNCATED}")
        return torch.from_numpy(vertices), torch.from_numpy(faces)


def _read_ply(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    header = ply.parse_header(data)
    face = header.find("face")
    corners = face.find("vertex_indices", "vertex_index")
    if corners is None or corners.count_type is None:
        raise CloudError("its faces have no list vertex_indices; export it as a triangle mesh")
    require(header.find("vertex"), COORDINATES)
    columns, _ = records.read(data, header, {"vertex": COORDINATES, "face": (corners.name,)})
    vertices = records.block(columns["vertex"], COORDINATES)
    return vertices, records.triangles(columns["face"][corners.name])


def check_format(path: PathLike) -> None:
    """Raise OutputError where the extension is of no format that can be written; pipes and /dev/stdout have none."""
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if suffix not in FORMATS and not (os.path.exists(path) and not os.path.isfile(path)):
        what = suffix or "files without extension"
        raise OutputError(f"{shown(path)}: cannot write {what}; use {', '.join(FORMATS)}")


def save_mesh(path: PathLike, vertices: Any, normals: Any, faces: Any, *, voxel_size: float | None = None) -> None:
    """Binary little-endian PLY: vertices [v, 3], their unit normals [v, 3], triangles [f, 3]; without faces a cloud.

    Vertices are float, but double where rounding to float would move one by more than 0.01 voxels,
    or at all if `voxel_size` is not given. Normals are float; None: without. Tensors, arrays or lists.
    """
    vertices = as_array(vertices)
    with np.errstate(over="ignore"):
        rounded = vertices.astype("<f4")
    loss = float(np.abs(rounded - vertices).max(initial=0.0))
    small = loss <= MAX_LOSS * (voxel_size or 0.0)
    fields = [("position", "<f4" if small else "<f8", 3)] + ([("normal", "<f4", 3)] if normals is not None else [])
    points = np.empty(len(vertices), fields)
    points["position"] = rounded if small else vertices
    triangles = np.empty(0 if faces is None else len(faces), [("count", "u1"), ("corners", "<i4", 3)])
    if faces is not None:
        triangles["count"], triangles["corners"] = 3, as_array(faces)
    names = [("float" if small else "double", name) for name in COORDINATES]
    if normals is not None:
        points["normal"] = as_array(normals)
        names += [("float", name) for name in NORMALS]
    header = ["ply", "format binary_little_endian 1.0", "comment made by neural-splines"]
    header += [f"element vertex {len(points)}", *(f"property {type_} {name}" for type_, name in names)]
    if faces is not None:
        header += [f"element face {len(triangles)}", "property list uchar int vertex_indices"]
    header += ["end_header", ""]
    with atomic(path) as (stream,):
        stream.write("\n".join(header).encode())
        stream.write(points.data)
        stream.write(triangles.data)
