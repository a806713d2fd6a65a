"""What every step knows of the points: their order along the Morton curve, an octree, neighbours, spacing, areas.

Made once; lengths are in units of the spacing, so that no step has a length of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..geometry import Box, morton_codes
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
    and areas on the device. neighbours [n, k], there too: from near to far, without the point itself.
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

    def __len__(self) -> int:
        return len(self.points)

    @classmethod
    def of(cls, world: np.ndarray, device: torch.device | str = "cpu") -> PointGraph:
        """Of distinct points [n, 3], n > 1, finite, in world units; their order does not matter."""
        x = torch.from_numpy(world).to(device)
        codes = morton_codes(Box.around_most(x), x)  # one stray must not leave all others in one leaf
        order = torch.arange(len(x), device=x.device)
        for key in (x[:, 2], x[:, 1], x[:, 0], codes):
            order = order[key[order].argsort(stable=True)]
        center = np.median(world, 0)  # float32 near it must be exact, whatever one far point does to the box
        x = x[order] - torch.from_numpy(center).to(device)
        count = min(NEIGHBOURS, len(x) - 1)
        rank = min(AREA_RANK, count)
        tree = Octree.over(x.cpu().numpy(), codes[order].cpu().numpy())
        neighbours, reach = (nearest if x.is_cuda else _nearest)(x, tree, count, rank)
        areas = disc_areas(reach) * (AREA_RANK / rank)
        spacing = float(np.sqrt(np.median(areas)))
        areas = np.minimum(areas / spacing**2, LARGEST_AREA)
        x = x / spacing
        a = torch.from_numpy(areas[:, None]).to(device)
        scaled = tree.scaled(1.0 / spacing)
        return cls(x.cpu().numpy(), order.cpu().numpy(), areas, scaled, spacing, center, x, a, neighbours)

    def in_input_order(self, values: np.ndarray) -> np.ndarray:
        """Values [n, ...] of the points in the order in which they came."""
        out = np.empty_like(values)
        out[self.order] = values
        return out


def _nearest(x: Tensor, tree: Octree, count: int, rank: int) -> tuple[Tensor, np.ndarray]:
    """The `count` nearest to each of x [n, 3] on the CPU, and the distance [n] of the one of that rank."""
    from scipy.spatial import cKDTree

    points = x.numpy()
    found_by = cKDTree(points)
    neighbours, reach = np.empty((len(points), count), np.int32), np.empty(len(points))
    for start in range(0, len(points), QUERIES_AT_ONCE):  # SciPy's answers take four times as much as what is kept
        rows = slice(start, start + QUERIES_AT_ONCE)
        distance, found = found_by.query(points[rows], count + 1, workers=limit())
        others = _others(found, start)
        neighbours[rows] = found[others].reshape(-1, count)
        reach[rows] = distance[others].reshape(-1, count)[:, rank - 1]
    return torch.from_numpy(neighbours), reach


def _others(found: np.ndarray, start: int) -> np.ndarray:
    """Mask of the rows found for the points from `start` on, without the point itself: all but one of each."""
    own = found == np.arange(start, start + len(found))[:, None]
    own[~own.any(1), -1] = True  # it comes first, unless many others are at distance 0
    return ~own
