"""Parts of a cloud that stand for all of it, whichever way it is turned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..geometry import Box

MARGIN = 0.08  # of a region's sides, at the walls where cells around it have weight too: they need not be fitted


@dataclass(frozen=True)
class Region:
    """Rows of the points between two walls for each axis: lower and upper [3], infinite where the cloud ends."""

    rows: Tensor
    lower: Tensor
    upper: Tensor


def regions_of(points: Tensor, most: int) -> list[Region]:
    """Regions of at most so many of the points [n, 3], about equal in number: the leaves of a k-d tree.

    Each is halved along the axis of its largest variance. An octree halves boxes in their middle, where a level floor
    or board lies: of such a cloud its leaves hold the upper or the lower half of the noise.
    """
    ends = torch.full((3,), torch.inf, dtype=points.dtype, device=points.device)
    leaves = [Region(torch.arange(len(points), device=points.device), -ends, ends)]
    while max(len(leaf.rows) for leaf in leaves) > most:
        leaves = [half for leaf in leaves for half in _halves(points, leaf)]
    return leaves


def _halves(points: Tensor, region: Region) -> tuple[Region, Region]:
    x = points[region.rows]
    axis = int(x.var(0).argmax())  # the variance: one stray point makes any box long
    order = x[:, axis].argsort(stable=True)
    low, high = region.rows[order].tensor_split(2)
    upper, lower = region.upper.clone(), region.lower.clone()
    upper[axis] = lower[axis] = points[high[0], axis]
    return Region(low, region.lower, upper), Region(high, lower, region.upper)


def cores(points: Tensor, regions: Sequence[Region]) -> tuple[Tensor, list[Box]]:
    """The points, sorted, that are not near the walls of their region, and the boxes [r] around these points.

    Where a cloud ends there is no wall: of a sheet, all the noise across it counts. Around all regions of a cloud there
    are no other cells.
    """
    rows, boxes = [], []
    margin = MARGIN if sum(len(region.rows) for region in regions) < len(points) else 0.0
    for region in regions:
        x = points[region.rows]
        inset = margin * (x.amax(0) - x.amin(0))
        inner = ((x >= region.lower + inset) & (x <= region.upper - inset)).all(1)
        if bool(inner.any()):
            rows.append(region.rows[inner])
            boxes.append(Box(x[inner].amin(0), x[inner].amax(0)))
    return torch.cat(rows).sort().values if rows else regions[0].rows[:0], boxes
