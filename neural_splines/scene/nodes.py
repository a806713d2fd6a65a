"""The points of a scene, shared out to nodes of an octree by one count of the whole."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..geometry import MORTON_BITS, Box, bounding_cube, morton_codes, morton_coordinates

COUNTED_LEVEL = 7  # points are counted in cubes of this level: no node is smaller


@dataclass(frozen=True)
class Nodes:
    """Cubes [k] of the octree over a box, in the order of the curve, with their levels and numbers of points.

    first: the first cube of COUNTED_LEVEL in each [k]. checksums [k]: CRC-32 of each node's rows where points are kept,
    zero before they are.
    """

    box: Box
    first: Tensor
    level: Tensor
    counts: Tensor
    checksums: Tensor

    @classmethod
    def of(cls, box: Box, histogram: Tensor, most: int) -> Nodes:
        """Nodes of at most so many points, or of COUNTED_LEVEL; `histogram` [8^COUNTED_LEVEL] of the points."""
        firsts, levels, counts = [], [], []
        found = histogram.nonzero()[:, 0]
        here = histogram[found]
        for level in range(COUNTED_LEVEL + 1):
            shift = 3 * (COUNTED_LEVEL - level)
            node, index = torch.unique_consecutive(found >> shift, return_inverse=True)
            total = torch.zeros(len(node), dtype=torch.int64).index_add_(0, index, here)
            done = (total <= most) if level < COUNTED_LEVEL else torch.ones_like(total, dtype=torch.bool)
            firsts.append(node[done] << shift)
            levels.append(torch.full((int(done.sum()),), level))
            counts.append(total[done])
            left = ~done[index]
            found, here = found[left], here[left]
            if not len(found):
                break
        first, order = torch.cat(firsts).sort()
        return cls(box, first, torch.cat(levels)[order], torch.cat(counts)[order], torch.zeros_like(first))

    def __len__(self) -> int:
        return len(self.first)

    @property
    def starts(self) -> Tensor:
        """Where each node's points begin in the list of all [k]."""
        return self.counts.cumsum(0) - self.counts

    @property
    def sides(self) -> Tensor:
        return bounding_cube(self.box)[1] / 2.0**self.level

    @property
    def lower(self) -> Tensor:
        origin, side = bounding_cube(self.box)
        return origin + morton_coordinates(self.first).double() * (side / 2**COUNTED_LEVEL)

    @property
    def upper(self) -> Tensor:
        return self.lower + self.sides[:, None]

    def of_points(self, points: Tensor) -> Tensor:
        """The node [n] of each point; -1 in cubes that held none when they were counted."""
        place, first = counted_cubes(self.box, points), self.first.to(points.device)
        node = torch.searchsorted(first, place, right=True) - 1
        last = first + (1 << 3 * (COUNTED_LEVEL - self.level.to(points.device)))
        return torch.where((node >= 0) & (place < last[node.clamp_min(0)]), node, -1)

    def meeting(self, lower: Tensor, upper: Tensor) -> list[int]:
        """The nodes that a box meets."""
        return ((self.lower <= upper) & (self.upper >= lower)).all(1).nonzero()[:, 0].tolist()


def counted_cubes(box: Box, points: Tensor) -> Tensor:
    """The cubes [n] of COUNTED_LEVEL that points lie in."""
    return morton_codes(box, points) >> 3 * (MORTON_BITS - COUNTED_LEVEL)
