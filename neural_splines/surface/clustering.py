"""A mesh made coarser part by part: vertex clustering.

All vertices in one cell of a grid become their mean; triangles whose corners fall together vanish. Cells do not depend
on the parts, so that parts which share vertices fit together.
"""

from __future__ import annotations

import numpy as np

BITS = 21  # of a cell's place along an axis


class VertexClusters:
    """The clusters of a mesh whose parts come one by one; what is held grows with the clusters alone.

    lower [3]: no vertex lies below it. side: of a cell, world units.
    """

    def __init__(self, lower: np.ndarray, side: float):
        self._lower, self._side = lower, side
        self._keys, self._sums, self._faces = [np.empty(0, np.int64)], [np.empty((0, 4))], [np.empty((0, 3), np.int64)]

    def add(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        """Vertices [v, 3] and triangles [f, 3] between them."""
        local = vertices - self._lower
        place = (local / self._side).astype(np.int64)
        key = (place[:, 0] << 2 * BITS) | (place[:, 1] << BITS) | place[:, 2]
        keys, sums = _added(key, np.column_stack([local, np.ones(len(local))]))
        self._keys.append(keys)
        self._sums.append(sums)
        self._faces.append(_distinct(key[faces]))

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertices [v, 3] and triangles [f, 3]; every vertex has a triangle."""
        faces = _distinct(np.concatenate(self._faces))
        keys, sums = _added(np.concatenate(self._keys), np.concatenate(self._sums))
        used = np.unique(faces)
        rows = np.searchsorted(keys, used)
        return self._lower + sums[rows, :3] / sums[rows, 3:], np.searchsorted(used, faces)


def _added(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct keys, and for each the sum of the values [n, k] that have it."""
    found, which = np.unique(keys, return_inverse=True)
    return found, np.stack([np.bincount(which, column, len(found)) for column in values.T], 1)


def _distinct(corners: np.ndarray) -> np.ndarray:
    """Triangles [f, 3] with three different corners, each once, beginning with the least."""
    a, b, c = corners.T
    corners = corners[(a != b) & (b != c) & (c != a)]
    order = (corners.argmin(1)[:, None] + np.arange(3)) % 3
    return np.unique(np.take_along_axis(corners, order, 1), axis=0)
