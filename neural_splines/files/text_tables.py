"""Points in lines of numbers: XYZ, PTS, PWN, CSV, TXT, ASC, with any separator, with names for the columns or without.

Blank lines and comments of `#` are left out. Before the points may stand, in any order, names for the columns (also
behind `//` or `#`) and the number of points. Columns of words, such as codes of surveyors, are left out. Commas are
decimal where something else separates.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import CloudError
from .columns import from_table, refuse_words
from .ply import TRUNCATED, quoted
from .scans import POSITIONS, ScannedCloud, from_columns, group, listed, whole

SNIFFED = 1 << 16  # bytes that tell how a file is written
SAMPLE = 50  # lines of points that tell which columns hold words
SEPARATORS = (";", "\t", "|", ",")
COMMENTS = ("#", "//")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?nan|[+-]?inf(inity)?", re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Layout:
    """How the lines of points are written.

    first: how many lines of the text stand before them. separator: None for white space. decimal_comma. names of the
    columns, or none. width: how many columns there are. used: the places of those that hold numbers. fractional: which
    of these are written with a decimal point. count: how many points the text declares.
    """

    first: int
    separator: str | None = None
    decimal_comma: bool = False
    names: list[str] = field(default_factory=list)
    width: int = 0
    used: list[int] = field(default_factory=list)
    fractional: list[bool] = field(default_factory=list)
    count: int | None = None

    def words(self, line: str) -> list[str]:
        """The words of a line; a separator at its end begins none."""
        words = [word.strip().strip("\"'") for word in line.strip().split(self.separator)]
        while self.separator and words and not words[-1] and len(words) > len(self.names):
            words.pop()
        return [word.replace(",", ".") for word in words] if self.decimal_comma else words


def read_text(data: bytes, wanted: Sequence[str] = (), words: str = "", colours_only: bool = False) -> ScannedCloud:
    """The cloud of a text of one point a line.

    words: the names that a user gives to the columns. colours_only: columns without names are no normals.
    """
    if b"\0" in data[:SNIFFED]:
        raise CloudError(f"is not text, it starts with {quoted(data[:16])}; give it the extension of its format")
    text = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").decode("latin-1")
    layout = layout_of(text[:SNIFFED].split("\n"))
    table = _table(text, layout)
    if layout.count is not None and table.shape[1] == 3 and len(table) == 2 * layout.count:  # PWN: points, then normals
        table = np.hstack(np.split(table, 2))
    if layout.count is not None and layout.count > len(table):
        raise CloudError(f"declares {layout.count} points but has {len(table)}; {TRUNCATED}")
    if not layout.names:
        there = ~np.isnan(table).all(0)
        fractional = [part for part, kept in zip(layout.fractional, there, strict=False) if kept]
        return from_table(table[:, there] if layout.separator else table, wanted, words, fractional, colours_only)
    refuse_words(words)
    names = [layout.names[k] for k in layout.used]
    cloud = from_columns(dict(zip(names, table.T, strict=True)), wanted, f"columns {listed(names)}")
    return replace(cloud, scalars={name: whole(column) for name, column in cloud.scalars.items()})


def layout_of(lines: Sequence[str]) -> Layout:
    """How a text is written that begins with these lines; CloudError where none has numbers."""
    comment, header, count, first = "", "", None, len(lines)
    for number, line in enumerate(lines):
        content = line.strip()
        if not content:
            continue
        if content.startswith("#"):
            comment = content
            continue
        if re.fullmatch(r"\d+", content) and any(_points_follow(later) for later in lines[number + 1 :]):
            count = int(content)
        elif _is_header(content):
            header = content
        else:
            first = number
            break
    points = [line for line in lines[first : first + SAMPLE] if line.strip() and not line.strip().startswith("#")]
    if not points:
        raise CloudError("has no lines of numbers; export it again")
    layout = Layout(first, *_written(points[0]), count=count)
    named = _names(header, layout)
    width = len(replace(layout, names=named).words(points[0]))
    if named and len(named) != width:
        raise CloudError(f"names {len(named)} columns and has {width}; correct its first line")
    if not named and len(names := _names(comment, layout)) == width and group(names, POSITIONS):
        named = names
    return _with_columns(replace(layout, names=named, width=width), points)


def _with_columns(layout: Layout, points: Sequence[str]) -> Layout:
    """With the columns that hold numbers in most of these lines of points, and how they are written."""
    rows = [layout.words(line) for line in points]
    columns = [[row[k] for row in rows if k < len(row)] for k in range(layout.width)]
    used = [k for k, words in enumerate(columns) if 2 * sum(map(_is_number, words)) >= len(words)]
    if len(used) < 3:
        used = list(range(layout.width))  # for the line that says which word is no number
    return replace(layout, used=used, fractional=[any("." in word for word in columns[k]) for k in used])


def _is_number(word: str) -> bool:
    """Of a field of a table, which may be empty."""
    return not word or NUMBER.fullmatch(word) is not None


def _written(line: str) -> tuple[str | None, bool]:
    """What separates the numbers of a line of points, and whether commas are decimal."""
    separator = next((mark for mark in SEPARATORS if mark in line), None)
    words = line.split(None if separator == "," else separator)
    if "," in line and len(words) >= 3 and any(DECIMAL_COMMA.fullmatch(word.strip()) for word in words):
        return (None if separator == "," else separator), True
    return separator, False


def _points_follow(line: str) -> bool:
    return len(re.findall(r"[^\s;|,]+", line)) >= 3


def _is_header(line: str) -> bool:
    """Whether a line has words and no number."""
    words = [word.strip("\"'") for word in re.split(r"[\s;|,]+", line.lstrip("/")) if word]
    return bool(words) and not any(NUMBER.fullmatch(word) for word in words)


def _names(line: str, layout: Layout) -> list[str]:
    """The names of the columns in a line of words."""
    for mark in COMMENTS:
        line = line.removeprefix(mark)
    line = re.sub(r"[(\[][^)\]]*[)\]]", "", line).strip()  # units
    separator = layout.separator if layout.separator is None or layout.separator in line else None
    if separator is None and layout.separator is None:
        separator = next((mark for mark in SEPARATORS if mark in line), None)
    names = [word.strip().strip("\"'") for word in line.split(separator)]
    while names and not names[-1]:
        names.pop()
    return [name or f"column_{k}" for k, name in enumerate(names, 1)]  # pandas gives its index none


def _table(text: str, layout: Layout) -> np.ndarray:
    """All numbers [n, columns]; CloudError names the line where there is none, or another number of them."""
    lines = _behind(text, layout.first)
    with contextlib.suppress(ValueError, IndexError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of no lines
        stream = io.StringIO(lines.replace(",", ".") if layout.decimal_comma else lines)
        used = layout.used if len(layout.used) < layout.width else None  # None: lines of other lengths are errors
        table = np.loadtxt(stream, delimiter=layout.separator, comments="#", usecols=used, ndmin=2, quotechar='"')
        if len(table):
            return table
    width, rows = None, []
    for number, line in enumerate(lines.split("\n"), layout.first + 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        words = layout.words(line)
        width = width or len(words)
        if len(words) != width:
            raise CloudError(f"line {number}: {len(words)} numbers where other lines have {width}; {TRUNCATED}")
        words = [words[k] for k in layout.used]
        wrong = next((word for word in words if not _is_number(word)), None)
        if wrong is not None:
            raise CloudError(f"line {number}: {quoted(wrong)} is not a number; correct it or export the file again")
        rows.append([float(word or "nan") for word in words])
    if not rows:
        raise CloudError("has no lines of numbers; export it again")
    return np.array(rows)


def _behind(text: str, lines: int) -> str:
    """The text behind so many lines."""
    position = 0
    for _ in range(lines):
        position = text.find("\n", position) + 1
    return text[position:]
