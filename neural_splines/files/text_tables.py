"""Points in lines of numbers: XYZ, PTS, CSV, TXT, with any separator, with names in the first line or without.

Lines of `#` and blank ones are left out; so is the count that begins a PTS file. A first line of words names the
columns, also behind `//`, as CloudCompare writes it. Where semicolons or tabs separate, commas are decimal.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Sequence

import numpy as np

from ..errors import CloudError
from .ply import TRUNCATED, quoted
from .scans import ScannedCloud, from_columns, from_table, listed

SNIFFED = 1 << 16  # bytes that tell how a file is written
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?nan|[+-]?inf(inity)?", re.IGNORECASE)


def read_text(data: bytes, wanted: Sequence[str] = ()) -> ScannedCloud:
    """The cloud of a text of one point a line."""
    if b"\0" in data[:SNIFFED]:
        raise CloudError(f"is not text, it starts with {quoted(data[:16])}; give it the extension of its format")
    text = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").decode("latin-1")
    lines = [line for line in text[:SNIFFED].split("\n") if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise CloudError("has no lines of numbers; export it again")
    separator = next((mark for mark in (";", "\t", ",") if mark in lines[min(1, len(lines) - 1)]), None)
    decimal = separator in (";", "\t") and "," in lines[-1]
    names = _names(lines[0], separator)
    skip, count = 1 if names else 0, None
    if re.fullmatch(r"\s*\d+\s*", lines[0]) and len(lines) > 1:  # PTS
        skip, count = 1, int(lines[0])
    table = _table(text.replace(",", ".") if decimal else text, separator, skip)
    if count is not None and count > len(table):
        raise CloudError(f"declares {count} points but has {len(table)}; {TRUNCATED}")
    if not names:
        return from_table(table[:, ~np.isnan(table).all(0)] if separator else table, wanted)
    if len(names) != table.shape[1]:
        raise CloudError(f"names {len(names)} columns and has {table.shape[1]}; correct its first line")
    return from_columns(dict(zip(names, table.T, strict=True)), wanted, f"columns {listed(names)}")


def _names(line: str, separator: str | None) -> list[str]:
    """The names of a first line of words; none where it has a number."""
    words = [word.strip().strip('"') for word in line.strip().lstrip("/").strip().split(separator)]
    words = [word for word in words if word] if separator is None else words
    return [] if any(NUMBER.fullmatch(word.replace(",", ".")) for word in words) else words


def _table(text: str, separator: str | None, skip: int) -> np.ndarray:
    """All numbers [n, columns]; CloudError names the line where there is none, or another number of them."""
    with contextlib.suppress(ValueError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of no lines
        table = np.loadtxt(io.StringIO(_without(text, skip)), delimiter=separator, comments="#", ndmin=2)
        if len(table):
            return table
    width, seen, rows = None, 0, []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        seen += 1
        if seen <= skip:
            continue
        words = [word.strip() for word in line.split(separator)]
        if separator and words[-1] == "":  # a separator at the end
            words.pop()
        wrong = next((word for word in words if not NUMBER.fullmatch(word)), None)
        if wrong is not None:
            raise CloudError(f"line {number}: {quoted(wrong)} is not a number; correct it or export the file again")
        width = width or len(words)
        if len(words) != width:
            raise CloudError(f"line {number}: {len(words)} numbers where other lines have {width}; {TRUNCATED}")
        rows.append([float(word) for word in words])
    if not rows:
        raise CloudError("has no lines of numbers; export it again")
    return np.array(rows)


def _without(text: str, skip: int) -> str:
    """The text behind its first `skip` lines that are neither blank nor comments."""
    position = 0
    while skip and position < len(text):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        line = text[position:end].strip()
        skip -= bool(line) and not line.startswith("#")
        position = end + 1
    return text[position:]
