"""Normals that agree with the winding number that they make: they point where it falls, at every point.

S. Lin, Z. Shi, Y. Liu, Fast and Globally Consistent Normal Orientation based on the Winding Number Normal Consistency,
ACM TOG 2024. Each round is a step of steepest descent on the sum of area (1/2 - winding number)^2 over the points, and
then normals <- the direction of minus the gradient of their field. The smoothing width falls from round to round.
"""

from __future__ import annotations

import numpy as np

from .treecode import Treecode

EVENNESS = 2.0  # dipoles are at most so many times stronger or weaker than their mean


def units(vectors: np.ndarray) -> np.ndarray:
    """Vectors [n, 3] made unit; those of no length stay."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0.0, length, 1.0)


def consistent_normals(sums: Treecode, areas: np.ndarray, widths) -> np.ndarray:
    """Unit normals [n, 3] of points with areas [n] after a round for each width."""
    areas = areas[:, None]
    dipoles = np.zeros_like(sums.points)  # per area
    for width in widths:
        residual = 2.0 * np.pi - sums.winding(areas * dipoles, width)
        step = sums.push(areas[:, 0] * residual, width)
        change = sums.winding(areas * step, width)
        length = (areas[:, 0] * residual * change).sum() / (areas[:, 0] * change * change).sum()
        dipoles = dipoles + length * step
        strength = np.linalg.norm(dipoles, axis=1, keepdims=True)
        strength = np.clip(strength, strength.mean() / EVENNESS, strength.mean() * EVENNESS)
        dipoles = strength * units(sums.gradient(areas * dipoles, width))
    return units(dipoles)
