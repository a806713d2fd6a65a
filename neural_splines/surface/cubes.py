"""Cubes of eight neighbouring lattice points: those that the surface passes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..runtime.arrays import distinct
from ..runtime.devices import map_in_halves, pieces, to_device
from ..runtime.sorted_sets import places, union
from .lattice import Grid, Lattice

# Corner c of a cube is at offset (c & 1, c >> 1 & 1, c >> 2 & 1).
CORNERS = torch.tensor([[c & 1, c >> 1 & 1, c >> 2 & 1] for c in range(8)])
# Edge 4 * axis + k joins the k-th corner (in ascending order) without the axis' bit to the one with it.
EDGES = [(c, c | 1 << axis) for axis in range(3) for c in range(8) if not c >> axis & 1]
# Face 2 * axis + side: its corners.
FACES = [[c for c in range(8) if c >> axis & 1 == side] for axis in range(3) for side in (0, 1)]


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
        return to_device(self, device)

    def values_at(self, point_ids: Tensor) -> Tensor:
        """Values at corners of these cubes, whose ids [q] or [q, k] are sorted along the first axis."""
        return self.point_values[places(point_ids, self.point_ids)]


def is_crossing(corners: Tensor) -> Tensor:
    """Whether the values [..., 8] at the corners of cubes are all defined and of both signs."""
    inside = corners < 0
    return inside.any(-1) & ~inside.all(-1) & ~corners.isnan().any(-1)


def corner_points(grid: Grid, ids: Tensor) -> Tensor:
    """The distinct ids of the corners of cubes [c], sorted, as these are."""
    if ids.device.type == "cpu":
        for step in grid.ids(torch.eye(3, dtype=torch.int64)).tolist():
            ids = union(ids, ids + step)
        return ids
    offsets = grid.ids(CORNERS.to(ids.device))
    parts = map_in_halves(lambda chunk: distinct(chunk[:, None] + offsets), pieces(ids))
    return parts[0] if len(parts) == 1 else distinct(torch.cat(parts))
