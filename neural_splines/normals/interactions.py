"""Which nodes of an octree a leaf takes whole, and which other leaves it takes point by point: the same for all sums.

A node of radius R whose centre is D away from that of the leaf, of radius L, is taken whole where R < opening (D - L).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..runtime.compiled import compiled
from ..runtime.threads import parallel
from .octree import Octree

_jit = compiled(nogil=True, error_model="numpy")


@dataclass(frozen=True)
class Interactions:
    """Of the k-th leaf: nodes far[far_ends[k] : far_ends[k + 1]] and leaves near[near_ends[k] : near_ends[k + 1]]."""

    far: np.ndarray
    far_ends: np.ndarray
    near: np.ndarray
    near_ends: np.ndarray

    @classmethod
    def of(cls, tree: Octree, opening: float) -> Interactions:
        ends = np.zeros((2, len(tree.leaves) + 1), np.int64)
        shape = (tree.leaves, tree.skip, tree.centers, tree.radius, opening)
        none = np.empty(0, np.int32)
        parallel(_walk, len(tree.leaves), *shape, True, ends, none, none)
        np.cumsum(ends, axis=1, out=ends)
        far, near = (np.empty(total, np.int32) for total in ends[:, -1])
        parallel(_walk, len(tree.leaves), *shape, False, ends, far, near)
        return cls(far, ends[0], near, ends[1])


@_jit
def _walk(begin, end, leaves, skip, centers, radius, opening, count_only, ends, far, near):
    """Count what each of leaves[begin:end] meets, or write it down."""
    for k in range(begin, end):
        leaf = leaves[k]
        cx, cy, cz = centers[leaf, 0], centers[leaf, 1], centers[leaf, 2]
        reach = opening * radius[leaf]
        node, fars, nears = 0, 0, 0
        while node < len(skip):
            dx, dy, dz = centers[node, 0] - cx, centers[node, 1] - cy, centers[node, 2] - cz
            if radius[node] < opening * math.sqrt(dx * dx + dy * dy + dz * dz) - reach:
                if not count_only:
                    far[ends[0, k] + fars] = node
                fars += 1
                node = skip[node]
            elif skip[node] == node + 1:
                if not count_only:
                    near[ends[1, k] + nears] = node
                nears += 1
                node += 1
            else:
                node += 1
        if count_only:
            ends[0, k + 1], ends[1, k + 1] = fars, nears
