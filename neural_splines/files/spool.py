"""Pieces that take long to decode, kept on disk by the first pass over them for those that follow."""

from __future__ import annotations

import io
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar, cast

import numpy as np

from .column_statistics import Columns

Piece = TypeVar("Piece", Columns, np.ndarray)
Kept = list[tuple[str, str, tuple[int, ...]]]  # name, type and shape of the arrays of a piece, in their order
SPARE = 2  # times what is kept must stay free: nodes of the same points follow, and results
TABLE = ""  # the name of a piece that is one array


class Spool(Generic[Piece]):
    """Where a folder is given, a scratch file there, without a name where the system can; gone with the spool.

    Without one, or without room, every pass decodes again.
    """

    def __init__(self, folder: str | None):
        self._folder = folder
        self._file: io.FileIO | None = None
        self._kept: list[Kept] = []

    def pieces(self, decode: Callable[[], Iterator[Piece]]) -> Iterator[Piece]:
        """Those that decode() gives, from disk where a pass before this one came to its end."""
        if self._file is not None:
            yield from self._read(self._file)
            return
        kept: list[Kept] = []
        file, written = self._scratch(), 0
        try:
            for piece in decode():
                if file is not None and not self._put(file, piece, kept, written):
                    file.close()
                    file = None
                written += _bytes(piece)
                yield piece
            self._file, self._kept = file, kept
        finally:
            if file is not None and self._file is not file:  # nobody came to the end
                file.close()
        if file is not None:
            weakref.finalize(self, file.close)

    def _put(self, file: io.FileIO, piece: Piece, kept: list[Kept], written: int) -> bool:
        """Whether there was room for one more piece."""
        arrays = {TABLE: piece} if isinstance(piece, np.ndarray) else piece
        try:
            for values in arrays.values():
                _write(file, np.ascontiguousarray(values))
            room = shutil.disk_usage(self._folder or "").free
        except OSError:
            return False
        kept.append([(name, values.dtype.str, values.shape) for name, values in arrays.items()])
        return room >= SPARE * (written + _bytes(piece))

    def _scratch(self) -> io.FileIO | None:
        try:
            return None if self._folder is None else tempfile.TemporaryFile(dir=self._folder, buffering=0)
        except OSError:
            return None

    def _read(self, file: io.FileIO) -> Iterator[Piece]:
        place = 0
        for kept in self._kept:
            arrays = {name: np.empty(shape, type_) for name, type_, shape in kept}
            file.seek(place)
            for values in arrays.values():
                _fill(file, values)
                place += values.nbytes
            yield cast(Piece, arrays.get(TABLE, arrays))


def _bytes(piece: Columns | np.ndarray) -> int:
    return piece.nbytes if isinstance(piece, np.ndarray) else sum(values.nbytes for values in piece.values())


def _write(file: io.FileIO, values: np.ndarray) -> None:
    left = values.reshape(-1).view(np.uint8).data
    while len(left):
        left = left[file.write(left) :]


def _fill(file: io.FileIO, values: np.ndarray) -> None:
    left = values.reshape(-1).view(np.uint8).data
    while len(left):
        count = file.readinto(left)
        if not count:
            raise OSError("a scratch file lost its end")
        left = left[count:]
