"""The records of a PLY element from text, without trust in what the header claims."""

from __future__ import annotations

import array
import io
import re
import warnings
from collections.abc import Iterator
from functools import partial

import numpy as np

from ..errors import CloudError
from .ply import TRUNCATED, Element, quoted
from .record_columns import Columns, Lists, empty, grouped, numbers

# What C libraries print for numbers that are not finite, beside what float() understands.
NOT_FINITE = re.compile(rb"[-+]?(nan\(.*\)|1\.#(qnan|snan|ind|inf)\w*)", re.IGNORECASE)


def read_text(data: bytes, element: Element, start: int, names: set[str]) -> tuple[Columns, int]:
    """The named columns of the element whose records begin at byte `start`, and the byte after them: one record a line,
    blank lines do not count.
    """
    if element.count == 0 or not element.properties:
        return empty(element, names), start
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
        flat, each = numbers(values[p.name]), numbers(lengths[p.name])
        columns[p.name] = (
            grouped(each, partial(_slices, flat, np.cumsum(each, dtype=np.int64) - each)) if p.count_type else flat
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
