"""Heights along breaklines: lines on the ground at whose sides it has different slopes, measured with their heights.

A fit that knows nothing of them rounds them off. Near a line the height of a place q is therefore that of a polynomial
of second degree, by weighted least squares, of the points on its side alone: those p that the straight way from q to p
reaches without crossing a line. With r = |p - q| / R a point weighs (1 - r^2)^2. So do the places c of the lines
nearest to q, of each segment one, times LINE / r^2: the surface meets a line with its height exactly. Between a line
and the distance R from it the height goes over to what it was, by the same weight. A circle of radius R has AROUND
points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..files.rasters import Breaklines, Heights
from .breaklines_numba import TERMS, along

AROUND = 100  # points in a circle, on average
LONGEST = 4.0  # radii: longer segments are cut
EDGE = 2  # squares of the grid around all places

Clouds = Callable[[], Iterable[np.ndarray]]


@dataclass(frozen=True)
class Grid:
    """Squares of a side, row by row, from a corner: those that places with some room around them lie in."""

    lower: np.ndarray
    side: float
    columns: int
    rows: int

    @classmethod
    def around(cls, lower: np.ndarray, upper: np.ndarray, side: float) -> Grid:
        corner = lower - EDGE * side
        columns, rows = (np.ceil((upper - corner) / side).astype(int) + EDGE).tolist()
        return cls(corner, side, columns, rows)

    def steps(self, xy: np.ndarray) -> np.ndarray:
        """Column and row [n, 2] of places, within the grid."""
        found = np.floor((xy - self.lower) / self.side)
        return found.clip(0, (self.columns - 1, self.rows - 1)).astype(np.int64)

    def cells(self, xy: np.ndarray) -> np.ndarray:
        column, row = self.steps(xy).T
        return row * self.columns + column

    def starts(self, cells: np.ndarray) -> np.ndarray:
        """Where the rows of each square begin, of rows in the order of their squares."""
        return np.searchsorted(cells, np.arange(self.rows * self.columns + 1))


def follow(heights: Heights, lines: Sequence[np.ndarray], clouds: Clouds, count: int) -> Heights:
    """The heights with breaklines [n, 3] each. clouds: the points [k, 3] of the surface, `count` together, in pieces.

    Squares without a height stay without. Points more than R above or below the height of their square are left out:
    they lie under the topmost surface.
    """
    squares, known = heights.squares, heights.known
    area = float(known.sum()) * squares.resolution**2
    radius = max(squares.resolution, math.sqrt(AROUND * area / (math.pi * max(1, count))))
    left, top = squares.corner
    lower = np.array([left, top - squares.rows * squares.resolution])
    upper = np.array([left + squares.columns * squares.resolution, top])
    near = [number for number, line in enumerate(lines) if _near(line, lower - radius, upper + radius)]
    segments = _segments([lines[number] for number in near], LONGEST * radius, lower - radius, upper + radius)
    if not len(segments) or not known.any():
        return replace(heights, breaklines=Breaklines(0, radius, math.nan))
    grid = Grid.around(lower, upper, radius)
    cells, numbers = _cells_of(segments, grid)
    starts = grid.starts(cells)
    beside = np.diff(starts) > 0
    rows, columns = known.nonzero()
    places = squares.middles(rows, columns)
    mine = beside[grid.cells(places)]
    rows, columns, places = rows[mine], columns[mine], np.ascontiguousarray(places[mine])
    values, found = heights.values[rows, columns], np.empty(len(places))
    points = _points(clouds, heights, grid, beside, radius)
    order = np.argsort(grid.cells(points[:, :2]), kind="stable")
    points = np.ascontiguousarray(points[order])
    first = grid.starts(grid.cells(points[:, :2]))
    along(
        places, values, points, first, grid.cells(places), grid.columns, segments, numbers, starts, radius, TERMS, found
    )  # fmt: skip
    result = heights.values.copy()
    result[rows, columns] = found
    middles = 0.5 * (segments[:, :3] + segments[:, 3:])
    away = np.abs(middles[:, 2] - _heights_at(heights, middles))
    away = away[np.isfinite(away)]
    off = float(np.median(away)) if len(away) else math.nan
    return Heights(squares, result, Breaklines(len(near), radius, off))


def _near(line: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> bool:
    return bool((line[:, :2].min(0) <= upper).all() and (line[:, :2].max(0) >= lower).all())


def _segments(lines: Sequence[np.ndarray], longest: float, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Both ends [s, 6] of the straight pieces of lines, at most so long on the ground, that may reach into a box."""
    found = [np.empty((0, 6))]
    for line in lines:
        ends = np.hstack([line[:-1], line[1:]])
        low, high = np.minimum(ends[:, :2], ends[:, 3:5]), np.maximum(ends[:, :2], ends[:, 3:5])
        ends = ends[((low <= upper) & (high >= lower)).all(1)]
        pieces = np.maximum(1, np.ceil(np.hypot(*(ends[:, 3:5] - ends[:, :2]).T) / longest)).astype(np.int64)
        step = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        ends, pieces = np.repeat(ends, pieces, axis=0), np.repeat(pieces, pieces)
        way = ends[:, 3:] - ends[:, :3]
        start, end = (ends[:, :3] + way * ((step + k) / pieces)[:, None] for k in (0, 1))
        cut = np.hstack([start, end])
        low, high = np.minimum(cut[:, :2], cut[:, 3:5]), np.maximum(cut[:, :2], cut[:, 3:5])
        found.append(cut[((low <= upper) & (high >= lower)).all(1)])
    return np.concatenate(found)


def _cells_of(segments: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Squares and segments, in the order of the squares, of which a place may be within a side of the other."""
    low, high = np.minimum(segments[:, :2], segments[:, 3:5]), np.maximum(segments[:, :2], segments[:, 3:5])
    low, high = grid.steps(low - grid.side), grid.steps(high + grid.side)
    wide, deep = (high - low + 1).T
    number = np.repeat(np.arange(len(segments)), wide * deep)
    step = np.arange(len(number)) - np.repeat(np.cumsum(wide * deep) - wide * deep, wide * deep)
    column, row = low[number, 0] + step % wide[number], low[number, 1] + step // wide[number]
    cells = row * grid.columns + column
    order = np.argsort(cells, kind="stable")
    return cells[order], number[order]


def _points(clouds: Clouds, heights: Heights, grid: Grid, beside: np.ndarray, radius: float) -> np.ndarray:
    """The points [n, 3] of the topmost surface that places beside lines may look at."""
    table = np.pad(beside.reshape(grid.rows, grid.columns), 1)
    around = np.zeros_like(beside).reshape(grid.rows, grid.columns)
    for row in range(3):
        for column in range(3):
            around |= table[row : row + grid.rows, column : column + grid.columns]
    found = [np.empty((0, 3))]
    for points in clouds():
        some = points[around.reshape(-1)[grid.cells(points[:, :2])]]
        found.append(some[np.abs(some[:, 2] - _heights_at(heights, some)) <= radius])
    return np.concatenate(found)


def _heights_at(heights: Heights, places: np.ndarray) -> np.ndarray:
    """The height [n] of the square that each place lies in, NaN where there is none."""
    squares = heights.squares
    column = np.floor(places[:, 0] / squares.resolution).astype(np.int64) - squares.left
    row = squares.top - 1 - np.floor(places[:, 1] / squares.resolution).astype(np.int64)
    there = (column >= 0) & (column < squares.columns) & (row >= 0) & (row < squares.rows)
    found = np.full(len(places), np.nan)
    found[there] = heights.values[row[there], column[there]]
    return found
