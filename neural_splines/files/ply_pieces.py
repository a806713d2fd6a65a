"""The points of a PLY file in pieces."""

from __future__ import annotations

import itertools
import os
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import BinaryIO

import numpy as np

from . import ply, records, scans
from .atomic import PathLike, shown
from .column_statistics import Columns, Known, whole
from .ply_clouds import check_left_over, integers, vertex_columns
from .reading import BYTE_ORDER_MARK
from .scans import ScannedCloud
from .sources import ColumnSurvey, Source

CHUNK = 1 << 20  # bytes


def ply_source(path: PathLike, header: ply.Header, wanted: Sequence[str], rows: int) -> Source[Columns] | None:
    """The points in pieces of so many rows.

    None where a piece cannot be found without those before it, as behind lists of varying length, and where faces tell
    the sides of points without normals: all of them are needed.
    """
    vertex = header.find("vertex")
    used = vertex_columns(vertex, wanted)
    faces = any(element.name == "face" for element in header.elements) and not scans.group(used, scans.NORMALS)
    lists = any(p.count_type for element in [*_before(header, vertex), vertex] for p in element.properties)
    file = _Vertices(path, header, used, rows)
    if faces or not vertex.count or (file.returns if header.ascii else lists):
        return None
    types = integers(vertex, used) if header.ascii else {}
    survey = ColumnSurvey.of(file.pieces(), further=list(types))
    cloud = partial(_cloud, types=types, wanted=wanted, single=not header.ascii)
    return survey.source(vertex.count, file.pieces, cloud)


def _before(header: ply.Header, vertex: ply.Element) -> list[ply.Element]:
    return header.elements[: header.elements.index(vertex)]


def _cloud(
    columns: Columns, known: Known, types: Mapping[str, np.dtype], wanted: Sequence[str], single: bool
) -> ScannedCloud:
    columns = columns | {name: whole(columns[name], type_, known[name]) for name, type_ in types.items()}
    cloud = scans.from_columns(columns, wanted, known=known)
    return replace(cloud, single=cloud.single and single)


class _Vertices:
    """The used properties of the vertices, read piece by piece."""

    def __init__(self, path: PathLike, header: ply.Header, used: Sequence[str], rows: int):
        self._path, self._header, self._used, self._rows = path, header, used, rows
        self._vertex, self._told = header.find("vertex"), False
        with open(path, "rb") as file:
            self._start = file.read(header.size)

    @property
    def returns(self) -> bool:
        """Whether lines end with carriage returns alone."""
        return b"\r" in self._start and b"\n" not in self._start

    def pieces(self) -> Generator[Columns, None, None]:
        read = self._text if self._header.ascii else self._binary
        with open(self._path, "rb") as file:
            file.seek(self._header.size)
            self._skip(file)
            for done in range(0, self._vertex.count, self._rows):
                part = replace(self._vertex, count=min(self._rows, self._vertex.count - done), start=done)
                header = ply.Header(self._header.ascii, [part], 0)
                columns, _ = records.read(read(file, part), header, {"vertex": self._used})
                yield columns["vertex"]
            if not self._told and self._header.elements[-1] is self._vertex:
                self._told = True
                check_left_over(_bytes_left(file), self._header, self._start, shown(self._path))

    def _skip(self, file: BinaryIO) -> None:
        """What comes before the vertices."""
        before = _before(self._header, self._vertex)
        if self._header.ascii:
            if file.read(len(BYTE_ORDER_MARK)) != BYTE_ORDER_MARK:  # where a program put text together
                file.seek(self._header.size)
            for element in before:
                for start in range(0, element.count if element.properties else 0, self._rows):
                    self._text(file, replace(element, count=min(self._rows, element.count - start), start=start))
            return
        file.seek(sum(element.count * _stride(element) for element in before), os.SEEK_CUR)
        stride, left = _stride(self._vertex), os.path.getsize(self._path) - file.tell()
        if left < self._vertex.count * stride:
            raise self._vertex.short_of(f"only {max(0, left) // stride} of {stride} bytes each are there")

    def _binary(self, file: BinaryIO, part: ply.Element) -> bytes:
        return file.read(part.count * _stride(part))

    def _text(self, file: BinaryIO, part: ply.Element) -> bytes:
        """The next lines that are not blank."""
        lines: list[bytes] = []
        while len(lines) < part.count:
            more = list(itertools.islice(file, part.count - len(lines)))
            if not more:
                raise replace(part, count=self._declared(part)).short_of(
                    f"the data end after {part.start + len(lines)} of them"
                )
            lines += [line for line in more if not line.isspace()]
        return b"".join(lines)

    def _declared(self, part: ply.Element) -> int:
        return self._header.find(part.name).count


def _stride(element: ply.Element) -> int:
    """Bytes of a record without lists."""
    return sum(p.type.itemsize for p in element.properties)


def _bytes_left(file: BinaryIO) -> int:
    """How many bytes follow, without blanks at both ends."""
    count = blank = 0
    while chunk := file.read(CHUNK):
        if not count:
            chunk = chunk.lstrip()
        filled = len(chunk.rstrip())
        count, blank = (count + blank + filled, len(chunk) - filled) if filled else (count, blank + len(chunk))
    return count
