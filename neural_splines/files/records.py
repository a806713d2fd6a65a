"""The records of a PLY element, from text or binary data, without trust in what the header claims.

Regular records (lists of the first one's length) are read by numpy at once, others one by one. Our own: of a cut file
point-cloud-utils 0.34 makes zeros, others end or hang it; a million binary points take it 0.5 s (0.06 s here).
"""

from __future__ import annotations

import array
import io
import re
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..errors import CloudError
from ..runtime.threads import parallel_map
from .ply import TRUNCATED, Element, Header, Property, quoted

# What C libraries print for numbers that are not finite, beside what float() understands.
ROWS = 1 << 16  # converted at a time
NOT_FINITE = re.compile(rb"[-+]?(nan\(.*\)|1\.#(qnan|snan|ind|inf)\w*)", re.IGNORECASE)


@dataclass(frozen=True)
class Lists:
    """A list property as groups of records of one length: (rows [k], items [k, length])."""

    groups: list[tuple[np.ndarray, np.ndarray]]


Columns = dict[str, Any]  # by property: an array [count] of scalars, or Lists


def read(data: bytes, header: Header, wanted: Mapping[str, Sequence[str]]) -> tuple[dict[str, Columns], int]:
    """result[element][property], and how many bytes that are not blank follow the last element.

    Scalars are [count], which `block` makes float64; they may be views of the data. Elements after the last wanted one
    are not looked at, and then no bytes count as left over.
    """
    result: dict[str, Columns] = {}
    position = header.size
    if header.ascii and b"\r" in data[: header.size] and b"\n" not in data[: header.size]:
        data = data.replace(b"\r", b"\n")
    reader = _read_text if header.ascii else _read_binary
    for element in header.elements:
        if len(result) == len(wanted):
            return result, 0
        columns, position = reader(data, element, position, set(wanted.get(element.name, ())))
        if element.name in wanted:
            result[element.name] = columns
    return result, len(data[position:].strip())


def block(columns: Mapping[str, Any], names: Sequence[str]) -> np.ndarray:
    """Scalar columns as one array [count, len(names)] of float64.

    Columns that lie side by side in the file are converted in one pass over its bytes.
    """
    parts = [columns[name] for name in names]
    first, places = parts[0], [part.__array_interface__["data"][0] for part in parts]
    steps = set(np.diff(places).tolist())
    same = all(part.dtype == first.dtype and part.strides == first.strides for part in parts)
    with np.errstate(all="ignore"):  # signalling NaNs
        if same and steps == {first.itemsize}:
            strides = (*first.strides, first.itemsize)
            table = np.lib.stride_tricks.as_strided(first, (len(first), len(parts)), strides)
            return _converted(table)
        result = np.empty((len(first), len(parts)))
        for k, part in enumerate(parts):
            result[:, k] = part
    return result


def _converted(table: np.ndarray) -> np.ndarray:
    """A table [n, k] of any numbers as float64, by several threads."""
    result = np.empty(table.shape)

    def convert(rows: slice) -> None:
        with np.errstate(all="ignore"):  # signalling NaNs; it belongs to a thread
            result[rows] = table[rows]

    parallel_map(convert, [slice(row, row + ROWS) for row in range(0, len(table), ROWS)])
    return result


def _grouped(lengths: np.ndarray, items: Callable[[np.ndarray, int], np.ndarray]) -> Lists:
    """Lists from the length of each; items(rows, length) -> [k, length]."""
    rows = [(lengths == length).nonzero()[0] for length in np.unique(lengths)]
    return Lists([(r, items(r, int(lengths[r[0]]))) for r in rows])


def _numbers(values: array.array) -> np.ndarray:
    return np.frombuffer(values, values.typecode)


# -- binary ------------------------------------------------------------------------------------------


