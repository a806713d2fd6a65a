"""Which points each cell is fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .partition import Cells


@dataclass(frozen=True)
class Members:
    """The points within the padding of every cell, in one list: point[starts[c]:starts[c] + counts[c]]."""

    point: Tensor
    starts: Tensor
    counts: Tensor

    @classmethod
    def of(cls, cells: Cells, points: Tensor) -> Members:
        point, cell = cells.members(points)
        return cls.grouped(point, cell, len(cells))

    def subset(self, cells: Tensor) -> Members:
        """Those of some cells [c]."""
        return Members(self.point, self.starts[cells], self.counts[cells])

    @classmethod
    def grouped(cls, point: Tensor, cell: Tensor, cells: int) -> Members:
        order = cell.argsort(stable=True)
        counts = torch.bincount(cell, minlength=cells)
        return cls(point[order], counts.cumsum(0) - counts, counts)


def capped(members: Members, most: int | Tensor) -> Members:
    """The same with at most so many points of each cell, or of cells [c], at even steps of their list."""
    count, cell = members.counts, torch.repeat_interleave(members.counts)
    row = torch.arange(len(cell), device=cell.device) - (count.cumsum(0) - count)[cell]
    kept = count.minimum(torch.as_tensor(most, device=cell.device))
    step = torch.div(torch.stack([row, row + 1]) * kept[cell], count[cell], rounding_mode="floor")
    keep = step[0] != step[1]
    point = members.point[members.starts[cell] + row]
    return Members.grouped(point[keep], cell[keep], len(count))
