"""Points from LAS and LAZ, by laspy, and from E57, by pye57: extras, which only those install who need them.

Both are decoded in a process of their own (isolation.py). What a LAS header claims is compared with the file before.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..errors import CloudError, warn
from .atomic import PathLike, shown
from .bounds import Limits, inside, outside, overlap
from .column_statistics import Columns, Known
from .copc import MOST_POINTS, chunks_within
from .georeference import read_crs
from .isolation import decoded
from .ply import TRUNCATED, quoted
from .reading import first_bytes
from .scans import COORDINATES, ScannedCloud, class_counts, from_columns, require_classes
from .sources import ColumnSurvey, Source, sliced
from .spool import Spool

NOISE_CLASSES = (7, 18)  # low and high noise, of the ASPRS standard
HEADERS = {2: 227, 3: 235, 4: 375}  # bytes of the public header block of LAS 1.0 to 1.2, 1.3 and 1.4
RECORD, LONG_RECORD = 54, 60  # bytes of the header of a variable-length record, and of one behind the points
NOTHING = "holds no points; export it again"
COLOURS = ("red", "green", "blue")
BOX = 179  # where the header has the highest and the lowest x, then y and z


def read_las(
    path: PathLike, wanted: Sequence[str] = (), classes: Sequence[int] = (), bounds: Sequence[float] = ()
) -> ScannedCloud:
    """LAS and LAZ: coordinates scaled and offset, in double; colours of 16 bits; normals as extra dimensions nx, ..."""
    columns = _whole(las_pieces(path, wanted, classes, bounds))
    if "red" in columns and not any(columns[name].any() for name in COLOURS):
        for name in COLOURS:  # a format with room for colours that nobody filled
            del columns[name]
    return replace(from_columns(columns, wanted, _reading(path, bounds)), upright=True, crs=read_crs(path))


def _reading(path: PathLike, bounds: Sequence[float]) -> str:
    """How much of a COPC was read."""
    chunks = chunks_within(path, bounds) if bounds else None
    return "" if chunks is None else chunks.summary()


def las_source(
    path: PathLike, wanted: Sequence[str], classes: Sequence[int], rows: int, scratch: str | None = None,
    bounds: Sequence[float] = (),
) -> Source[Columns]:  # fmt: skip
    """As `read_las`, in pieces of so many rows at most. scratch: a folder that what is decoded may be kept in."""
    spool = Spool[Columns](scratch)
    survey = ColumnSurvey.of(spool.pieces(lambda: las_pieces(path, wanted, classes, bounds)))
    reading, crs = _reading(path, bounds), read_crs(path)
    unfilled = all(name in survey.known and not survey.known[name].largest for name in COLOURS)

    def cloud(columns: Columns, known: Known) -> ScannedCloud:
        used = {name: values for name, values in columns.items() if not (unfilled and name in COLOURS)}
        return replace(from_columns(used, wanted, reading, known), upright=True, crs=crs)

    def read() -> Iterator[Columns]:
        return sliced(spool.pieces(lambda: las_pieces(path, wanted, classes, bounds, silent=True)), rows)

    count = count_las(path)
    return survey.source(_points_to_read(path, count, bounds) if bounds else count, read, cloud)


def las_pieces(
    path: PathLike, wanted: Sequence[str] = (), classes: Sequence[int] = (), bounds: Sequence[float] = (),
    silent: bool = False,
) -> Iterator[Columns]:  # fmt: skip
    """The columns that a cloud is made of, in pieces that have together the points that the header declares.

    Of those within the bounds, and of these classes alone, where any are asked for. Without those that are withheld,
    or marked as noise unless their class is asked for; a warning counts them, unless `silent`.
    """
    left = count = count_las(path)
    if not count:
        raise CloudError(NOTHING)
    if bounds:
        left = _points_to_read(path, count, bounds)
        count = 0  # of those within the bounds
    dropped = 0
    there: Counter[int] = Counter()
    for columns in decoded("decode_las", path, wanted, *([bounds] if bounds else [])):
        left -= len(columns["x"])
        if bounds:
            columns = _rows(columns, inside(np.stack([columns[axis] for axis in COORDINATES], 1), bounds))
            count += len(columns["x"])
        codes, withheld = columns["classification"], columns["withheld"] != 0
        there.update(class_counts(codes[~withheld]))
        asked = np.isin(codes, classes) if classes else np.ones(len(codes), bool)
        marked = withheld | np.isin(codes, [code for code in NOISE_CLASSES if code not in classes])
        dropped += int((asked & marked).sum())
        keep = asked & ~marked
        yield columns if keep.all() else _rows(columns, keep)
    if left:
        raise CloudError(
            f"its header declares {abs(left)} points {'more' if left > 0 else 'less'} than follow; {TRUNCATED}"
        )
    if bounds and not count:
        raise outside(bounds, box_of_las(path))
    require_classes(there, classes)
    line = f"{dropped} of {count} points are marked as noise (classes 7 and 18) or withheld"
    if dropped and dropped == count:
        raise CloudError(f"{line}; export it without these marks")
    if dropped and not silent:
        warn(f"{line} and were left out; to keep them, export without these marks")


def _rows(columns: Columns, keep: np.ndarray) -> Columns:
    return {name: values[keep] for name, values in columns.items()}


def _points_to_read(path: PathLike, count: int, bounds: Sequence[float]) -> int:
    """How many of its points are read because they may lie within the bounds; OutsideError where none is."""
    box = box_of_las(path)
    sound = np.isfinite(box).all() and (box[0] <= box[1]).all() and (box[0] < box[1]).any()
    chunks = chunks_within(path, bounds)
    if chunks is not None and chunks.points != count:
        raise CloudError(f"its octree has {chunks.points} points and its header {count}; {TRUNCATED}")
    found = count if chunks is None else int(chunks.counts.sum())
    if not found or (sound and not overlap(box, bounds)):
        raise outside(bounds, box)
    return found


def box_of_las(path: PathLike) -> Limits:
    """The lowest and the highest coordinates [3] that the header of a LAS file has room for and says."""
    values = np.array(struct.unpack_from("<6d", first_bytes(path, HEADERS[2]), BOX))
    return values[1::2], values[::2]


def count_las(path: PathLike) -> int:
    """How many points a LAS header declares; CloudError where the file is too short for what it claims.

    Of more records than there are laspy would look for all of them, for minutes; more points than memory has room for
    end what decompresses them.
    """
    size, header = os.path.getsize(path), first_bytes(path, HEADERS[4])
    if header[:4] != b"LASF" or len(header) < HEADERS[2]:
        raise CloudError(f"is not read as LAS or LAZ, it starts with {quoted(header[:4])}; {TRUNCATED}")
    header += bytes(HEADERS[4] - len(header))
    length, start, records, format_, stride, count = struct.unpack_from("<HIIBHI", header, 94)
    further = 0
    if header[25] >= 4:
        further, count = struct.unpack_from("<IQ", header, 243)
    if length < HEADERS.get(header[25], HEADERS[2]) or length + RECORD * records > start or start > size:
        raise CloudError(f"is not read as LAS or LAZ: its header declares more than is there; {TRUNCATED}")
    compressed = format_ & 0xC0 == 0x80
    if LONG_RECORD * further > size or (MOST_POINTS * size < count if compressed else start + count * stride > size):
        raise CloudError(f"the header declares {count} points, which {size} bytes cannot hold; {TRUNCATED}")
    if compressed and count:
        _check_chunks(path, size, start)
    return int(count)


def _check_chunks(path: PathLike, size: int, start: int) -> None:
    """Refuse a table of more chunks than bytes: what decompresses LAZ ends the process where it gets no memory."""
    with open(path, "rb") as file:

        def number(place: int, code: str) -> int:
            file.seek(place)
            values = file.read(struct.calcsize(code))
            if len(values) < struct.calcsize(code):
                raise CloudError(f"its table of chunks is not there; {TRUNCATED}")
            return int(struct.unpack(code, values)[0])

        table = number(start, "<q")
        table = table if table >= 0 else number(max(0, size - 8), "<q")
        chunks = number(max(0, table) + 4, "<I")
    if chunks > size:
        raise CloudError(f"its table declares {chunks} chunks, which {size} bytes cannot hold; {TRUNCATED}")


def read_e57(path: PathLike, wanted: Sequence[str] = ()) -> ScannedCloud:
    """All scans of an E57 file in its common system; where a scanner stood is the viewpoint of its points."""
    return replace(from_columns(_whole(_scans(path)), wanted), upright=True)


def e57_source(path: PathLike, wanted: Sequence[str], rows: int, scratch: str | None = None) -> Source[Columns]:
    """As `read_e57`, in pieces of a scan and so many rows at most. scratch: as of `las_source`."""
    spool = Spool[Columns](scratch)
    survey = ColumnSurvey.of(spool.pieces(lambda: _scans(path)), alike=False)

    def cloud(columns: Columns, known: Known) -> ScannedCloud:
        return replace(from_columns(columns, wanted, known=known), upright=True)

    return survey.source(survey.rows, lambda: sliced(spool.pieces(lambda: _scans(path, silent=True)), rows), cloud)


def _scans(path: PathLike, silent: bool = False) -> Iterator[Columns]:
    """The scans that have points; a warning counts the others, unless `silent`."""
    count = empty = 0
    for scan in decoded("decode_e57", path):
        count += 1
        if len(scan["x"]):
            yield scan
        else:
            empty += 1
    if empty and not silent:
        warn(f"{shown(path)}: {empty} of its {count} scans have no points and were left out")


def _whole(pieces: Iterable[Columns]) -> Columns:
    """The columns that all pieces have, each as one array."""
    parts = list(pieces)
    common = [name for name in parts[0] if all(name in part for part in parts)] if parts else []
    if not parts:
        raise CloudError(NOTHING)
    return {name: np.concatenate([part.pop(name) for part in parts]) for name in common}