def _read_binary(data: bytes, element: Element, start: int, names: set[str]) -> tuple[Columns, int]:
    """The named columns of the element whose records begin at byte `start`, and the byte after them."""
    if element.count == 0 or not element.properties:
        return _empty(element, names), start
    fields, stride = _first_record(data, element, start)
    end = start + element.count * stride
    if end > len(data) and not any(p.count_type for p, *_ in fields):
        there = (len(data) - start) // stride
        raise element.short_of(f"only {there} of {stride} bytes each are there")

    def column(offset: int, type_: np.dtype, *width: int) -> np.ndarray:
        strides = (stride, type_.itemsize)[: 1 + len(width)]
        return np.ndarray((element.count, *width), type_, data, start + offset, strides)

    def regular(p: Property, offset: int, length: int) -> bool:
        return p.count_type is None or bool((column(offset - p.count_type.itemsize, p.count_type) == length).all())

    if end > len(data) or not all(regular(*field) for field in fields):
        return _walk(data, element, start, names)
    columns: Columns = {}
    for p, offset, length in fields:
        if p.name in names and p.count_type:
            columns[p.name] = Lists([(np.arange(element.count), column(offset, p.type, length))])
        elif p.name in names:
            columns[p.name] = column(offset, p.type)  # a view: `block` converts
    return columns, end


def _empty(element: Element, names: set[str]) -> Columns:
    return {p.name: Lists([]) if p.count_type else np.zeros(0) for p in element.properties if p.name in names}


def _first_record(data: bytes, element: Element, start: int) -> tuple[list[tuple[Property, int, int]], int]:
    """(property, offset of its value, list length) for each property, and the size of the first record."""
    fields, offset = [], 0
    for p in element.properties:
        length = 1
        if p.count_type:
            length = _length(data, p.count_type, start + offset, element, 0)
            offset += p.count_type.itemsize
        fields.append((p, offset, length))
        offset += length * p.type.itemsize
    return fields, offset


def _length(data: bytes, type_: np.dtype, position: int, element: Element, record: int) -> int:
    if position + type_.itemsize > len(data):
        raise element.short_of(f"the data end after {record} of them")
    (length,) = struct.unpack_from(_code(type_), data, position)
    if length < 0:
        raise CloudError(f"element {quoted(element.name)}, record {record + 1}: a list of length {length}; {TRUNCATED}")
    return length


def _code(type_: np.dtype) -> str:
    return (">" if type_.str[0] == ">" else "<") + {"i8": "q", "u8": "Q"}.get(type_.str[1:], type_.char)


def _walk(data: bytes, element: Element, start: int, names: set[str]) -> tuple[Columns, int]:
    """_read_binary for lists of varying length: record by record."""
    wanted = [p for p in element.properties if p.name in names]
    offsets = {p.name: array.array("q") for p in wanted}  # lists would take 80 bytes for a record, which may have one
    lengths = {p.name: array.array(_code(p.count_type)[1] if p.count_type else "B") for p in wanted}
    position = start
    for record in range(element.count):
        for p in element.properties:
            length = 1
            if p.count_type:
                length = _length(data, p.count_type, position, element, record)
                position += p.count_type.itemsize
            if p.name in offsets:
                offsets[p.name].append(position)
                lengths[p.name].append(length)
            position += length * p.type.itemsize
        if position > len(data):
            raise element.short_of(f"the data end after {record} of them")

    raw = np.frombuffer(data, np.uint8)

    def gather(p: Property, rows: np.ndarray, length: int) -> np.ndarray:
        where = _numbers(offsets[p.name])[rows]
        bytes_ = raw[where[:, None] + np.arange(length * p.type.itemsize)]
        return bytes_.reshape(-1).view(p.type).reshape(len(where), length)

    columns: Columns = {}
    for p in wanted:
        if p.count_type:
            columns[p.name] = _grouped(_numbers(lengths[p.name]), partial(gather, p))
        else:
            columns[p.name] = gather(p, np.arange(element.count), 1)[:, 0]
    return columns, position


# -- text --------------------------------------------------------------------------------------------


