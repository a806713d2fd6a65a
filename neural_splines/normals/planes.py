"""Directions: planes fitted to the nearest points, weighted, on one side of a thin sheet."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..runtime.compiled import compiled
from ..runtime.threads import parallel
from .graph import PointGraph

_jit = compiled(nogil=True, error_model="numpy")
CALM = 1.5


def fit_planes(graph: PointGraph, count: int, side: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Unit directions [n, 3] of least variance and standard deviations [n] along them.

    Of each point and its `count` nearest, those alone whose vector in side [n, 3] has a positive product with its own
    where that is given; weights 1 - (d / d_max)^2 fall to zero at the farthest. Planes are fitted in coordinates A x,
    stretched along lines as the graph says, A = I + (r - 1) u u^T; where n is normal to one, A n is to the surface.
    """
    if graph.x.is_cuda:
        from . import planes_torch

        return planes_torch.fit_planes(graph.x, graph.neighbours, graph.stretch, count, side)
    n, points = len(graph), graph.x.numpy()
    out, spread = np.empty((n, 3)), np.empty(n)
    one_sided = side is not None
    sides = np.zeros((1, 3)) if side is None else np.ascontiguousarray(side.numpy(), np.float64)
    lists = graph.neighbours.numpy(), graph.stretch.numpy()
    parallel(_planes, n, points, *lists, count, one_sided, sides, out, spread)
    return torch.from_numpy(out), torch.from_numpy(spread)


@_jit
def _planes(begin, end, points, neighbours, stretch, count, one_sided, side, out, spread):
    rows = np.empty((neighbours.shape[1] + 1, 4))
    a, v = np.empty((3, 3)), np.empty((3, 3))
    u = np.empty(3)
    for i in range(begin, end):
        rows[0] = 0.0
        used, farthest = 1, 0.0
        length = math.sqrt(stretch[i, 0] ** 2 + stretch[i, 1] ** 2 + stretch[i, 2] ** 2)
        more = math.sqrt(1.0 + length**2) - 1.0
        for c in range(3):
            u[c] = stretch[i, c] / max(length, 1e-300)
        for k in range(neighbours.shape[1]):
            if used > count:
                break
            j = neighbours[i, k]
            if one_sided and side[i, 0] * side[j, 0] + side[i, 1] * side[j, 1] + side[i, 2] * side[j, 2] <= 0.0:
                continue
            along = square = 0.0
            for c in range(3):
                rows[used, c] = points[j, c] - points[i, c]
                along += rows[used, c] * u[c]
            for c in range(3):
                rows[used, c] += more * along * u[c]
                square += rows[used, c] ** 2
            rows[used, 3] = square
            farthest = max(farthest, square)
            used += 1
        farthest = farthest * 1.0001 + 1e-300
        total = mx = my = mz = 0.0
        for k in range(used):
            w = 1.0 - rows[k, 3] / farthest
            total += w
            mx += w * rows[k, 0]
            my += w * rows[k, 1]
            mz += w * rows[k, 2]
        mx, my, mz = mx / total, my / total, mz / total
        a[:] = 0.0
        for k in range(used):
            w = 1.0 - rows[k, 3] / farthest
            x, y, z = rows[k, 0] - mx, rows[k, 1] - my, rows[k, 2] - mz
            a[0, 0] += w * x * x
            a[1, 1] += w * y * y
            a[2, 2] += w * z * z
            a[0, 1] += w * x * y
            a[0, 2] += w * x * z
            a[1, 2] += w * y * z
        least = _eigen(a, v)
        along = v[0, least] * u[0] + v[1, least] * u[1] + v[2, least] * u[2]
        longer = math.sqrt(1.0 + (length * along) ** 2)
        for c in range(3):
            out[i, c] = (v[c, least] + more * along * u[c]) / longer
        spread[i] = math.sqrt(max(a[least, least], 0.0) / total) / longer


@_jit
def _eigen(a, v):
    """Diagonalise the symmetric a, of which the upper triangle counts, by Jacobi's rotations; the least's column."""
    v[:] = 0.0
    v[0, 0] = v[1, 1] = v[2, 2] = 1.0
    for _ in range(12):
        off = a[0, 1] ** 2 + a[0, 2] ** 2 + a[1, 2] ** 2
        if off <= 1e-30 * (a[0, 0] ** 2 + a[1, 1] ** 2 + a[2, 2] ** 2):
            break
        for p in range(2):
            for q in range(p + 1, 3):
                if a[p, q] == 0.0:
                    continue
                theta = (a[q, q] - a[p, p]) / (2.0 * a[p, q])
                t = 1.0 / (abs(theta) + math.sqrt(theta * theta + 1.0))
                if theta < 0.0:
                    t = -t
                c = 1.0 / math.sqrt(t * t + 1.0)
                s = t * c
                h = t * a[p, q]
                a[p, p] -= h
                a[q, q] += h
                a[p, q] = 0.0
                r = 3 - p - q
                g = a[min(p, r), max(p, r)]
                f = a[min(q, r), max(q, r)]
                a[min(p, r), max(p, r)] = c * g - s * f
                a[min(q, r), max(q, r)] = s * g + c * f
                for k in range(3):
                    g, f = v[k, p], v[k, q]
                    v[k, p], v[k, q] = c * g - s * f, s * g + c * f
    least = 0
    for k in range(1, 3):
        if a[k, k] < a[least, least]:
            least = k
    return least


def noise_of(graph: PointGraph) -> float:
    """The standard deviation of points about their surface, in spacings.

    Residuals of planes through k neighbours grow as s^2 = noise^2 + (c k)^2, where c is the curvature; two k give both.
    The median of the points, but at most CALM times what the quiet quarter has, which creases and clutter spare.
    """
    few, many = min(12, graph.neighbours.shape[1]), min(32, graph.neighbours.shape[1])
    if few == many:
        return 0.0
    a, b = (fit_planes(graph, k)[1].square_() for k in (few, many))
    noise = ((a * many**2 - b * few**2).clamp_min_(0.0) / (many**2 - few**2)).sqrt_().cpu().numpy()
    return float(min(np.median(noise), CALM * np.quantile(noise, 0.25)))
