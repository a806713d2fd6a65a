"""Partition-of-unity weights: which cells take part at which points, and how much."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .partition import ENOUGH, REACH_WEIGHT, Cells

NEGLIGIBLE = 1e-4  # shares of a blend below this are left out: they move the surface by less than rounding shows


@dataclass(frozen=True)
class CellWeights:
    """The cells that take part at points [n, 3]: pairs (point, cell) [k] with weights, ordered by point.

    slope [k, 3], curve [k, 3, 3]: first and second derivatives of the weights, where they were asked for.
    """

    points: Tensor
    point: Tensor
    cell: Tensor
    weight: Tensor
    slope: Tensor | None = None
    curve: Tensor | None = None

    @property
    def count(self) -> int:
        return len(self.points)

    def part(self, mask: Tensor) -> CellWeights:
        """The pairs under a mask [k]."""
        return CellWeights(self.points, self.point[mask], self.cell[mask], self.weight[mask])

    @classmethod
    def of(cls, cells: Cells, points: Tensor) -> CellWeights:
        if points.device.type == "cpu":
            from . import lookup_numba  # not before: Numba takes half a second to import

            pairs = cells.containing(points)
            return cls(points, *lookup_numba.weigh(points, pairs, cells.margins, REACH_WEIGHT, NEGLIGIBLE, ENOUGH))
        return cls.by_tensors(cells, points)

    @classmethod
    def by_tensors(cls, cells: Cells, points: Tensor, derivatives: int = 0) -> CellWeights:
        """`of` where no loop is compiled, and with first or also second derivatives."""
        point, cell = cells.containing(points)
        x = points[point]
        parts = [cells.weights(x, cell)]
        parts += [cells.weight_slopes(x, cell)] if derivatives else []
        parts += [cells.weight_curves(x, cell)] if derivatives > 1 else []
        yields = cells.yields[cell]
        if bool(yields.any()):
            parts = _yielded(parts, point, yields, len(points))
        keep = parts[0] > NEGLIGIBLE * sum_by(point, parts[0], len(points))[point]
        return cls(points, point[keep], cell[keep], *(part[keep] for part in parts))


def _yielded(parts: list[Tensor], point: Tensor, yields: Tensor, n: int) -> list[Tensor]:
    """Weights w [k] and their derivatives, of those that yield times g = max(0, 1 - F / ENOUGH)^2, where F is the sum
    of the others at the point.
    """
    firm = [sum_by(point, _only(~yields, part), n)[point] for part in parts]
    left, w = (1.0 - firm[0] / ENOUGH).clamp_min(0.0), parts[0]
    g, dg, ddg = left.square(), -2.0 / ENOUGH * left, 2.0 / ENOUGH**2 * (left > 0.0)
    found = [g * w]
    if len(parts) > 1:
        found.append(g[:, None] * parts[1] + (dg * w)[:, None] * firm[1])
    if len(parts) > 2:
        mixed = parts[1][:, :, None] * firm[1][:, None]
        square = firm[1][:, :, None] * firm[1][:, None]
        bent = mixed + mixed.mT + w[:, None, None] * firm[2]
        found.append(g[:, None, None] * parts[2] + dg[:, None, None] * bent + (ddg * w)[:, None, None] * square)
    return [torch.where(_like(yields, part), new, part) for new, part in zip(found, parts, strict=True)]


def _only(mask: Tensor, part: Tensor) -> Tensor:
    return part.masked_fill(~_like(mask, part), 0.0)


def _like(mask: Tensor, part: Tensor) -> Tensor:
    return mask.reshape(-1, *[1] * (part.ndim - 1))


def sum_by(group: Tensor, values: Tensor, n: int) -> Tensor:
    """Sums [n, ...] of values whose groups [k] are sorted; in order, so that GPUs give the same bits each time."""
    lengths = torch.bincount(group, minlength=n)
    return torch.segment_reduce(values, "sum", lengths=lengths, axis=0, unsafe=True)
