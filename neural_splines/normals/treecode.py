"""Sums over all points by a treecode: O(n log n), on the CPU (Numba) or on a GPU (Triton).

With d = x_j - x and r^2 = |d|^2 + width^2, for dipoles p_j (area times normal) and charges q_j:

    winding(x)  = sum_j p_j . d / r^3                      4 pi times the smoothed winding number
    gradient(x) = sum_j p_j / r^3 - 3 (p_j . d) d / r^5    minus its gradient: along the normals
    push(x)     = - sum_j q_j d / r^3                      the transpose of the first

The points of a leaf share one walk through the tree; a node of radius R whose centre is D away from that of the leaf,
of radius L, is taken by its first two moments where R < OPENING (D - L). (J. Barnes, P. Hut, A hierarchical O(N log N)
force-calculation algorithm, Nature 1986.)
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from . import treecode_numba
from .octree import Octree
from .treecode_numba import GRADIENT, PUSH, WINDING

OPENING = 0.9


class Treecode:
    """The sums over points [n, 3] of a tree at these points.

    Of the gradient a point's own share is left out; of the others it is nothing.
    """

    def __init__(self, tree: Octree, points: Tensor, opening: float = OPENING):
        self.points = points
        if points.is_cuda:
            from .treecode_triton import Walker

            self._walk: Any = Walker(tree, points, opening)
        else:
            self._walk = treecode_numba.Walker(tree, points, opening)

    def gradient(self, dipoles: Tensor, width: float) -> Tensor:
        """[n, 3] of dipoles [n, 3]."""
        return self._walk(GRADIENT, dipoles, width**2)

    def winding(self, dipoles: Tensor, width: float) -> Tensor:
        """[n] of dipoles [n, 3]."""
        return self._walk(WINDING, dipoles, width**2)[:, 0]

    def push(self, charges: Tensor, width: float) -> Tensor:
        """[n, 3] of charges [n]."""
        return self._walk(PUSH, charges[:, None].expand(-1, 3), width**2)
