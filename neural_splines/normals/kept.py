"""Estimated normals, as a result keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
import torch
from torch import Tensor

from ..runtime.arrays import Array
from .orient import Orientation


@dataclass(frozen=True)
class Estimated(Generic[Array]):
    """normals [n, 3]: unit, of the points as they were given, NaN where those are not finite. doubted [n]: a mask of
    those whose side is uncertain. confidence: in the sides of all, 0 to 1. noise: of the points, in their spacing.
    """

    normals: Array
    doubted: Array
    confidence: float
    noise: float

    def __repr__(self) -> str:
        return f"Estimated({len(self.normals)} normals, confidence {self.confidence:.2f}, noise {self.noise:.2g})"


def kept_of(points: Tensor, found: Orientation) -> Estimated[Any] | None:
    """Of the points [n, 3] that a caller gave: those at one place have one normal. None where none were estimated."""
    estimate = found.estimated
    if estimate is None:
        return None
    points = points.double().cpu()
    normals, doubted = torch.from_numpy(estimate.normals), torch.from_numpy(np.asarray(estimate.confidence.doubted))
    finite = points.isfinite().all(1)
    if not bool(finite.all()) or len(points) != len(normals):
        own = found.cloud.sampling.near.query(points[finite].to(found.cloud.points.device))[1].cpu()
        all_normals, all_doubted = torch.full_like(points, torch.nan), torch.zeros(len(points), dtype=torch.bool)
        all_normals[finite], all_doubted[finite] = normals[own], doubted[own]
        normals, doubted = all_normals, all_doubted
    return Estimated(normals, doubted, float(estimate.confidence.value), float(estimate.noise))
