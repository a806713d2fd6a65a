"""The cells' lookups, compiled for the CPU: each point walks the list of its bucket once.

As `Cells` and `CellWeights` have them in tensors, which serve on a GPU: the same pairs in the same order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..kernels.products.numba_rows import inlined
from ..runtime.compiled import compiled

_jit = compiled(nogil=True, error_model="numpy", fastmath={"contract"})


def pairs(points: Tensor, lower: Tensor, upper: Tensor, buckets: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """All pairs (point, box) of points [n, 3] within boxes [c, 3] or on their walls, ordered by point, then box."""
    x, low, high, origin, shape, starts, members = _arrays(points, lower, upper, *buckets[:1], *buckets[2:])
    bucket = np.empty(len(x), np.int64)
    listed = _count(x, origin, float(buckets[1]), shape, starts, bucket)
    point, cell = np.empty(listed, np.int64), np.empty(listed, np.int64)
    found = _pairs(x, low, high, starts, members, bucket, point, cell)
    return torch.from_numpy(point[:found].copy()), torch.from_numpy(cell[:found].copy())


def weigh(
    points: Tensor,
    pairs: tuple[Tensor, Tensor],
    margins: tuple[Tensor, ...],
    reach_weight: float,
    negligible: float,
    enough: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The pairs whose share of a point's weights is not negligible, and their weights. margins: of weights."""
    arrays, weight = _arrays(points, *pairs, *margins), np.empty(len(pairs[0]))
    _weigh(*arrays, reach_weight, negligible, enough, weight)
    kept = torch.from_numpy(weight > 0.0)
    return pairs[0][kept], pairs[1][kept], torch.from_numpy(weight)[kept]


def _arrays(*tensors: Tensor) -> list[Any]:
    return [tensor.contiguous().numpy() for tensor in tensors]


@inlined
def bucket_of(points, i, origin, side, shape):
    """The bucket of point i, the nearest where it lies outside of the grid."""
    place = 0
    for axis in range(3):
        x = (points[i, axis] - origin[axis]) / side
        at = int(min(x, shape[axis] - 1.0)) if x > 0.0 else 0  # also of NaN, which lies within no box
        place = place * shape[axis] + at
    return place


@_jit
def _count(points, origin, side, shape, starts, bucket):
    """The bucket [n] of every point, and how many boxes they list together."""
    total = 0
    for i in range(points.shape[0]):
        bucket[i] = place = bucket_of(points, i, origin, side, shape)
        total += starts[place + 1] - starts[place]
    return total


@_jit
def _pairs(points, lower, upper, starts, members, bucket, point, cell):
    k = 0
    for i in range(points.shape[0]):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        for j in range(starts[bucket[i]], starts[bucket[i] + 1]):
            m = members[j]
            if (
                x >= lower[m, 0] and y >= lower[m, 1] and z >= lower[m, 2]
                and x <= upper[m, 0] and y <= upper[m, 1] and z <= upper[m, 2]
            ):  # fmt: skip
                point[k], cell[k] = i, m
                k += 1
    return k


@_jit
def _step(x, lower, upper, margin):
    """smoothstep(depth / (2 margin)) along one axis."""
    depth = min(x - (lower - margin), (upper + margin) - x)
    t = min(max(depth / (2.0 * max(margin, 1e-300)), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@_jit
def _bump(points, i, c, lower, upper, margin):
    u = _step(points[i, 0], lower[c, 0], upper[c, 0], margin[c])
    v = _step(points[i, 1], lower[c, 1], upper[c, 1], margin[c])
    w = _step(points[i, 2], lower[c, 2], upper[c, 2], margin[c])
    return u * v * w


@_jit
def _weigh(points, point, cell, lower, upper, ramp, reach, yields, reach_weight, negligible, enough, weight):
    """Weights of the pairs, 0 where they do not count."""
    first, pairs = 0, point.shape[0]
    while first < pairs:  # the pairs of a point follow each other
        last, firm = first, 0.0
        while last < pairs and point[last] == point[first]:
            near = _bump(points, point[last], cell[last], lower, upper, ramp)
            weight[last] = near + reach_weight * _bump(points, point[last], cell[last], lower, upper, reach)
            if not yields[cell[last]]:
                firm += weight[last]
            last += 1
        left, total = max(1.0 - firm / enough, 0.0), 0.0
        for k in range(first, last):
            if yields[cell[k]]:
                weight[k] *= left * left
            total += weight[k]
        for k in range(first, last):
            if not weight[k] > negligible * total:
                weight[k] = 0.0
        first = last
