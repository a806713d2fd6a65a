"""The records of PLY elements, from text (text_records.py) or binary data, without trust in what the header claims.

Regular records (lists of the first one's length) are read by numpy at once, others one by one. Our own: of a cut file
point-cloud-utils 0.34 makes zeros, others end or hang it; a million binary points take it 0.5 s (0.06 s here).
"""

from __future__ import annotations

import array
import struct
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..errors import CloudError
from .ply import TRUNCATED, Element, Header, Property, quoted
from .record_columns import Columns, Lists, empty, grouped, numbers
from .text_records import read_text

ROWS = 1 << 16  # converted at a time


def read(data: bytes, header: Header, wanted: Mapping[str, Sequence[str]]) -> tuple[dict[str, Columns], int]:
    """result[element][property], and how many bytes that are not blank follow the last element.

    Scalars are [count], which `block` makes float64; they may be views of the data. Elements after the last wanted one
    are not looked at, and then no bytes count as left over.
    """
    result: dict[str, Columns] = {}
    position = header.size
    if header.ascii and b"\r" in data[: header.size] and b"\n" not in data[: header.size]:
        data = data.replace(b"\r", b"\n")
    reader = read_text if header.ascii else _read_binary
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

    from ..runtime.threads import parallel_map  # not before: it imports torch, which decoders do not need

    parallel_map(convert, [slice(row, row + ROWS) for row in range(0, len(table), ROWS)])
    return result


def _read_binary(data: bytes, element: Element, start: int, names: set[str]) -> tuple[Columns, int]:
    """The named columns of the element whose records begin at byte `start`, and the byte after them."""
    if element.count == 0 or not element.properties:
        return empty(element, names), start
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
        where = numbers(offsets[p.name])[rows]
        bytes_ = raw[where[:, None] + np.arange(length * p.type.itemsize)]
        return bytes_.reshape(-1).view(p.type).reshape(len(where), length)

    columns: Columns = {}
    for p in wanted:
        if p.count_type:
            columns[p.name] = grouped(numbers(lengths[p.name]), partial(gather, p))
        else:
            columns[p.name] = gather(p, np.arange(element.count), 1)[:, 0]
    return columns, position
