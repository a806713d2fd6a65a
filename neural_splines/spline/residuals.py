"""How far points lie from the zero set of a field."""

from __future__ import annotations

from torch import Tensor

from .contract import Field


def residuals(field: Field, points: Tensor) -> Tensor:
    """Distances |f| / |grad f| [k] of points [n, 3] from the surface, world units, where f is defined; in order."""
    value, gradient = field.gradient(points)
    distance = value.abs() / gradient.norm(dim=1)
    return distance[distance.isfinite()].sort().values
