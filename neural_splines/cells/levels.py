"""Levels of cells, coarse to fine: each is fitted to its points and, where it has none, to the level before.

A cube around the cloud is divided into eight for as long as a part holds more than so many points. Every cube that is
divided has a spline, too, of few points and centres. A part without points keeps the spline of the cube that was
divided: so the field is defined in all of the cube, and a hole is spanned by the level that it is small against.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from ..cloud.octree import bounding_cube
from ..geometry import Box
from ..kernels.kernels import Kernel
from ..kernels.products import Compute
from ..runtime.monitor import Monitor, Silent
from ..spline.contract import Field
from ..spline.spline import NeuralSpline
from .batches import Smoothing
from .blending import BlendedField
from .cubes import Cubes
from .fitting import BlendPlan
from .free import FreePlaces
from .left_out import LeftOut
from .members import Members, capped
from .models import CellModels, fit_and_judge
from .partition import Cells, Share, cells_with, padded
from .problem import FitProblem
from .splines import Splines
from .ties import Ties

COARSE_POINTS, COARSE_CENTERS = 200, 100  # of a cell that is divided, at most: finer ones tell the details
FILLING_POINTS, FILLING_CENTERS = 1200, 300  # the same where holes are filled: there they are the surface
EVERY = 2**62  # points: no cell has as many
COARSE, NOBODY = -1, -2  # in the place of a cell's number: the field of the whole cloud, and none
MOST_LEVELS = 40  # a cube of the last has 1e-12 of the side of the first: float64 tells its points apart


@dataclass(frozen=True)
class Fitted:
    """Splines of cells [c], and the boxes [b] that share out space, with the cell that serves each.

    model [b]: a number of a cell, or the number of cells for the coarse field of the whole. level [c]: of the cells;
    most [c]: of its points that each was fitted to, at most. full [b]: which boxes hold points.
    """

    cells: Cells
    models: CellModels
    level: Tensor
    most: Tensor
    boxes: Cells
    model: Tensor
    full: Tensor
    z_max: float

    @classmethod
    def of_one_level(cls, cells: Cells, models: CellModels, z_max: float) -> Fitted:
        """Each box has its own cell; there is none where it could not be solved."""
        solved = models.solved.nonzero()[:, 0]
        full = torch.ones_like(solved, dtype=torch.bool)
        zero = torch.zeros_like(models.attempts)
        return cls(cells, models, zero, zero + EVERY, cells.subset(solved), solved, full, z_max)

    def used(self, smoothing: Smoothing) -> Fitted:
        """Without cells that serve no box: those that were tried, and those of cubes whose parts all have their own.

        What could not be solved stays, to be told.
        """
        n, keep = len(self.cells), ~self.models.solved
        keep[self.model[self.model < n]] = True
        number = keep.cumsum(0) - 1
        model = torch.where(self.model < n, number[self.model.clamp_max(n - 1)], int(keep.sum()))
        models = self.models.subset(keep, smoothing)
        cells = self.cells.subset(keep.nonzero()[:, 0])
        return replace(self, cells=cells, models=models, level=self.level[keep], most=self.most[keep], model=model)

    def blend(self, kernel: Kernel, compute: Compute, box: Box, coarse: NeuralSpline | None) -> BlendedField:
        """The field of all boxes."""
        splines = Splines.of(self.cells, self.models)
        if coarse is not None:
            splines = splines.and_of(coarse)
        return BlendedField(self.boxes, self.model, splines, kernel, compute, box, coarse)


def fit_levels(
    plan: BlendPlan, most: int, smoothing: Smoothing, monitor: Monitor, coarse: NeuralSpline | None = None,
    share: Share | None = None, judges: Tensor | None = None, free: FreePlaces | None = None,
) -> Levels | None:  # fmt: skip
    """All levels, down to cells of at most so many points; of a node that is a share of the cloud, those in it.

    coarse: the field of the whole cloud. The first level is tied to it; where there is one node it takes the place of
    that level. judges [n]: a mask of the points that the cells of the last levels are to predict unseen. free: places
    that are known to be empty. None where no cell holds enough points.
    """
    points = plan.cloud.points
    lower, side = bounding_cube(plan.box)
    lower, rows = lower.to(points.device), torch.arange(len(points), device=points.device)
    if share is not None:
        rows = (share.nodes == share.node).nonzero()[:, 0]
        side /= 2**share.level
        lower = lower + side * ((points[rows[0]] - lower) / side).floor()
    tree = Levels(plan, smoothing, most, coarse, judges, free)
    cubes, model = Cubes.first(lower, side, rows), torch.full((1,), NOBODY, device=points.device)
    for level in range(MOST_LEVELS):
        cubes, model = tree.without_small(cubes, model)
        divided = (cubes.counts > most) & (level < MOST_LEVELS - 1)
        if level == 0 and coarse is not None and share is None and bool(divided.all()):
            model = torch.full_like(model, COARSE)
        elif len(cubes.counts):
            model = tree.fit(cubes, divided, model, level)
        tree.share_out(cubes.lower[~divided], cubes.side, model[~divided])
        tree.levels.append(Level(cubes, divided, model))
        monitor.progress(tree.points, len(rows))
        if not bool(divided.any()):
            break
        tree.divided = cubes.lower[divided], cubes.side, model[divided]
        finer = cubes.divided(points, divided)
        empty, parent = cubes.empty_eighths(finer, divided.nonzero()[:, 0])
        tree.share_out(empty, finer.side, model[parent], full=False)
        cubes, model = finer, model[finer.parent]
    return tree if tree.count else None


@dataclass(frozen=True)
class Level:
    """Cubes [k] of a level, which of them are divided, and the numbers of their cells [k]."""

    cubes: Cubes
    divided: Tensor
    model: Tensor


class Levels:
    """The levels while they are fitted.

    levels: those that are done. left_out: what cells of the last levels predict at the judges.
    divided: lower corners [d, 3], side and models [d] of the cubes that the cubes of the level at hand are parts of.
    """

    def __init__(
        self, plan: BlendPlan, smoothing: Smoothing, most: int, coarse: NeuralSpline | None, judges: Tensor | None,
        free: FreePlaces | None,
    ):  # fmt: skip
        self.plan, self.smoothing, self.most, self.coarse, self.judges = plan, smoothing, most, coarse, judges
        self.free = free
        self.levels: list[Level] = []
        self.left_out: list[LeftOut] = []
        self.points, self.count, self.z_max = 0, 0, 0.0  # points in cells of the last level; cells
        self.divided: tuple[Tensor, float, Tensor] | None = None
        self._fits: list[tuple[Cells, CellModels, int, int]] = []
        self._boxes: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def without_small(self, cubes: Cubes, model: Tensor) -> tuple[Cubes, Tensor]:
        """The cubes [k] that hold enough points for a spline of their own; the others have that of their parent."""
        small = cubes.counts < max(1, self.plan.options.min_pts_per_cell)
        if not bool(small.any()):
            return cubes, model
        self.share_out(cubes.lower[small], cubes.side, model[small])
        return cubes.kept(~small), model[~small]

    def share_out(self, lower: Tensor, side: float, model: Tensor, full: bool = True) -> None:
        """Boxes with lower corners [b, 3] and models [b], but for those that have none. full: they hold points."""
        lower, model = lower[model != NOBODY], model[model != NOBODY]
        sides = torch.full((len(lower),), side, dtype=torch.float64, device=lower.device)
        self._boxes.append((lower, sides, model, torch.full_like(model, full, dtype=torch.bool)))

    def fit(self, cubes: Cubes, divided: Tensor, above: Tensor, level: int) -> Tensor:
        """Fit the cubes of a level; their models [k], that of the level above where a cube could not be solved."""
        field, model = self._field(), above.clone()
        for inner in (True, False):
            which = (divided == inner).nonzero()[:, 0]
            if len(which):
                model[which] = self.fit_some(cubes, which, model[which], level, field, inner)[0]
        return model

    def fit_some(
        self, cubes: Cubes, which: Tensor, above: Tensor, level: int, field: Field | None, inner: bool = False
    ) -> tuple[Tensor, LeftOut | None]:
        """Fit some cubes [w] of a level, tied to a field: their models [w], and what they predict at the judges.

        inner: as cubes that are divided, to few of their points.
        """
        problem = self._problem(cubes, which, inner)
        free = self.free.of(problem.cells) if self.free is not None else None
        if field is not None or free is not None:
            problem = replace(problem, ties=Ties(field, fill=self.coarse is not None, free=free))
        smoothing = self.smoothing
        if inner and self.coarse is None:  # no part of the surface
            smoothing = replace(smoothing, robust_passes=0)
        models, left = fit_and_judge(problem, smoothing, Silent())
        solved = models.solved
        self._fits.append((problem.cells, models, level, self._few[0] if inner else EVERY))
        if left is not None:
            left = replace(left, cell=left.cell + self.count)
            self.left_out.append(left)
        number = torch.where(solved, self.count + torch.arange(len(which), device=solved.device), above)
        self.count += len(which)
        self.z_max = max(self.z_max, problem.kernel.z_max)
        self.points += 0 if inner else int(cubes.counts[which].sum())
        return number, left

    def forget(self, lower: Tensor, side: float) -> None:
        """Take away the boxes inside cubes of that side with lower corners [d, 3], which other boxes are to replace."""
        origin, kept = lower[0], []
        wanted = ((lower - origin) / side).round().long()
        for low, sides, model, full in self._boxes:
            place = ((low + 0.5 * sides[:, None] - origin) / side).floor().long()
            known, where = torch.cat([wanted, place]).unique(dim=0, return_inverse=True)
            gone = torch.zeros(len(known), dtype=torch.bool, device=low.device)
            gone[where[: len(wanted)]] = True
            stays = ~gone[where[len(wanted) :]] | (sides > 1.5 * side)
            kept.append((low[stays], sides[stays], model[stays], full[stays]))
        self._boxes = kept

    def _problem(self, cubes: Cubes, which: Tensor, inner: bool) -> FitProblem:
        lower, cloud = cubes.lower[which], self.plan.cloud
        side = torch.full((len(which),), cubes.side, dtype=torch.float64, device=lower.device)
        overlap = self.plan.options.overlap
        cells = cells_with(lower, side, 0.5 * overlap * side)
        if not inner:
            cells = padded(lower, side, cloud.points, max(self.most, int(cubes.counts[which].max())), overlap)
            problem = self.plan.problem_of(cells, self.most, gradients=self.smoothing.gradients)
            return replace(problem, judges=self.judges)
        most, centers = self._few
        few = capped(Members.of(cells, cloud.points), most)
        return self.plan.problem_of(cells, self.most, few, centers, self.smoothing.gradients)

    @property
    def _kinds(self) -> tuple[list[int], list[int]]:
        """Of every fit the level and the most points of a cell."""
        return [fit[2] for fit in self._fits], [fit[3] for fit in self._fits]

    @property
    def _few(self) -> tuple[int, int]:
        """Points and centres of a cell that is divided, at most."""
        return (COARSE_POINTS, COARSE_CENTERS) if self.coarse is None else (FILLING_POINTS, FILLING_CENTERS)

    def _field(self) -> Field | None:
        """The field of the levels before the one at hand."""
        if self.divided is None or not self._fits:
            return self.coarse
        lower, side, model = self.divided
        self.share_out(lower, side, model)  # over parts that have the same model by now, or none yet
        field = self.field()
        self._boxes.pop()
        return field

    def field(self) -> BlendedField:
        """The field of all boxes."""
        fitted = self.fitted()
        kernel = replace(self.plan.kernel, z_max=fitted.z_max)
        return fitted.blend(kernel, self.plan.compute, self.plan.box, self.coarse)

    @property
    def cells(self) -> Cells:
        """All that were fitted."""
        return Cells(*(torch.cat([getattr(fit[0], f.name) for fit in self._fits]) for f in fields(Cells)))

    def fitted(self) -> Fitted:
        """All that is there by now; there is a fit."""
        cells = self.cells
        models = CellModels.joined([fit[1] for fit in self._fits], self.smoothing)
        count = torch.tensor([len(fit[0]) for fit in self._fits], device=cells.lower.device)
        level, most = (torch.tensor(of, device=count.device).repeat_interleave(count) for of in self._kinds)
        lower, side, model, full = (torch.cat(parts) for parts in zip(*self._boxes, strict=True))
        ramp = 0.5 * self.plan.options.overlap * side
        own = model.clamp_min(0)
        ramp = torch.where(model >= 0, ramp.minimum(cells.padding[own]), ramp)
        model = torch.where(model == COARSE, len(cells), model)
        hard = self.plan.options.weight_type == "none"
        coarser = torch.cat([most, most.new_zeros(1)])[torch.where(model >= 0, own, len(cells))] != EVERY
        boxes = Cells(lower, lower + side[:, None], ramp, torch.zeros_like(ramp) if hard else ramp, ramp, coarser)
        z_max = max(self.z_max, self.coarse.kernel.z_max if self.coarse else 0.0)
        return Fitted(cells, models, level, most, boxes, model, full, z_max)
