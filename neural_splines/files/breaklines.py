"""Breaklines: GeoJSON's lines, or the polylines of a drawing in DXF, with a height at each of their places."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import CloudError
from .atomic import PathLike
from .dxf import is_dxf
from .reading import errors_name, read_bytes

SUFFIXES = (".geojson", ".json", ".dxf")
EXPECTED = "export lines with x, y and z at each place"
DEEPEST = 32  # collections within collections


def load_breaklines(path: PathLike) -> list[np.ndarray]:
    """Lines [n, 3] each, in the coordinates of the file; CloudError, which names the path, for whatever has none.

    GeoJSON: LineString and MultiLineString, in features and collections; other geometries are not looked at. DXF: LINE,
    3D and 2D polylines of the model space, the latter at their elevation.
    """
    with errors_name(path):
        data = read_bytes(path)
        found = [np.array(line, np.float64) for line in (_of_dxf(path) if is_dxf(path) else _of_geojson(data))]
        for number, line in enumerate(found, 1):
            if line.ndim != 2 or line.shape[1] != 3:
                raise CloudError(f"line {number} has places without heights; {EXPECTED}")
            if not np.isfinite(line).all():
                raise CloudError(f"line {number} has a coordinate that is no finite number; {EXPECTED}")
        found = [line for line in found if len(line) > 1]
        if not found:
            raise CloudError(f"has no line; {EXPECTED}")
    return found


def _of_geojson(data: bytes) -> Iterator[Sequence[Sequence[float]]]:
    try:
        whole = json.loads(data, parse_int=float)
    except (ValueError, RecursionError):
        raise CloudError("is no GeoJSON; export it again, or give DXF with its extension") from None
    number = 0
    for geometry in _geometries(whole, DEEPEST):
        lines = geometry.get("coordinates")
        for line in [lines] if geometry["type"] == "LineString" else _list(lines):
            number += 1
            yield [_place(place, number) for place in _list(line)]


def _list(values: Any) -> list[Any]:
    if not isinstance(values, list):
        raise CloudError(f"has a line that is no list of places; {EXPECTED}")
    return values


def _place(place: Any, number: int) -> list[float]:
    values = _list(place)[:3]
    if len(values) < 3:
        raise CloudError(f"line {number} has places without heights; {EXPECTED}")
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        raise CloudError(f"line {number} has a coordinate that is no finite number; {EXPECTED}")
    return [float(value) for value in values]


def _geometries(node: Any, depth: int) -> Iterator[dict[str, Any]]:
    """The lines of a GeoJSON object."""
    if not isinstance(node, dict) or not depth:
        return
    if node.get("type") in ("LineString", "MultiLineString"):
        yield node
    for below in ("features", "geometries"):
        for part in node.get(below) or () if isinstance(node.get(below), list) else ():
            yield from _geometries(part, depth - 1)
    yield from _geometries(node.get("geometry"), depth - 1)


def _of_dxf(path: PathLike) -> Iterator[Sequence[Sequence[float]]]:
    import ezdxf

    try:
        drawing = ezdxf.readfile(os.fspath(path))
    except (ezdxf.DXFError, OSError, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise CloudError("is not read as DXF; export it again, as R12 or later") from None
    entity: Any
    for entity in drawing.modelspace().query("LINE POLYLINE LWPOLYLINE"):
        kind = entity.dxftype()
        if kind == "LINE":
            yield [tuple(entity.dxf.start), tuple(entity.dxf.end)]
            continue
        if kind == "LWPOLYLINE":
            places = [(x, y, float(entity.dxf.elevation)) for x, y in entity.get_points("xy")]
        elif entity.is_3d_polyline or entity.is_2d_polyline:
            height = None if entity.is_3d_polyline else float(entity.dxf.elevation.z)
            places = [
                (place.x, place.y, place.z if height is None else height)
                for place in (vertex.dxf.location for vertex in entity.vertices)
            ]
        else:  # a mesh
            continue
        yield places + places[:1] if entity.is_closed and places else places
