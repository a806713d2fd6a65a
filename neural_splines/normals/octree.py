"""An octree over points that lie along the Morton curve: every node is a run of them.

Nodes are stored in the order of a depth-first walk, each with the node where the walk goes on if its children are left
out, so that a traversal is one loop without a stack.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..cloud.octree import MORTON_BITS, runs
from ..runtime.compiled import compiled

LEAF = 32  # points


@dataclass(frozen=True)
class Octree:
    """Nodes as arrays [m]: points first[k]..last[k] - 1, the next node after the children, whether there are children.

    centers [m, 3]: of the boxes of their points. radius [m]: half the diagonals of these.
    """

    first: np.ndarray
    last: np.ndarray
    skip: np.ndarray
    centers: np.ndarray
    radius: np.ndarray
    leaves: np.ndarray  # [l]: the nodes without children, in the order of their points

    @classmethod
    def over(cls, points: np.ndarray, codes: Tensor, leaf: int = LEAF) -> Octree:
        """Of points [n, 3] whose Morton codes [n] ascend."""
        first, last, skip = _nodes(codes, leaf)
        centers, radius = _spheres(points, first, last, skip)
        leaves = np.flatnonzero(skip == np.arange(1, len(skip) + 1))
        return cls(first, last, skip, centers, radius, leaves)

    def __len__(self) -> int:
        return len(self.first)

    def scaled(self, factor: float) -> Octree:
        """Of the points times a factor."""
        return replace(self, centers=self.centers * factor, radius=self.radius * factor)

    def children(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends [m + 1] and nodes: the children of node k are nodes[ends[k] : ends[k + 1]]."""
        return _children(self.skip)

    def spheres(self) -> np.ndarray:
        """Centres and radii in one array [m, 4]."""
        return np.concatenate([self.centers, self.radius[:, None]], 1)


def _nodes(codes: Tensor, leaf: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First and last points of the nodes, and the next node that does not begin before the last point: [m] each."""
    place, found = torch.arange(len(codes), device=codes.device), []
    for level in range(MORTON_BITS + 1):
        start, count = runs(codes >> 3 * (MORTON_BITS - level))
        first = place[start]
        found.append(torch.stack([first, first + count, torch.full_like(first, level)]))
        split = torch.repeat_interleave(count > leaf, count)
        codes, place = codes[split], place[split]
        if not len(codes):
            break
    first, last, level = torch.cat(found, 1)
    order = (first * (MORTON_BITS + 1) + level).argsort()
    first, last = first[order], last[order]
    first, last, skip = torch.stack([first, last, torch.searchsorted(first, last)]).int().cpu().numpy()
    return first, last, skip


@compiled(nogil=True)
def _spheres(points, first, last, skip):
    """Centres and half diagonals of the boxes of the nodes' points; a parent's box is that of its children."""
    count = len(first)
    low, high, centers, radius = np.empty((count, 3)), np.empty((count, 3)), np.empty((count, 3)), np.empty(count)
    for k in range(count - 1, -1, -1):
        child = k + 1
        if child < skip[k]:
            for axis in range(3):
                low[k, axis], high[k, axis] = low[child, axis], high[child, axis]
            child = skip[child]
            while child < skip[k]:
                for axis in range(3):
                    low[k, axis] = min(low[k, axis], low[child, axis])
                    high[k, axis] = max(high[k, axis], high[child, axis])
                child = skip[child]
        else:
            for axis in range(3):
                low[k, axis] = high[k, axis] = points[first[k], axis]
            for i in range(first[k] + 1, last[k]):
                for axis in range(3):
                    low[k, axis] = min(low[k, axis], points[i, axis])
                    high[k, axis] = max(high[k, axis], points[i, axis])
        square = 0.0
        for axis in range(3):
            centers[k, axis] = 0.5 * (low[k, axis] + high[k, axis])
            square += (high[k, axis] - low[k, axis]) ** 2
        radius[k] = 0.5 * math.sqrt(square)
    return centers, radius


@compiled(nogil=True)
def _children(skip):
    count = len(skip)
    ends, nodes, written = np.zeros(count + 1, np.int64), np.empty(count, np.int64), 0
    for k in range(count):
        child = k + 1
        while child < skip[k]:
            nodes[written] = child
            written += 1
            child = skip[child]
        ends[k + 1] = written
    return ends, nodes[:written]
