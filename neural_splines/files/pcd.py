"""Points from PCD, the Point Cloud Library's format: text, binary, and compressed.

Our own, because Open3D, which reads it, is a wheel of 400 MB, and the small packages either lack compressed files or
trust the header.
"""

from __future__ import annotations

import io
import itertools
import math
import os
import struct
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..errors import CloudError
from ..runtime.compiled import compiled
from .atomic import PathLike
from .column_statistics import Columns, Known
from .ply import TRUNCATED, quoted
from .reading import BYTE_ORDER_MARK, first_bytes
from .scans import ScannedCloud, from_columns
from .sources import Source, of_columns

HEADER_LIMIT = 1 << 16
MOST_GROWTH = 88  # by LZF: three bytes copy at most 264
Field = tuple[str, np.dtype, int]  # name, type, and how many of them
TYPES = {"F": "f", "I": "i", "U": "u"}
PACKED = {"red": 16, "green": 8, "blue": 0}  # bits above those of a colour in four bytes
STILL = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)  # the viewpoint of those that tell none


@dataclass(frozen=True)
class Described:
    """What a header declares: the fields of a record, how many records there are, how they are written from the byte
    `start` on, and the place that they were seen from, where it tells one.
    """

    fields: list[Field]
    points: int
    kind: str
    start: int
    view: np.ndarray | None

    @classmethod
    def of(cls, data: bytes) -> Described:
        """Of the first bytes of a file."""
        header, start = _header(data)
        try:
            fields = _fields(header)
            sides = [header["POINTS"][0]] if "POINTS" in header else [header["WIDTH"][0], header["HEIGHT"][0]]
            points = math.prod(map(int, sides))
            kind = header["DATA"][0].lower()
            view = tuple(map(float, header.get("VIEWPOINT", STILL)))
            if points < 0 or not fields:
                raise ValueError
        except (KeyError, ValueError, IndexError, TypeError):
            raise CloudError("its PCD header is not understood; export the file again") from None
        if kind not in KINDS:
            raise CloudError(f"its PCD data are {quoted(kind)}; export it as ascii, binary or binary_compressed")
        rows = int(header["HEIGHT"][0]) if "HEIGHT" in header and header["HEIGHT"][0].isdigit() else 1
        told = len(view) == 7 and (view != STILL or rows > 1)  # the default counts where the cloud has rows:
        return cls(fields, points, kind, start, np.array(view[:3]) if told else None)  # a camera's own frame

    @property
    def record(self) -> int:
        """Bytes of a binary record."""
        return sum(type_.itemsize * count for _, type_, count in self.fields)

    def columns(self, blocks: Sequence[np.ndarray]) -> Columns:
        """Those of the fields that are one number; a packed `rgb` becomes colours."""
        columns: Columns = {}
        for (name, _, count), block in zip(self.fields, blocks, strict=True):
            if name.lower() in ("rgb", "rgba") and block.dtype.itemsize == 4:
                packed = np.ascontiguousarray(block[:, 0]).view(np.uint32)
                columns |= {c: (packed >> s & 255).astype(np.uint8) for c, s in PACKED.items()}
            elif name != "_" and count == 1:
                columns[name] = block[:, 0]
        return columns

    def cloud(self, columns: Columns, known: Known | None = None, wanted: Sequence[str] = ()) -> ScannedCloud:
        """The points, all of which have the VIEWPOINT."""
        cloud = from_columns(columns, wanted, known=known)
        if self.view is not None and cloud.viewpoints is None:
            cloud = replace(cloud, viewpoints=np.tile(self.view, (len(cloud.points), 1)))
        return cloud


def read_pcd(data: bytes, wanted: Sequence[str] = ()) -> ScannedCloud:
    """The cloud of a PCD file."""
    found = Described.of(data)
    blocks = KINDS[found.kind](data, found.start, found.fields, found.points)
    return found.cloud(found.columns(blocks), wanted=wanted)


def pcd_source(path: PathLike, wanted: Sequence[str], rows: int) -> Source[Columns] | None:
    """As `read_pcd`, in pieces of so many rows; None where the file is compressed, field after field."""
    start = first_bytes(path, HEADER_LIMIT + len(BYTE_ORDER_MARK))
    data = start.removeprefix(BYTE_ORDER_MARK)
    found = Described.of(data)
    if found.kind == "binary_compressed" or not found.points:
        return None
    place = found.start + len(start) - len(data)
    size = os.path.getsize(path) - place
    if found.kind == "binary":
        _require(found.points, found.record, size)
        read = partial(_binary_pieces, path, place, found, rows)
    else:
        _require(found.points, 2 * sum(count for *_, count in found.fields), size + 1)
        read = partial(_ascii_pieces, path, place, found, rows)
    return of_columns(found.points, read, partial(found.cloud, wanted=wanted))


def _binary_pieces(path: PathLike, place: int, found: Described, rows: int) -> Generator[Columns, None, None]:
    with open(path, "rb") as file:
        file.seek(place)
        for first in range(0, found.points, rows):
            count = min(rows, found.points - first)
            yield found.columns(_binary(file.read(count * found.record), 0, found.fields, count))


