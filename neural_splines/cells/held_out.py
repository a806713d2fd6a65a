"""The judge of a smoothing: how far the surface fitted without some of the points lies from those points."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..runtime.monitor import Silent
from .batches import Batch, Grams, Smoothing
from .blending import BlendedField, Places
from .members import Members
from .models import ModelStore
from .partition import Cells
from .problem import FitProblem

STEPS = 6  # on either side of a held-out point, along its normal


@dataclass(frozen=True)
class Residuals:
    """At each held-out point: the distance [h] along its normal to the surface (world units, at most the window), and
    the angle [h] (radians) between the normal and the field's gradient.
    """

    distance: Tensor
    angle: Tensor


class HeldOut:
    """A blend of some cells, fitted without some of the points, which judge it.

    What is judged is the blend, not each cell by itself: where noise is as thick as a cell, a cell that holds the upper
    half of it is at peace with the points it holds, and its neighbour with the lower half.
    """

    def __init__(self, problem: FitProblem, regions: Cells | None, held: Tensor):
        """held [n]: a mask of the points that are left out. regions: judge in these boxes alone."""
        cloud = problem.cloud
        cells, judges = problem.cells, held
        if regions is not None:
            cells = cells.subset(overlapping(cells, regions))
            judges = held & inside(regions, cloud.points)
        point, cell = cells.members(cloud.points)
        keep = ~held[point]
        training = Members.grouped(point[keep], cell[keep], len(cells))
        compute = problem.compute.on(cells.lower.device)
        self.points, self.normals = cloud.points[judges], cloud.normals[judges]
        self._problem = replace(problem, cells=cells, members=training, compute=compute)
        self._places = Places.of(cells, self.points)
        self._lines: dict[float, Places] = {}
        self._batches: list[tuple[Batch, Grams]] = []
        self._problem.spread(self._make)

    def _make(self, problem: FitProblem, cell: Tensor, draws: Tensor) -> None:
        batch = Batch.make(problem, cell, draws)
        self._batches.append((batch, Grams(batch)))

    def field(self, smoothing: Smoothing) -> BlendedField:
        """The blend of the cells without the held-out points."""
        store, p = ModelStore(self._problem, Silent()), self._problem
        for batch, grams in self._batches:
            solution, jitter = batch.solve(smoothing, grams)
            store.put(batch, solution.nan_to_num(nan=0.0), jitter, torch.zeros_like(jitter, dtype=torch.int64))
        m = store.models("")
        return BlendedField(p.cells, p.kernel, m.centers, m.coefficients, m.offsets, p.compute, p.cloud.box)

    def residuals(self, smoothing: Smoothing, window: float) -> Residuals:
        """Distances along the normals x + t n, |t| <= window, to where the field changes its sign.

        Where it does so once near x, by a Newton step from x; else t* = -1/2 int sign f(x + t n) dt: the height of the
        sheet if there is one, the mean height of many. To first order at x alone, a wild surface would pass near
        every point.
        """
        field = self.field(smoothing)
        newton, angle = self._newton(field)
        f = field.at(self._line(window)).reshape(len(self.points), 2 * STEPS + 1)
        step = window / STEPS
        once, height = crossings(f, step)
        distance = torch.where(once & (newton < step), newton, height.abs())
        return Residuals(distance.clamp_max(window), angle)

    def scale(self, smoothing: Smoothing) -> float:
        """The 68th percentile of the distances, to first order: about the standard deviation of noisy points."""
        distance = self._newton(self.field(smoothing))[0]
        return float(distance.sort().values[int(0.68 * len(distance))]) if len(distance) else 0.0

    def _newton(self, field: BlendedField) -> tuple[Tensor, Tensor]:
        """Distances along the normals to first order, and angles."""
        value, slope = field.gradient(self.points)
        along = (slope * self.normals).sum(1)
        angle = (along / slope.norm(dim=1).clamp_min(1e-12)).clamp(-1.0, 1.0).acos().nan_to_num(nan=math.pi)
        return (value / along.clamp_min(1e-12)).abs().nan_to_num(nan=math.inf), angle

    def _line(self, window: float) -> Places:
        if window not in self._lines:
            t = torch.arange(-STEPS, STEPS + 1, dtype=torch.float64, device=self.points.device) * (window / STEPS)
            x = self.points[:, None] + t[:, None] * self.normals[:, None]
            self._lines[window] = Places.of(self._problem.cells, x.reshape(-1, 3))
        return self._lines[window]


def crossings(f: Tensor, step: float) -> tuple[Tensor, Tensor]:
    """Of values f [h, 2k + 1] along lines, `step` apart: whether the sign changes once, from - to +, and
    -1/2 the integral of the sign, by linear interpolation. NaN counts as outside.
    """
    f = f.nan_to_num(nan=1.0)
    a, b = f[:, :-1], f[:, 1:]
    positive = f >= 0
    changes = (positive[:, 1:] != positive[:, :-1]).sum(1)
    once = (changes == 1) & positive[:, -1]
    # of a linear piece: (|b| - |a|) / (|a| + |b|) where it rises through zero, the reverse where it falls
    mixed = (b.abs() - a.abs()) / (a.abs() + b.abs()).clamp_min(1e-300)
    pure = torch.where(positive[:, :-1], 1.0, -1.0).to(f)
    rising, falling = ~positive[:, :-1] & positive[:, 1:], positive[:, :-1] & ~positive[:, 1:]
    sign = torch.where(rising, mixed, torch.where(falling, -mixed, pure))
    return once, -0.5 * step * sign.sum(1)


def inside(cells: Cells, points: Tensor) -> Tensor:
    """A mask [n] of the points within one of the boxes, margins aside."""
    point, cell = cells.containing(points)
    x = points[point]
    own = ((x >= cells.lower[cell]) & (x < cells.upper[cell])).all(1)
    mask = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    mask[point[own]] = True
    return mask


def overlapping(cells: Cells, regions: Cells) -> Tensor:
    """The cells [s] whose weights reach into one of the regions."""
    margin = cells.ramp[:, None]
    low, high = cells.lower - margin, cells.upper + margin
    touch = torch.zeros(len(cells), dtype=torch.bool, device=cells.lower.device)
    for lower, upper in zip(regions.lower, regions.upper, strict=True):
        touch |= ((low < upper) & (high > lower)).all(1)
    return touch.nonzero()[:, 0]
