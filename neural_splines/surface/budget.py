"""Memory of a dense grid, and of the cubes of a narrow band, against what there is."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..runtime import memory
from .lattice import Grid, Lattice

# The narrow band. Measured on scans: the surface passes 1.1 to 2.1 cubes for a square voxel of an occupied cell's side,
# and each takes 340 bytes with its share of the mesh. Less is asked for here, lest a run is refused that would do.
BAND_CELLS = 32  # along the longest side
CUBES_PER_SQUARE, CUBE_BYTES = 0.75, 300


def check_dense(lattice: Lattice) -> None:
    """Refuse a dense grid, which is float64 on the CPU, that cannot fit."""
    needed, free = 8 * lattice.size, memory.available(memory.CPU)
    if free is not None and needed > free:
        most = int(max(lattice.shape) * (max(0, free) / needed) ** (1 / 3))
        nx, ny, nz = lattice.shape
        memory.refuse(
            f"a dense grid of {nx} x {ny} x {nz} values", needed, free, memory.CPU,
            f"use a GRID_SIZE of at most {most}, or drop --dense and --save-grid",
        )  # fmt: skip


def band_bytes(lattice: Lattice, points: Tensor) -> int:
    """What the cubes take that the surface near points [n, 3] passes, at least."""
    stride = max(lattice.shape) / BAND_CELLS
    coarse = Grid((BAND_CELLS + 2,) * 3)  # rounding may lead one beyond either end
    cells = (lattice.coordinates(points) / stride).floor().long().clamp(-1, BAND_CELLS) + 1
    occupied = int((torch.bincount(coarse.ids(cells), minlength=coarse.size) > 0).sum())
    return int(CUBE_BYTES * CUBES_PER_SQUARE * occupied * stride**2)


def check_band(lattice: Lattice, points: Tensor, device: torch.device) -> None:
    """Refuse a lattice on which the surface near points [n, 3] passes more cubes than can fit."""
    needed, free = band_bytes(lattice, points), memory.available(device)
    if free is not None and needed > free:
        size = max(lattice.shape)
        most = int(size * math.sqrt(max(0, free) / needed))
        what = f"the surface on a grid of {size} voxels"
        memory.refuse(what, needed, free, device, f"use a GRID_SIZE of at most {most}")
