"""Cells and smoothing: those that are asked for, or those that held-out points choose."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import torch

from ..cells.batches import Smoothing
from ..cells.fitting import BlendPlan
from ..cloud.clouds import OrientedCloud
from ..runtime.blas import one_thread_each
from ..runtime.monitor import Monitor
from ..settings import AUTO, Settings
from .regions import regions_of
from .score import UnjudgedError
from .search import REGION_POINTS, SIZES, Choice, SmoothingSearch, unjudged

POINTS_PER_CELL = 200  # of an adaptive cell at most, where smoothing is not chosen by the data
LARGE, LOOKED_AT, NODE_POINTS = 600_000, 300_000, 20_000  # points of a large cloud, of what is seen of it, of a piece


def asked_choice(s: Settings) -> Choice | None:
    """Points of a cell at most, and smoothing, of a numeric regularization; None where held-out points choose."""
    if s.regularization == AUTO:
        return None
    return Choice(_points_per_cell(s), asked_smoothing(s))


def _points_per_cell(s: Settings) -> int:
    asked = s.cells.points_per_cell if s.cells else AUTO
    return POINTS_PER_CELL if asked == AUTO else int(asked)


def choose(plan: BlendPlan, monitor: Monitor) -> Choice:
    """Points of a cell at most, and smoothing, as held-out points choose.

    Random numbers of the choice are its own: with what it chose given, a run has the same bytes.
    """
    s, given = plan.settings, _points_per_cell(plan.settings)
    monitor.phase("smoothing")
    sizes = SIZES if plan.options.adaptive and plan.options.points_per_cell == AUTO else (given,)
    generator = torch.Generator().manual_seed(s.seed)
    private = replace(plan, generator=generator, cloud=representative(plan.cloud, generator))
    try:
        regions = regions_of(private.cloud.points, REGION_POINTS)
        with one_thread_each():
            return SmoothingSearch(lru_cache(private.problem), generator, monitor).run(sizes, regions)
    except UnjudgedError:
        return unjudged(given, plan.kernel)


def representative(cloud: OrientedCloud, generator: torch.Generator) -> OrientedCloud:
    """What is looked at for a choice: a small cloud, or some pieces of a large one, with all their points.

    The search judges by 12,000 points, but makes the cells of all that it is given, for every size.
    """
    if len(cloud) <= LARGE:
        return cloud
    parts = regions_of(cloud.points, NODE_POINTS)
    order = torch.randperm(len(parts), generator=generator)[: max(1, round(len(parts) * LOOKED_AT / len(cloud)))]
    return cloud.part(torch.cat([parts[k].rows for k in order.tolist()]).sort().values)


def asked_smoothing(s: Settings) -> Smoothing:
    """The smoothing of a numeric regularization."""

    def given(value: float | str, default: float) -> float:
        return default if isinstance(value, str) else value

    robust_passes = int(given(s.robust_passes, 0))
    return Smoothing(float(s.regularization), given(s.offset_weight, 1.0), robust_passes, given(s.gradient_length, 0.0))
