"""How a cloud was sampled: what every step asks of its points, found once and handed down with them."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from ..geometry import median
from ..runtime.devices import slices
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

    @cached_property
    def spacing(self) -> Tensor:
        """The distance [n] of each point from its 6th neighbour; from the last, if there are fewer."""
        spacing, self.neighbours = self.near.six() or _neighbours_at(self.near, self.points)
        return spacing

    @cached_property
    def neighbours(self) -> Tensor:
        """The six neighbours [n, 6], int32, of each point, from near to far; a lone point is its own."""
        return (self.near.six() or _neighbours_at(self.near, self.points))[1]

    @cached_property
    def median_spacing(self) -> float:
        """The median of the spacings, world units."""
        return float(median(self.spacing))

    @cached_property
    def metric(self) -> Metric:
        """Spacings along and across the lines of a scanner."""
        metric = Metric(self.points, self.near, self.neighbours.long())
        del self.neighbours  # few ask for them after this, and they are half as large as the points
        return metric

    def part(self, rows: Tensor) -> Sampling:
        """Of the points with these distinct rows [m] alone, in that order."""
        known = vars(self)
        part = Sampling(self.points[rows])
        if "near" in known:
            part.near = self.near.part(rows)
        if "spacing" in known and len(rows) == len(self.points):
            part.spacing = self.spacing[rows]
        elif {"spacing", "neighbours"} <= known.keys() and len(rows) > SPACING_RANK:
            self._hand_on(part, rows)
        return part

    def _hand_on(self, part: Sampling, rows: Tensor) -> None:
        """What a part shares with the whole: all but the points of which it lacks a neighbour."""
        place = torch.full((len(self.points),), -1, dtype=torch.int32, device=rows.device)
        place[rows] = torch.arange(len(rows), dtype=torch.int32, device=rows.device)
        part.spacing, part.neighbours = self.spacing[rows], place[self.neighbours[rows].long()]
        bereft = (part.neighbours < 0).any(1).nonzero()[:, 0]
        if len(bereft):
            part.spacing[bereft], part.neighbours[bereft] = _neighbours_at(part.near, part.points[bereft])

    def forget(self) -> None:
        """Let go of all but the structure: for a cloud that a part takes the place of."""
        for name in ("spacing", "neighbours", "typical", "metric"):
            vars(self).pop(name, None)


def _neighbours_at(near: Neighbours, x: Tensor) -> tuple[Tensor, Tensor]:
    """Spacings [q] and neighbours [q, 6] of some points [q, 3] of a cloud."""
    count = max(1, min(SPACING_RANK, len(near.points) - 1))
    spacing, index = x.new_empty(len(x)), torch.empty(len(x), count, dtype=torch.int32, device=x.device)
    for chunk in slices(len(x), x.device):
        distance, nearest = near.nearest(x[chunk], SPACING_RANK + 1)
        spacing[chunk], index[chunk] = (
            distance[:, -1],
            nearest[:, -count:],
        )  # without the point itself, which comes first
    return spacing, index
