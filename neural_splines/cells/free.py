"""What holds fields to be positive where space is known to be empty: f(p) = y > 0 at places p.

The places are those at which a fit says otherwise, an active set of the inequalities f >= y; y is small beside the
distance to whatever surface there may be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .members import Members, capped
from .partition import Cells
from .ties import BAND, TiePlaces

if TYPE_CHECKING:
    from .problem import FitProblem

MOST = 300  # of the places in a cell, at even steps of their list
WEIGHT = 0.5  # against 1/4 for the value at a point
HIGHEST = 0.99 * BAND  # of a padded cell's side: the most that is asked for, and no broken tie


@dataclass(frozen=True)
class FreePlaces:
    """Places [k, 3] and the values [k] that are asked for there, world units."""

    points: Tensor
    values: Tensor

    def __len__(self) -> int:
        return len(self.points)

    def on(self, device: torch.device) -> FreePlaces:
        return FreePlaces(self.points.to(device), self.values.to(device))

    def joined(self, other: FreePlaces) -> FreePlaces:
        """Both, one after the other."""
        return FreePlaces(torch.cat([self.points, other.points]), torch.cat([self.values, other.values]))

    def of(self, cells: Cells) -> FreeRows:
        """Those that lie in each of some cells with its padding."""
        here = self.on(cells.lower.device)
        return FreeRows(here, capped(Members.of(cells, here.points), MOST))


@dataclass(frozen=True)
class FreeRows:
    """Places and which of them each cell has."""

    free: FreePlaces
    members: Members

    def on(self, device: torch.device) -> FreeRows:
        members = Members(*(part.to(device) for part in vars(self.members).values()))
        return FreeRows(self.free.on(device), members)

    def places(self, problem: FitProblem, cell: Tensor, count: Tensor) -> TiePlaces | None:
        """Of the cells [b] with so many points [b], in model space, as ties have them; None where none has a place."""
        most = int(self.members.counts[cell].max())
        if not most:
            return None
        rank = torch.arange(most, device=cell.device)
        valid = rank < self.members.counts[cell, None]
        row = (self.members.starts[cell, None] + rank).clamp_max(len(self.members.point) - 1)
        index = self.members.point[row]
        scale = problem.cells.scales[cell]
        x = (self.free.points[index] - problem.cells.centers[cell, None]) * scale[:, None, None] * valid[:, :, None]
        y = (self.free.values[index] * scale[:, None]).clamp_max(HIGHEST) * valid
        weights = WEIGHT * valid / count.clamp_min(1)[:, None]
        put = problem.compute.place
        return TiePlaces(*(put(part).contiguous() for part in (x, y, weights, weights)))
