"""docs/images/pipeline.svg: the steps from points to a mesh, in the plane, each computed by the method's own equations.

PYTHONPATH=. python benchmarks/pipeline_figure.py    writes it anew

In the plane cells are squares of a quadtree and voxels are squares; all else is as in space.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
FIGURE = ROOT / "docs" / "images" / "pipeline.svg"
SIDE, GAP, BELOW = 210, 18, 46  # of a panel, between panels, for its two lines of text: pixels
HALF = 1.55  # the box is [-HALF, HALF]^2
POINTS, PER_CELL, PADDING, RIDGE, VOXELS = 96, 12, 0.125, 1e-7, 24
INSIDE, OUTSIDE, LINE, GREY = "#36c", "#c33", "#111", "#999"
PANELS = (
    ("1. Points", "stray points are ignored"),
    ("2. Normals", "from the file, or estimated"),
    ("3. Cells", "one spline each; they overlap"),
    ("4. Fit and blend", "F < 0 inside, F > 0 outside"),
    ("5. Marching cubes", "only where F changes its sign"),
    ("6. Trimming", "the surface ends with the points"),
)
Field = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Cell:
    """A square of the quadtree: middle [2], half its side, and its spline."""

    middle: np.ndarray
    half: float
    spline: Field

    def weight(self, x: np.ndarray) -> np.ndarray:
        """Rises smoothly from 0 to 1 over the padding: w = prod_i s(d_i), s(d) = 3 d^2 - 2 d^3; [n]."""
        width = 4 * PADDING * self.half
        depth = np.clip((self.half + width / 2 - np.abs(x - self.middle)) / width, 0, 1)
        return np.prod(depth**2 * (3 - 2 * depth), axis=1)


def cloud() -> tuple[np.ndarray, np.ndarray]:
    """Points of a curve with a gap, denser on its left, and their outward unit normals; both [n, 2]."""
    u = np.linspace(0.0, 1.0, POINTS)
    t = 0.35 + (2 * np.pi - 0.6) * (u + 0.09 * np.sin(2 * np.pi * u))
    radius, slope = 1 + 0.22 * np.cos(3 * t), -0.66 * np.sin(3 * t)
    across, along = np.stack([np.cos(t), np.sin(t)], 1), np.stack([-np.sin(t), np.cos(t)], 1)
    normals = radius[:, None] * across - slope[:, None] * along
    return radius[:, None] * across, normals / np.linalg.norm(normals, axis=1)[:, None]


def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """|X||Y| (sin t + (pi - t) cos t) / pi with X = (x, 1), Y = (y, 1) and t the angle between them; [n, m]."""
    x, y = (np.concatenate([z, np.ones((len(z), 1))], axis=1) for z in (x, y))
    lengths = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(y, axis=1)
    cos = np.clip(x @ y.T / lengths, -1, 1)
    t = np.arccos(cos)
    return lengths * (np.sin(t) + (np.pi - t) * cos) / np.pi


def fit(points: np.ndarray, normals: np.ndarray, middle: np.ndarray, half: float) -> Field:
    """One spline of the padded square: f(x_i) = 0 and f(x_i +- eps n_i) = +-eps, by kernel ridge regression."""
    eps = 0.05 * half

    def local(x: np.ndarray) -> np.ndarray:
        return (x - middle) / half

    places = local(np.concatenate([points, points + eps * normals, points - eps * normals]))
    values = np.repeat([0.0, eps, -eps], len(points))
    matrix = kernel(places, places) + RIDGE * len(places) * np.eye(len(places))
    weights = np.linalg.solve(matrix, values)
    return lambda x: kernel(local(x), places) @ weights


def cells_of(points: np.ndarray, normals: np.ndarray, middle: np.ndarray, half: float, above: Field) -> Iterator[Cell]:
    """Leaves of the quadtree; one with few points has the spline of the square around it."""
    padded = (np.abs(points - middle) <= half * (1 + 2 * PADDING)).all(1)
    spline = fit(points[padded], normals[padded], middle, half) if padded.sum() >= 5 else above
    if (np.abs(points - middle) <= half).all(1).sum() <= PER_CELL:
        yield Cell(middle, half, spline)
        return
    for corner in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
        yield from cells_of(points, normals, middle + np.array(corner) * half / 2, half / 2, spline)


def blend(cells: list[Cell]) -> Field:
    """F(x) = sum_c w_c(x) f_c(x) / sum_c w_c(x)."""

    def value(x: np.ndarray) -> np.ndarray:
        top, base = np.zeros(len(x)), np.zeros(len(x))
        for cell in cells:
            weight = cell.weight(x)
            here = weight > 0
            top[here] += weight[here] * cell.spline(x[here])
            base += weight
        return top / base

    return value


def lines_at(field: Field, level: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Marching squares: segments [s, 2, 2] of {F = level}, and the lower corners [s, 2] of their squares."""
    axis = np.linspace(-HALF, HALF, count + 1)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1)
    values = field(grid.reshape(-1, 2)).reshape(count + 1, count + 1) - level
    segments, corners = [], []
    for i, j in np.ndindex(count, count):
        ring = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)]
        cuts = []
        for a, b in zip(ring, ring[1:] + ring[:1], strict=True):
            if (values[a] < 0) != (values[b] < 0):
                share = values[a] / (values[a] - values[b])
                cuts.append(grid[a] + share * (grid[b] - grid[a]))
        for start in range(0, len(cuts), 2):
            segments.append(cuts[start : start + 2])
            corners.append(grid[i, j])
    return np.array(segments), np.array(corners)


