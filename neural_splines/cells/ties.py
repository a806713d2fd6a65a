"""What holds a cell to a coarser field where it has no points: f(t) = F(t) at places t far from them, weakly.

A spline says nothing of where it has no data, and goes on somehow: across a hole, or beyond a border, into sheets. The
places are those of a small lattice in the padded cell, where the coarser surface passes; without a hole there are none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..spline.contract import Field
from . import members
from .weights import sum_by

if TYPE_CHECKING:
    from .problem import FitProblem

PLACES = 4  # along each axis of a padded cell
APART = 0.15  # of its side: so far from its points they are
BAND = 0.125  # of its side: so near the coarser surface
WEIGHT, SURE_WEIGHT = 3e-4, 1e-3  # against 1 for the value at a point
TRUSTED = 0.005  # of its side: where the coarser field errs by more at the points, WEIGHT falls with the square
ASKED = 16  # points of a cell where that is looked at


@dataclass(frozen=True)
class TieRows:
    """Values y [b, t] at t places of each of b cells, rows K [b, t, m] of the kernel there, and weights [b, t]."""

    K: Tensor
    y: Tensor
    weights: Tensor


@dataclass(frozen=True)
class Ties:
    """coarse: the field that cells are tied to. weight [c]: of each place, against 1 for a point."""

    coarse: Field
    weight: Tensor

    @classmethod
    def to(cls, coarse: Field, problem: FitProblem, sure: bool) -> Ties:
        """Those of a problem. sure: what the coarser field is in holes counts, however it errs at points."""
        if sure:
            return cls(coarse, torch.full_like(problem.cells.scales, SURE_WEIGHT))
        few = members.capped(problem.members, ASKED)
        value = coarse.evaluate(problem.cloud.points[few.point]).square()
        cell = torch.repeat_interleave(few.counts)
        mean = sum_by(cell, value, len(few.counts)) / few.counts.clamp_min(1)
        error = (mean.sqrt() * problem.cells.scales).clamp_min(1e-300)
        return cls(coarse, WEIGHT * (TRUSTED / error).clamp_max(1.0).square())

    def on(self, device: torch.device) -> Ties:
        return Ties(self.coarse.on(device), self.weight.to(device))

    def rows(self, problem: FitProblem, cell: Tensor, x: Tensor, count: Tensor, centers: Tensor) -> TieRows | None:
        """Of the cells [b], whose points are the first `count` [b] of x [b, n, 3] and whose centres [b, m, 3] those
        (model space); None where none of them has a place.
        """
        step = (torch.arange(PLACES, dtype=torch.float64, device=x.device) + 0.5) / PLACES - 0.5
        place = torch.cartesian_prod(step, step, step).expand(len(cell), -1, -1)
        unused = torch.arange(x.shape[1], device=x.device) >= count[:, None]
        far = torch.cdist(place, x.double()).masked_fill_(unused[:, None], torch.inf).amin(2) > APART
        scale = problem.cells.scales[cell]
        world = place / scale[:, None, None] + problem.cells.centers[cell, None]
        value = torch.full_like(far, torch.inf, dtype=torch.float64)
        value[far] = self.coarse.evaluate(world[far])
        value = (value * scale[:, None]).nan_to_num_(nan=torch.inf)
        wanted = far & ((value.abs() < BAND).any(1))[:, None] & value.isfinite()
        most = int(wanted.sum(1).max())
        if not most:
            return None
        kept = wanted.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
        wanted, value = wanted.gather(1, kept), value.gather(1, kept)
        place = place.gather(1, kept[:, :, None].expand(-1, -1, 3))
        weights = self.weight[cell, None] / count.clamp_min(1)[:, None] * wanted
        K = problem.compute.products.dense(problem.kernel, problem.compute.place(place).contiguous(), centers)
        return TieRows(K, problem.compute.place(value.where(wanted, 0.0)), weights.to(K))
