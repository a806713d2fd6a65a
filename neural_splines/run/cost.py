"""How long a run will take, and how much memory its surface: estimated from the points before the fit, and said.

Good to a factor of two, which tells minutes from hours. A surface that surely cannot fit is refused here; what a system
of equations takes is known exactly where it is made (`runtime/budget.py` has both).
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from ..cloud.sampling import Sampling
from ..kernels.kernels import make_kernel
from ..kernels.products import Compute
from ..runtime import budget, memory
from ..settings import AUTO, Settings
from ..surface.dense import Evaluate
from ..surface.lattice import Lattice
from ..surface.resolution import squares

logger = logging.getLogger("neural_splines.cost")  # commands show it

# For each cube, measured with one thread on spheres, tori and scans: evaluations of the field (and of its slopes, which
# take twice as long), and seconds beside them.
CUBE_EVALUATIONS, CUBE_SECONDS = 7.0, {"cpu": 8e-6, "cuda": 2e-7}
FAR_POINTS, FAR_CENTERS = 20_000, 2000  # of the spline that closes holes
CENTERS_AT_A_POINT = 500  # of the cells that overlap there
POINT_SECONDS = {"cpu": 1e-4, "cuda": 1e-6}  # to fit cells; on a GPU mostly to read and check
# To choose how much they smooth, for each point of those that are looked at; a GPU's are in what it takes to fit.
CHOICE_SECONDS, LOOKED_AT = {"cpu": 6e-4, "cuda": 0.0}, 12_000
# Seconds of the phases of cells on a CPU, for each point, for each point that smoothings are tried at, and for each
# cube: measured in CPU seconds on scans of 36,000 to 250,000 points at grid auto. What counts is their proportions.
OF_POINTS = {
    "neighbours": 7.4e-6, "winding field": 8.3e-6, "directions": 1.3e-6, "patches": 1.2e-6, "signs": 1.35e-5,
    "points": 6e-6, "fit": 2e-5,
}  # fmt: skip
OF_TRIALS = {"smoothing": 2.1e-4}
OF_CUBES = {
    "sample": 6.6e-6, "mesh": 4.5e-6, "trim": 5e-6, "compare": 4e-7, "write": 4e-7, "shape": 2.5e-7, "pictures": 6e-6,
}  # fmt: skip
# The same of those after sampling, for each evaluation, of which rough surfaces take twice as many for a cube.
OF_EVALUATIONS = {"sample": 1e-6, "mesh": 7e-7, "trim": 8e-7, "compare": 1e-7, "write": 6e-8, "pictures": 1.1e-6}
PROBE = 1024, 512  # rows and columns of a product that is timed
WORTH_A_PROBE, NOMINAL = 1e9, 1e8  # kernel values; in a second
WORTH_SAYING = 60.0  # seconds


@dataclass(frozen=True)
class Cost:
    """squares: the area of the surface in square voxels. seconds: of the whole run."""

    squares: float
    seconds: float

    def __str__(self) -> str:
        return f"about {_duration(self.seconds)} and {budget.surface_bytes(self.squares) / 1e9:.2g} GB"


def estimate(lattice: Lattice, sampling: Sampling, centers: int | None, settings: Settings, compute: Compute) -> Cost:
    """Of a run with one spline of so many centres, or with cells."""
    device, count = compute.device.type, len(sampling.points)
    area = squares(lattice, sampling)
    cubes = budget.CUBES_PER_SQUARE * area
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
    return Cost(area, seconds + pairs / rate)


def phases(squares: float, count: int, settings: Settings) -> dict[str, float]:
    """Seconds that the phases of cells take on a CPU, in proportion: of a surface of so many square voxels, and of so
    many points.
    """
    cubes = budget.CUBES_PER_SQUARE * squares
    found = {name: each * count for name, each in OF_POINTS.items()} | {"read": 0.1}
    if settings.regularization == AUTO:
        found |= {name: each * min(count, LOOKED_AT) for name, each in OF_TRIALS.items()}
    found |= {"downsample": 0.0, "colour": 0.0}  # little, where they come
    return found | {name: each * cubes for name, each in OF_CUBES.items()}


def after_sampling(evaluations: int) -> dict[str, float]:
    """What is left of them, and what sampling took, when the evaluations are counted."""
    return {name: each * evaluations for name, each in OF_EVALUATIONS.items()}


def check(cost: Cost, lattice: Lattice, settings: Settings, device: torch.device) -> None:
    """Say what takes long, and refuse what cannot fit."""
    size = max(lattice.shape)
    if settings.dense:
        budget.check_dense(lattice.shape)
    else:
        budget.check_surface(cost.squares, size, device)
    if cost.seconds > WORTH_SAYING:
        logger.info("this will take %s, most of it for a GRID_SIZE of %d", cost, size)


class EvaluationBudget:
    """The evaluations of a field on a lattice, which end with a refusal where their cubes no longer fit.

    A surface is as large as its points suggest, unless it goes on where there are none.
    """

    def __init__(self, evaluate: Evaluate, lattice: Lattice, device: torch.device):
        self._evaluate, self._size, self._device = evaluate, max(lattice.shape), device
        self._free, self._count = memory.available(device), 0

    def __call__(self, points: Tensor) -> Tensor:
        self._count += len(points)
        needed = budget.EVALUATION_BYTES * self._count
        if self._free is not None and needed > self._free:
            memory.refuse(
                f"the surface on a grid of {self._size} voxels, which goes on where there are no points,", needed,
                self._free, self._device, f"use a GRID_SIZE of at most {self._size // 2}, or check the points",
            )  # fmt: skip
        return self._evaluate(points)


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
