"""What a blended field is made of: cells of a cloud, the smoothing that suits them, what became of their splines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..cloud.clouds import OrientedCloud
from ..cloud.octree import morton_order
from ..errors import CloudError
from ..geometry import Box
from ..kernels.kernels import Kernel
from ..kernels.products import Compute
from ..runtime.budget import check_cells
from ..runtime.devices import to_device
from ..settings import AUTO, CellSettings, Settings
from ..spline.fitting import Centers
from .batches import Smoothing
from .blending import BlendedField
from .members import Members
from .models import CellModels
from .partition import Cells, Share, adaptive_cells, uniform_cells
from .problem import LARGEST_EPS, FitProblem
from .tally import Tally

if TYPE_CHECKING:
    from ..creases.field import SharpField

AUTO_CENTERS = 300  # of a cell; 500 gain 3 % in accuracy for twice the time
NO_CELL = "no cell holds enough points; lower --min-pts-per-cell"
FEW_CENTERS, FEW_POINTS = 150, 100  # cells of so few points are as accurate with half the centres


@dataclass(frozen=True)
class CellsFit:
    """A blended field, with sharp edges where these were asked for; its constraints (positions [3n, 3], values [3n],
    world units), and how its cells were solved.

    chosen: what was chosen by the data and why, in words, or nothing. points_per_cell: of adaptive cells; local: some
    may be larger or smaller, where these predict better.
    """

    field: BlendedField | SharpField
    positions: Tensor
    values: Tensor
    cells: Cells
    models: CellModels
    tally: Tally
    smoothing: Smoothing
    points_per_cell: int | None
    local: bool
    chosen: str
    warnings: list[str]

    def __repr__(self) -> str:
        return f"CellsFit({self.summary()})"

    def over(self, box: Box) -> CellsFit:
        """The same, whose field knows the box of the cloud before its points were averaged: that of its lattice."""
        return replace(self, field=replace(self.field, box=box))

    def summary(self) -> str:
        """One line."""
        return self.tally.summary()

    def details(self) -> str:
        """One line of numerical details: centres, smoothing and how it was chosen, jitter."""
        return self.tally.details(self.chosen or self.smoothing)

    def options(self) -> str:
        """The options of the command line that ask for what was chosen."""
        return choice_options(self.smoothing, self.points_per_cell, self.local)


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
        cloud = to_device(cloud, compute.device)
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

    def problem_of(
        self,
        cells: Cells,
        points_per_cell: int,
        members: Members | None = None,
        most_centers: int | None = None,
        gradients: bool = False,
    ) -> FitProblem:
        """What these cells are fitted to: all points in each, or these members, with at most so many centres."""
        members = members or Members.of(cells, self.cloud.points)
        largest = 3 * int(members.counts.max())
        count = self._center_count(largest, points_per_cell)
        centers = Centers(min(count, most_centers or count), self.settings.nystrom_mode)
        check_cells(largest, centers.count, len(cells), self.compute.dtype, self.compute.device)
        offsets = cells.padding + (LARGEST_EPS / cells.scales).clamp_max(self.eps)  # so far out constraints may lie
        kernel = self.kernel.covering(cells.model_radius(cells.reach.maximum(offsets)), cells.model_radius(offsets))
        return FitProblem(
            self.cloud, cells, members, kernel, self.compute, self.eps, centers, self.generator, gradients
        )

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


def choice_options(smoothing: Smoothing, points_per_cell: int | None, local: bool) -> str:
    """The options of the command line that ask for this smoothing, and for adaptive cells of so many points; local: or
    for others where these predict better.
    """
    s = smoothing
    cells = f"--points-per-cell {points_per_cell} " if points_per_cell else ""
    normals = f"--gradient-length {s.gradient_length}" if s.gradients else f"--offset-weight {s.offset_weight}"
    cells += "--depth local " if local else ""
    return f"{cells}--regularization {s.regularization!r} {normals} --robust-passes {s.robust_passes}"
