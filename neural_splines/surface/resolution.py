"""How fine a lattice a cloud deserves, and what the memory allows."""

from __future__ import annotations

import math

import torch

from ..geometry import Box
from ..neighbours import SPACING_RANK
from ..runtime import memory
from ..sampling import Sampling
from ..settings import MAX_GRID
from .budget import BAND_CELLS, band_bytes
from .lattice import Lattice

VOXELS_PER_SPACING = 1.6  # of points one spacing apart on a square grid: the bunny gets 225, the knot 188
COARSEST, FINEST = 128, 2048  # few points make a smooth field, which fewer voxels draw with corners
LEAST = 32  # where the memory allows no more
SHARE = 0.5  # of the free memory that the surface may take


def spacing_size(rank: float, side: float) -> int:
    """GRID_SIZE of a box whose longest side is given, for points with that median distance to their 6th neighbour."""
    spacing = rank * math.sqrt(math.pi / SPACING_RANK)  # a disc around a point has so many others in it
    return max(COARSEST, min(MAX_GRID, round(VOXELS_PER_SPACING * side / max(spacing, 1e-9 * side))))


def choose_grid_size(sampling: Sampling, scale: float, dense: bool, device: torch.device) -> int:
    """GRID_SIZE of a cloud: 1.6 voxels for the points' spacing, 128 at least, as far as half of the memory allows.

    n points on an area A are sqrt(A / n) apart: the spacing of a square grid of the same density.
    """
    points = sampling.points
    size = min(FINEST, spacing_size(sampling.typical, scale * float(Box.around(points).sides.max())))
    free = memory.available(memory.CPU if dense else device)
    if free is None:
        return size
    if dense:
        fits = size * (SHARE * free / (8.0 * Lattice.around(Box.around(points), scale, size).size)) ** (1 / 3)
    else:
        lattice = Lattice.around(Box.around(points), scale, max(size, BAND_CELLS))
        fits = size * math.sqrt(SHARE * free / max(1, band_bytes(lattice, points)))
    return max(LEAST, min(size, int(fits)))
