"""Second derivatives of sums over a kernel that has them: the neural-spline kernel with the outer-layer variance 0.

With lifted points X = (x, 1) and Y, unit vectors u = X / |X| and v, and the angle t between them,

    k = |X||Y| (sin t + (pi - t) cos t) / pi,       dk/dX = |Y| (u sin t + (pi - t) v) / pi,
    d2k/dX2 = |Y| / (pi |X|) (sin t (I - u u') + d d' / sin t),       d = v - u cos t,

which is 0 where the points meet, and continuous there, as |d| = sin t.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import SettingsError
from ..geometry import lift
from .kernels import Kernel
from .products.contract import Segments

ENTRIES = 1 << 18  # of a row and a column at a time: they stay near the caches
LEAST = 1e-15  # sin^2 t: of nearer points rounding says nothing, and they count for nothing
KINKED = (
    "curvature asks second derivatives, and this kernel has kinks at its centres; use --kernel neural-spline "
    "--outer-layer-variance 0"
)


def hessian(kernel: Kernel, x: Tensor, y: Tensor, w: Tensor, segments: Segments | None = None) -> Tensor:
    """The second derivatives [n, 3, 3] of K w in x [n, 3]; arguments as of `Products.apply`, in double precision.

    Raises SettingsError of kernels that have none.
    """
    if not kernel.is_smooth:
        raise SettingsError(KINKED)
    (u, norm), (v, size) = (lift(part.double()) for part in (x, y))
    u, v, c = 2.0 * u, 2.0 * v, w.double() * size / math.pi  # `lift` gives halves of unit vectors
    squares = (v[:, :3, None] * v[:, None, :3]).flatten(1)
    segments = segments or Segments.single(x, y)
    rows, columns = segments.x_offsets.tolist(), segments.y_offsets.tolist()
    out = u.new_zeros(len(x), 3, 3)
    for p in range(len(rows) - 1):
        own = slice(columns[p], columns[p + 1])
        step = max(1, ENTRIES // max(1, own.stop - own.start))
        for first in range(rows[p], rows[p + 1], step):
            some = slice(first, min(first + step, rows[p + 1]))
            out[some] = _sum(u[some], v[own], squares[own], c[own]) / norm[some, None, None]
    return out


def _sum(u: Tensor, v: Tensor, squares: Tensor, c: Tensor) -> Tensor:
    """sum_j c_j (sin t (I - u u') + d d' / sin t), its first three rows and columns [n, 3, 3], by products of matrices:
    d d' = v v' - cos t (u v' + v u') + cos^2 t u u'. squares [m, 9]: v v'.
    """
    cosine = u @ v.T
    sine = ((1.0 - cosine) * (1.0 + cosine)).clamp_min(LEAST).sqrt()
    share = c / sine
    bent = sine @ c
    mixed = ((share * cosine) @ v[:, :3])[:, :, None] * u[:, None, :3]
    along = share.sum(1) - 2.0 * bent  # of u u': sum c cos^2 t / sin t, less sum c sin t
    outer = (share @ squares).view(-1, 3, 3) - mixed - mixed.mT
    outer += along[:, None, None] * u[:, :3, None] * u[:, None, :3]
    return outer + bent[:, None, None] * torch.eye(3).to(u)


def curvatures(slope: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and Gauss curvature [n] of the level sets of a field, of its gradients [n, 3] and second derivatives
    [n, 3, 3].

    H = (|g|^2 tr F'' - g' F'' g) / (2 |g|^3), the mean of the principal curvatures, positive where the surface bends
    away from its outside, as a ball's does: 1 / r. K = g' adj(F'') g / |g|^4, their product. Source: R. Goldman,
    Curvature formulas for implicit curves and surfaces, CAGD 22, 2005.
    """
    square = slope.square().sum(1)
    along = (slope * (second @ slope[:, :, None])[:, :, 0]).sum(1)
    mean = (square * second.diagonal(dim1=1, dim2=2).sum(1) - along) / (2.0 * square**1.5)
    a, b, c = second.unbind(1)
    cross = torch.linalg.cross
    adjugate = torch.stack([cross(b, c), cross(c, a), cross(a, b)], 2)  # of a symmetric matrix, whose rows these are
    return mean, (slope * (adjugate @ slope[:, :, None])[:, :, 0]).sum(1) / square.square()
