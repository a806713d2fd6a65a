"""Partition-of-unity weights: which cells take part at which points, and how much."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .partition import REACH_WEIGHT, Cells

NEGLIGIBLE = 1e-4  # shares of a blend below this are left out: they move the surface by less than rounding shows


@dataclass(frozen=True)
class CellWeights:
    """The cells that take part at points [n, 3]: pairs (point, cell) [k] with weights, ordered by point."""

    points: Tensor
    point: Tensor
    cell: Tensor
    weight: Tensor

    @property
    def count(self) -> int:
        return len(self.points)

    @classmethod
    def of(cls, cells: Cells, points: Tensor) -> CellWeights:
        if points.device.type == "cpu":
            from . import lookup_numba  # not before: Numba takes half a second to import

            pairs = cells.containing(points)
            return cls(points, *lookup_numba.weigh(points, pairs, cells.margins, REACH_WEIGHT, NEGLIGIBLE))
        return cls.by_tensors(cells, points)

    @classmethod
    def by_tensors(cls, cells: Cells, points: Tensor) -> CellWeights:
        """`of` where no loop is compiled."""
        point, cell = cells.containing(points)
        weight = cells.weights(points[point], cell)
        keep = weight > NEGLIGIBLE * sum_by(point, weight, len(points))[point]
        return cls(points, point[keep], cell[keep], weight[keep])


def sum_by(group: Tensor, values: Tensor, n: int) -> Tensor:
    """Sums [n, ...] of values whose groups [k] are sorted; in order, so that GPUs give the same bits each time."""
    lengths = torch.bincount(group, minlength=n)
    return torch.segment_reduce(values, "sum", lengths=lengths, axis=0, unsafe=True)