class Panel:
    """A square of the figure, in pixels; a place x lies at (left + scale (x_0 + HALF), top + scale (HALF - x_1))."""

    def __init__(self, number: int):
        self.left, self.top = GAP + number % 3 * (SIDE + GAP), GAP + number // 3 * (SIDE + BELOW + GAP)
        self.parts = [
            f'<rect x="{self.left}" y="{self.top}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#ccc"/>'
        ]
        title, said = PANELS[number]
        for text, below, weight in ((title, 18, "bold"), (said, 35, "normal")):
            place = f'x="{self.left}" y="{self.top + SIDE + below}"'
            self.parts.append(
                f'<text {place} font-weight="{weight}">{text.replace("<", "&lt;").replace(">", "&gt;")}</text>'
            )

    def at(self, x: np.ndarray) -> str:
        scale = SIDE / (2 * HALF)
        return f"{self.left + scale * (x[0] + HALF):.1f} {self.top + scale * (HALF - x[1]):.1f}"

    def dots(self, places: np.ndarray, colour: str = LINE) -> None:
        path = "".join(f"M{self.at(x)}h0" for x in places)
        self.parts.append(f'<path d="{path}" stroke="{colour}" stroke-width="3.5" stroke-linecap="round"/>')

    def lines(self, segments: np.ndarray, colour: str, width: float, more: str = "") -> None:
        path = "".join(f"M{self.at(a)}L{self.at(b)}" for a, b in segments)
        self.parts.append(f'<path d="{path}" stroke="{colour}" stroke-width="{width}" {more}/>')

    def square(self, middle: np.ndarray, half: float, look: str) -> None:
        x, y = self.at(middle + np.array([-half, half])).split()
        side = f"{SIDE * half / HALF:.1f}"
        self.parts.append(f'<rect x="{x}" y="{y}" width="{side}" height="{side}" {look}/>')


def figure() -> str:
    """The SVG."""
    points, normals = cloud()
    whole = fit(points, normals, np.zeros(2), HALF)
    cells = list(cells_of(points, normals, np.zeros(2), HALF, whole))
    field = blend(cells)
    panels = [Panel(number) for number in range(len(PANELS))]
    stray = np.array([(-1.3, 1.25), (1.3, -1.2), (0.2, 0.15)])
    panels[0].dots(stray, GREY)
    for panel in panels[:3]:
        panel.dots(points)
    panels[1].lines(np.stack([points, points + 0.22 * normals], 1), OUTSIDE, 1)
    for cell in cells:
        panels[2].square(cell.middle, cell.half, f'fill="none" stroke="{INSIDE}"')
    shown = min(cells, key=lambda cell: np.linalg.norm(cell.middle - [0.4, -0.4]))
    panels[2].square(shown.middle, shown.half * (1 + 2 * PADDING), f'fill="{INSIDE}" fill-opacity=".2"')
    for level in (-0.45, -0.3, -0.15, 0.15, 0.3, 0.45):
        panels[3].lines(lines_at(field, level, 40)[0], INSIDE if level < 0 else OUTSIDE, 0.8)
    panels[3].lines(lines_at(field, 0.0, 40)[0], LINE, 2)
    surface, corners = lines_at(field, 0.0, VOXELS)
    for corner in np.unique(corners, axis=0):
        panels[4].square(corner + HALF / VOXELS, HALF / VOXELS, 'fill="#eee" stroke="#bbb"')
    panels[4].lines(surface, LINE, 2)
    spacing = np.abs(np.gradient(points, axis=0) @ [1, 1j])
    distance = np.linalg.norm(surface.mean(1)[:, None] - points, axis=2)
    kept = (distance <= 0.75 * spacing).any(1)
    panels[5].lines(surface[kept], LINE, 2)
    panels[5].lines(surface[~kept], GREY, 1, 'stroke-dasharray="3 3"')
    width, height = GAP + 3 * (SIDE + GAP), GAP + 2 * (SIDE + BELOW + GAP)
    look = 'font-family="sans-serif" font-size="13"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {look}>'
    back = f'<rect width="{width}" height="{height}" fill="#fff"/>'
    return "\n".join([head, back, *(part for panel in panels for part in panel.parts), "</svg>\n"])


if __name__ == "__main__":
    FIGURE.write_text(figure(), encoding="utf-8")
