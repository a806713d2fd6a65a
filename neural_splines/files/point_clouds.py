"""Oriented point clouds in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..clouds import NO_NORMALS, CleaningReport, OrientedCloud, clean
from ..errors import CloudError, warn
from . import obj_off, ply, records
from .atomic import PathLike, shown
from .reading import COORDINATES, errors_name, read_bytes, require

NORMALS = (("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z"))
VIEWPOINTS = (("vx", "vy", "vz"), ("viewpoint_x", "viewpoint_y", "viewpoint_z"))
COARSE_STEP = 1e-4  # of the cloud's length: coarser float32 coordinates are worth a warning


@dataclass(frozen=True)
class ScannedCloud:
    """What a file says of its points, as it says it: arrays [n, 3] of float64.

    normals, viewpoints: None where it has none. single: coordinates are float32.
    """

    points: np.ndarray
    normals: np.ndarray | None
    viewpoints: np.ndarray | None = None
    single: bool = False


def load_point_cloud(path: PathLike) -> tuple[OrientedCloud, CleaningReport]:
    """The cleaned oriented cloud of a PLY, OBJ or OFF file, and what cleaning dropped.

    PLY: text or binary of either byte order, any scalar types and order of properties, normals as
    nx ny nz or normal_x normal_y normal_z. Coordinates are float64 from here on. Warns
    (ReconstructionWarning) of data that the header does not declare, and of float32 coordinates so
    far from the origin that their steps show.
    """
    return oriented(load_scanned_cloud(path), shown(path))


def oriented(scanned: ScannedCloud, name: str) -> tuple[OrientedCloud, CleaningReport]:
    """The cloud with the normals that came with it. `name` opens the message of a CloudError: it has none."""
    if scanned.normals is None:
        raise CloudError(f"{name}: {NO_NORMALS}")
    cloud, report = clean(torch.from_numpy(scanned.points), torch.from_numpy(scanned.normals), name)
    if scanned.single:
        warn_of_steps(cloud, name)
    return cloud, report


def load_scanned_cloud(path: PathLike) -> ScannedCloud:
    """The points of a PLY, OBJ or OFF file as they are, with normals and viewpoints where it has them.

    Viewpoints are PLY properties vx vy vz or viewpoint_x ...: where each point was seen from.
    """
    with errors_name(path):
        return _parse_cloud(read_bytes(path), Path(path).suffix.lower(), shown(path))


def _parse_cloud(data: bytes, suffix: str, name: str) -> ScannedCloud:
    if suffix == ".ply" or ply.is_ply(data):
        return _parse_ply(data, name)
    if suffix == ".obj":
        return ScannedCloud(*obj_off.read_obj(data))
    if suffix == ".off":
        return ScannedCloud(*obj_off.read_off(data))
    if suffix == ".stl":
        raise CloudError("STL files have no vertex normals; sample the mesh with normals and export it as PLY")
    raise CloudError("not a PLY, OBJ or OFF file; convert it to PLY, e.g. with MeshLab or CloudCompare")


def _parse_ply(data: bytes, name: str) -> ScannedCloud:
    header = ply.parse_header(data)
    vertex = header.find("vertex")
    require(vertex, COORDINATES)
    groups: list[tuple[str, ...]] = [COORDINATES]
    for choices in (NORMALS, VIEWPOINTS):
        found: tuple[str, ...] = next((names for names in choices if all(vertex.find(n) for n in names)), ())
        require(vertex, found)
        groups.append(found)
    columns, left_over = records.read(data, header, {"vertex": [name for names in groups for name in names]})
    points = records.block(columns["vertex"], COORDINATES)
    normals, viewpoints = (records.block(columns["vertex"], names) if names else None for names in groups[1:])
    if left_over and not header.ascii and b"\r\n" in data[: header.size]:
        raise CloudError("its bytes were changed when it was transferred as text; transfer it as binary")
    if left_over:
        warn(f"{name}: ignored {left_over} bytes after the {len(points)} points that the header declares; check it")
    x = vertex.find("x")
    return ScannedCloud(points, normals, viewpoints, not header.ascii and x is not None and x.type.str[1:] == "f4")


def warn_of_steps(cloud: OrientedCloud, name: str) -> None:
    largest = max(float(cloud.box.lower.abs().max()), float(cloud.box.upper.abs().max()))
    step, side = float(np.spacing(np.float32(largest))), float(cloud.box.sides.max())
    if step > COARSE_STEP * side:
        warn(
            f"{name}: its float32 coordinates are so far from the origin that they go in steps of {step:.3g}, and the "
            f"cloud is {side:.3g} long; subtract an offset before it is exported, or export as double"
        )
