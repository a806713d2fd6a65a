"""Normals that agree with the winding number that they make: they point where it falls, at every point.

S. Lin, Z. Shi, Y. Liu, Fast and Globally Consistent Normal Orientation based on the Winding Number Normal Consistency,
ACM TOG 2024. Each round is a step of steepest descent on the sum of area (1/2 - winding number)^2 over the points, and
then normals <- the direction of minus the gradient of their field. The smoothing width falls from round to round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .treecode import Treecode

EVENNESS = 2.0  # dipoles are at most so many times stronger or weaker than their mean


def units(vectors: Tensor) -> Tensor:
    """Vectors [n, 3] made unit; those of no length stay."""
    length = lengths(vectors)
    return vectors / length.masked_fill_(length == 0.0, 1.0)


def lengths(vectors: Tensor) -> Tensor:
    """[n, 1] of vectors [n, 3]."""
    x, y, z = vectors.double().unbind(1)
    return (x * x).addcmul_(y, y).addcmul_(z, z).sqrt_()[:, None]


def total(values: Tensor) -> float:
    """The sum, the same for any number of threads."""
    return float(values.sum() if values.is_cuda else values.numpy().sum(dtype=np.float64))


def consistent_normals(sums: Treecode, areas: Tensor, widths: Sequence[float]) -> Tensor:
    """Unit normals [n, 3] of points with areas [n, 1] after a round for each width."""
    dipoles = torch.zeros_like(sums.points)  # per area
    for width in widths:
        residual = 2.0 * math.pi - sums.winding(areas * dipoles, width)[:, None]
        step = sums.push((areas * residual)[:, 0], width)
        change = sums.winding(areas * step, width)[:, None]
        square = total(areas * change * change)  # 0 where all points lie on a line
        dipoles.add_(step, alpha=total(areas * residual * change) / (square or 1.0))
        strength = lengths(dipoles)
        mean = total(strength) / len(strength)
        strength.clamp_(mean / EVENNESS, mean * EVENNESS)
        dipoles = units(sums.gradient(areas * dipoles, width)).mul_(strength)
    return units(dipoles)
