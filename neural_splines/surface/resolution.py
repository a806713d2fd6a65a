"""How fine a lattice a cloud deserves, and what the memory allows."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..geometry import Box
from ..neighbours import SPACING_RANK, Neighbours
from ..runtime import memory
from ..settings import MAX_GRID
from .budget import BAND_CELLS, band_bytes
from .lattice import Lattice

SAMPLE = 20_000  # points whose spacing is measured
VOXELS_PER_SPACING = 1.6  # of points one spacing apart on a square grid: the bunny gets 225, the knot 188
COARSEST, FINEST = 128, 2048  # few points make a smooth field, which fewer voxels draw with corners
LEAST = 32  # where the memory allows no more
SHARE = 0.5  # of the free memory that the surface may take


def spacing_size(rank: float, side: float) -> int:
    """GRID_SIZE of a box whose longest side is given, for points with that median distance to their 6th neighbour."""
    spacing = rank * math.sqrt(math.pi / SPACING_RANK)  # a disc around a point has so many others in it
    return max(COARSEST, min(MAX_GRID, round(VOXELS_PER_SPACING * side / max(spacing, 1e-9 * side))))


def choose_grid_size(points: Tensor, scale: float, dense: bool, device: torch.device) -> int:
    """GRID_SIZE of points [n, 3]: 1.6 voxels for their spacing, 128 at least, as far as half of the memory allows.

    n points on an area A are sqrt(A / n) apart: the spacing of a square grid of the same density.
    """
    stride = max(1, len(points) // SAMPLE)
    rank = Neighbours(points).spacing(points[::stride]).median()
    size = min(FINEST, spacing_size(float(rank), scale * float(Box.around(points).sides.max())))
    free = memory.available(memory.CPU if dense else device)
    if free is None:
        return size
    if dense:
        fits = size * (SHARE * free / (8.0 * Lattice.around(Box.around(points), scale, size).size)) ** (1 / 3)
    else:
        lattice = Lattice.around(Box.around(points), scale, max(size, BAND_CELLS))
        fits = size * math.sqrt(SHARE * free / max(1, band_bytes(lattice, points)))
    return max(LEAST, min(size, int(fits)))
