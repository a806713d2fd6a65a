"""What every step knows of the points: their order along the Morton curve, an octree, neighbours, spacing, areas.

Made once; lengths are in units of the spacing, so that no step has a length of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..cloud.metric import Metric
from ..cloud.neighbours import SPACING_RANK, Neighbours
from ..cloud.octree import morton_codes
from ..geometry import Box, kth
from ..runtime.threads import limit
from .areas import AREA_RANK, LARGEST_AREA, disc_areas
from .nearest import nearest
from .octree import Octree

NEIGHBOURS = 48
QUERIES_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class PointGraph:
    """points [n, 3]: in Morton order, about their median, in units of the spacing. order [n]: where they were.

    areas [n]: in squared spacings. spacing: the median root of the areas, in world units. x [n, 3], a [n, 1]: points
    and areas on the device. neighbours [n, k], there too: from near to far, without the point itself. stretch [n, 3]:
    vectors s along the lines of a scanner, zero where there are none: near and far are meant by |d|^2 + (d . s)^2.
    reach [n]: distances to the neighbour of AREA_RANK, lines or not.
    """

    points: np.ndarray
    order: np.ndarray
    areas: np.ndarray
    tree: Octree
    spacing: float
    center: np.ndarray
    x: Tensor
    a: Tensor
    neighbours: Tensor
    stretch: Tensor
    reach: np.ndarray

    def __len__(self) -> int:
        return len(self.points)

    @classmethod
    def of(cls, world: np.ndarray, device: torch.device | str = "cpu") -> PointGraph:
        """Of distinct points [n, 3], n > 1, finite, in world units; their order does not matter."""
        x = torch.from_numpy(world).to(device)
        codes = morton_codes(Box.around_most(x), x)  # one stray must not leave all others in one leaf
        order = _along(codes, x)
        center = (
            _median(x) if x.is_cuda else np.median(world, 0)
        )  # float32 near it must be exact, whatever one far point does to the box
        x = x[order] - torch.from_numpy(center).to(device)
        count = min(NEIGHBOURS, len(x) - 1)
        rank = min(AREA_RANK, count)
        tree = Octree.over(x.cpu().numpy(), codes[order])
        cloud = Neighbours(x)
        neighbours, reach = nearest(x, tree, count, rank) if x.is_cuda else _nearest(cloud, count, rank)
        areas, stretch = disc_areas(reach) * (AREA_RANK / rank), torch.zeros_like(x)
        metric = Metric(x, cloud, neighbours[:, :SPACING_RANK].long())
        if metric.lines() is not None:
            rows = (metric.across > metric.along).nonzero()[:, 0]
            neighbours[rows], stretch[rows] = metric.neighbours(rows, count).int(), metric.stretch()[rows]
            areas[rows.cpu().numpy()] = metric.areas()[rows].cpu().numpy()
        spacing = float(np.sqrt(np.median(areas)))
        areas = np.minimum(areas / spacing**2, LARGEST_AREA)
        x = x / spacing
        a = torch.from_numpy(areas[:, None]).to(device)
        scaled = tree.scaled(1.0 / spacing)
        places, rows = x.cpu().numpy(), order.cpu().numpy()
        return cls(places, rows, areas, scaled, spacing, center, x, a, neighbours, stretch, reach / spacing)

    def in_input_order(self, values: np.ndarray) -> np.ndarray:
        """Values [n, ...] of the points in the order in which they came."""
        out = np.empty_like(values)
        out[self.order] = values
        return out


def _along(codes: Tensor, x: Tensor) -> Tensor:
    """The order of points [n, 3] by their codes [n], and of those with one code by x, y, z."""
    order = codes.argsort(stable=True)
    same = codes[order].diff() == 0
    tied = torch.nn.functional.pad(same, (1, 0)) | torch.nn.functional.pad(same, (0, 1))
    places = tied.nonzero()[:, 0]
    rows = order[places]
    for key in (x[:, 2], x[:, 1], x[:, 0], codes):
        rows = rows[key[rows].argsort(stable=True)]
    order[places] = rows
    return order


def _median(x: Tensor) -> np.ndarray:
    """NumPy's median [3] of points [n, 3]."""
    middle: np.ndarray = (0.5 * (kth(x, (len(x) + 1) // 2) + kth(x, len(x) // 2 + 1))).cpu().numpy()
    return middle


def _nearest(cloud: Neighbours, count: int, rank: int) -> tuple[Tensor, np.ndarray]:
    """The `count` nearest to each point of a cloud on the CPU, and the distance [n] of the one of that rank."""
    points = cloud.points.numpy()
    neighbours, reach = np.empty((len(points), count), np.int32), np.empty(len(points))
    for start in range(0, len(points), QUERIES_AT_ONCE):  # SciPy's answers take four times as much as what is kept
        rows = slice(start, start + QUERIES_AT_ONCE)
        distance, found = cloud.tree.query(points[rows], count + 1, workers=limit())
        others = _others(found, start)
        neighbours[rows] = found[others].reshape(-1, count)
        reach[rows] = distance[others].reshape(-1, count)[:, rank - 1]
    return torch.from_numpy(neighbours), reach


def _others(found: np.ndarray, start: int) -> np.ndarray:
    """Mask of the rows found for the points from `start` on, without the point itself: all but one of each."""
    own = found == np.arange(start, start + len(found))[:, None]
    own[~own.any(1), -1] = True  # it comes first, unless many others are at distance 0
    return ~own
