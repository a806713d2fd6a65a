"""The regularization of one spline, chosen by points that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from ..cloud.clouds import OrientedCloud
from ..runtime.monitor import Monitor, Silent
from ..spline.fitting import SplinePlan, fit_spline
from ..spline.solvers import Solver
from ..spline.spline import NeuralSpline
from . import score

LADDER = tuple(10.0**k for k in range(-11, -1))  # from closely to loosely
FIRST = (2, 5, 8)  # the levels tried first
HELD_OUT, MOST = 0.1, 4000  # the share of the points that judge, and how many at most
CENTERS = 3000  # that are enough to choose by: the best level hardly depends on their number


def choose_regularization(
    cloud: OrientedCloud, plan: SplinePlan, solver: Callable[[float], Solver], monitor: Monitor
) -> tuple[float, str, list[str]]:
    """The level of the ladder whose spline passes closest to a tenth of the points, words about it, and warnings.

    The error of a level is `judge.errors`: distances along the normals, with a little of the angles. Where no point
    judges, the regularization is the plan's own.
    """
    try:
        return *_best(cloud, plan, solver, monitor), []
    except score.UnjudgedError:
        taken = plan.solver.regularization
        line = (
            "smoothing could not be chosen from the points: too few points, or contradictory normals. Defaults are "
            f"used (regularization {taken:.0e}); check the cloud, or set --regularization"
        )
        return taken, f"regularization {taken:.0e} (default, not chosen from the points)", [line]


def _best(
    cloud: OrientedCloud, plan: SplinePlan, solver: Callable[[float], Solver], monitor: Monitor
) -> tuple[float, str]:
    """The best level and words about it. Raises judge.UnjudgedError."""
    monitor.phase("regularization")
    generator = torch.Generator().manual_seed(plan.generator.initial_seed())
    held = torch.randperm(len(cloud), generator=generator)[: max(1, min(int(HELD_OUT * len(cloud)), MOST))]
    mask = torch.zeros(len(cloud), dtype=torch.bool)
    mask[held] = True
    mask = mask.to(cloud.points.device)
    points, normals = cloud.points[mask], cloud.normals[mask]
    rest = OrientedCloud(cloud.points[~mask], cloud.normals[~mask])
    centers = replace(plan.centers, count=min(plan.centers.count, CENTERS, 3 * len(rest)))

    def spline(level: int) -> NeuralSpline:
        again = torch.Generator().manual_seed(plan.generator.initial_seed())
        level_plan = replace(plan, centers=centers, solver=solver(LADDER[level]), generator=again)
        return fit_spline(rest, level_plan, Silent()).field

    window = 0.0
    found: dict[int, score.Residuals] = {}

    def errors(levels: Sequence[int]) -> dict[int, float]:
        nonlocal window
        for level in levels:
            field = spline(level)
            value, slope = field.gradient(points)
            if not window:
                window = score.window(value, slope, normals)
            along = field.evaluate(score.lines(points, normals, window))
            found[level] = score.residuals(value, slope, along, normals, window)
        return dict(zip(found, score.errors(list(found.values())), strict=True))

    best = score.least(len(LADDER), FIRST, errors)
    return LADDER[best], f"regularization {LADDER[best]:.0e} ({score.said(found[best].distance)} of the surface)"
