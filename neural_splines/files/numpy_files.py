"""The arrays of .npy and .npz files: nothing in them is executed, and no more is allocated than their bytes back."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, Literal

import numpy as np

from ..errors import CloudError
from .ply import TRUNCATED

HEADER_LIMIT = 1 << 16  # NumPy itself reads headers of up to 10,000 bytes
# 3.0 is 2.0 whose names may be of any language
READERS: dict[tuple[int, int], Callable[[IO[bytes]], Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    (3, 0): np.lib.format.read_array_header_2_0,
}
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those of numpy.savez and numpy.savez_compressed
# What an archive may grow to. Random points do not grow, a lattice 9 times; columns that repeat, of clouds that someone
# computed, up to 600 times, and are small.
GROWTH, SMALL = 200, 64 << 20


@dataclass(frozen=True)
class Layout:
    """What a header declares; the data begin at byte `offset`."""

    shape: tuple[int, ...]
    dtype: np.dtype
    order: Literal["C", "F"]
    offset: int

    @property
    def size(self) -> int:
        """Bytes of the data."""
        return math.prod(self.shape) * self.dtype.itemsize


def layout(start: bytes | bytearray, size: int) -> Layout:
    """The layout of the array in a file of `size` bytes that starts like this."""
    stream = io.BytesIO(start[:HEADER_LIMIT])
    version = np.lib.format.read_magic(stream)
    if version not in READERS:
        raise CloudError(f"is of the version {version[0]}.{version[1]} of NPY, which is not known; save it again")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that Python 2 wrote
        shape, fortran, dtype = READERS[version](stream)
    if dtype.hasobject:
        raise CloudError("holds Python objects, which cannot be read without pickle; save arrays of numbers")
    found = Layout(shape, dtype, "F" if fortran else "C", stream.tell())
    if any(isinstance(length, bool) or length < 0 for length in shape) or found.size > size - found.offset:
        raise CloudError(f"declares an array of {found.size} bytes, and {size - found.offset} follow; {TRUNCATED}")
    return found


def view(data: bytes | bytearray, found: Layout) -> np.ndarray:
    """The array of that layout in these bytes, as a view of them."""
    return np.ndarray(found.shape, found.dtype, data, found.offset, order=found.order)


class Archive:
    """The arrays of an .npz file by name, each read when it is asked for."""

    def __init__(self, stream: IO[bytes], size: int):
        self._zip = zipfile.ZipFile(stream)
        self._members = {member.filename.removesuffix(".npy"): member for member in self._zip.infolist()}
        if any(member.compress_type not in METHODS for member in self._members.values()):
            raise CloudError("is compressed in a way that NumPy does not write; save it again with numpy.savez")
        grown = sum(member.file_size for member in self._zip.infolist())
        if grown > max(SMALL, GROWTH * size):
            raise CloudError(f"has {size} bytes that would become {grown}; save it again without compression")

    @property
    def names(self) -> list[str]:
        return list(self._members)

    def layout(self, name: str) -> Layout:
        with self._zip.open(self._members[name]) as member:
            return layout(member.read(HEADER_LIMIT), self._members[name].file_size)

    def open(self, name: str) -> IO[bytes]:
        """The bytes of an array's file, as they are read."""
        return self._zip.open(self._members[name])

    def __getitem__(self, name: str) -> np.ndarray:
        data = bytearray(self._zip.read(self._members[name]))  # which can be written to, as what np.load gives
        return view(data, layout(data, len(data)))
