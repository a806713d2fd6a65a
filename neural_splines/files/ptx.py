"""Leica's PTX: stations one after another, each a grid of pulses in the scanner's own frame with its pose.

A station begins with ten lines: the columns and the rows of the grid, where the scanner stood, its three axes, and a
4 x 4 matrix that takes row vectors (x, y, z, 1) to the common frame. Then a line for each pulse: x y z intensity, and
r g b where it has colours; 0 0 0 is a pulse that met nothing.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TextIO

import numpy as np

from ..errors import CloudError, said
from .atomic import PathLike
from .column_statistics import Columns, Known
from .ply import TRUNCATED, quoted
from .reading import ROWS
from .scans import COLOURS, COORDINATES, ScannedCloud, from_columns
from .sources import ColumnSurvey, Source
from .text_tables import ENCODING, open_text

HEADER = 10  # lines
NAMES = {4: (*COORDINATES, "intensity"), 7: (*COORDINATES, "intensity", *COLOURS[0])}
VIEW = ("vp_x", "vp_y", "vp_z")


@dataclass
class Tally:
    """What a file of stations had."""

    stations: int = 0
    empty: int = 0  # pulses

    def __str__(self) -> str:
        return f"{self.stations} stations, {self.empty} pulses met nothing"


def read_ptx(data: bytes, wanted: Sequence[str] = ()) -> ScannedCloud:
    """All stations in their common frame; the place of its scanner is the viewpoint of a point."""
    tally = Tally()
    parts = list(_pieces(lambda: io.TextIOWrapper(io.BytesIO(data), ENCODING), ROWS, tally))
    columns = {n: np.concatenate([part[n] for part in parts]) for n in parts[0] if all(n in part for part in parts)}
    return replace(from_columns(columns, wanted, str(tally)), upright=True)


def ptx_source(path: PathLike, wanted: Sequence[str], rows: int) -> Source[Columns]:
    """As `read_ptx`, in pieces of so many rows at most."""
    tally = Tally()
    survey = ColumnSurvey.of(_pieces(partial(open_text, path), rows, tally), alike=False)

    def cloud(columns: Columns, known: Known) -> ScannedCloud:
        return replace(from_columns(columns, wanted, str(tally), known), upright=True)

    return survey.source(survey.rows, lambda: _pieces(partial(open_text, path), rows, Tally()), cloud)


def _pieces(start: Callable[[], TextIO], rows: int, tally: Tally) -> Generator[Columns, None, None]:
    """The columns of the pulses that met something, station after station, of so many lines at a time."""
    with start() as stream:
        lines = enumerate(stream)
        for number, line in lines:
            if not line.strip():
                rest = next((number for number, line in lines if line.strip()), None)
                if rest is None:
                    break
                raise _no_station(number, [line])
            header = [line, *(line for _, line in itertools.islice(lines, HEADER - 1))]
            tally.stations += 1
            for columns, empty in _station(header, number, lines, rows):
                tally.empty += empty
                yield columns
    if not tally.stations:
        raise CloudError(f"has no stations; {TRUNCATED}")


def _no_station(number: int, sizes: Sequence[str]) -> CloudError:
    what = quoted(" ".join(sizes)[:40])
    return CloudError(f"line {number + 1}: a station begins with two whole numbers, not {what}; {TRUNCATED}")


def _station(
    header: Sequence[str], first: int, lines: Iterator[tuple[int, str]], rows: int
) -> Generator[tuple[Columns, int], None, None]:
    """The columns of the station whose header begins at a line, piece by piece, and how many pulses met nothing."""
    sizes = [line.strip() for line in header[:2]]
    if len(header) < HEADER or not all(re.fullmatch(r"[0-9]{1,9}", size) for size in sizes):
        raise _no_station(first, sizes)
    pose = _numbers(header[6:], first + 6)
    if pose.shape != (4, 4):
        raise CloudError(f"line {first + 7}: a station's matrix has 4 x 4 numbers; {TRUNCATED}")
    pulses, width = int(sizes[0]) * int(sizes[1]), 0
    for done in range(0, max(1, pulses), rows):
        count = min(rows, pulses - done)
        body = [line for _, line in itertools.islice(lines, count)]
        if len(body) < count:
            there = done + len(body)
            raise CloudError(f"line {first + 1}: declares {pulses} pulses but {there} lines follow; {TRUNCATED}")
        filled = [line for line in body if line.strip()]
        table = _numbers(filled, first + HEADER + done) if filled else np.empty((0, width or 4))
        width = width or table.shape[1]
        if width not in NAMES or table.shape[1] != width:
            place = first + HEADER + done + 1
            raise CloudError(f"line {place}: {table.shape[1]} numbers, a pulse has 4 or 7; {TRUNCATED}")
        table = table[table[:, :3].any(1)]
        yield _turned(table, pose), count - len(table)


@np.errstate(all="ignore")  # what is not finite is dropped as in every file
def _turned(table: np.ndarray, pose: np.ndarray) -> Columns:
    """The columns of pulses [n, 4 or 7] in the common frame, whatever their number is: products of matrices may
    differ in the last digit with it."""
    x, y, z = table[:, :3].T
    points = (x * pose[0, k] + y * pose[1, k] + z * pose[2, k] + pose[3, k] for k in range(3))
    places = dict(zip(VIEW, np.broadcast_to(pose[3, :3], (len(table), 3)).T, strict=True))
    return dict(zip(NAMES[table.shape[1]], [*points, *table[:, 3:].T], strict=True)) | places


def _numbers(lines: Sequence[str], before: int) -> np.ndarray:
    try:
        return np.loadtxt(lines, ndmin=2, comments=None)
    except ValueError as error:
        raise CloudError(f"below line {before}: {said(error)}; {TRUNCATED}") from None
