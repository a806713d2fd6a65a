"""A coarse spline of the whole cloud, which closes the surface where no cell is."""

from __future__ import annotations

import torch

from ..cloud.clouds import OrientedCloud
from ..kernels.kernels import Kernel
from ..kernels.products import Compute
from ..runtime.monitor import Silent
from ..spline.fitting import Centers, SplinePlan, fit_spline
from ..spline.nystrom import enough_centers
from ..spline.solvers import Solver
from ..spline.spline import NeuralSpline
from .free import FreePlaces

POINTS, CENTERS = 20_000, 3000  # at most
FREE = 10_000  # places that are known to be empty, at most
EPS = 0.004  # of the cloud's diagonal
REGULARIZATION = 1e-9


def fit_background(
    cloud: OrientedCloud, diagonal: float, kernel: Kernel, solver: Solver, compute: Compute,
    generator: torch.Generator, free: FreePlaces | None = None,
) -> NeuralSpline:  # fmt: skip
    """One spline of a sample of POINTS points at most, of a cloud whose box has that diagonal, and of FREE places."""
    more = None
    if free is not None and len(free):
        step = -(-len(free) // FREE)
        more = (free.points[::step], free.values[::step])
    count = min(CENTERS, enough_centers(3 * len(cloud) + (len(more[0]) if more else 0)))
    plan = SplinePlan(kernel, EPS * diagonal, Centers(count, "blue-noise"), solver, compute, generator)
    return fit_spline(cloud, plan, Silent(), more).field
