"""Blends of cells fitted without some of the points, which then judge them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..cells.batches import Batch, Grams, Smoothing
from ..cells.blending import BlendedField
from ..cells.members import Members
from ..cells.models import ModelStore
from ..cells.partition import Cells
from ..cells.problem import FitProblem
from ..cells.weights import CellWeights
from ..cloud.sampling import Sampling
from ..runtime.devices import map_on_devices
from ..runtime.monitor import Silent
from . import score
from .regions import Region, cores

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
    def patches(cls, sampling: Sampling, generator: torch.Generator) -> LeftOut:
        """Patches of neighbouring points, of which the innermost judge: their errors have nothing in common with those
        of the points that are left, even where neighbours err together.
        """
        points, n = sampling.points, len(sampling.points)
        seeds = points[torch.randperm(n, generator=generator)[: max(1, n // PATCH_EVERY)].to(points.device)]
        index = sampling.near.nearest(seeds, PATCH_POINTS)[1]
        held, judges = torch.zeros(2, n, dtype=torch.bool, device=points.device)
        held[index.reshape(-1)], judges[index[:, :PATCH_JUDGES].reshape(-1)] = True, True
        return cls(held, judges)


class ValidationFit:
    """A blend of the cells in and around some regions, fitted without some of the points there.

    What is judged is the blend, not each cell by itself: where noise is as thick as a cell, a cell that holds the upper
    half of it agrees with the points it holds, and its neighbour with the lower half.
    """

    def __init__(self, problem: FitProblem, regions: Sequence[Region], left: LeftOut):
        """Of the points that are left out, the judges within the regions judge.

        A cell all of whose points are left out is absent, and points within no other judge nothing. Raises
        UnjudgedError where no point judges.
        """
        cloud = problem.cloud
        inner, boxes = cores(cloud.points, regions)
        judges = inner[left.judges[inner]]
        cells = problem.cells.subset(problem.cells.touching(boxes))
        point, cell = cells.members(cloud.points)
        keep = ~left.held[point]
        training = Members.grouped(point[keep], cell[keep], len(cells))
        compute = problem.compute.on(cells.lower.device)
        self.points, self.normals = cloud.points[judges], cloud.normals[judges]
        self._problem = replace(problem, cells=cells, members=training, compute=compute).occupied()
        within, _ = self._problem.cells.members(self.points)
        self._mute = torch.bincount(within, minlength=len(judges)) == 0
        if bool(self._mute.all()):
            raise score.UnjudgedError
        self._lines: dict[float, CellWeights] = {}
        self._batches: list[tuple[Batch, Grams, Tensor]] = []
        self._problem.map_batches(self._make)

    def _make(self, problem: FitProblem, cell: Tensor, draws: Tensor) -> None:
        batch = Batch.make(problem, cell, draws)
        self._batches.append((batch.without_rows(), Grams.of(batch), draws))

    def field(self, smoothing: Smoothing) -> BlendedField:
        """The blend of the cells without the held-out points."""
        store, p = ModelStore(self._problem, Silent()), self._problem
        devices = p.compute.devices
        problems = {device: p.on(device) if len(devices) > 1 else p for device in devices}

        def solve(device: torch.device, made: tuple[Batch, Grams, Tensor]) -> None:
            batch, grams, draws = made
            if smoothing.robust_passes:  # few candidates: the rows are made again, and not kept for all
                batch = Batch.make(problems[device], batch.cell, draws)
            solution, jitter = batch.solve(smoothing, grams)
            store.put(batch, solution, jitter, torch.zeros_like(jitter, dtype=torch.int64))

        map_on_devices(devices, solve, self._batches)
        return BlendedField.of(p, store.models(smoothing))

    def residuals(self, smoothing: Smoothing, window: float) -> score.Residuals:
        """Of the held-out points, along lines of that length on either side."""
        field = self.field(smoothing)
        along = field.at(self._along(field.cells, window))
        found = score.residuals(*field.gradient(self.points), along, self.normals, window)
        return replace(found, distance=found.distance.masked_fill(self._mute, torch.nan))

    def _along(self, cells: Cells, window: float) -> CellWeights:
        """Of the points' lines; kept for as long as every cell can be solved."""
        known = self._lines.get(window) if cells is self._problem.cells else None
        if known is None:
            known = CellWeights.of(cells, score.lines(self.points, self.normals, window))
        if cells is self._problem.cells:
            self._lines[window] = known
        return known

    def window(self, smoothing: Smoothing) -> float:
        """How long lines are to be, from the distances to this surface. Raises UnjudgedError where none is known."""
        return score.window(*self.field(smoothing).gradient(self.points), self.normals)
