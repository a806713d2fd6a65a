"""Normals that agree with the winding number that they make: they point where it falls, at every point.

S. Lin, Z. Shi, Y. Liu, Fast and Globally Consistent Normal Orientation based on the Winding Number Normal Consistency,
ACM TOG 2024. Each round is a step of steepest descent on the sum of area (1/2 - winding number)^2 over the points, and
then normals <- the direction of minus the gradient of their field. The smoothing width falls from round to round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .treecode import Treecode

EVENNESS = 2.0  # dipoles are at most so many times stronger or weaker than their mean


def units(vectors: Any) -> Any:
    """Vectors [n, 3], of numpy or torch, made unit; those of no length stay."""
    length = lengths(vectors)
    return vectors / (length + (length == 0.0))


def lengths(vectors: Any) -> Any:
    """[n, 1] of vectors [n, 3]."""
    return (vectors * vectors).sum(axis=1, keepdims=True) ** 0.5


def consistent_normals(sums: Treecode, areas: Any, widths: Sequence[float]) -> Any:
    """Unit normals [n, 3] of points with areas [n, 1] after a round for each width."""
    dipoles = 0.0 * sums.points  # per area
    for width in widths:
        residual = 2.0 * math.pi - sums.winding(areas * dipoles, width)[:, None]
        step = sums.push((areas * residual)[:, 0], width)
        change = sums.winding(areas * step, width)[:, None]
        square = float((areas * change * change).sum())  # 0 where all points lie on a line
        dipoles = dipoles + float((areas * residual * change).sum()) / (square or 1.0) * step
        strength = lengths(dipoles)
        strength = strength.clip(float(strength.mean()) / EVENNESS, float(strength.mean()) * EVENNESS)
        dipoles = strength * units(sums.gradient(areas * dipoles, width))
    return units(dipoles)
