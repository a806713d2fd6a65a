"""The voxel lattice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..geometry import Box

MIN_VOXELS = 4  # a flat cloud still gets a lattice on both sides


@dataclass(frozen=True)
class Grid:
    """Points (i, j, k) known by linear ids, which run with k fastest."""

    shape: tuple[int, int, int]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def ids(self, index: Tensor) -> Tensor:
        """Linear ids [...] of indices [..., 3]."""
        return (index[..., 0] * self.shape[1] + index[..., 1]) * self.shape[2] + index[..., 2]

    def indices(self, ids: Tensor) -> Tensor:
        """Indices [..., 3] of linear ids [...]."""
        rest = ids // self.shape[2]
        return torch.stack([rest // self.shape[1], rest % self.shape[1], ids % self.shape[2]], dim=-1)


@dataclass(frozen=True)
class Lattice(Grid):
    """The grid whose point (i, j, k) lies at origin + (start + index + 0.5) * voxel_size.

    start: of a part of a larger lattice, the index there of its first point; so both have the same positions, to the
    bit.
    """

    origin: Tensor  # [3], float64
    voxel_size: float
    start: tuple[int, int, int] = (0, 0, 0)

    @classmethod
    def covering(cls, box: Box, grid_size: int) -> Lattice:
        """`grid_size` voxels along the longest side of the box, proportionally many along the others."""
        voxel_size = float(box.sides.max()) / grid_size
        counts = [max(MIN_VOXELS, math.ceil(side / voxel_size - 1e-6)) for side in box.sides.tolist()]
        origin = box.center - 0.5 * voxel_size * torch.tensor(counts, dtype=torch.float64)
        return cls((counts[0], counts[1], counts[2]), origin, voxel_size)

    @classmethod
    def around(cls, box: Box, scale: float, grid_size: int) -> Lattice:
        """`grid_size` voxels along the longest side of the box of a cloud, scaled; short sides have the same margin: a
        surface ends up to a spacing beyond its points, along every axis alike.
        """
        half = 0.5 * box.sides + 0.5 * (scale - 1.0) * box.sides.max()
        return cls.covering(Box(box.center - half, box.center + half), grid_size)

    def grown(self, before: Tensor, after: Tensor) -> Lattice:
        """With so many more voxels [3] before the first and after the last along each axis; its points stay."""
        x, y, z = (torch.tensor(self.shape) + before + after).tolist()
        return Lattice((x, y, z), self.origin - self.voxel_size * before.double(), self.voxel_size)

    def part(self, first: Sequence[int], last: Sequence[int]) -> Lattice:
        """The points with first <= index <= last along each axis, as far as they exist."""
        low = [max(0, int(f)) for f in first]
        high = [min(n - 1, int(end)) for n, end in zip(self.shape, last, strict=True)]
        x, y, z = (max(0, b - a + 1) for a, b in zip(low, high, strict=True))
        return Lattice((x, y, z), self.origin, self.voxel_size, (low[0], low[1], low[2]))

    @property
    def voxel_diagonal(self) -> float:
        return math.sqrt(3.0) * self.voxel_size

    @property
    def box(self) -> Box:
        start, sides = (self.voxel_size * torch.tensor(n, dtype=torch.float64) for n in (self.start, self.shape))
        return Box(self.origin + start, self.origin + start + sides)

    def positions(self, index: Tensor) -> Tensor:
        start = torch.tensor(self.start, device=index.device)
        return self.origin.to(index.device) + (index.double() + start + 0.5) * self.voxel_size

    def coordinates(self, points: Tensor) -> Tensor:
        """World points in units of the lattice: lattice point (i, j, k) has these coordinates."""
        start = torch.tensor(self.start, device=points.device)
        return (points - self.origin.to(points.device)) / self.voxel_size - 0.5 - start
