"""Partition-of-unity weights: which cells take part at which points, and how much."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .partition import REACH_WEIGHT, Cells

NEGLIGIBLE = 1e-4  # shares of a blend below this are left out: they move the surface by less than rounding shows


@dataclass(frozen=True)
class CellWeights:
    """The cells that take part at each of `count` points: pairs (point, cell) [k] with weights, ordered by point.

    order [k]: the pairs by cell, in which x [k, 3], their positions in their cell's model space, stand; cell c has
    rows[c]:rows[c + 1] of these.
    """

    count: int
    point: Tensor
    cell: Tensor
    weight: Tensor
    order: Tensor
    x: Tensor
    rows: Tensor

    @classmethod
    def of(cls, cells: Cells, points: Tensor) -> CellWeights:
        if points.device.type == "cpu":
            from . import lookup_numba  # not before: Numba takes half a second to import

            space, pairs = (cells.centers, cells.scales), cells.containing(points)
            return cls(len(points), *lookup_numba.place(points, pairs, cells.margins, space, REACH_WEIGHT, NEGLIGIBLE))
        return cls.by_tensors(cells, points)

    @classmethod
    def by_tensors(cls, cells: Cells, points: Tensor) -> CellWeights:
        """`of` where no loop is compiled."""
        n = len(points)
        point, cell = cells.containing(points)
        weight = cells.weights(points[point], cell)
        keep = weight > NEGLIGIBLE * sum_by(point, weight, n)[point]
        point, cell, weight = point[keep], cell[keep], weight[keep]
        order = cell.argsort(stable=True)
        c = cell[order]
        x = (points[point[order]] - cells.centers[c]) * cells.scales[c][:, None]
        rows = torch.zeros(len(cells) + 1, dtype=torch.int64, device=c.device)
        rows[1:] = torch.bincount(c, minlength=len(cells)).cumsum(0)
        return cls(n, point, cell, weight, order, x, rows)


def sum_by(group: Tensor, values: Tensor, n: int) -> Tensor:
    """Sums [n, ...] of values whose groups [k] are sorted; in order, so that GPUs give the same bits each time."""
    lengths = torch.bincount(group, minlength=n)
    return torch.segment_reduce(values, "sum", lengths=lengths, axis=0, unsafe=True)
