"""What each step needs in memory, stated once, and its refusal before any work where that cannot fit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from . import memory

PANELS = 4 * 1024  # rows of m numbers that the blocked factorizations hold beside two m x m matrices
CONSTRAINT_BYTES = 256  # coordinates, values and lifted coordinates of one
# Measured on scans: the surface passes 1.1 to 2.1 cubes for each square voxel of its area, and a cube takes 340 bytes
# with its share of the mesh. Less is said here, lest a run is refused that would do.
CUBES_PER_SQUARE, CUBE_BYTES = 1.5, 300
EVALUATION_BYTES = CUBE_BYTES // 4  # of the 3.8 values that a cube takes without its slopes
# A process of a run in parts, at most, by measurement: at rest, for a point of a node, for a square cube of a block
PROCESS_BYTES, NODE_POINT_BYTES, BLOCK_SQUARE_BYTES = {"cpu": 0.7e9, "cuda": 2.5e9}, 4_000.0, 3_000.0
DRAWN_FACE_BYTES = 250  # of a face and its share of the vertices, while a picture and a page are made of them
# Of a face, while its mesh is made into tiles: of the whole mesh, and of a block of it, in whose tiles it is
TILED_FACE_BYTES, TILED_BLOCK_BYTES = 140, 450
TILED_PROCESS_BYTES = 300_000_000  # of the process, beside them


def spline_bytes(centers: int, constraints: int, dtype: torch.dtype) -> int:
    """One spline: two factors of centers x centers with what their making holds, and the constraints."""
    return dtype.itemsize * centers * (2 * centers + PANELS) + CONSTRAINT_BYTES * constraints


def cell_bytes(constraints: int, centers: int, cells: int, dtype: torch.dtype) -> int:
    """The system of one cell with what its solution holds, and the models of all cells."""
    return dtype.itemsize * centers * (2 * constraints + 4 * centers) + 8 * cells * centers


def dense_bytes(shape: Sequence[int]) -> int:
    """The values of a dense grid, float64."""
    return 8 * math.prod(shape)


def surface_bytes(squares: float) -> int:
    """The cubes that a surface of that area, in square voxels, passes, and its mesh."""
    return int(CUBE_BYTES * CUBES_PER_SQUARE * squares)


def factor_device(centers: int, constraints: int, dtype: torch.dtype, device: torch.device) -> torch.device | None:
    """Where the factors of a spline fit: on its device, else on the CPU, else nowhere."""
    needed = spline_bytes(centers, constraints, dtype)
    return next((place for place in (device, memory.CPU) if memory.fits(needed, place)), None)


def check_spline(centers: int, constraints: int, dtype: torch.dtype, device: torch.device) -> None:
    """Refuse one spline whose factors fit neither on its device nor on the CPU."""
    if factor_device(centers, constraints, dtype, device):
        return
    places = (device, memory.CPU)
    free, place = max(((memory.available(place) or 0, place) for place in places), key=lambda pair: pair[0])
    rest = max(0, free - CONSTRAINT_BYTES * constraints) / dtype.itemsize
    most = int((math.sqrt(PANELS**2 + 8 * rest) - PANELS) / 4)
    remedies = [f"use at most {most} NUM_NYSTROM_SAMPLES"] if most else ["use fewer points"]
    remedies += ["--dtype float32"] if dtype.itemsize == 8 else []
    needed = spline_bytes(centers, constraints, dtype)
    memory.refuse(f"one spline with {centers} centres", needed, free, place, " or ".join([*remedies, "fit-grid.py"]))


def check_cells(constraints: int, centers: int, cells: int, dtype: torch.dtype, device: torch.device) -> None:
    """Refuse cells of which the largest, with so many constraints, has a system that cannot fit."""
    memory.check(
        f"a cell with {constraints} constraints and {centers} centres",
        cell_bytes(constraints, centers, cells, dtype), device,
        lambda _: "use fewer NUM_NYSTROM_SAMPLES, more CELLS_PER_AXIS, or auto for both",
    )  # fmt: skip


def check_dense(shape: Sequence[int]) -> None:
    """Refuse a dense grid, which is on the CPU, that cannot fit."""

    def remedy(share: float) -> str:
        return f"use a GRID_SIZE of at most {int(max(shape) * share ** (1 / 3))}, or drop --dense and --save-grid"

    memory.check(f"a dense grid of {' x '.join(map(str, shape))} values", dense_bytes(shape), memory.CPU, remedy)


def check_surface(squares: float, size: int, device: torch.device) -> None:
    """Refuse a surface of that area, in square voxels of a lattice of that size, that cannot fit."""
    memory.check(
        f"the surface on a grid of {size} voxels, about {CUBES_PER_SQUARE * squares:.2g} cubes,",
        surface_bytes(squares), device, lambda share: f"use a GRID_SIZE of at most {int(size * math.sqrt(share))}",
    )  # fmt: skip
