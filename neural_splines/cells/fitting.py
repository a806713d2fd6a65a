"""What a blended field is made of: cells of a cloud, the smoothing that suits them, what became of their splines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from ..clouds import OrientedCloud
from ..errors import CloudError
from ..field.fitting import Centers
from ..field.judge import UnjudgedError
from ..field.kernels import Kernel
from ..field.products import Compute
from ..geometry import Box
from ..octree import morton_order
from ..runtime.budget import check_cells
from ..runtime.devices import moved
from ..runtime.monitor import Monitor
from ..settings import AUTO, CellSettings, Settings
from .batches import Smoothing
from .blending import BlendedField
from .members import Members
from .models import CellModels
from .partition import Cells, Share, adaptive_cells, uniform_cells
from .problem import LARGEST_EPS, FitProblem
from .regions import regions_of
from .smoothing import REGION_POINTS, SIZES, Choice, SmoothingSearch, unjudged
from .tally import Tally

POINTS_PER_CELL = 200  # of an adaptive cell at most, where smoothing is not chosen by the data
AUTO_CENTERS = 300  # of a cell; 500 gain 3 % in accuracy for twice the time
LARGE, LOOKED_AT, NODE_POINTS = 600_000, 300_000, 20_000  # points of a large cloud, of what is seen of it, of a piece
NO_CELL = "no cell holds enough points; lower --min-pts-per-cell"
FEW_CENTERS, FEW_POINTS = 150, 100  # cells of so few points are as accurate with half the centres


@dataclass(frozen=True)
class CellsFit:
    """A blended field, its constraints (positions [3n, 3], values [3n], world units), and how its cells were solved.

    chosen: what was chosen by the data and why, in words, or nothing. points_per_cell: of adaptive cells.
    """

    field: BlendedField
    positions: Tensor
    values: Tensor
    cells: Cells
    models: CellModels
    tally: Tally
    smoothing: Smoothing
    points_per_cell: int | None
    chosen: str
    warnings: list[str]

    def __repr__(self) -> str:
        return f"CellsFit({self.summary()})"

    def over(self, box: Box) -> CellsFit:
        """The same, whose field knows the box of the cloud before its points were averaged: that of its lattice."""
        return replace(self, field=replace(self.field, box=box))

    def summary(self) -> str:
        return self.tally.summary(self.chosen or self.smoothing)

    def options(self) -> str:
        """The options of the command line that ask for what was chosen."""
        return choice_options(self.smoothing, self.points_per_cell)


@dataclass(frozen=True)
class BlendPlan:
    """What a blend is to be made of: a cloud in the order of a space-filling curve, and how to share it out."""

    cloud: OrientedCloud
    box: Box
    kernel: Kernel
    eps: float
    settings: Settings
    options: CellSettings
    compute: Compute
    generator: torch.Generator

    @classmethod
    def of(
        cls, cloud: OrientedCloud, box: Box, kernel: Kernel, eps: float, settings: Settings, compute: Compute,
        generator: torch.Generator,
    ) -> BlendPlan:  # fmt: skip
        cloud = moved(cloud, compute.device)
        cloud = cloud.part(morton_order(box, cloud.points))
        options = settings.cells or CellSettings()
        return cls(cloud, box, kernel, eps, settings, options, compute, generator)

    def problem(self, points_per_cell: int) -> FitProblem:
        """The cells and what each is fitted to; `points_per_cell` matters to adaptive cells alone.

        CloudError where no cell holds enough points.
        """
        cells = self.cells(points_per_cell)
        if not len(cells):
            raise CloudError(NO_CELL)
        return self.problem_of(cells, points_per_cell)

    def problem_of(self, cells: Cells, points_per_cell: int) -> FitProblem:
        """What these cells are fitted to."""
        members = Members.of(cells, self.cloud.points)
        largest = 3 * int(members.counts.max())
        centers = Centers(self._center_count(largest, points_per_cell), self.settings.nystrom_mode)
        check_cells(largest, centers.count, len(cells), self.compute.dtype, self.compute.device)
        offsets = cells.padding + (LARGEST_EPS / cells.scales).clamp_max(self.eps)  # so far out constraints may lie
        kernel = self.kernel.covering(cells.model_radius(cells.reach.maximum(offsets)), cells.model_radius(offsets))
        return FitProblem(self.cloud, cells, members, kernel, self.compute, self.eps, centers, self.generator)

    def cells(self, points_per_cell: int, share: Share | None = None) -> Cells:
        """All cells of the box, or those of one node; there may be none."""
        o, sampling, blend = self.options, self.cloud.sampling, self.options.weight_type == "trilinear"
        if o.cells_per_axis == AUTO:
            return adaptive_cells(self.box, sampling, points_per_cell, o.overlap, o.min_pts_per_cell, blend, share)
        return uniform_cells(self.box, sampling, o.cells_per_axis, o.overlap, o.min_pts_per_cell, blend, share)

    def _center_count(self, constraints: int, points_per_cell: int) -> int:
        """The most centres of a cell whose largest has so many constraints."""
        asked = self.settings.num_nystrom_samples
        if asked == AUTO:
            few = self.options.adaptive and points_per_cell <= FEW_POINTS
            return min(constraints, FEW_CENTERS if few else AUTO_CENTERS)
        return constraints if asked < 0 else min(constraints, asked)


def choice_options(smoothing: Smoothing, points_per_cell: int | None) -> str:
    """The options of the command line that ask for this smoothing, and for adaptive cells of so many points."""
    s = smoothing
    cells = f"--points-per-cell {points_per_cell} " if points_per_cell else ""
    normals = f"--gradient-length {s.gradient_length}" if s.gradients else f"--offset-weight {s.offset_weight}"
    return f"{cells}--regularization {s.regularization!r} {normals} --robust-passes {s.robust_passes}"


def asked_choice(s: Settings) -> Choice | None:
    """Points of a cell at most, and smoothing, of a numeric regularization; None where held-out points choose."""
    if s.regularization == AUTO:
        return None
    return Choice(_points_per_cell(s), asked_smoothing(s))


def _points_per_cell(s: Settings) -> int:
    asked = s.cells.points_per_cell if s.cells else AUTO
    return POINTS_PER_CELL if asked == AUTO else int(asked)


def choose(plan: BlendPlan, monitor: Monitor) -> Choice:
    """Points of a cell at most, and smoothing, as held-out points choose.

    Random numbers of the choice are its own: with what it chose given, a run has the same bytes.
    """
    s, given = plan.settings, _points_per_cell(plan.settings)
    monitor.phase("smoothing")
    sizes = SIZES if plan.options.adaptive and plan.options.points_per_cell == AUTO else (given,)
    generator = torch.Generator().manual_seed(s.seed)
    private = replace(plan, generator=generator, cloud=representative(plan.cloud, generator))
    try:
        regions = regions_of(private.cloud.points, REGION_POINTS)
        return SmoothingSearch(lru_cache(private.problem), generator, monitor).run(sizes, regions)
    except UnjudgedError:
        return unjudged(given, plan.kernel)


def representative(cloud: OrientedCloud, generator: torch.Generator) -> OrientedCloud:
    """What is looked at for a choice: a small cloud, or some pieces of a large one, with all their points.

    The search judges by 12,000 points, but makes the cells of all that it is given, for every size.
    """
    if len(cloud) <= LARGE:
        return cloud
    parts = regions_of(cloud.points, NODE_POINTS)
    order = torch.randperm(len(parts), generator=generator)[: max(1, round(len(parts) * LOOKED_AT / len(cloud)))]
    return cloud.part(torch.cat([parts[k].rows for k in order.tolist()]).sort().values)


def asked_smoothing(s: Settings) -> Smoothing:
    """The smoothing of a numeric regularization."""

    def given(value: float | str, default: float) -> float:
        return default if isinstance(value, str) else value

    robust_passes = int(given(s.robust_passes, 0))
    return Smoothing(float(s.regularization), given(s.offset_weight, 1.0), robust_passes, given(s.gradient_length, 0.0))
