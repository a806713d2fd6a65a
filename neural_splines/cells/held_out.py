"""Blends of cells fitted without some of the points, which then judge them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..field import judge
from ..neighbours import Neighbours
from ..runtime.devices import spread
from ..runtime.monitor import Silent
from .batches import Batch, Grams, Smoothing
from .blending import BlendedField
from .members import Members
from .models import ModelStore
from .partition import Cells
from .places import Places
from .problem import FitProblem

MARGIN = 0.08  # of a region's side, where cells around it would speak too: they need not be fitted
PATCH_EVERY, PATCH_POINTS, PATCH_JUDGES = 120, 30, 8  # a patch for so many points of the cloud; points of a patch


@dataclass(frozen=True)
class LeftOut:
    """Masks [n]: of the points that a fit does not see, and of those among them that judge it."""

    held: Tensor
    judges: Tensor

    @classmethod
    def single(cls, count: int, share: float, generator: torch.Generator, device: torch.device) -> LeftOut:
        """A random share of the points, all of which judge. The last point stays: of two, both may be drawn."""
        held = (torch.rand(count, generator=generator, dtype=torch.float64) < share).to(device)
        held[-1] &= ~held.all()
        return cls(held, held)

    @classmethod
    def patches(cls, points: Tensor, generator: torch.Generator) -> LeftOut:
        """Patches of neighbouring points, of which the innermost judge: their errors have nothing in common with those
        of the points that are left, even where neighbours err together.
        """
        n, near = len(points), Neighbours(points)
        seeds = points[torch.randperm(n, generator=generator)[: max(1, n // PATCH_EVERY)].to(points.device)]
        index = near.nearest(seeds, PATCH_POINTS)[1]
        held, judges = torch.zeros(2, n, dtype=torch.bool, device=points.device)
        held[index.reshape(-1)], judges[index[:, :PATCH_JUDGES].reshape(-1)] = True, True
        return cls(held, judges)


class HeldOut:
    """A blend of the cells in and around some regions, fitted without some of the points there.

    What is judged is the blend, not each cell by itself: where noise is as thick as a cell, a cell that holds the upper
    half of it is at peace with the points it holds, and its neighbour with the lower half.
    """

    def __init__(self, problem: FitProblem, regions: Cells, left: LeftOut):
        """Of the points that are left out, the judges within the regions judge."""
        cloud, held, regions = problem.cloud, left.held, regions.shrunk(MARGIN)
        judges = left.judges & regions.holding(cloud.points)
        cells = problem.cells.subset(problem.cells.touching(regions))
        point, cell = cells.members(cloud.points)
        keep = ~held[point]
        training = Members.grouped(point[keep], cell[keep], len(cells))
        compute = problem.compute.on(cells.lower.device)
        self.points, self.normals = cloud.points[judges], cloud.normals[judges]
        self._problem = replace(problem, cells=cells, members=training, compute=compute)
        self._lines: dict[float, Places] = {}
        self._batches: list[tuple[Batch, Grams]] = []
        self._problem.spread(self._make)

    def _make(self, problem: FitProblem, cell: Tensor, draws: Tensor) -> None:
        batch = Batch.make(problem, cell, draws)
        self._batches.append((batch, Grams.of(batch)))

    def field(self, smoothing: Smoothing) -> BlendedField:
        """The blend of the cells without the held-out points."""
        store, p = ModelStore(self._problem, Silent()), self._problem

        def solve(device: torch.device, made: tuple[Batch, Grams]) -> None:
            solution, jitter = made[0].solve(smoothing, made[1])
            store.put(made[0], solution.nan_to_num(nan=0.0), jitter, torch.zeros_like(jitter, dtype=torch.int64))

        spread(p.compute.devices, solve, self._batches)
        m = store.models("")
        return BlendedField(p.cells, p.kernel, m.centers, m.coefficients, m.offsets, p.compute, p.cloud.box)

    def residuals(self, smoothing: Smoothing, window: float) -> judge.Residuals:
        """Of the held-out points, along lines of that length on either side."""
        field = self.field(smoothing)
        if window not in self._lines:
            lines = judge.lines(self.points, self.normals, window)
            self._lines[window] = Places.of(self._problem.cells, lines)
        along = field.at(self._lines[window])
        return judge.residuals(*field.gradient(self.points), along, self.normals, window)

    def scale(self, smoothing: Smoothing) -> float:
        """About the standard deviation of the distances, to first order."""
        return judge.percentile(judge.newton(*self.field(smoothing).gradient(self.points), self.normals)[0])
