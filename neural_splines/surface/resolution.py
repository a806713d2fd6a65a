"""How fine a lattice a cloud deserves, what the memory allows, and how large the surface is."""

from __future__ import annotations

import math

import torch

from ..cloud.neighbours import SPACING_RANK
from ..cloud.sampling import Sampling
from ..geometry import Box
from ..runtime import memory
from ..runtime.budget import dense_bytes, surface_bytes
from ..settings import MAX_GRID
from .lattice import Grid, Lattice

VOXELS_PER_SPACING = 1.6  # of points one spacing apart on a square grid: the bunny gets 225, the knot 188
COARSEST, FINEST = 128, 2048  # few points make a smooth field, which fewer voxels draw with corners
LEAST = 32  # where the memory allows no more
SHARE = 0.5  # of the free memory that the surface may take
COARSE = (4, 8, 16, 32)  # cells along the longest side, to see where points are
CELLS_PER_SQUARE = 1.5  # that a surface of one square passes, as wide as they are


def spacing_size(rank: float, side: float) -> int:
    """GRID_SIZE of a box whose longest side is given, for points with that median distance to their 6th neighbour."""
    spacing = rank * math.sqrt(math.pi / SPACING_RANK)  # a disc around a point has so many others in it
    return max(COARSEST, min(MAX_GRID, round(VOXELS_PER_SPACING * side / max(spacing, 1e-9 * side))))


def choose_grid_size(sampling: Sampling, scale: float, dense: bool, device: torch.device) -> int:
    """GRID_SIZE of a cloud: 1.6 voxels for the points' spacing, 128 at least, as far as half of the memory allows.

    n points on an area A are sqrt(A / n) apart: the spacing of a square grid of the same density.
    """
    box = Box.around(sampling.points)
    size = min(FINEST, spacing_size(sampling.median_spacing, scale * float(box.sides.max())))
    free = memory.available(memory.CPU if dense else device)
    if free is None:
        return size
    lattice = Lattice.around(box, scale, size)
    if dense:
        fits = size * (SHARE * free / dense_bytes(lattice.shape)) ** (1 / 3)
    else:
        fits = size * math.sqrt(SHARE * free / max(1, surface_bytes(squares(lattice, sampling))))
    return max(LEAST, min(size, int(fits)))


def squares(lattice: Lattice, sampling: Sampling) -> float:
    """The area of the surface that the points of a cloud lie on, in square voxels.

    The less of two: of coarse cells with points, each passed by as much surface on average; and of discs that points
    have to themselves, which noise makes too large.
    """
    at, rank = lattice.coordinates(sampling.points), min(SPACING_RANK, len(sampling.points) - 1)
    by_cells = 0.0
    for count in COARSE:
        grid, stride = Grid((count + 2,) * 3), max(lattice.shape) / count
        cells = torch.unique(grid.ids((at / stride).floor().long().clamp(-1, count) + 1))
        by_cells = max(by_cells, len(cells) / CELLS_PER_SQUARE * stride**2)
    by_discs = math.pi / rank * float(sampling.spacing.square().sum()) / lattice.voxel_size**2
    return min(by_cells, by_discs)
