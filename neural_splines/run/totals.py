"""What was counted in the nodes of a run, added up."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import torch

from ..cells.tally import Tally, solution_of_each
from ..cloud.clouds import CleaningReport
from ..cloud.metric import Lines, lines_of
from ..cloud.outliers import outlier_lines
from ..geometry import Box
from .cells import cells_of
from .choices import downsample_lines
from .plan import Plan
from .points import fitted_count

OF_POINTS = ("counts", "along", "across")


@dataclass(frozen=True)
class Totals:
    """Of all nodes: what cleaning dropped, how many points were outliers and how many are left, how many are fitted
    after averaging and the box of these (world units), the lines that points lie in where blocks had to know, and how
    the cells were solved.
    """

    cleaning: CleaningReport
    outliers: int
    kept: int
    fitted: int
    box: Box
    lines: Lines | None
    cells: Tally

    @classmethod
    def of(cls, plan: Plan) -> Totals:
        nodes = range(len(plan.nodes))
        points = [plan.store.load(f"points-{node}", *OF_POINTS) for node in nodes]
        repeated, copies, outliers, kept = torch.stack([part["counts"] for part in points]).sum(0).tolist()
        along, across = (torch.cat([part[name] for part in points]) for name in ("along", "across"))
        tallies = []
        if plan.settings.cell_settings:
            tallies = [Tally.read(plan.store.load(f"cells-{node}", *Tally().state())) for node in nodes]
        return cls(
            cleaning=replace(plan.parts.read, duplicates=repeated, copies=copies, kept=kept + outliers),
            outliers=outliers,
            kept=kept,
            fitted=sum(fitted_count(plan, node) for node in nodes),
            box=_box(plan),
            lines=lines_of(along, across) if len(along) else None,
            cells=reduce(add, tallies, Tally()),
        )


def dropped_lines(totals: Totals) -> list[str]:
    """What is said of points that are not fitted."""
    outliers = outlier_lines(totals.outliers, totals.kept + totals.outliers)
    return outliers + downsample_lines(totals.kept, totals.fitted)


def _box(plan: Plan) -> Box:
    """Of the points that are fitted."""
    name = "fitted" if plan.averaged else "points"
    ends = [plan.store.load(f"{name}-{node}", "lower", "upper") for node in range(len(plan.nodes))]
    return Box.around(torch.stack([corner for part in ends for corner in part.values()]))


def solution_of_all(plan: Plan) -> dict[str, list[Any]]:
    """How each cell was solved, as `solution_of_each`, node by node; `error`: why it has no model, or None."""
    found: dict[str, list[Any]] = {}
    for node in range(len(plan.nodes)):
        part = cells_of(plan, node)
        if part is None:
            continue
        lists = {name: values.tolist() for name, values in solution_of_each(part.models, part.cells).items()}
        reason = part.models.failed[0][1] if part.models.failed else ""
        lists["error"] = [reason if math.isnan(jitter) else None for jitter in lists["jitter"]]
        for name, values in lists.items():
            found.setdefault(name, []).extend(values)
    return found
