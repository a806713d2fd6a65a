"""The cubes of an octree that hold points, level by level."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

OCTANTS = torch.cartesian_prod(*3 * (torch.arange(2),))[:, [2, 1, 0]]  # in the order of the Morton curve


@dataclass(frozen=True)
class Cubes:
    """The cubes of one level that hold points: lower corners [k, 3], their side, numbers of points [k].

    cube [n]: of the points `rows` [n] that are left, the cube. parent, octant [k]: of which cube of the level before,
    and which eighth of it.
    """

    lower: Tensor
    side: float
    counts: Tensor
    rows: Tensor
    cube: Tensor
    parent: Tensor
    octant: Tensor

    @classmethod
    def first(cls, lower: Tensor, side: float, rows: Tensor) -> Cubes:
        """The cube that all of some points lie in."""
        zero = torch.zeros(1, dtype=torch.int64, device=rows.device)
        return cls(lower[None], side, zero + len(rows), rows, torch.zeros_like(rows), zero, zero)

    def divided(self, points: Tensor, wanted: Tensor) -> Cubes:
        """The eighths, with points, of the cubes under a mask [k]."""
        keep = wanted[self.cube]
        rows, cube = self.rows[keep], self.cube[keep]
        above = points[rows] >= (self.lower + 0.5 * self.side)[cube]
        key = cube * 8 + (above * torch.tensor([1, 2, 4], device=rows.device)).sum(1)
        if bool((key.diff() < 0).any()):  # points on the curve of another cube are not in order
            key, order = key.sort(stable=True)
            rows = rows[order]
        key, cube, counts = torch.unique_consecutive(key, return_inverse=True, return_counts=True)
        parent, octant = key // 8, key % 8
        lower = self.lower[parent] + 0.5 * self.side * OCTANTS.to(rows.device)[octant]
        return Cubes(lower, 0.5 * self.side, counts, rows, cube, parent, octant)

    def kept(self, mask: Tensor) -> Cubes:
        """Those under a mask [k]."""
        number = mask.cumsum(0) - 1
        point = mask[self.cube]
        return Cubes(
            self.lower[mask], self.side, self.counts[mask], self.rows[point], number[self.cube[point]],
            self.parent[mask], self.octant[mask],
        )  # fmt: skip

    def empty_eighths(self, finer: Cubes, divided: Tensor) -> tuple[Tensor, Tensor]:
        """Lower corners [e, 3] of the eighths without points of the cubes [d] that were divided, and these cubes."""
        full = torch.zeros(len(self.counts), 8, dtype=torch.bool, device=divided.device)
        full[finer.parent, finer.octant] = True
        which, octant = (~full[divided]).nonzero().T
        parent = divided[which]
        return self.lower[parent] + finer.side * OCTANTS.to(divided.device)[octant], parent
