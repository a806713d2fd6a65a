"""Farthest-point sampling, compiled: one pass over bucket boxes and a few buckets for each chosen point.

Our own, because fpsample has no wheels for Python 3.13; 0.07 s here against its 0.05 s for 10,000 of 108,000 points,
with the same spacing.
"""

from __future__ import annotations

import numpy as np

from ..runtime.compiled import compiled

BUCKET = 64  # points: small enough to skip most, large enough that their boxes are few


@compiled(nogil=True)  # so that an interrupt is dealt with at once
def sample(points, count, first):
    """Indices [count] of points [n, 3], which should lie along a space-filling curve; ties take the lowest."""
    n = len(points)
    buckets = (n + BUCKET - 1) // BUCKET
    low, high = np.empty((3, buckets)), np.empty((3, buckets))
    for b in range(buckets):
        for axis in range(3):
            part = points[b * BUCKET : min(n, (b + 1) * BUCKET), axis]
            low[axis, b], high[axis, b] = part.min(), part.max()
    nearest = np.full(n, np.inf)  # squared distance to the chosen points
    farthest, where = np.full(buckets, np.inf), np.zeros(buckets, np.int64)  # of each bucket's points
    chosen = np.empty(count, np.int64)
    current = first
    for k in range(count):
        chosen[k] = current
        x, y, z = points[current, 0], points[current, 1], points[current, 2]
        best = -1.0
        for b in range(buckets):
            dx = max(low[0, b] - x, 0.0, x - high[0, b])
            dy = max(low[1, b] - y, 0.0, y - high[1, b])
            dz = max(low[2, b] - z, 0.0, z - high[2, b])
            if dx * dx + dy * dy + dz * dz < farthest[b]:
                top, at = -1.0, 0
                for i in range(b * BUCKET, min(n, (b + 1) * BUCKET)):
                    d = (points[i, 0] - x) ** 2 + (points[i, 1] - y) ** 2 + (points[i, 2] - z) ** 2
                    if d < nearest[i]:
                        nearest[i] = d
                    if nearest[i] > top:
                        top, at = nearest[i], i
                farthest[b], where[b] = top, at
            if farthest[b] > best:
                best, current = farthest[b], where[b]
    return chosen
