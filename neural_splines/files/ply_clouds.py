"""The points of a PLY file, from its bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import CloudError, warn
from . import ply, records, scans
from .column_statistics import whole
from .polygons import triangles
from .reading import BYTE_ORDER_MARK, COORDINATES, require
from .scans import ScannedCloud


def read_ply(data: bytes, name: str, wanted: Sequence[str]) -> ScannedCloud:
    """The cloud of the vertices; `name` opens a warning."""
    header = ply.parse_header(data)
    if header.ascii and data.startswith(BYTE_ORDER_MARK, header.size):  # where a program put text together
        data = data[: header.size] + data[header.size + len(BYTE_ORDER_MARK) :]
    vertex = header.find("vertex")
    used = vertex_columns(vertex, wanted)
    columns, left_over = records.read(data, header, {"vertex": used})
    found = columns["vertex"]
    types = integers(vertex, used) if header.ascii else {}
    found |= {name: whole(found[name], type_) for name, type_ in types.items()}
    check_left_over(left_over, header, data[: header.size], name)
    cloud = scans.from_columns(found, wanted)
    faces = _faces(data, header, cloud.points) if cloud.normals is None else None
    return replace(cloud, single=cloud.single and not header.ascii, faces=faces)


def integers(vertex: ply.Element, used: Sequence[str]) -> dict[str, np.dtype]:
    """The types of those of the used properties that are whole numbers, which come as float64 from text."""
    return {p.name: p.type for p in vertex.properties if p.name in used and p.type.kind in "iu"}


def check_left_over(count: int, header: ply.Header, start: bytes, name: str) -> None:
    """A warning of bytes behind what the header declares; CloudError where a transfer as text made them."""
    if count and not header.ascii and b"\r\n" in start:
        raise CloudError("its bytes were changed when it was transferred as text; transfer it as binary")
    if count:
        there = header.find("vertex").count
        warn(f"{name}: ignored {count} bytes after the {there} points that the header declares; check it")


def vertex_columns(vertex: ply.Element, wanted: Sequence[str] = ()) -> list[str]:
    """The properties of vertices that a cloud is made of; CloudError where there are no coordinates."""
    numbers = [p.name for p in vertex.properties if p.count_type is None]
    if not scans.group(numbers, scans.POSITIONS):
        require(vertex, COORDINATES)
    used = [name for part in scans.roles(numbers, wanted) for name in part]
    used += [*scans.laser_names(numbers).values(), scans.class_name(numbers)]
    used += ["opacity"] if scans.group(numbers, scans.SPLATS) and "opacity" in numbers else []
    used = [name for name in dict.fromkeys(used) if name]
    require(vertex, tuple(used))
    return used


def _faces(data: bytes, header: ply.Header, points: np.ndarray) -> np.ndarray | None:
    """What the faces say of the sides of the points; faces that are not read say nothing."""
    with contextlib.suppress(CloudError):
        corners = header.find("face").find("vertex_indices", "vertex_index")
        if corners is not None and corners.count_type is not None:
            columns, _ = records.read(data, header, {"face": (corners.name,)})
            return scans.face_sums(points, triangles(columns["face"][corners.name]))
    return None
