"""How deep space is divided, here and there: a cell or its parts, as they predict the points that they have not seen.

One size of cells was chosen for all of a cloud. Where the error at points that were left out is far from the typical
one, other sizes are tried: a cell for the cube that was divided last, and cells for the parts of one that was not.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..cells.cubes import Cubes
from ..cells.left_out import LeftOut, blended
from ..cells.levels import Levels
from ..cells.weights import sum_by
from . import score

JUDGES = 5  # points of a cell that are left out
UNUSUAL = 2.0  # times the typical error, or by as much below it
FEWEST_JUDGES = 8  # that decide
BETTER = 0.8  # of the error: more may be chance, of few judges


def judges_of(count: int, most: int, seed: int, device: torch.device) -> Tensor:
    """A mask [n] of the points that judge, of which cells of up to so many points hold about JUDGES."""
    share = 2.0 * JUDGES / most
    return (torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) < share).to(device)


def choose_depths(tree: Levels) -> tuple[int, int]:
    """Change the boxes of a tree where that predicts the judges better; how many cells replaced their parts, and how
    many were replaced by theirs.
    """
    if not tree.left_out:
        return 0, 0
    judged = _Judged.of(tree, tree.left_out)
    merged = sum(_merge(tree, judged, level) for level in range(len(tree.levels) - 1))
    return merged, sum(_divide(tree, judged, level) for level in range(len(tree.levels)))


class _Judged:
    """Residuals of a blend at points [j]; `row` [n] of every point of the cloud among these, or -1."""

    def __init__(self, points: Tensor, residuals: score.Residuals, count: int):
        self.points, self.residuals = points, residuals
        self.row = torch.full((count,), -1, dtype=torch.int64, device=points.device)
        self.row[points] = torch.arange(len(points), device=points.device)

    @classmethod
    def of(cls, tree: Levels, left: list[LeftOut]) -> _Judged:
        cloud = tree.plan.cloud
        points, value, slope = blended(LeftOut.joined(left), tree.cells, cloud.points)
        residuals = score.Residuals(*score.newton(value, slope, cloud.normals[points]))
        return cls(points, residuals, len(cloud))

    def of_cubes(self, cubes: Cubes) -> tuple[Tensor, Tensor]:
        """The judges in cubes [k]: their rows here [j], sorted by cube, and how many each has [k]."""
        row = self.row[cubes.rows]
        known = row >= 0
        cube, order = cubes.cube[known].sort(stable=True)
        return row[known][order], torch.bincount(cube, minlength=len(cubes.counts))

    def errors(self, cubes: Cubes) -> Tensor:
        """The rms error [k] of the judges in each cube, in spacings of the points there; NaN where there are few."""
        row, count = self.of_cubes(cubes)
        distance = self.residuals.distance[row].clamp_max(cubes.side)
        cube = torch.repeat_interleave(count)
        mean = sum_by(cube, distance.square(), len(count)) / count.clamp_min(1)
        error = mean.sqrt() * cubes.counts.sqrt() / cubes.side
        return torch.where(count >= FEWEST_JUDGES, error, torch.nan)


def _unusual(error: Tensor, usual: Tensor) -> tuple[Tensor, Tensor]:
    """Where errors are far above, and far below the median of others."""
    median = usual.nanmedian()
    return error > UNUSUAL * median, error < median / UNUSUAL


def _merge(tree: Levels, judged: _Judged, number: int) -> int:
    """Give cubes that were divided last a cell in the place of those of their parts."""
    level, finer = tree.levels[number], tree.levels[number + 1]
    again = torch.zeros_like(level.divided)
    again[finer.cubes.parent[finer.divided]] = True
    last = level.divided & ~again
    error = judged.errors(level.cubes)
    tried = (last & _unusual(error, error[level.divided])[0]).nonzero()[:, 0]
    if not len(tried):
        return 0
    model, left = tree.fit_some(level.cubes, tried, level.model[tried], number, tree.field())
    if left is None:
        return 0
    better = _better(tree, judged, left, level.cubes, tried)
    if not bool(better.any()):
        return 0
    chosen = tried[better]
    tree.forget(level.cubes.lower[chosen], level.cubes.side)
    tree.share_out(level.cubes.lower[chosen], level.cubes.side, model[better])
    level.divided[chosen] = False
    gone = torch.isin(finer.cubes.parent, chosen)
    finer.cubes.counts[gone] = 0  # nothing is left to divide
    return len(chosen)


def _divide(tree: Levels, judged: _Judged, number: int) -> int:
    """Give the parts of cubes that were not divided cells in the place of theirs."""
    level = tree.levels[number]
    error = judged.errors(level.cubes)
    high, low = _unusual(error, error[~level.divided])
    tried = ~level.divided & (level.cubes.counts <= tree.most) & (high | low)
    if not bool(tried.any()):
        return 0
    parts = level.cubes.divided(tree.plan.cloud.points, tried)
    model, left = tree.fit_some(
        parts, torch.arange(len(parts.counts), device=tried.device), level.model[parts.parent], number + 1, tree.field()
    )
    if left is None:
        return 0
    which = tried.nonzero()[:, 0]
    better = which[_better(tree, judged, left, level.cubes, which)]
    if not len(better):
        return 0
    mine = torch.isin(parts.parent, better)
    empty, parent = level.cubes.empty_eighths(parts, better)
    tree.forget(level.cubes.lower[better], level.cubes.side)
    tree.share_out(parts.lower[mine], parts.side, model[mine])
    tree.share_out(empty, parts.side, level.model[parent], full=False)
    return len(better)


def _better(tree: Levels, judged: _Judged, left: LeftOut, cubes: Cubes, which: Tensor) -> Tensor:
    """Where, in cubes [w] of a level, other cells predict the judges better."""
    other = _Judged.of(tree, [left])
    row, count = judged.of_cubes(cubes)
    place = torch.full_like(count, -1)
    place[which] = torch.arange(len(which), device=which.device)
    group = torch.repeat_interleave(place, count)
    theirs = other.row[judged.points[row]]
    both = (group >= 0) & (theirs >= 0)
    mine, theirs, group = row[both], theirs[both], group[both]
    candidates = [other.residuals.of(theirs), judged.residuals.of(mine)]
    new, old = score.errors_of_groups(candidates, group, len(which))
    enough = torch.bincount(group, minlength=len(which)) >= FEWEST_JUDGES
    return enough & (new < BETTER * old)
