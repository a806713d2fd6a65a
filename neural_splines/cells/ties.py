"""What holds a cell to a coarser field where it has no points: f(t) = F(t) at places t far from them, weakly.

A spline says nothing of where it has no data, and goes on somehow: across a hole, or beyond a border, into sheets. The
places are those of a small lattice in the padded cell. Where holes are filled, the coarser field has the say in those
that its surface crosses; else what the points say alone comes first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..spline.contract import Field
from ..spline.solvers import direct

if TYPE_CHECKING:
    from .free import FreeRows
    from .problem import FitProblem

PLACES = 4  # along each axis of a padded cell
APART = 0.15  # of its side: so far from its points they are
BAND = 0.125  # of its side: so near the coarser surface
WEIGHT, FILLING_WEIGHT = 1e-5, 1e-2  # against 1 for the value at a point; the second in holes that are filled
STEEP = 0.5  # of |grad F|: halfway between two sheets the coarser field is flat, and near 0 without a surface


@dataclass(frozen=True)
class TiePlaces:
    """Places [b, t, 3] of each of b cells, the values y [b, t] there, and weights [b, t]; tight [b, t]: those of
    FILLING_WEIGHT.
    """

    x: Tensor
    y: Tensor
    weights: Tensor
    tight: Tensor


@dataclass(frozen=True)
class TieRows:
    """Values y [b, t] at t places of each of b cells, rows K [b, t, m] of the kernel there, and weights [b, t]; tight
    [b, t]: those of FILLING_WEIGHT.
    """

    K: Tensor
    y: Tensor
    weights: Tensor
    tight: Tensor

    @cached_property
    def matrix(self) -> Tensor:
        """What they add to the matrix [b, m, m] of the systems."""
        return direct.gram(self.K, self.weights)

    @cached_property
    def right_hand_side(self) -> Tensor:
        """What they add to the right-hand sides [b, m]."""
        return ((self.weights * self.y)[:, None, :] @ self.K)[:, 0]

    def tightened(self, solution: Tensor) -> TieRows | None:
        """With FILLING_WEIGHT in the cells whose solution [b, m] makes a sheet: values of the other sign where both
        surfaces are farther away than BAND. None where no solution does.
        """
        value = (self.K @ solution[:, :, None])[:, :, 0]
        broken = (self.weights > 0.0) & (self.y.abs().minimum(value.abs()) > BAND) & (value * self.y < 0.0)
        loose = broken.any(1)
        if not bool(loose.any()):
            return None
        return replace(self, weights=torch.where(loose[:, None], self.tight, self.weights))


@dataclass(frozen=True)
class Ties:
    """coarse: the field that cells are tied to, if there is one. fill: whether its surface is to close holes. free:
    places that are known to be empty.
    """

    coarse: Field | None
    fill: bool
    free: FreeRows | None = None

    def on(self, device: torch.device) -> Ties:
        return Ties(self.coarse and self.coarse.on(device), self.fill, self.free and self.free.on(device))

    def rows(self, problem: FitProblem, cell: Tensor, x: Tensor, count: Tensor, centers: Tensor) -> TieRows | None:
        """As `places`, with the rows of the kernel for the centres [b, m, 3] of the cells (model space)."""
        found = self.places(problem, cell, x, count)
        if found is None:
            return None
        K = problem.compute.products.dense(problem.kernel, found.x, centers)
        return TieRows(K, found.y, found.weights, found.tight)

    def places(self, problem: FitProblem, cell: Tensor, x: Tensor, count: Tensor) -> TiePlaces | None:
        """Of the cells [b], whose points are the first `count` [b] of x [b, n, 3] (model space); None where none of
        them has a place.
        """
        tied = None if self.coarse is None else self._tied(self.coarse, problem, cell, x, count)
        free = None if self.free is None else self.free.places(problem, cell, count)
        if tied is None or free is None:
            return tied or free
        return TiePlaces(*(torch.cat(parts, 1) for parts in zip(vars(tied).values(), vars(free).values(), strict=True)))

    def _tied(self, coarse: Field, problem: FitProblem, cell: Tensor, x: Tensor, count: Tensor) -> TiePlaces | None:
        """The places that are tied to the coarser field."""
        step = (torch.arange(PLACES, dtype=torch.float64, device=x.device) + 0.5) / PLACES - 0.5
        place = torch.cartesian_prod(step, step, step).expand(len(cell), -1, -1)
        unused = torch.arange(x.shape[1], device=x.device) >= count[:, None]
        far = torch.cdist(place, x.double()).masked_fill_(unused[:, None], torch.inf).amin(2) > APART
        scale = problem.cells.scales[cell]
        world = place / scale[:, None, None] + problem.cells.centers[cell, None]
        value, slope = torch.zeros_like(place[..., 0]), torch.zeros_like(place)
        value[far], slope[far] = coarse.gradient(world[far])
        value *= scale[:, None]
        wanted = far & (slope.norm(dim=2) > STEEP) & value.isfinite()
        most = int(wanted.sum(1).max())
        if not most:
            return None
        weight = torch.full_like(scale, WEIGHT)
        if self.fill:
            weight[_in_hole(x.double(), unused, place, value.where(wanted, torch.inf), slope)] = FILLING_WEIGHT
        kept = wanted.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
        wanted, value = wanted.gather(1, kept), value.gather(1, kept)
        place = place.gather(1, kept[:, :, None].expand(-1, -1, 3))
        share = wanted / count.clamp_min(1)[:, None]
        put = problem.compute.place
        found = (place, value.where(wanted, 0.0), weight[:, None] * share, FILLING_WEIGHT * share)
        return TiePlaces(*(put(part).contiguous() for part in found))


def _in_hole(x: Tensor, unused: Tensor, place: Tensor, value: Tensor, slope: Tensor) -> Tensor:
    """Which cells [b] have a place [b, t, 3] near the coarser surface whose foot there, p - F grad F / |grad F|^2, is
    far from all points, too: that surface crosses a hole, and does not only pass by the points.
    """
    b, t = (value.abs() < BAND).nonzero().T
    foot = place[b, t] - (value[b, t] / slope[b, t].square().sum(1))[:, None] * slope[b, t]
    inside = (foot.abs() < 0.5).all(1)
    b, foot = b[inside], foot[inside]
    near = (x[b] - foot[:, None]).norm(dim=2).masked_fill_(unused[b], torch.inf).amin(1)
    found = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    found[b[near > APART]] = True
    return found
