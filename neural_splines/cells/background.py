"""A coarse spline of the whole cloud, which closes the surface where no cell is."""

from __future__ import annotations

import torch

from ..cloud.clouds import OrientedCloud
from ..kernels.kernels import Kernel
from ..kernels.products import Compute
from ..runtime.monitor import Silent
from ..spline.fitting import Centers, SplinePlan, fit_spline
from ..spline.solvers import Solver
from ..spline.spline import NeuralSpline

POINTS, CENTERS = 20_000, 3000
EPS = 0.004  # of the cloud's diagonal
REGULARIZATION = 1e-9


def fit_background(
    cloud: OrientedCloud, diagonal: float, kernel: Kernel, solver: Solver, compute: Compute, generator: torch.Generator
) -> NeuralSpline:
    """One spline of a sample of POINTS points at most, of a cloud whose box has that diagonal."""
    plan = SplinePlan(kernel, EPS * diagonal, Centers(CENTERS, "blue-noise"), solver, compute, generator)
    return fit_spline(cloud, plan, Silent()).field
