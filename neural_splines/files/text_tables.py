"""Points in lines of numbers: XYZ, PTS, PWN, CSV, TXT, ASC, with any separator, with names for the columns or without.

Blank lines and comments of `#` are left out. Before the points may stand, in any order, names for the columns (also
behind `//` or `#`) and the number of points. Columns of words, such as codes of surveyors, are left out. Commas are
decimal where something else separates.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import warnings
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TextIO

import numpy as np

from ..errors import CloudError
from .atomic import PathLike
from .columns import Meaning, Survey, meaning, named, refuse_words
from .ply import TRUNCATED, quoted
from .reading import BYTE_ORDER_MARK, ROWS
from .scans import POSITIONS, ScannedCloud, group, listed
from .sources import Source, of_tables, surveyed
from .spool import Spool

ENCODING = "latin-1"  # which every byte has a character in; lines may end in any way
SNIFFED = 1 << 16  # characters that tell how a file is written
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


@dataclass(frozen=True)
class TextTable:
    """The numbers of a text of one point a line, which `start` opens at its beginning as often as it is read."""

    start: Callable[[], TextIO]
    layout: Layout

    @classmethod
    def of(cls, start: Callable[[], TextIO]) -> TextTable:
        with start() as stream:
            text = stream.read(SNIFFED)
        if "\0" in text:
            raise CloudError(f"is not text, it starts with {quoted(text[:16])}; give it the extension of its format")
        return cls(start, layout_of(text.split("\n")))

    def pieces(self, rows: int = ROWS) -> Generator[np.ndarray, None, None]:
        """Tables [at most `rows`, columns] that together are all lines; CloudError where there are none."""
        with self.start() as stream:
            first = self.layout.first
            for _ in range(first):
                stream.readline()
            none = True
            while lines := list(itertools.islice(stream, rows)):
                table = _table(lines, first, self.layout)
                if len(table):
                    none = False
                    yield table
                first += len(lines)
        if none:
            raise CloudError("has no lines of numbers; export it again")

    def check(self, rows: int) -> None:
        """CloudError where the text declares more points than the `rows` that it has."""
        if self.layout.count is not None and self.layout.count > rows:
            raise CloudError(f"declares {self.layout.count} points but has {rows}; {TRUNCATED}")

    def normals_follow(self, survey: Survey) -> bool:
        """Whether all points come first and then as many normals: PWN."""
        return self.layout.count is not None and len(survey.there) == 3 and survey.rows == 2 * self.layout.count

    def meaning(self, survey: Survey, words: str, colours_only: bool) -> Meaning:
        """What the columns hold. words: names that a user gives. colours_only: columns without are no normals."""
        layout = self.layout
        if not layout.names:
            return meaning(survey, words, layout.fractional, colours_only, layout.separator is not None)
        refuse_words(words)
        names = [layout.names[k] for k in layout.used]
        return named(names, survey, f"columns {listed(names)}")


def read_text(data: bytes, wanted: Sequence[str] = (), words: str = "", colours_only: bool = False) -> ScannedCloud:
    """The cloud of a text of one point a line.

    words: the names that a user gives to the columns. colours_only: columns without names are no normals.
    """
    text = TextTable.of(lambda: io.TextIOWrapper(io.BytesIO(data), ENCODING))
    table = np.concatenate(list(text.pieces()))
    survey = Survey.of(table)
    if text.normals_follow(survey):
        table = np.hstack(np.split(table, 2))
        survey = Survey.of(table)
    text.check(len(table))
    return text.meaning(survey, words, colours_only).cloud(table, wanted)


def text_source(
    path: PathLike, wanted: Sequence[str], words: str, rows: int, colours_only: bool = False, scratch: str | None = None
) -> Source[np.ndarray] | None:
    """As `read_text`, in pieces of so many lines; None where normals come behind all points.

    scratch: a folder that what is parsed may be kept in.
    """
    text = TextTable.of(partial(open_text, path))
    read = partial(Spool[np.ndarray](scratch).pieces, partial(text.pieces, rows))
    survey = surveyed(read())
    if text.normals_follow(survey):
        return None
    text.check(survey.rows)
    return of_tables(survey, read, text.meaning(survey, words, colours_only), wanted)


def open_text(path: PathLike) -> TextIO:
    """The characters of a file behind its byte order mark."""
    stream = open(path, "rb")
    if stream.read(len(BYTE_ORDER_MARK)) != BYTE_ORDER_MARK:
        stream.seek(0)
    return io.TextIOWrapper(stream, ENCODING)


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
    points = [line for line in (line.split("#")[0].strip() for line in lines[first : first + SAMPLE]) if line]
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


def _table(lines: Sequence[str], before: int, layout: Layout) -> np.ndarray:
    """All numbers [n, columns] of lines; CloudError names the line where there is none, or another number of them.

    before: how many lines of the text come before these.
    """
    with contextlib.suppress(ValueError, IndexError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of no lines
        text = "".join(lines)
        stream = io.StringIO(text.replace(",", ".") if layout.decimal_comma else text)
        used = layout.used if len(layout.used) < layout.width else None  # None: lines of other lengths are errors
        table = np.loadtxt(stream, delimiter=layout.separator, comments="#", usecols=used, ndmin=2, quotechar='"')
        if table.shape[1] == len(layout.used):
            return table
    rows = []
    for number, line in enumerate(lines, before + 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        words = layout.words(line)
        if len(words) != layout.width:
            raise CloudError(f"line {number}: {len(words)} numbers where other lines have {layout.width}; {TRUNCATED}")
        words = [words[k] for k in layout.used]
        wrong = next((word for word in words if not _is_number(word)), None)
        if wrong is not None:
            raise CloudError(f"line {number}: {quoted(wrong)} is not a number; correct it or export the file again")
        rows.append([float(word or "nan") for word in words])
    return np.array(rows).reshape(-1, len(layout.used))