def _read_text(data: bytes, element: Element, start: int, names: set[str]) -> tuple[Columns, int]:
    """_read_binary for text: one record a line, blank lines do not count."""
    if element.count == 0 or not element.properties:
        return _empty(element, names), start
    if element.count * len(element.properties) * 2 - 1 > len(data) - start:  # a digit and a blank each
        raise element.short_of(f"only {len(data) - start} bytes follow")
    stream = io.BytesIO(data)
    stream.seek(start)
    columns = _table(stream, len(data) - start, element, names) if names else {}
    if columns is None:
        stream.seek(start)
        columns = _lines(stream, element, names)
    if not names:
        for _ in _records(stream, element):
            pass
    return columns, stream.tell()


def _records(stream: io.BytesIO, element: Element) -> Iterator[list[bytes]]:
    """The values of each record, one line each."""
    for record in range(element.count):
        values: list[bytes] = []
        while not values:
            line = stream.readline()
            if not line:
                raise element.short_of(f"the data end after {record} of them")
            values = line.split()
        yield values


def _table(stream: io.BytesIO, available: int, element: Element, names: set[str]) -> Columns | None:
    """All records at once by numpy, or None where they are not regular or not numbers."""
    start, first, at, fields = stream.tell(), next(_records(stream, element)), 0, []
    for p in element.properties:
        length = 1
        if p.count_type:
            length = int(first[at]) if at < len(first) and re.fullmatch(rb"[0-9]{1,9}", first[at]) else -1
            at += 1
        fields.append((p, at, length))
        at += length
    if at != len(first) or 2 * at * element.count - 1 > available:
        return None
    stream.seek(start)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about blank lines
            table = np.loadtxt(stream, comments=None, max_rows=element.count, ndmin=2)
    except ValueError:
        return None
    if table.shape != (element.count, at):
        return None
    if any((table[:, at - 1] != length).any() for p, at, length in fields if p.count_type):
        return None
    rows = np.arange(element.count)
    return {
        p.name: Lists([(rows, table[:, at : at + length])]) if p.count_type else table[:, at]
        for p, at, length in fields
        if p.name in names
    }


def _lines(stream: io.BytesIO, element: Element, names: set[str]) -> Columns:
    """Record by record, with a message that names the record that is wrong."""
    wanted = [p for p in element.properties if p.name in names]
    values = {p.name: array.array("d") for p in wanted}
    lengths = {p.name: array.array("I") for p in wanted}
    for record, line in enumerate(_records(stream, element), element.start + 1):
        at, where = 0, f"element {quoted(element.name)}, record {record}"
        for p in element.properties:
            length = 1
            if p.count_type and at < len(line):
                if not re.fullmatch(rb"[0-9]{1,9}", line[at]):
                    raise CloudError(f"{where}: {quoted(line[at])} is not the length of a list; {TRUNCATED}")
                length, at = int(line[at]), at + 1
            if p.name in names:
                values[p.name].extend(_number(token, where) for token in line[at : at + length])
                lengths[p.name].append(length)
            at += length
        if at != len(line):
            raise CloudError(f"{where}: the header declares {at} values, the line has {len(line)}; {TRUNCATED}")
    columns: Columns = {}
    for p in wanted:
        flat, each = _numbers(values[p.name]), _numbers(lengths[p.name])
        columns[p.name] = (
            _grouped(each, partial(_slices, flat, np.cumsum(each, dtype=np.int64) - each)) if p.count_type else flat
        )
    return columns


def _slices(flat: np.ndarray, starts: np.ndarray, rows: np.ndarray, length: int) -> np.ndarray:
    return flat[starts[rows][:, None] + np.arange(length)]


def _number(token: bytes, where: str) -> float:
    try:
        if b"_" not in token:  # float() takes digit groups
            return float(token)
    except ValueError:
        if NOT_FINITE.fullmatch(token):
            return float("nan")
    raise CloudError(f"{where}: {quoted(token)} is not a number; correct it or export the file again")