def _ascii_pieces(path: PathLike, place: int, found: Described, rows: int) -> Generator[Columns, None, None]:
    with open(path, "rb") as file:
        file.seek(place)
        text = io.TextIOWrapper(file, "latin-1")
        lines = (line for line in text if line.split("#")[0].strip())
        for first in range(0, found.points, rows):
            count = min(rows, found.points - first)
            data = "".join(itertools.islice(lines, count)).encode("latin-1")
            yield found.columns(_ascii(data, 0, found.fields, count))


def _header(data: bytes) -> tuple[dict[str, list[str]], int]:
    """The words behind each key, and where the data begin."""
    header: dict[str, list[str]] = {}
    position = 0
    while "DATA" not in header:
        end = data.find(b"\n", position, HEADER_LIMIT)
        if end < 0:
            raise CloudError(f"its PCD header has no line DATA; {TRUNCATED}")
        words = data[position:end].decode("latin-1").split("#")[0].split()
        if words:
            header[words[0].upper()] = words[1:]
        position = end + 1
    return header, position


def _fields(header: dict[str, list[str]]) -> list[Field]:
    """What each record holds; a field of which it holds none is left out."""
    names = header["FIELDS"]
    rows = zip(names, header["SIZE"], header["TYPE"], header.get("COUNT") or ["1"] * len(names), strict=True)
    fields = [(name, np.dtype(f"<{TYPES[type_]}{int(size)}"), int(count)) for name, size, type_, count in rows]
    if any(count < 0 for *_, count in fields):
        raise ValueError
    return [field for field in fields if field[2]]


def _ascii(data: bytes, start: int, fields: list[Field], points: int) -> list[np.ndarray]:
    width = sum(count for *_, count in fields)
    _require(points, 2 * width, len(data) - start + 1)  # a digit and a blank each
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of no lines
            table = np.loadtxt(io.BytesIO(data[start:]), ndmin=2, max_rows=points)
    except ValueError as error:
        raise CloudError(f"its lines do not have {width} numbers each ({error}); {TRUNCATED}") from None
    if table.shape != (points, width):
        raise CloudError(
            f"the header declares {points} points of {width} numbers but {table.shape} follow; {TRUNCATED}"
        )
    ends = np.cumsum([count for *_, count in fields])[:-1]
    parts = np.split(table, ends, axis=1)
    with np.errstate(invalid="ignore", over="ignore"):  # numbers that the type does not hold
        return [part.astype(type_) for (_, type_, _), part in zip(fields, parts, strict=True)]


def _binary(data: bytes, start: int, fields: list[Field], points: int) -> list[np.ndarray]:
    record = sum(type_.itemsize * count for _, type_, count in fields)
    _require(points, record, len(data) - start)
    blocks = []
    for _, type_, count in fields:
        blocks.append(np.ndarray((points, count), type_, data, start, (record, type_.itemsize)))
        start += type_.itemsize * count
    return blocks


def _require(points: int, bytes_: int, there: int) -> None:
    if points * bytes_ > there:
        raise CloudError(f"the header declares {points} points but {there // bytes_} follow; {TRUNCATED}")


def _compressed(data: bytes, start: int, fields: list[Field], points: int) -> list[np.ndarray]:
    """Field after field, deflated by LZF as one piece."""
    start += 8
    if len(data) < start:
        raise CloudError(f"its compressed data are missing; {TRUNCATED}")
    packed, size = struct.unpack_from("<II", data, start - 8)
    if (
        packed > len(data) - start
        or size > MOST_GROWTH * packed
        or size != points * sum(t.itemsize * c for _, t, c in fields)
    ):
        raise CloudError(f"its compressed data do not have the size that the header declares; {TRUNCATED}")
    out = np.empty(size, np.uint8)
    if not _lzf(np.frombuffer(data, np.uint8, packed, start), out):
        raise CloudError(f"its compressed data are broken; {TRUNCATED}")
    blocks, start = [], 0
    for _, type_, count in fields:
        end = start + points * type_.itemsize * count
        blocks.append(out[start:end].view(type_).reshape(points, count))
        start = end
    return blocks


KINDS = {"ascii": _ascii, "binary": _binary, "binary_compressed": _compressed}


@compiled()
def _lzf(source: np.ndarray, out: np.ndarray) -> bool:
    """Marc Lehmann's LZF: runs of literals, and copies from up to 8 kB before; False where the data are broken."""
    i, o = 0, 0
    while i < len(source):
        control = int(source[i])
        i += 1
        if control < 32:
            count = control + 1
            if i + count > len(source) or o + count > len(out):
                return False
            for k in range(count):
                out[o + k] = source[i + k]
            i += count
        else:
            count = control >> 5
            if count == 7:
                if i >= len(source):
                    return False
                count += int(source[i])
                i += 1
            if i >= len(source):
                return False
            start = o - ((control & 31) << 8) - int(source[i]) - 1
            i += 1
            count += 2
            if start < 0 or o + count > len(out):
                return False
            for k in range(count):
                out[o + k] = out[start + k]
        o += count
    return o == len(out)
