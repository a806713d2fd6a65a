"""Sums over all points by a treecode: O(n log n), compiled for the CPU.

With d = x_j - x and r^2 = |d|^2 + width^2, for dipoles p_j (area times normal) and charges q_j:

    winding(x)  = sum_j p_j . d / r^3                      4 pi times the smoothed winding number
    gradient(x) = sum_j p_j / r^3 - 3 (p_j . d) d / r^5    minus its gradient: along the normals
    push(x)     = - sum_j q_j d / r^3                      the transpose of the first

The points of a leaf share one walk through the tree; a node of radius R whose centre is D away from that of the leaf,
of radius L, is taken by its first two moments where R < OPENING (D - L). Inner loops run over what the walk has
gathered, in SIMD lanes of float32; sums run in a fixed order, whatever the number of threads.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ..runtime.threads import parallel
from .octree import Octree

OPENING = 0.6  # 0.3 to 1 % of error in the mean: signs do not feel it
GATHERED = 512  # sources, or nodes, at a time: they stay in the first-level cache
GRADIENT, WINDING, PUSH = 0, 1, 2
_jit = njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})


class Treecode:
    """The sums over points [n, 3] of a tree at these points. A point's own share is left out."""

    def __init__(self, tree: Octree, points: np.ndarray, opening: float = OPENING):
        self.tree, self.points, self.opening = tree, points, opening
        self._x = np.ascontiguousarray(points.T, np.float32)

    def gradient(self, dipoles: np.ndarray, width: float) -> np.ndarray:
        """[n, 3] of dipoles [n, 3]."""
        return self._run(GRADIENT, dipoles, self._dipole_moments(dipoles), width)

    def winding(self, dipoles: np.ndarray, width: float) -> np.ndarray:
        """[n] of dipoles [n, 3]."""
        return self._run(WINDING, dipoles, self._dipole_moments(dipoles), width)[:, 0]

    def push(self, charges: np.ndarray, width: float) -> np.ndarray:
        """[n, 3] of charges [n]."""
        sums = self._sums(np.concatenate([charges[:, None], charges[:, None] * self.points], 1))
        sums[:, 1:] -= sums[:, :1] * self.tree.centers
        moments = np.zeros((len(sums), 9), np.float32)
        moments[:, :4] = sums
        sources = np.zeros((len(charges), 3), np.float32)
        sources[:, 0] = charges
        return self._run(PUSH, sources, moments, width)

    def _run(self, kind: int, sources: np.ndarray, moments: np.ndarray, width: float) -> np.ndarray:
        t = self.tree
        out = np.empty((len(sources), 3), np.float32)
        p = np.ascontiguousarray(sources.T, np.float32)
        shape = (t.leaves, t.first, t.last, t.skip, t.centers, t.radius, moments, self._x, p)
        parallel(_walks, len(t.leaves), kind, *shape, np.float32(width) ** 2, self.opening, out)
        return out

    def _sums(self, values: np.ndarray) -> np.ndarray:
        """Sums [m, c] over the points of each node of values [n, c]."""
        total = np.zeros((len(values) + 1, values.shape[1]))
        np.cumsum(values, 0, out=total[1:])
        return total[self.tree.last] - total[self.tree.first]

    def _dipole_moments(self, dipoles: np.ndarray) -> np.ndarray:
        """[m, 9]: sum of p; xx, yy, zz, xy, xz, yz of sum of p (x) (x - c) + (x - c) (x) p about the centres c."""
        a, b = np.array([0, 1, 2, 0, 0, 1]), np.array([0, 1, 2, 1, 2, 2])
        p, x, c = dipoles.astype(np.float64), self.points, self.tree.centers
        sums = self._sums(np.concatenate([p, p[:, a] * x[:, b] + p[:, b] * x[:, a]], 1))
        sums[:, 3:] -= sums[:, a] * c[:, b] + sums[:, b] * c[:, a]
        return sums.astype(np.float32)


@_jit
def _walks(begin, end, kind, leaves, first, last, skip, centers, radius, moments, x, p, square, opening, out):
    """All sums for the points of leaves[begin:end]."""
    near, far = np.empty((6, GATHERED), np.float32), np.empty((12, GATHERED), np.float32)
    for k in range(begin, end):
        leaf = leaves[k]
        a, b = first[leaf], last[leaf]
        out[a:b] = 0.0
        cx, cy, cz = centers[leaf, 0], centers[leaf, 1], centers[leaf, 2]
        reach = opening * radius[leaf]
        node, nears, fars = 0, 0, 0
        while node < len(skip):
            dx, dy, dz = centers[node, 0] - cx, centers[node, 1] - cy, centers[node, 2] - cz
            if radius[node] < opening * math.sqrt(dx * dx + dy * dy + dz * dz) - reach:
                for c in range(3):
                    far[c, fars] = centers[node, c]
                for c in range(9):
                    far[3 + c, fars] = moments[node, c]
                fars += 1
                if fars == GATHERED:
                    _add_far(kind, a, b, fars, far, x, square, out)
                    fars = 0
                node = skip[node]
            elif skip[node] == node + 1:
                for j in range(first[node], last[node]):
                    for c in range(3):
                        near[c, nears] = x[c, j]
                        near[3 + c, nears] = p[c, j]
                    nears += 1
                    if nears == GATHERED:
                        _add_near(kind, a, b, nears, near, x, square, out)
                        nears = 0
                node = skip[node]
            else:
                node += 1
        _add_near(kind, a, b, nears, near, x, square, out)
        _add_far(kind, a, b, fars, far, x, square, out)
        if kind == GRADIENT:  # of the others alone
            own = np.float32(1.0) / (square * math.sqrt(square))
            for i in range(a, b):
                for c in range(3):
                    out[i, c] -= p[c, i] * own


