"""The voxel lattice, the values of a field on all of it, and the cubes of it that the surface passes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .devices import moved, pieces
from .geometry import Box

MIN_VOXELS = 4  # a flat cloud still gets a lattice on both sides
DENSE_CHUNK = 1 << 20  # lattice points evaluated at a time

# Corner c of a cube is at offset (c & 1, c >> 1 & 1, c >> 2 & 1).
CORNERS = torch.tensor([[c & 1, c >> 1 & 1, c >> 2 & 1] for c in range(8)])
# Edge 4 * axis + k joins the k-th corner (in ascending order) without the axis' bit to the one with it.
EDGES = [(c, c | 1 << axis) for axis in range(3) for c in range(8) if not c >> axis & 1]
# Face 2 * axis + side: its corners.
FACES = [[c for c in range(8) if c >> axis & 1 == side] for axis in range(3) for side in (0, 1)]


@dataclass(frozen=True)
class Lattice:
    """Value (i, j, k) lies at origin + (index + 0.5) * voxel_size; linear ids run with k fastest."""

    origin: Tensor  # [3], float64
    voxel_size: float
    shape: tuple[int, int, int]

    @classmethod
    def covering(cls, box: Box, grid_size: int) -> Lattice:
        """`grid_size` voxels along the longest side of the box, proportionally many along the others."""
        voxel_size = float(box.sides.max()) / grid_size
        counts = [max(MIN_VOXELS, math.ceil(side / voxel_size - 1e-6)) for side in box.sides.tolist()]
        origin = box.center - 0.5 * voxel_size * torch.tensor(counts, dtype=torch.float64)
        return cls(origin, voxel_size, tuple(counts))

    @property
    def voxel_diagonal(self) -> float:
        return math.sqrt(3.0) * self.voxel_size

    @property
    def box(self) -> Box:
        sides = self.voxel_size * torch.tensor(self.shape, dtype=torch.float64)
        return Box(self.origin, self.origin + sides)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def ids(self, index: Tensor) -> Tensor:
        return (index[..., 0] * self.shape[1] + index[..., 1]) * self.shape[2] + index[..., 2]

    def indices(self, ids: Tensor) -> Tensor:
        rest = ids // self.shape[2]
        return torch.stack([rest // self.shape[1], rest % self.shape[1], ids % self.shape[2]], dim=-1)

    def positions(self, index: Tensor) -> Tensor:
        return self.origin.to(index.device) + (index.double() + 0.5) * self.voxel_size

    def coordinates(self, points: Tensor) -> Tensor:
        """World points in units of the lattice: lattice point (i, j, k) has these coordinates."""
        return (points - self.origin.to(points.device)) / self.voxel_size - 0.5


@dataclass(frozen=True)
class Cubes:
    """Cubes of eight lattice points whose values are all defined and of both signs, with these values.

    ids: linear ids of the cubes' lowest corners, sorted [c]. point_ids: those of all their corners, sorted [p],
    with their values [p]. evaluations: how many lattice points were evaluated to find them.
    """

    lattice: Lattice
    ids: Tensor
    point_ids: Tensor
    point_values: Tensor
    evaluations: int

    def to(self, device: torch.device) -> Cubes:
        return moved(self, device)

    def values_at(self, point_ids: Tensor) -> Tensor:
        """Values at corners of these cubes."""
        return self.point_values[torch.searchsorted(self.point_ids, point_ids)]


Evaluate = Callable[[Tensor], Tensor]


def sample_dense(evaluate: Evaluate, lattice: Lattice, device: torch.device, on_progress=None) -> Tensor:
    """The field at every lattice point, [nx, ny, nz] in float64 on the CPU."""
    values = torch.empty(lattice.size, dtype=torch.float64)
    for start in range(0, lattice.size, DENSE_CHUNK):
        ids = torch.arange(start, min(start + DENSE_CHUNK, lattice.size), device=device)
        values[start : start + DENSE_CHUNK] = evaluate(lattice.positions(lattice.indices(ids))).cpu()
        if on_progress:
            on_progress(min(start + DENSE_CHUNK, lattice.size), lattice.size)
    return values.reshape(lattice.shape)


def crossing_cubes(values: Tensor, lattice: Lattice) -> Cubes:
    """The crossing cubes of a dense grid of values, found slab by slab."""
    ids, point_ids = [], []
    slab = max(1, DENSE_CHUNK // (lattice.shape[1] * lattice.shape[2]))
    for start in range(0, lattice.shape[0] - 1, slab):
        block = values[start : start + slab + 1]
        nx, ny, nz = (s - 1 for s in block.shape)
        corners = torch.stack([block[i : i + nx, j : j + ny, k : k + nz] for i, j, k in CORNERS.tolist()], dim=-1)
        index = is_crossing(corners).nonzero()
        index[:, 0] += start
        ids.append(lattice.ids(index))
        point_ids.append(corner_points(lattice, ids[-1]))
    points = torch.unique(torch.cat(point_ids))
    return Cubes(lattice, torch.cat(ids), points, values.reshape(-1)[points], lattice.size)


def is_crossing(corners: Tensor) -> Tensor:
    """Whether the values [..., 8] at the corners of cubes are all defined and of both signs."""
    inside = corners < 0
    return inside.any(-1) & ~inside.all(-1) & ~corners.isnan().any(-1)


def corner_points(lattice: Lattice, ids: Tensor) -> Tensor:
    """The distinct ids of the corners of cubes [c], sorted."""
    offsets = lattice.ids(CORNERS.to(ids.device))
    parts = [torch.unique(chunk[:, None] + offsets) for chunk in pieces(ids)]
    return parts[0] if len(parts) == 1 else torch.unique(torch.cat(parts))
