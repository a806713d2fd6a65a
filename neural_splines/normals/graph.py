"""What every step knows of the points: their order along the Morton curve, an octree, neighbours, spacing, areas.

Made once; lengths are in units of the spacing, so that no step has a length of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..geometry import Box, morton_codes
from .areas import AREA_RANK, LARGEST_AREA, disc_areas
from .octree import Octree

NEIGHBOURS = 48
QUERIES_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class PointGraph:
    """points [n, 3]: in Morton order, about their median, in units of the spacing. order [n]: where they were.

    neighbours [n, k]: from near to far, without the point itself. areas [n]: in squared spacings. spacing: the median
    root of the areas, in world units.
    """

    points: np.ndarray
    order: np.ndarray
    neighbours: np.ndarray
    areas: np.ndarray
    tree: Octree
    spacing: float
    center: np.ndarray

    def __len__(self) -> int:
        return len(self.points)

    @classmethod
    def of(cls, world: np.ndarray) -> PointGraph:
        """Of distinct points [n, 3], n > 1, finite, in world units; their order does not matter."""
        from scipy.spatial import cKDTree

        tensor = torch.from_numpy(world)
        codes = morton_codes(Box.around(tensor), tensor).numpy()
        order = np.lexsort((world[:, 2], world[:, 1], world[:, 0], codes))
        points = world[order]
        center = np.median(points, 0)  # float32 near it must be exact, whatever one far point does to the box
        points = points - center
        count = min(NEIGHBOURS, len(points) - 1)
        tree, rank = cKDTree(points), min(AREA_RANK, count)
        neighbours, reach = np.empty((len(points), count), np.int32), np.empty(len(points))
        for start in range(0, len(points), QUERIES_AT_ONCE):  # SciPy's answers take four times as much as what is kept
            rows = slice(start, start + QUERIES_AT_ONCE)
            distance, found = tree.query(points[rows], count + 1, workers=-1)
            others = _others(found, start)
            neighbours[rows] = found[others].reshape(-1, count)
            reach[rows] = distance[others].reshape(-1, count)[:, rank - 1]
        areas = disc_areas(reach) * (AREA_RANK / rank)
        spacing = float(np.sqrt(np.median(areas)))
        areas = np.minimum(areas / spacing**2, LARGEST_AREA)
        points = points / spacing
        return cls(points, order, neighbours, areas, Octree.over(points, codes[order]), spacing, center)

    def in_input_order(self, values: np.ndarray) -> np.ndarray:
        """Values [n, ...] of the points in the order in which they came."""
        out = np.empty_like(values)
        out[self.order] = values
        return out


def _others(found: np.ndarray, start: int) -> np.ndarray:
    """Mask of the rows found for the points from `start` on, without the point itself: all but one of each."""
    own = found == np.arange(start, start + len(found))[:, None]
    own[~own.any(1), -1] = True  # it comes first, unless many others are at distance 0
    return ~own