@_jit
def _add_near(kind, a, b, count, near, x, square, out):
    sx, sy, sz = near[0, :count], near[1, :count], near[2, :count]
    px, py, pz = near[3, :count], near[4, :count], near[5, :count]
    zero, one, three = np.float32(0.0), np.float32(1.0), np.float32(3.0)
    for i in range(a, b):
        xi, yi, zi = x[0, i], x[1, i], x[2, i]
        gx = gy = gz = zero
        if kind == GRADIENT:
            for j in range(count):
                dx, dy, dz = sx[j] - xi, sy[j] - yi, sz[j] - zi
                inverse = one / (dx * dx + dy * dy + dz * dz + square)
                cube = inverse * math.sqrt(inverse)
                along = three * inverse * (px[j] * dx + py[j] * dy + pz[j] * dz)
                gx += cube * (px[j] - along * dx)
                gy += cube * (py[j] - along * dy)
                gz += cube * (pz[j] - along * dz)
        elif kind == WINDING:
            for j in range(count):
                dx, dy, dz = sx[j] - xi, sy[j] - yi, sz[j] - zi
                inverse = one / (dx * dx + dy * dy + dz * dz + square)
                gx += inverse * math.sqrt(inverse) * (px[j] * dx + py[j] * dy + pz[j] * dz)
        else:
            for j in range(count):
                dx, dy, dz = sx[j] - xi, sy[j] - yi, sz[j] - zi
                inverse = one / (dx * dx + dy * dy + dz * dz + square)
                cube = inverse * math.sqrt(inverse) * px[j]
                gx -= cube * dx
                gy -= cube * dy
                gz -= cube * dz
        out[i, 0] += gx
        out[i, 1] += gy
        out[i, 2] += gz


@_jit
def _add_far(kind, a, b, count, far, x, square, out):
    sx, sy, sz = far[0, :count], far[1, :count], far[2, :count]
    px, py, pz = far[3, :count], far[4, :count], far[5, :count]
    qxx, qyy, qzz = far[6, :count], far[7, :count], far[8, :count]
    qxy, qxz, qyz = far[9, :count], far[10, :count], far[11, :count]
    zero, one, half = np.float32(0.0), np.float32(1.0), np.float32(0.5)
    for i in range(a, b):
        xi, yi, zi = x[0, i], x[1, i], x[2, i]
        gx = gy = gz = zero
        if kind == PUSH:  # the charge is px; its first moment py, pz, qxx
            for j in range(count):
                dx, dy, dz = sx[j] - xi, sy[j] - yi, sz[j] - zi
                inverse = one / (dx * dx + dy * dy + dz * dz + square)
                cube = inverse * math.sqrt(inverse)
                along = px[j] - np.float32(3.0) * inverse * (py[j] * dx + pz[j] * dy + qxx[j] * dz)
                gx -= cube * (along * dx + py[j])
                gy -= cube * (along * dy + pz[j])
                gz -= cube * (along * dz + qxx[j])
        else:
            for j in range(count):
                dx, dy, dz = sx[j] - xi, sy[j] - yi, sz[j] - zi
                inverse = one / (dx * dx + dy * dy + dz * dz + square)
                cube = inverse * math.sqrt(inverse)
                ux = qxx[j] * dx + qxy[j] * dy + qxz[j] * dz
                uy = qxy[j] * dx + qyy[j] * dy + qyz[j] * dz
                uz = qxz[j] * dx + qyz[j] * dy + qzz[j] * dz
                trace, bent = half * (qxx[j] + qyy[j] + qzz[j]), inverse * (ux * dx + uy * dy + uz * dz)
                along = px[j] * dx + py[j] * dy + pz[j] * dz + trace
                if kind == WINDING:
                    gx += cube * (along - np.float32(1.5) * bent)
                else:
                    along -= np.float32(2.5) * bent
                    scale = np.float32(3.0) * inverse
                    gx += cube * (px[j] - scale * (along * dx + ux))
                    gy += cube * (py[j] - scale * (along * dy + uy))
                    gz += cube * (pz[j] - scale * (along * dz + uz))
        out[i, 0] += gx
        out[i, 1] += gy
        out[i, 2] += gz
