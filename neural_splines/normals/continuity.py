"""How much two nearby directions ask for the same sign, or for opposite ones.

A surface that bends evenly from x to y has, at y, the mirror image of its normal at x: reflected by the plane midway
between the points, and turned round. For e along y - x the coupling

    c = m . m' - 2 (m . e)(m' . e)

is therefore near 1 along a smooth surface and over a crease of any angle, and near -1 from one side of a thin sheet to
the other.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..runtime.compiled import compiled
from ..runtime.threads import parallel

_jit = compiled(nogil=True, error_model="numpy")
ROWS_AT_ONCE = 1 << 20
STEPS = 65535  # of couplings between sure and 1


def couplings(points: Tensor, directions: Tensor, neighbours: Tensor) -> Tensor:
    """c [n, k] of each point with those in neighbours [n, k]."""
    if points.is_cuda:
        return tensor_couplings(points, directions, neighbours)
    out = np.empty(neighbours.shape, np.float32)
    parallel(_couplings, len(points), points.numpy(), directions.numpy(), neighbours.numpy(), out)
    return torch.from_numpy(out)


def tensor_couplings(points: Tensor, m: Tensor, neighbours: Tensor) -> Tensor:
    """The same on any device, by PyTorch."""
    parts = []
    for rows in torch.arange(len(points), device=points.device).split(ROWS_AT_ONCE):
        near = neighbours[rows].long()
        d, here, there = points[near] - points[rows, None], m[rows, None], m[near]
        along = (d * here).sum(2) * (d * there).sum(2) / d.square().sum(2)
        parts.append(((here * there).sum(2) - 2.0 * along).float())
    return torch.cat(parts)


@_jit
def _couplings(begin, end, points, m, neighbours, out):
    for i in range(begin, end):
        for k in range(out.shape[1]):
            j = neighbours[i, k]
            dx, dy, dz = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1], points[j, 2] - points[i, 2]
            square = dx * dx + dy * dy + dz * dz
            here = m[i, 0] * dx + m[i, 1] * dy + m[i, 2] * dz
            there = m[j, 0] * dx + m[j, 1] * dy + m[j, 2] * dz
            dot = m[i, 0] * m[j, 0] + m[i, 1] * m[j, 1] + m[i, 2] * m[j, 2]
            out[i, k] = dot - 2.0 * here * there / square


def grow_patches(neighbours: np.ndarray, coupling: np.ndarray, sure: float, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Patches [n], numbered in the order of their first points, and the sign [n] of each point in its patch.

    Kruskal's forest on the edges to neighbours [n, k] whose coupling [n, k] is at least `sure` in absolute value, the
    surest first, as long as no tree has more than `most` points.
    """
    size = np.abs(coupling).ravel()
    edges = np.flatnonzero((size >= sure) & _first_of_two(neighbours).ravel())
    unsure = ((1.0 - size[edges]) * (STEPS / (1.0 - sure))).clip(0, STEPS)
    edges = edges[np.argsort(unsure.astype(np.uint16), kind="stable")]  # of 16 bits, which NumPy sorts by radix
    return _forest(edges, neighbours, coupling, most, np.full(len(neighbours), -1))


@_jit
def _first_of_two(neighbours):
    """Mask [n, k] of edges without those from the higher to the lower of two points that have each other."""
    n, count = neighbours.shape
    out = np.ones((n, count), np.bool_)
    for i in range(n):
        for k in range(count):
            j = neighbours[i, k]
            if j < i:
                for other in range(count):
                    if neighbours[j, other] == i:
                        out[i, k] = False
                        break
    return out


@_jit
def _forest(edges, neighbours, coupling, most, patch):
    n, count = neighbours.shape
    parent, sign, size = np.arange(n, dtype=np.int32), np.ones(n, np.int8), np.ones(n, np.int32)
    for e in edges:
        i, k = e // count, e % count
        a, s = _root(parent, sign, i)
        b, t = _root(parent, sign, neighbours[i, k])
        if a == b or size[a] + size[b] > most:
            continue
        if size[a] < size[b]:
            a, b = b, a
        parent[b] = a
        sign[b] = s * t * (1 if coupling[i, k] > 0.0 else -1)
        size[a] += size[b]
    label, signs, number = np.empty(n, np.int64), np.empty(n, np.int8), 0
    for i in range(n):
        a, signs[i] = _root(parent, sign, i)
        if patch[a] < 0:
            patch[a] = number
            number += 1
        label[i] = patch[a]
    return label, signs


@_jit
def _root(parent, sign, i):
    """The root of i's tree, and i's sign relative to it; the path is halved on the way."""
    total = 1
    while parent[i] != i:
        above = parent[i]
        if parent[above] != above:
            sign[i] *= sign[above]
            parent[i] = parent[above]
        total *= sign[i]
        i = parent[i]
    return i, total
