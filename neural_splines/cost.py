"""How long a run will take, and how much memory its surface: estimated from the points before the fit, and said.

Good to a factor of two, which tells minutes from hours. What surely cannot fit is refused here; what a system of
equations takes is known exactly where it is made (`budget.py`).
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from .field.kernels import make_kernel
from .field.products import Compute
from .neighbours import SPACING_RANK
from .runtime import memory
from .sampling import Sampling
from .settings import AUTO, Settings
from .surface.dense import Evaluate
from .surface.lattice import Grid, Lattice

logger = logging.getLogger("neural_splines.cost")  # commands show it

CUBES_PER_SQUARE = 1.5  # a surface of one square voxel passes so many
CELLS_PER_SQUARE = 1.5  # of any size, for the same reason
COARSE = (4, 8, 16, 32)  # along the longest side, to see where points are
# For each cube, measured with one thread on spheres, tori and scans: bytes at least, evaluations of the field (and
# of its slopes, which take three times as long), and seconds beside them.
CUBE_BYTES, CUBE_EVALUATIONS, CUBE_SECONDS = 300, 10.0, {"cpu": 2e-5, "cuda": 2e-7}
EVALUATION_BYTES = CUBE_BYTES // 4  # of the 3.8 values that a cube takes without its slopes
FAR_POINTS, FAR_CENTERS = 20_000, 2000  # of the spline that closes holes
CENTERS_AT_A_POINT = 500  # of the cells that overlap there
POINT_SECONDS = {"cpu": 1e-4, "cuda": 1e-6}  # to fit cells; on a GPU mostly to read and check
# To choose how much they smooth, for each point of those that are looked at; a GPU's are in what it takes to fit.
CHOICE_SECONDS, LOOKED_AT = {"cpu": 6e-4, "cuda": 0.0}, 12_000
PROBE = 1024, 512  # rows and columns of a product that is timed
WORTH_A_PROBE, NOMINAL = 1e9, 1e8  # kernel values; in a second
WORTH_SAYING = 60.0  # seconds


@dataclass(frozen=True)
class Cost:
    """cubes: that the surface passes. bytes: of these and their mesh. seconds: of the whole run."""

    cubes: float
    bytes: float
    seconds: float

    def __str__(self) -> str:
        return f"about {_duration(self.seconds)} and {self.bytes / 1e9:.2g} GB"


def estimate(lattice: Lattice, sampling: Sampling, centers: int | None, settings: Settings, compute: Compute) -> Cost:
    """Of a run with one spline of so many centres, or with cells."""
    device, count = compute.device.type, len(sampling.points)
    cubes = CUBES_PER_SQUARE * squares(lattice, sampling)
    bytes_ = CUBE_BYTES * cubes
    at_a_point = centers or CENTERS_AT_A_POINT
    evaluated = lattice.size if settings.dense else 0
    pairs = (CUBE_EVALUATIONS * cubes + evaluated) * at_a_point
    seconds = CUBE_SECONDS[device] * cubes
    if centers:
        pairs += 3.0 * count * centers * (settings.cg_max_iters + 2)
    else:
        seconds += POINT_SECONDS[device] * count
        if settings.regularization == AUTO:
            seconds += CHOICE_SECONDS[device] * min(count, LOOKED_AT)
        if settings.cells and settings.cells.fill_holes:
            pairs += 3.0 * min(count, FAR_POINTS) * FAR_CENTERS * (settings.cg_max_iters + 2)
    rate = _pairs_per_second(compute) * len(compute.devices) if pairs > WORTH_A_PROBE else NOMINAL
    return Cost(cubes, bytes_, seconds + pairs / rate)


def check(cost: Cost, lattice: Lattice, settings: Settings, device: torch.device) -> None:
    """Say what takes long, and refuse what cannot fit."""
    free, size = memory.available(device), max(lattice.shape)
    if free is not None and cost.bytes > free and not settings.dense:
        most = int(size * math.sqrt(max(0, free) / cost.bytes))
        memory.refuse(
            f"the surface on a grid of {size} voxels, about {cost.cubes:.2g} cubes,", int(cost.bytes), free, device,
            f"use a GRID_SIZE of at most {most}",
        )  # fmt: skip
    if cost.seconds > WORTH_SAYING:
        logger.info("this will take %s, most of it for a GRID_SIZE of %d", cost, size)


class Metered:
    """The evaluations of a field on a lattice, which end with a refusal where their cubes no longer fit.

    A surface is as large as its points suggest, unless it goes on where there are none.
    """

    def __init__(self, evaluate: Evaluate, lattice: Lattice, device: torch.device):
        self._evaluate, self._size, self._device = evaluate, max(lattice.shape), device
        self._free, self._count = memory.available(device), 0

    def __call__(self, points: Tensor) -> Tensor:
        self._count += len(points)
        needed = EVALUATION_BYTES * self._count
        if self._free is not None and needed > self._free:
            memory.refuse(
                f"the surface on a grid of {self._size} voxels, which goes on where there are no points,", needed,
                self._free, self._device, f"use a GRID_SIZE of at most {self._size // 2}, or check the points",
            )  # fmt: skip
        return self._evaluate(points)


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


def _pairs_per_second(compute: Compute) -> float:
    """Kernel values that a device computes in a second."""
    rows, columns = PROBE
    kernel = make_kernel("neural-spline", 0.0).covering(1.0, 1.0)
    x = compute.place(torch.linspace(-0.5, 0.5, 3 * rows, dtype=torch.float64).reshape(rows, 3))
    w, seconds = compute.place(torch.ones(columns, dtype=torch.float64)), []
    for _ in range(3):  # the first may compile
        compute.synchronize()
        start = time.perf_counter()
        compute.products.apply(kernel, x, x[:columns].contiguous(), w)
        compute.synchronize()
        seconds.append(time.perf_counter() - start)
    return rows * columns / max(min(seconds), 1e-9)


def _duration(seconds: float) -> str:
    for unit, length in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds > 2.0 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
