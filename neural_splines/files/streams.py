"""Clouds too large for the memory: read in pieces, as often as needed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..clouds import NO_NORMALS
from ..errors import CloudError
from . import ply, records, scans, surveys
from .atomic import PathLike, shown
from .columns import by_values
from .numpy_files import HEADER_LIMIT, layout
from .point_clouds import load_scanned_cloud, vertex_columns
from .reading import COORDINATES, errors_name, first_bytes, guarded

ROWS = 1 << 20  # of a piece
SIX = [*scans.COORDINATES, *scans.NORMALS[0]]
WHOLE_BYTES = 3  # of memory at the peak, for each byte of a text that is read as a whole
Piece = tuple[np.ndarray, np.ndarray]  # points and normals [n, 3], float64


@dataclass(frozen=True)
class CloudStream:
    """A cloud with normals in a file: `pieces()` reads it from the start."""

    count: int
    pieces: Callable[[], Iterator[Piece]]


def open_stream(path: PathLike, memory: int | None = None, classes: Sequence[int] = ()) -> CloudStream:
    """Binary PLY, NPY of six columns and LAS or LAZ in pieces; every other format is read as a whole, then shared out.

    memory: bytes that the latter may take. classes: of the points that are wanted, or none for all. CloudError names
    the path, also where a piece turns out to be unreadable.
    """
    with errors_name(path):
        if not os.path.isfile(path):
            raise CloudError("is not a regular file; a scene is read several times, so save it to one")
        suffix = Path(path).suffix.lower()
        start = first_bytes(path, ply.HEADER_LIMIT + 1)
        found = None
        if ply.is_ply(start):
            found = _ply(path, ply.parse_header(start), classes)
        elif suffix == ".npy" and not classes:
            found = _npy(path)
        elif suffix in (".las", ".laz"):
            found = _las(path, classes)
        if found is None and memory is not None and WHOLE_BYTES * os.path.getsize(path) > memory:
            raise CloudError("is of a format that is read as a whole, more than --max-memory; use binary PLY")
    return found or _whole(path, classes)


def _ply(path: PathLike, header: ply.Header, classes: Sequence[int]) -> CloudStream | None:
    vertex = header.find("vertex")
    first = header.elements[0] is vertex
    if header.ascii or not first or any(p.count_type for p in vertex.properties):
        return None
    vertex_columns(vertex)
    properties = [p.name for p in vertex.properties]
    names, normals = scans.group(properties, scans.POSITIONS), scans.group(properties, scans.NORMALS)
    marks = [name for name in (scans.class_name(properties),) if classes and name]
    scans.require_classes({}, () if marks else classes)
    if not normals:
        raise CloudError(NO_NORMALS)
    stride = sum(p.type.itemsize for p in vertex.properties)
    there = (os.path.getsize(path) - header.size) // stride
    if there < vertex.count:
        raise vertex.short_of(f"only {there} of {stride} bytes each are there")

    def pieces() -> Generator[Piece, None, None]:
        with open(path, "rb") as file:
            file.seek(header.size)
            there: Counter[int] = Counter()
            for done in range(0, vertex.count, ROWS):
                rows = min(ROWS, vertex.count - done)
                part = ply.Header(False, [replace(vertex, count=rows)], 0)
                columns, _ = records.read(file.read(rows * stride), part, {"vertex": [*names, *normals, *marks]})
                found = scans.from_columns(columns["vertex"])
                assert found.normals is not None
                there.update(scans.class_counts(found.codes))
                asked = scans.in_classes(found, classes)
                yield found.points[asked], found.normals[asked]
            scans.require_classes(there, classes)

    return CloudStream(vertex.count, guarded(path, pieces))


def _npy(path: PathLike) -> CloudStream | None:
    found = layout(first_bytes(path, HEADER_LIMIT), os.path.getsize(path))
    if len(found.shape) != 2 or found.shape[1] != 6 or found.dtype.kind != "f" or found.order != "C":
        return None
    count = found.shape[0]
    if not count or by_values(np.memmap(path, found.dtype, "r", found.offset, found.shape)) != SIX:
        return None

    def pieces() -> Generator[Piece, None, None]:
        with open(path, "rb") as file:
            file.seek(found.offset)
            for done in range(0, count, ROWS):
                rows = np.fromfile(file, found.dtype, 6 * min(ROWS, count - done)).reshape(-1, 6)
                with np.errstate(invalid="ignore"):  # signalling NaNs
                    rows = rows.astype(np.float64)
                yield rows[:, :3].copy(), rows[:, 3:].copy()

    return CloudStream(count, guarded(path, pieces))


def _las(path: PathLike, classes: Sequence[int]) -> CloudStream:
    told = False

    def pieces() -> Generator[Piece, None, None]:
        nonlocal told
        for columns in surveys.las_pieces(path, classes=classes, silent=told):
            names = scans.group(columns, scans.NORMALS)
            if not names:
                raise CloudError(NO_NORMALS)
            yield records.block(columns, COORDINATES), records.block(columns, names)
        told = True

    return CloudStream(surveys.count_las(path), guarded(path, pieces))


def _whole(path: PathLike, classes: Sequence[int]) -> CloudStream:
    scanned = load_scanned_cloud(path, classes=classes)
    if scanned.normals is None:
        raise CloudError(f"{shown(path)}: {NO_NORMALS}")
    points, normals = scanned.points, scanned.normals

    def pieces() -> Generator[Piece, None, None]:
        for start in range(0, len(points), ROWS):
            yield points[start : start + ROWS], normals[start : start + ROWS]

    return CloudStream(len(points), pieces)
