"""Cubes of a dense grid, found without the narrow band: what the tests hold it against."""

import torch
from torch import Tensor

from neural_splines.surface.cubes import CORNERS, Cubes, corner_points, is_crossing
from neural_splines.surface.lattice import Lattice


def crossing_cubes(values: Tensor, lattice: Lattice) -> Cubes:
    """The crossing cubes of a dense grid of values, found slab by slab."""
    ids, point_ids = [], []
    slab = max(1, (1 << 20) // (lattice.shape[1] * lattice.shape[2]))
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
