"""COPC: LAZ whose chunks are the nodes of an octree, which a table at its end lists with their places in the file.

The first record of the file, after its header of 375 bytes, has the centre and half the side of the root, and where the
first page of the table lies. An entry of it is a node (level, x, y, z): a cube of side 2 h / 2^level, the x-th from the
lowest corner of the root along x, and so on. It is a chunk (offset, bytes, points), or a further page (points -1). The
points of a node are some of those in its cube; those of its children lie there too. See copc.io.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from ..errors import CloudError
from .atomic import PathLike
from .bounds import limits
from .ply import TRUNCATED

ENTRY = np.dtype([("key", "<i4", 4), ("offset", "<u8"), ("bytes", "<i4"), ("points", "<i4")])
HEADER, RECORD, INFO = 375, 54, struct.Struct("<5dQQ")
MARK = b"copc".ljust(16, b"\0") + struct.pack("<H", 1)  # user and number of the record
SCALES = 131  # where the header has the steps of the coordinates
DEEPEST = 31  # levels that the numbers of a node have room for
MOST_POINTS = 16  # that one byte of LAZ can hold: measured files have a byte or more for each
PAGE = -1  # as a number of points: a further page


@dataclass(frozen=True)
class Chunks:
    """Those of the nodes whose cubes overlap the bounds, in the order of the file.

    offsets, sizes, counts [k]: where each begins, its bytes and its points. nodes, points: of the whole file.
    """

    offsets: np.ndarray
    sizes: np.ndarray
    counts: np.ndarray
    nodes: int
    points: int

    def summary(self) -> str:
        share = self.counts.sum() / max(1, self.points)
        return f"COPC, {len(self.counts)} of {self.nodes} nodes read, with {share:.1%} of the points"

    def groups(self, points: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Offsets, sizes and counts of some chunks after the other: together so many points, or one chunk of more."""
        start, total = 0, 0
        for k, count in enumerate(self.counts.tolist()):
            if total and total + count > points:
                yield self.offsets[start:k], self.sizes[start:k], self.counts[start:k]
                start, total = k, 0
            total += count
        if total:
            yield self.offsets[start:], self.sizes[start:], self.counts[start:]


def chunks_within(path: PathLike, bounds: Sequence[float]) -> Chunks | None:
    """The chunks that points within the bounds may be in; None of a file that is no COPC.

    CloudError where the table contradicts the file.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        header = file.read(HEADER + RECORD + INFO.size)
        if header[:4] != b"LASF" or header[HEADER + 2 : HEADER + 2 + len(MARK)] != MARK:
            return None
        if len(header) < HEADER + RECORD + INFO.size:
            raise CloudError(f"its record of COPC is not there; {TRUNCATED}")
        *centre, half, _, offset, length = INFO.unpack_from(header, HEADER + RECORD)
        if not (np.isfinite([*centre, half]).all() and half > 0.0):
            raise CloudError("its octree has no finite cube; export it again")
        table = _entries(file, offset, length, size)
    found = table[table["points"] > 0]
    wrong = (found["bytes"] <= 0) | (found["offset"] > size) | (found["offset"] + found["bytes"] > size)
    wrong |= found["points"] > MOST_POINTS * found["bytes"].astype(np.int64)
    if wrong.any():
        raise CloudError(f"a node of its octree lies at byte {found['offset'][wrong][0]} of {size}; {TRUNCATED}")
    step = np.abs(struct.unpack_from("<3d", header, SCALES))  # points are rounded after they get their node
    used = np.sort(found[_overlapping(found["key"], np.array(centre) - half, 2.0 * half, step, bounds)], order="offset")
    counts = used["points"].astype(np.int64)
    total = int(found["points"].sum(dtype=np.int64))
    return Chunks(used["offset"].astype(np.int64), used["bytes"].astype(np.int64), counts, len(found), total)


def _entries(file: BinaryIO, offset: int, length: int, size: int) -> np.ndarray:
    """The entries of all pages."""
    pages, seen, found = [(offset, length)], set[int](), []
    while pages:
        offset, length = pages.pop()
        if offset in seen:
            raise CloudError("the table of its octree has a page twice; export it again")
        if length < 0 or length % ENTRY.itemsize or offset + length > size:
            raise CloudError(f"the table of its octree declares {length} bytes at byte {offset} of {size}; {TRUNCATED}")
        seen.add(offset)
        file.seek(offset)
        page = np.frombuffer(file.read(length), ENTRY)
        key = page["key"].astype(np.int64)
        if (
            (key[:, :1] < 0) | (key[:, :1] > DEEPEST) | (key[:, 1:] < 0) | (key[:, 1:] >= 1 << key[:, :1].clip(0, 62))
        ).any():
            raise CloudError("the table of its octree has a node outside it; export it again")
        found.append(page)
        further = page[page["points"] == PAGE]
        pages += zip(further["offset"].tolist(), further["bytes"].tolist(), strict=True)
    return np.concatenate(found)


def _overlapping(
    key: np.ndarray, origin: np.ndarray, side: float, step: np.ndarray, bounds: Sequence[float]
) -> np.ndarray:
    """Mask [k] of the nodes whose cubes, with a step around them, have a place in common with the bounds."""
    lower, upper = limits(bounds)
    sides = side / 2.0 ** key[:, :1]
    low = origin + sides * key[:, 1:]
    return np.all((low - step <= upper) & (low + sides + step >= lower), axis=1)
