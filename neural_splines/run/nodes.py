"""The points of a plan, shared out to nodes of an octree by counts of the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..cloud.octree import MORTON_BITS, bounding_cube, morton_codes, morton_coordinates
from ..geometry import Box

COUNTED = 8**7  # cubes at a time that points are counted in: 16 MB
Count = Callable[[Tensor, int, int], Tensor]


@dataclass(frozen=True)
class Nodes:
    """Cubes [k] of the octree over a box, in the order of the curve, with their levels and numbers of points.

    first: the first cube of level MORTON_BITS in each [k]. checksums [k]: CRC-32 of each node's rows where points are
    kept, zero before they are.
    """

    box: Box
    first: Tensor
    level: Tensor
    counts: Tensor
    checksums: Tensor

    @classmethod
    def of(cls, box: Box, most: int, count: Count) -> Nodes:
        """Nodes of at most so many points, or of level MORTON_BITS.

        count(parents [p], level, steps): the points [p, 8^steps] in the cubes that are so many levels below some cubes
        of a level. One count is enough, but where a far point makes the box large: then what holds too many points is
        counted again, in finer cubes.
        """
        firsts, levels, counts = [], [], []
        parents, top = torch.zeros(1, dtype=torch.int64), 0
        while len(parents):
            steps = max(1, min(((COUNTED // len(parents)).bit_length() - 1) // 3, MORTON_BITS - top))
            histogram = count(parents, top, steps)
            row, cube = histogram.nonzero().T
            found, here, bottom = parents[row] << 3 * steps | cube, histogram[row, cube], top + steps
            for level in range(top, bottom + 1):
                node, index = torch.unique_consecutive(found >> 3 * (bottom - level), return_inverse=True)
                total = torch.zeros(len(node), dtype=torch.int64).index_add_(0, index, here)
                done = (total <= most) if level < MORTON_BITS else torch.ones_like(total, dtype=torch.bool)
                firsts.append(node[done] << 3 * (MORTON_BITS - level))
                levels.append(torch.full((int(done.sum()),), level))
                counts.append(total[done])
                left = ~done[index]
                found, here = found[left], here[left]
            parents, top = found, bottom
        first, order = torch.cat(firsts).sort()
        return cls(box, first, torch.cat(levels)[order], torch.cat(counts)[order], torch.zeros_like(first))

    @classmethod
    def one(cls, box: Box, count: int) -> Nodes:
        """The cube around a box, with so many points."""
        zero = torch.zeros(1, dtype=torch.int64)
        return cls(box, zero, zero, torch.tensor([count]), zero)

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
        return origin + morton_coordinates(self.first).double() * (side / 2**MORTON_BITS)

    @property
    def upper(self) -> Tensor:
        return self.lower + self.sides[:, None]

    def of_points(self, points: Tensor) -> Tensor:
        """The node [n] of each point; -1 in cubes that held none when they were counted."""
        place, first = morton_codes(self.box, points), self.first.to(points.device)
        node = torch.searchsorted(first, place, right=True) - 1
        last = first + (1 << 3 * (MORTON_BITS - self.level.to(points.device)))
        return torch.where((node >= 0) & (place < last[node.clamp_min(0)]), node, -1)

    def meeting(self, lower: Tensor, upper: Tensor) -> list[int]:
        """The nodes that a box meets."""
        return ((self.lower <= upper) & (self.upper >= lower)).all(1).nonzero()[:, 0].tolist()


def counted(box: Box, points: Tensor, parents: Tensor, level: int, steps: int) -> Tensor:
    """How many points lie in the cubes [p, 8^steps] so many levels below sorted cubes [p] of a level."""
    cube = morton_codes(box, points) >> 3 * (MORTON_BITS - level - steps)
    row = torch.searchsorted(parents, cube >> 3 * steps).clamp_max(len(parents) - 1)
    place = (row << 3 * steps | cube & (8**steps - 1))[parents[row] == cube >> 3 * steps]
    return torch.bincount(place, minlength=len(parents) * 8**steps).reshape(len(parents), -1)
