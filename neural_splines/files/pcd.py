"""Points from PCD, the Point Cloud Library's format: text, binary, and compressed.

Our own, because Open3D, which reads it, is a wheel of 400 MB, and the small packages either lack compressed files or
trust the header.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import CloudError
from ..runtime.compiled import compiled
from .ply import TRUNCATED, quoted
from .scans import ScannedCloud, from_columns

HEADER_LIMIT = 1 << 16
MOST_GROWTH = 88  # by LZF: three bytes copy at most 264
Field = tuple[str, np.dtype, int]  # name, type, and how many of them
TYPES = {"F": "f", "I": "i", "U": "u"}
STILL = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)  # the viewpoint of those that tell none


def read_pcd(data: bytes, wanted: Sequence[str] = ()) -> ScannedCloud:
    """The cloud of a PCD file; a packed `rgb` becomes colours, and all points have its VIEWPOINT.

    The default one counts where the cloud has rows: a camera's own frame, in which it stands at the origin.
    """
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
    reader = KINDS.get(kind)
    if reader is None:
        raise CloudError(f"its PCD data are {quoted(kind)}; export it as ascii, binary or binary_compressed")
    blocks = reader(data, start, fields, points)
    columns: dict[str, np.ndarray] = {}
    for (name, _, count), block in zip(fields, blocks, strict=True):
        if name.lower() in ("rgb", "rgba") and block.dtype.itemsize == 4:
            packed = np.ascontiguousarray(block[:, 0]).view(np.uint32)
            columns |= {c: (packed >> s & 255).astype(np.uint8) for c, s in (("red", 16), ("green", 8), ("blue", 0))}
        elif name != "_" and count == 1:
            columns[name] = block[:, 0]
    cloud = from_columns(columns, wanted)
    rows = int(header["HEIGHT"][0]) if "HEIGHT" in header and header["HEIGHT"][0].isdigit() else 1
    if len(view) == 7 and (view != STILL or rows > 1) and cloud.viewpoints is None:
        cloud = replace(cloud, viewpoints=np.tile(np.array(view[:3]), (len(cloud.points), 1)))
    return cloud


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
