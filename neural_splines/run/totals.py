"""What was counted in the nodes of a run in parts, added up."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import torch

from ..cells.tally import Tally
from ..clouds import CleaningReport
from ..files.work_directory import WorkDirectory
from ..geometry import Box
from ..metric import Lines, lines_of

OF_EACH = ("center", "side", "centres", "jitter", "raised")
OF_POINTS = ("counts", "lower", "upper", "along", "across")


@dataclass(frozen=True)
class Totals:
    """Of all nodes: what cleaning dropped, how many points were outliers and how many are left, how many were fitted
    after averaging and the box of these (world units), the lines they lie in, and how the cells were solved.
    """

    cleaning: CleaningReport
    outliers: int
    kept: int
    fitted: int
    box: Box
    lines: Lines | None
    cells: Tally

    @classmethod
    def of(cls, store: WorkDirectory, nodes: int, read: CleaningReport) -> Totals:
        """read: what was counted when the file was read."""
        points = [store.load(f"points-{node}", *OF_POINTS) for node in range(nodes)]
        tallies = [Tally.read(store.load(f"cells-{node}", *Tally().state())) for node in range(nodes)]
        repeated, copies, outliers, kept, fitted = np.sum([part["counts"] for part in points], axis=0).tolist()
        lower, upper, along, across = (
            [torch.from_numpy(part[name]) for part in points] for name in ("lower", "upper", "along", "across")
        )
        return cls(
            cleaning=replace(read, duplicates=repeated, copies=copies, kept=kept + outliers),
            outliers=outliers,
            kept=kept,
            fitted=fitted,
            box=Box(torch.stack(lower).amin(0), torch.stack(upper).amax(0)),
            lines=lines_of(torch.cat(along), torch.cat(across)),
            cells=reduce(add, tallies),
        )


def solution_of_all(store: WorkDirectory, nodes: int) -> dict[str, list[Any]]:
    """How each cell was solved, as `solution_of_each`, node by node; `error`: why it has no model, or None."""
    found: dict[str, list[Any]] = {}
    for node in range(nodes):
        part = store.load(f"cells-{node}", *OF_EACH, "tally.reason")
        if OF_EACH[0] not in part:
            continue
        reason = str(part.pop("tally.reason"))
        part_lists = {name: values.tolist() for name, values in part.items()}
        part_lists["error"] = [reason if math.isnan(jitter) else None for jitter in part_lists["jitter"]]
        for name, values in part_lists.items():
            found.setdefault(name, []).extend(values)
    return found
