"""How a cloud was sampled: what every step asks of its points, found once and handed down with them."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from .metric import Metric
from .neighbours import SPACING_RANK, Neighbours


class Sampling:
    """Of the points [n, 3] of a cloud, n > 0: exact nearest neighbours, and how far apart they are.

    All is made when it is first asked for, and kept. A part of a cloud, or the same in another order, takes over what
    is known of the whole.
    """

    def __init__(self, points: Tensor):
        self.points = points

    def __reduce__(self) -> tuple[type[Sampling], tuple[Tensor]]:
        return Sampling, (self.points,)  # another process makes what it needs

    @cached_property
    def near(self) -> Neighbours:
        """The structure that nearest neighbours are searched in, on the points' device."""
        return Neighbours(self.points)

    @property
    def spacing(self) -> Tensor:
        """The distance [n] of each point from its 6th neighbour; from the last, if there are fewer."""
        return self._neighbours[0]

    @property
    def neighbours(self) -> Tensor:
        """The six neighbours [n, 6], int32, of each point, from near to far; a lone point is its own."""
        return self._neighbours[1]

    @cached_property
    def typical(self) -> float:
        """The median of the spacings, world units."""
        return float(self.spacing.median())

    @cached_property
    def metric(self) -> Metric:
        """Spacings along and across the lines of a scanner."""
        return Metric(self.points, self.near, self.neighbours.long())

    @cached_property
    def _neighbours(self) -> tuple[Tensor, Tensor]:
        """The spacings and the neighbours, which are found together."""
        return _neighbours_at(self.near, self.points)

    def part(self, rows: Tensor) -> Sampling:
        """Of the points with these distinct rows [m] alone, in that order."""
        known = vars(self)
        part = Sampling(self.points[rows])
        if "near" in known:
            part.near = self.near.part(rows)
        if "_neighbours" in known and len(rows) > SPACING_RANK:
            part._neighbours = self._neighbours_within(part, rows)
        return part

    def _neighbours_within(self, part: Sampling, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Those of a part: the same, but at points that have a neighbour which is not in it."""
        place = torch.full((len(self.points),), -1, dtype=torch.int32, device=rows.device)
        place[rows] = torch.arange(len(rows), dtype=torch.int32, device=rows.device)
        spacing, index = self.spacing[rows], place[self.neighbours[rows].long()]
        bereft = (index < 0).any(1).nonzero()[:, 0]
        if len(bereft):
            spacing[bereft], index[bereft] = _neighbours_at(part.near, part.points[bereft])
        return spacing, index


def _neighbours_at(near: Neighbours, x: Tensor) -> tuple[Tensor, Tensor]:
    """Spacings [q] and neighbours [q, 6] of some points [q, 3] of a cloud."""
    distance, index = near.nearest(x, SPACING_RANK + 1)
    others = index[:, min(1, index.shape[1] - 1) :]  # the first is the point itself
    return distance[:, -1].clone(), others.int()
