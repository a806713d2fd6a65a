"""Points in pieces from OBJ without faces, and from OFF text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import partial
from typing import TextIO

import numpy as np

from ..errors import CloudError
from .atomic import PathLike
from .column_statistics import Columns, Known
from .obj_off import OFF_KEYWORD, floats, no_vertices, unequal_normals
from .ply import TRUNCATED, quoted
from .reading import first_bytes
from .scans import COLOURS, COORDINATES, NORMALS, ScannedCloud, chosen_scalars, from_columns
from .sources import Source, of_columns
from .text_tables import ENCODING, open_text


def _cloud(columns: Columns, known: Known) -> ScannedCloud:
    return from_columns(columns, known=known)


def obj_source(path: PathLike, wanted: Sequence[str], rows: int) -> Source[Columns] | None:
    """As `obj_off.read_obj`, in pieces of so many rows; None where there are faces, by which normals belong to vertices
    and, where there are none, points have sides."""
    chosen_scalars((), wanted)
    points = normals = coloured = 0
    with open_text(path) as text:
        for line in text:
            match line.encode(ENCODING).split():
                case [b"v", *values]:
                    points += 1
                    coloured += len(values) >= 6
                case [b"vn", *_]:
                    normals += 1
                case [b"f", *_]:
                    return None
    if not points:
        raise no_vertices()
    if normals and normals != points:
        raise unequal_normals(points, normals)
    return of_columns(points, partial(_obj, path, rows, bool(normals), coloured == points), _cloud)


def _obj(path: PathLike, rows: int, normals: bool, colours: bool) -> Generator[Columns, None, None]:
    names = [*COORDINATES, *(COLOURS[0] if colours else ())]
    with open_text(path) as one, open_text(path) as other:
        points, directions = _values(one, b"v", len(names)), _values(other, b"vn", 3)
        while len(table := _table(points, rows, len(names))):
            columns = dict(zip(names, table.T, strict=True))
            if normals:
                columns |= dict(zip(NORMALS[0], _table(directions, len(table), 3).T, strict=True))
            yield columns


def _values(text: TextIO, keyword: bytes, count: int) -> Iterator[list[float]]:
    """The numbers of the lines that begin with a keyword."""
    for number, line in enumerate(text, 1):
        word, *values = line.encode(ENCODING).split() or [b""]
        if word == keyword:
            yield floats(values, f"line {number}", count)


def _table(values: Iterable[list[float]], rows: int, width: int) -> np.ndarray:
    return np.array(list(itertools.islice(values, rows))).reshape(-1, width)


def off_source(path: PathLike, wanted: Sequence[str], rows: int) -> Source[Columns] | None:
    """As `obj_off.read_off`, in pieces of so many rows; None where there are none."""
    chosen_scalars((), wanted)
    with open_text(path) as text:
        count, *_ = _off(path, text)
    return of_columns(count, partial(_off_pieces, path, rows), _cloud) if count else None


def _off_pieces(path: PathLike, rows: int) -> Generator[Columns, None, None]:
    with open_text(path) as text:
        count, names, lines = _off(path, text)
        for first in range(0, count, rows):
            more = min(rows, count - first)
            numbered = enumerate(itertools.islice(lines, more), first + 1)
            table = _table((floats(line, f"vertex {i}", len(names)) for i, line in numbered), more, len(names))
            if len(table) < more:
                there = first + len(table)
                raise CloudError(f"the header declares {count} vertices but {there} lines follow; {TRUNCATED}")
            yield dict(zip(names, table.T, strict=True))


def _off(path: PathLike, text: TextIO) -> tuple[int, list[str], Iterator[list[bytes]]]:
    """How many vertices there are, what a line has of each, and the words of the lines behind these."""
    lines = (line for line in (line.encode(ENCODING).split(b"#")[0].strip() for line in text) if line)
    keyword = OFF_KEYWORD.match(next(lines, b""))
    if keyword is None:
        start = quoted(first_bytes(path, 16))
        raise CloudError(f"not an OFF file with three coordinates, it starts with {start}; export it as PLY")
    counts = (keyword[5].strip() or next(lines, b"")).split()
    if not counts or not re.fullmatch(rb"[0-9]{1,18}", counts[0]):
        raise CloudError(f"no vertex count where an OFF file has it; {TRUNCATED}")
    names = [*COORDINATES, *(NORMALS[0] if keyword[3] else ()), *(COLOURS[0] if keyword[2] or keyword[4] else ())]
    return int(counts[0]), names, (line.split() for line in lines)
