"""The points of NumPy's files in pieces."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial
from typing import IO, Any

import numpy as np

from ..errors import CloudError
from .atomic import PathLike
from .column_statistics import Columns
from .columns import meaning, refuse_words
from .numpy_clouds import MOST_ROWS, NUMBERS, arrays_of
from .numpy_files import HEADER_LIMIT, Archive, Layout, layout
from .ply import TRUNCATED
from .reading import first_bytes
from .scans import from_columns
from .sources import Source, of_columns, of_tables, surveyed

CHUNK = 1 << 20  # bytes


def npy_source(path: PathLike, wanted: Sequence[str], words: str, rows: int) -> Source[Any] | None:
    """As `numpy_clouds.read_npy`, in pieces of so many rows; None for what holds no table and no list of points."""
    found = layout(first_bytes(path, HEADER_LIMIT), os.path.getsize(path))
    if not found.size:
        return None
    if found.dtype.names and len(found.shape) == 1:
        refuse_words(words)
        read = partial(_named, path, found, rows)
        return of_columns(found.shape[0], read, lambda columns, known: from_columns(columns, wanted, known=known))
    if len(found.shape) != 2 or found.dtype.kind not in "fiu":
        return None
    if MOST_ROWS >= found.shape[0] >= 3 and found.shape[1] > MOST_ROWS:  # k numbers of n points
        found = replace(found, shape=found.shape[::-1], order="F" if found.order == "C" else "C")
    tables = partial(_tables, path, found, rows)
    survey = surveyed(tables())
    source = of_tables(survey, tables, meaning(survey, words), wanted)
    single = found.dtype == np.float32
    return replace(source, cloud=lambda table: replace(source.cloud(table), single=single))


def _tables(path: PathLike, found: Layout, rows: int) -> Generator[np.ndarray, None, None]:
    """The rows of an array [n, k] in double."""
    for part in _parts(path, found, rows):
        with np.errstate(invalid="ignore"):  # signalling NaNs
            yield part.astype(np.float64)


def _named(path: PathLike, found: Layout, rows: int) -> Generator[Columns, None, None]:
    """The numbers of an array [n] of records, by name."""
    for part in _parts(path, replace(found, order="C"), rows):
        yield {name: part[name] for name in part.dtype.names or () if _is_number(part.dtype[name])}


def _is_number(type_: np.dtype) -> bool:
    return type_.kind in NUMBERS and not type_.shape


def _parts(path: PathLike, found: Layout, rows: int) -> Generator[np.ndarray, None, None]:
    """Rows of an array [n, ...], which lie one behind another, or whose columns [k] do."""
    count, size = found.shape[0], found.dtype.itemsize
    with open(path, "rb") as file:

        def read(place: int, length: int) -> np.ndarray:
            file.seek(found.offset + place * size)
            values = np.frombuffer(file.read(length * size), found.dtype)
            if len(values) < length:
                raise CloudError("the file changed while it was read; leave it alone and run again")
            return values

        width = found.size // (count * size)
        for first in range(0, count, rows):
            more = min(rows, count - first)
            if found.order == "C":
                yield read(first * width, more * width).reshape(more, *found.shape[1:])
            else:
                yield np.stack([read(k * count + first, more) for k in range(width)], axis=1)


def npz_source(path: PathLike, wanted: Sequence[str], rows: int) -> Source[Columns] | None:
    """As `numpy_clouds.read_npz`, in pieces of so many rows; None where there are none."""
    with open(path, "rb") as file:
        count, _ = arrays_of(Archive(file, os.path.getsize(path)))
    if not count:
        return None
    read = partial(_members, path, rows)
    return of_columns(count, read, lambda columns, known: from_columns(columns, wanted, known=known))


def _members(path: PathLike, rows: int) -> Generator[Columns, None, None]:
    """The columns of the arrays of an archive, each decompressed as far as it is read."""
    with contextlib.ExitStack() as stack:
        archive = Archive(stack.enter_context(open(path, "rb")), os.path.getsize(path))
        count, arrays = arrays_of(archive)
        members = {name: _Member(archive, name, stack) for name in arrays}
        for first in range(0, count, rows):
            columns: Columns = {}
            for name, parts in arrays.items():
                values = members[name].take(min(rows, count - first))
                columns |= dict(zip(parts, values.T, strict=True)) if len(parts) > 1 else {name: values}
            yield columns
        for member in members.values():
            member.finish()


class _Member:
    """The rows of an array [n] or [n, k] of an archive, from the first to the last."""

    def __init__(self, archive: Archive, name: str, stack: contextlib.ExitStack):
        self._layout = found = archive.layout(name)
        by_columns = found.order == "F" and len(found.shape) == 2
        column = found.shape[0] * found.dtype.itemsize
        places = [found.offset + k * column for k in range(found.shape[1] if by_columns else 1)]
        self._streams = [stack.enter_context(archive.open(name)) for _ in places]
        for stream, place in zip(self._streams, places, strict=True):
            _skip(stream, place)
        self._shape = () if by_columns else found.shape[1:]
        self._by_columns = by_columns

    def take(self, rows: int) -> np.ndarray:
        """The next rows."""
        parts = [self._read(stream, rows) for stream in self._streams]
        return np.stack(parts, axis=1) if self._by_columns else parts[0]

    def _read(self, stream: IO[bytes], rows: int) -> np.ndarray:
        size = rows * self._layout.dtype.itemsize * int(np.prod(self._shape, dtype=np.int64))
        data = stream.read(size)
        if len(data) < size:
            raise CloudError(f"one of its arrays ends early; {TRUNCATED}")
        return np.frombuffer(data, self._layout.dtype).reshape(rows, *self._shape)

    def finish(self) -> None:
        """Read to the end, where the checksum is compared."""
        for stream in self._streams:
            while stream.read(CHUNK):
                pass


def _skip(stream: IO[bytes], size: int) -> None:
    while size and (data := stream.read(min(size, CHUNK))):
        size -= len(data)
