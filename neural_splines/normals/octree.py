"""An octree over points that lie along the Morton curve: every node is a run of them.

Nodes are stored in the order of a depth-first walk, each with the node where the walk goes on if its children are left
out, so that a traversal is one loop without a stack.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..geometry import MORTON_BITS
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
    def over(cls, points: np.ndarray, codes: np.ndarray, leaf: int = LEAF) -> Octree:
        """Of points [n, 3] whose Morton codes [n] ascend."""
        room = 1024 + len(points) // 4
        while True:
            nodes = np.empty((3, room), np.int32)
            count = _nodes(codes, leaf, *nodes)
            if count <= room:
                break
            room = count
        first, last, skip = (part[:count].copy() for part in nodes)
        centers, radius = _spheres(points, first, last)
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


@compiled(nogil=True)
def _nodes(codes, leaf, first, last, skip):
    """Fill in the nodes, depth first, as far as there is room; how many there are."""
    room = len(first)
    stack = np.empty((8 * (MORTON_BITS + 1), 3), np.int64)  # first, last, level
    stack[0, 0], stack[0, 1], stack[0, 2] = 0, len(codes), 0
    opened = np.empty(MORTON_BITS + 2, np.int64)  # the last node of each level, while its children are walked
    for level in range(MORTON_BITS + 2):
        opened[level] = -1
    depth, count = 1, 0
    while depth:
        depth -= 1
        a, b, level = stack[depth, 0], stack[depth, 1], stack[depth, 2]
        for above in range(level, MORTON_BITS + 1):
            if 0 <= opened[above] < room:
                skip[opened[above]] = count
            opened[above] = -1
        opened[level] = count
        if count < room:
            first[count], last[count] = a, b
        count += 1
        if b - a <= leaf or level == MORTON_BITS:
            continue
        shift = 3 * (MORTON_BITS - level - 1)
        while b > a:  # children from the last to the first, so that the first is on top of the stack
            start = _first_of(codes, a, b, codes[b - 1] >> shift << shift)
            stack[depth, 0], stack[depth, 1], stack[depth, 2] = start, b, level + 1
            depth += 1
            b = start
    for above in range(MORTON_BITS + 1):
        if 0 <= opened[above] < room:
            skip[opened[above]] = count
    return count


@compiled(nogil=True)
def _first_of(codes, a, b, least):
    """The first of the ascending codes[a:b] that is not below the least, which codes[b - 1] is not."""
    while a < b:
        middle = (a + b) // 2
        if codes[middle] < least:
            a = middle + 1
        else:
            b = middle
    return a


@compiled(nogil=True)
def _spheres(points, first, last):
    """Centres and half diagonals of the boxes of the nodes' points; a parent's box is that of its children."""
    count = len(first)
    low, high, centers, radius = np.empty((count, 3)), np.empty((count, 3)), np.empty((count, 3)), np.empty(count)
    for k in range(count - 1, -1, -1):
        child = k + 1
        if child < count and first[child] == first[k] and last[child] <= last[k]:
            for axis in range(3):
                low[k, axis], high[k, axis] = low[child, axis], high[child, axis]
            while last[child] < last[k]:
                child = _sibling(child, first, last)
                for axis in range(3):
                    low[k, axis] = min(low[k, axis], low[child, axis])
                    high[k, axis] = max(high[k, axis], high[child, axis])
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


@compiled(nogil=True)
def _sibling(child, first, last):
    """The next node after a node's children, which begins where the node ends."""
    k = child + 1
    while first[k] < last[child]:
        k += 1
    return k
