"""One spline of a whole cloud: its number of centres, its solver, its regularization."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..cells.fitting import NO_CELL
from ..cloud.clouds import OrientedCloud
from ..errors import CloudError
from ..kernels.kernels import make_kernel
from ..kernels.products import Compute
from ..runtime.budget import check_spline
from ..runtime.monitor import Monitor
from ..selection.regularization import choose_regularization
from ..settings import AUTO, REGULARIZATION, Settings
from ..spline.fitting import Centers, SplineFit, SplinePlan, fit_spline
from ..spline.nystrom import enough_centers
from ..spline.solvers import Solver
from ..spline.solvers import load as load_solver

MAX_AUTO_CENTERS = 20_000  # two factors of 20,000 x 20,000 take 6.4 GB


def fit_one(cloud: OrientedCloud, eps: float, settings: Settings, compute: Compute, monitor: Monitor) -> SplineFit:
    """The spline of a cloud. eps: offset of its constraints, world units. Of cells with one cell, that cell."""
    if settings.cells and len(cloud) < settings.cells.min_pts_per_cell:
        raise CloudError(NO_CELL)
    count, notes = choose_count(settings.num_nystrom_samples, 3 * len(cloud))
    check_spline(count, 3 * len(cloud), compute.dtype, compute.device)
    centers = Centers(count, settings.nystrom_mode)
    kernel, generator = make_kernel(settings.kernel, settings.outer_layer_variance), torch.Generator()
    generator.manual_seed(settings.seed)

    def solver(regularization: float) -> Solver:
        return load_solver(settings.solver)(regularization, settings.cg_max_iters, settings.cg_stop_thresh)

    given = REGULARIZATION if settings.regularization == AUTO else float(settings.regularization)
    plan, chosen = SplinePlan(kernel, eps, centers, solver(given), compute, generator), ""
    if settings.regularization == AUTO:
        regularization, chosen, warnings = choose_regularization(cloud, plan, solver, monitor)
        plan, notes = replace(plan, solver=solver(regularization)), notes + warnings
    fit = fit_spline(cloud, plan, monitor)
    return replace(fit, chosen=chosen, regularization=plan.solver.regularization, warnings=[*notes, *fit.warnings])


def choose_count(asked: int | str, constraints: int) -> tuple[int, list[str]]:
    """The number of centres of one spline with that many constraints, and what to say about it."""
    if isinstance(asked, str):
        return min(MAX_AUTO_CENTERS, enough_centers(constraints)), []
    if asked < 0:
        return constraints, []
    if asked > constraints:
        return constraints, [f"{asked} centres asked for, but the tripled cloud has {constraints} points: all are used"]
    return asked, []
