"""LAS and LAZ by laspy, in a process of its own (see isolation.py)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import CloudError, first_line
from .column_statistics import Columns
from .copc import Chunks, chunks_within
from .isolation import confine, serve
from .scans import COORDINATES, laser_names, roles

ROWS = 1 << 20  # of a piece
MARKS = ("classification", "withheld")  # of points that belong to no surface
PIECE = 64 << 20  # bytes of records in one, which may be long


def decode(path: str, wanted: Sequence[str], bounds: Sequence[float] = ()) -> Iterator[Columns]:
    """The columns that a cloud is made of, and MARKS: coordinates scaled and offset, in double, others as they are.

    bounds: of COPC, only chunks that may have points within them are read.
    """
    try:
        import laspy
    except ImportError as error:
        raise CloudError(f"LAS and LAZ need laspy ({first_line(error)}); pip install laspy lazrs") from None
    confine(path)
    with laspy.open(path, read_evlrs=False) as reader:
        if reader.header.are_points_compressed and not laspy.LazBackend.detect_available():
            raise CloudError("LAZ needs a decompressor beside laspy; pip install laspy lazrs")
        format_ = reader.header.point_format
        numbers = [d.name for d in format_.dimensions if d.num_elements == 1 and d.name.lower() not in COORDINATES]
        names = [*MARKS, *(name for names in roles((*COORDINATES, *numbers), wanted) for name in names)]
        names += laser_names(numbers).values()
        rows = max(1, min(ROWS, PIECE // max(1, format_.size)))
        chunks = chunks_within(path, bounds) if bounds else None
        for part in reader.chunk_iterator(rows) if chunks is None else _of_chunks(path, chunks, rows):
            columns = {axis: np.asarray(getattr(part, axis), np.float64) for axis in COORDINATES}
            yield columns | {name: np.asarray(part[name]) for name in names if name not in columns}


def _of_chunks(path: str, chunks: Chunks, rows: int) -> Iterator[Any]:
    """The points of some chunks, about so many rows at once, as laspy's records."""
    import laspy
    import lazrs

    with open(path, "rb") as file:
        header = laspy.LasHeader.read_from(file)
        (packing,) = (vlr for vlr in header.vlrs if vlr.user_id == "laszip encoded")
        size = header.point_format.size
        for offsets, sizes, counts in chunks.groups(rows):
            data = bytearray()
            for offset, length in zip(offsets.tolist(), sizes.tolist(), strict=True):
                file.seek(offset)
                data += file.read(length)
            points = np.empty(int(counts.sum()) * size, np.uint8)
            table = list(zip(counts.tolist(), sizes.tolist(), strict=True))
            lazrs.decompress_points_with_chunk_table(bytes(data), packing.record_data_bytes(), points, table)
            packed = laspy.PackedPointRecord.from_buffer(points, header.point_format)
            yield laspy.ScaleAwarePointRecord(packed.array, header.point_format, header.scales, header.offsets)


def main() -> None:
    serve("LAS or LAZ", decode)
