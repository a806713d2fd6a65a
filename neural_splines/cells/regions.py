"""Parts of a cloud that stand for all of it, whichever way it is turned."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..geometry import Box

MARGIN = 0.08  # of a region's sides, where cells around it would speak too: they need not be fitted


def pieces(points: Tensor, most: int) -> list[Tensor]:
    """The rows of points [n, 3] in pieces of at most so many, about equal in number, near each other in each.

    Each is halved where it is longest. An octree halves boxes in their middle, where a level floor or board lies: of
    such a cloud its pieces hold the upper or the lower half of the noise.
    """
    parts = [torch.arange(len(points), device=points.device)]
    while max(map(len, parts)) > most:
        parts = [half for part in parts for half in _halves(points, part)]
    return parts


def _halves(points: Tensor, part: Tensor) -> tuple[Tensor, ...]:
    x = points[part]
    longest = int(x.var(0).argmax())  # the variance: one stray point makes any box long
    return part[x[:, longest].argsort(stable=True)].tensor_split(2)


def cores(points: Tensor, regions: Sequence[Tensor]) -> tuple[Tensor, list[Box]]:
    """The points, sorted, that are not near the walls of their region's box, and the boxes [r] without these margins.

    A flat region loses nothing across: its margin there is a share of no thickness. Around all regions of a cloud there
    are no other cells.
    """
    rows, boxes, margin = [], [], MARGIN if sum(map(len, regions)) < len(points) else 0.0
    for region in regions:
        x = points[region]
        lower, upper = x.amin(0), x.amax(0)
        inset = margin * (upper - lower)
        box = Box(lower + inset, upper - inset)
        rows.append(region[((x >= box.lower) & (x <= box.upper)).all(1)])
        boxes.append(box)
    return torch.cat(rows).sort().values, boxes
