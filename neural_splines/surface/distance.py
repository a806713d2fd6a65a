"""How far a mesh is from another, as a bound that no point of it exceeds.

Own code, since libraries measure at samples: between these a mesh may be farther away than any of them says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..runtime.threads import parallel

BITS = 10  # of an axis, in the order along which triangles are put into the tree
SLACK = 1.0 + 1e-6  # of a distance, for rounding


@dataclass(frozen=True)
class Tree:
    """The triangles of a mesh as corners [t, 3, 3] in a binary tree of boxes, lower and upper [2^k - 1, 3]."""

    corners: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def of(cls, vertices: np.ndarray, faces: np.ndarray) -> Tree:
        """Triangles that are near in space are near in the tree: along Morton's curve of their centres."""
        from .distance_numba import LEAF

        corners = np.asarray(vertices, np.float64)[faces]
        centre = corners.mean(1)
        low = centre.min(0)
        unit = float(np.ptp(centre, axis=0).max()) or 1.0
        cells = ((centre - low) / unit * (2**BITS - 1)).astype(np.int64)
        key = np.zeros(len(cells), np.int64)
        for bit in range(BITS):
            for axis in range(3):
                key |= (cells[:, axis] >> bit & 1) << (3 * bit + axis)
        corners = np.ascontiguousarray(corners[np.argsort(key, kind="stable")])
        leaves = 1 << max(0, (-(-len(corners) // LEAF) - 1).bit_length())
        boxes = np.full((2, leaves * LEAF, 3), np.inf)
        boxes[0, : len(corners)], boxes[1, : len(corners)] = corners.min(1), -corners.max(1)
        levels = [boxes.reshape(2, leaves, LEAF, 3).min(2)]
        while levels[0].shape[1] > 1:
            levels.insert(0, levels[0].reshape(2, -1, 2, 3).min(2))
        low, high = np.concatenate(levels, axis=1)
        return cls(corners, low, -high)


def distances(points: np.ndarray, tree: Tree) -> np.ndarray:
    """Of points [n, 3] from the mesh of a tree [n]."""
    return np.asarray(np.sqrt(_nearest(points, tree)[1]))


def largest_distance(vertices: np.ndarray, faces: np.ndarray, tree: Tree, enough: float = 0.0) -> float:
    """A bound on sup over p of min over q of |p - q|, p on the mesh and q on that of the tree.

    It exceeds the distance only by rounding, or where a face passes over more triangles than are told apart; and where
    the distance is below `enough`, up to that.
    """
    from . import distance_numba as numba  # not before: Numba takes half a second to import

    points = np.ascontiguousarray(vertices, np.float64)
    near, apart = _nearest(points, tree)
    most, flat = np.empty(len(faces)), np.ascontiguousarray(faces).reshape(-1)
    least = max(enough**2, float(apart[flat].max(initial=0.0)))  # a bound cannot be less than this
    parallel(
        numba.of_faces, len(faces), points, flat, near, apart, tree.corners, tree.lower, tree.upper, least * SLACK, most
    )  # fmt: skip
    return float(np.sqrt(most.max(initial=0.0))) * SLACK


def _nearest(points: np.ndarray, tree: Tree) -> tuple[np.ndarray, np.ndarray]:
    """The triangles nearest to points, and the squares of how far they are."""
    from . import distance_numba as numba

    near, apart = np.empty(len(points), np.int64), np.empty(len(points))
    parallel(
        numba.of_points, len(points), np.ascontiguousarray(points, np.float64), tree.corners, tree.lower, tree.upper,
        near, apart,
    )  # fmt: skip
    return near, apart
