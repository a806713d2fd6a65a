"""The treecode's walks, compiled for the CPU: inner loops in SIMD lanes of float32 over what a walk has gathered.

Sums run in a fixed order, whatever the number of threads.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..runtime.compiled import compiled
from ..runtime.threads import parallel
from .interactions import Interactions
from .octree import Octree

GATHERED = 512  # sources, or nodes, at a time: they stay in the first-level cache
GRADIENT, WINDING, PUSH = 0, 1, 2
_jit = compiled(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})


class Walker:
    """Walks from every leaf of a tree over points [n, 3]: once to find what meets, then only along that."""

    def __init__(self, tree: Octree, points: Tensor, opening: float):
        found = Interactions.of(tree, opening)
        self._met = (found.far, found.far_ends, found.near, found.near_ends)
        self._leaves, self._skip, self._centers = (tree.leaves, tree.first, tree.last), tree.skip, tree.centers
        self._points, self._x = points.numpy(), _rows(points.numpy())

    def __call__(self, kind: int, sources: Tensor, square: float) -> Tensor:
        """The sums [n, 3] of a kind of sources [n, 3], of charges their first column; square: of the width."""
        count, moments = len(self._leaves[0]), np.zeros((len(self._skip), 9))
        p = np.ascontiguousarray(sources.numpy(), np.float64)
        parallel(_leaf_moments, count, kind, *self._leaves, self._centers, self._points, p, moments)
        _node_moments(kind, self._skip, self._centers, moments)
        nodes = np.concatenate([self._centers, moments], 1, dtype=np.float32)
        out = np.empty((len(p), 3), np.float32)
        parallel(_walks, count, kind, *self._leaves, *self._met, nodes, self._x, _rows(p), np.float32(square), out)
        return torch.from_numpy(out)


def _rows(values: np.ndarray) -> np.ndarray:
    """[n, 3] as float32 [3, n]."""
    return np.ascontiguousarray(values.T, np.float32)


@_jit
def _leaf_moments(begin, end, kind, leaves, first, last, centers, points, p, moments):
    """Of dipoles: the sum of p, and xx, yy, zz, xy, xz, yz of the sum of p (x) d + d (x) p for d from the centre.

    Of charges: their sum and that of charge times d.
    """
    for k in range(begin, end):
        node = leaves[k]
        m = moments[node]
        for i in range(first[node], last[node]):
            _add(kind, m, p[i, 0], p[i, 1], p[i, 2], *_from(points, i, centers, node))


@_jit
def _from(points, i, centers, node):
    return points[i, 0] - centers[node, 0], points[i, 1] - centers[node, 1], points[i, 2] - centers[node, 2]


@_jit
def _add(kind, m, px, py, pz, dx, dy, dz):
    """Add the moments of a source with the first moment p at d."""
    m[0] += px
    if kind == PUSH:
        m[1] += px * dx
        m[2] += px * dy
        m[3] += px * dz
        return
    m[1] += py
    m[2] += pz
    m[3] += 2.0 * px * dx
    m[4] += 2.0 * py * dy
    m[5] += 2.0 * pz * dz
    m[6] += px * dy + py * dx
    m[7] += px * dz + pz * dx
    m[8] += py * dz + pz * dy


@_jit
def _node_moments(kind, skip, centers, moments):
    """The moments of nodes with children, from theirs; children come after their parents."""
    second = 1 if kind == PUSH else 3
    for node in range(len(skip) - 1, -1, -1):
        child = node + 1
        while child < skip[node]:
            m = moments[child]
            _add(kind, moments[node], m[0], m[1], m[2], *_from(centers, child, centers, node))
            for c in range(second, 9):
                moments[node, c] += m[c]
            child = skip[child]


@_jit
def _walks(begin, end, kind, leaves, first, last, met, met_ends, beside, beside_ends, nodes, x, p, square, out):
    """All sums for the points of leaves[begin:end], of the nodes that they meet and the leaves beside them."""
    near, far = np.empty((6, GATHERED), np.float32), np.empty((12, GATHERED), np.float32)
    for k in range(begin, end):
        a, b = first[leaves[k]], last[leaves[k]]
        out[a:b] = 0.0
        fars = nears = 0
        for t in range(met_ends[k], met_ends[k + 1]):
            node = nodes[np.uint32(met[t])]
            for c in range(12):
                far[c, fars] = node[c]
            fars += 1
            if fars == GATHERED:
                _add_far(kind, a, b, fars, far, x, square, out)
                fars = 0
        for t in range(beside_ends[k], beside_ends[k + 1]):
            j, end = first[beside[t]], last[beside[t]]
            while j < end:
                count = min(end - j, GATHERED - nears)
                for c in range(3):
                    for i in range(count):
                        near[c, nears + i] = x[c, j + i]
                        near[3 + c, nears + i] = p[c, j + i]
                j += count
                nears += count
                if nears == GATHERED:
                    _add_near(kind, a, b, nears, near, x, square, out)
                    nears = 0
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
