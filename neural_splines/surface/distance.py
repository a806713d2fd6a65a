"""How far a mesh is from another, as a bound that no point of it exceeds.

Own code, since libraries measure at samples: between these a mesh may be farther away than any of them says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..runtime.threads import parallel

SLACK = 1.0 + 1e-6  # of a distance, for rounding
CLOSE = 1.01  # of a distance that some place has, that a bound may be
PLACES = 256  # the farthest that are known of, whose distances are found to tell which bounds need not be better


@dataclass(frozen=True)
class Tree:
    """Triangles of a mesh, faces [t, 3] and corners [t, 3, 3], in a binary tree of boxes, lower, upper [2^k - 1, 3]."""

    faces: np.ndarray
    corners: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def of(cls, vertices: np.ndarray, faces: np.ndarray) -> Tree:
        """Triangles that are near in space are near in the tree: along Morton's curve of their centres."""
        from . import distance_numba as numba

        x, rows = np.ascontiguousarray(vertices, np.float64), np.ascontiguousarray(faces, np.int32)
        low, unit = x.min(0), float(np.ptp(x, axis=0).max()) or 1.0
        key = np.empty(len(rows), np.int64)
        parallel(numba.keys, len(rows), x, rows, low, unit, key)
        rows = rows[np.argsort(key, kind="stable")]
        boxes = (2 << max(0, (-(-len(rows) // numba.LEAF) - 1).bit_length())) - 1
        tree = cls(rows, x[rows], np.full((boxes, 3), np.inf), np.full((boxes, 3), -np.inf))
        numba.boxed(tree.corners, tree.lower, tree.upper)
        return tree

    @cached_property
    def across(self) -> np.ndarray:
        """The triangles across the edges of each one [3 t], -1 at a border."""
        from . import overlay_numba, quadrics_numba

        flat = self.faces.reshape(-1)
        found = np.empty_like(flat)
        corners = quadrics_numba.lists(flat, int(flat.max(initial=-1)) + 1)
        parallel(overlay_numba.beside, len(flat), flat, *corners, found)
        return found


def distances(points: np.ndarray, tree: Tree) -> np.ndarray:
    """Of points [n, 3] from the mesh of a tree [n]."""
    return np.asarray(np.sqrt(_nearest(points, tree)[1]))


def largest_distance(vertices: np.ndarray, faces: np.ndarray, tree: Tree, enough: float = 0.0) -> float:
    """A bound on sup over p of min over q of |p - q|, p on the mesh and q on that of the tree.

    It exceeds the distance by 1 %, or where a face passes over more triangles than are told apart; and where the
    distance is below `enough`, up to that. Most faces have a quick bound, by what lies over them; those where it is
    more than a place is known to be away are split (`distance_numba`).
    """
    from . import distance_numba, overlay_numba  # not before: Numba takes half a second to import

    points = np.ascontiguousarray(vertices, np.float64)
    near, apart = _nearest(points, tree)
    flat = np.ascontiguousarray(faces).reshape(-1)
    least = max(enough, float(np.sqrt(apart[flat].max(initial=0.0))))  # a bound cannot be less than this
    most, place = np.empty(len(faces)), np.empty((len(faces), 3))
    parallel(overlay_numba.over, len(faces), points, flat, near, tree.corners, tree.across, least, most, place)
    some = np.where(np.isfinite(most), most, 0.0)
    far = np.argpartition(some, -PLACES)[-PLACES:] if len(some) > PLACES else np.arange(len(some))
    least = max(least, float(distances(place[far], tree).max(initial=0.0)))
    left = most > CLOSE * least
    rest, split = np.ascontiguousarray(flat.reshape(-1, 3)[left]).reshape(-1), np.empty(int(left.sum()))
    parallel(
        distance_numba.of_faces, len(split), points, rest, near, apart, tree.corners, tree.lower, tree.upper,
        (CLOSE * least) ** 2, split,
    )  # fmt: skip
    return SLACK * max(least, float(most[~left].max(initial=0.0)), float(np.sqrt(split.max(initial=0.0))))


def _nearest(points: np.ndarray, tree: Tree) -> tuple[np.ndarray, np.ndarray]:
    """The triangles nearest to points, and the squares of how far they are."""
    from . import distance_numba as numba

    near, apart = np.empty(len(points), np.int64), np.empty(len(points))
    parallel(
        numba.of_points, len(points), np.ascontiguousarray(points, np.float64), tree.corners, tree.lower, tree.upper,
        near, apart,
    )  # fmt: skip
    return near, apart
