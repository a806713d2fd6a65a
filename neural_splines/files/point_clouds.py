"""Oriented point clouds in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..clouds import NO_NORMALS, CleaningReport, OrientedCloud, clean
from ..errors import CloudError, warn
from . import obj_off, ply, records
from .atomic import PathLike, shown
from .reading import COORDINATES, errors_name, read_bytes, require

NORMALS = (("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z"))
EXTENSIONS = (".ply", ".obj", ".off")  # what is read of a folder
COARSE_STEP = 1e-4  # of the cloud's length: coarser float32 coordinates are worth a warning


def clouds_in(folder: PathLike) -> list[str]:
    """The clouds of a folder, by their extensions, in the order of their names."""
    with errors_name(folder):
        found = sorted(str(path) for path in Path(folder).iterdir() if path.suffix.lower() in EXTENSIONS)
        if not found:
            raise CloudError(f"holds no file that ends in {', '.join(EXTENSIONS)}; give another folder")
    return found


def load_point_cloud(path: PathLike) -> tuple[OrientedCloud, CleaningReport]:
    """The cleaned oriented cloud of a PLY, OBJ or OFF file, and what cleaning dropped.

    PLY: text or binary of either byte order, any scalar types and order of properties, normals as
    nx ny nz or normal_x normal_y normal_z. Coordinates are float64 from here on. Warns
    (ReconstructionWarning) of data that the header does not declare, and of float32 coordinates so
    far from the origin that their steps show.
    """
    with errors_name(path):
        points, normals, single = _parse_cloud(read_bytes(path), Path(path).suffix.lower(), shown(path))
    cloud, report = clean(torch.from_numpy(points), torch.from_numpy(normals), shown(path))
    if single:
        _warn_of_steps(cloud, shown(path))
    return cloud, report


def _parse_cloud(data: bytes, suffix: str, name: str) -> tuple[np.ndarray, np.ndarray, bool]:
    """Points and normals [n, 3], float64, and whether the file has coordinates of float32."""
    if suffix == ".ply" or ply.is_ply(data):
        return _parse_ply(data, name)
    if suffix == ".obj":
        return *obj_off.read_obj(data), False
    if suffix == ".off":
        return *obj_off.read_off(data), False
    if suffix == ".stl":
        raise CloudError("STL files have no vertex normals; sample the mesh with normals and export it as PLY")
    raise CloudError("not a PLY, OBJ or OFF file; convert it to PLY, e.g. with MeshLab or CloudCompare")


def _parse_ply(data: bytes, name: str) -> tuple[np.ndarray, np.ndarray, bool]:
    header = ply.parse_header(data)
    vertex = header.find("vertex")
    require(vertex, COORDINATES)
    names = next((names for names in NORMALS if all(vertex.find(n) for n in names)), None)
    if names is None:
        raise CloudError(NO_NORMALS)
    require(vertex, names)
    columns, left_over = records.read(data, header, {"vertex": (*COORDINATES, *names)})
    points, normals = (records.block(columns["vertex"], which) for which in (COORDINATES, names))
    if left_over and not header.ascii and b"\r\n" in data[: header.size]:
        raise CloudError("its bytes were changed when it was transferred as text; transfer it as binary")
    if left_over:
        warn(f"{name}: ignored {left_over} bytes after the {len(points)} points that the header declares; check it")
    x = vertex.find("x")
    return points, normals, not header.ascii and x is not None and x.type.str[1:] == "f4"


def _warn_of_steps(cloud: OrientedCloud, name: str) -> None:
    largest = max(float(cloud.box.lower.abs().max()), float(cloud.box.upper.abs().max()))
    step, side = float(np.spacing(np.float32(largest))), float(cloud.box.sides.max())
    if step > COARSE_STEP * side:
        warn(
            f"{name}: its float32 coordinates are so far from the origin that they go in steps of {step:.3g}, and the "
            f"cloud is {side:.3g} long; subtract an offset before it is exported, or export as double"
        )
