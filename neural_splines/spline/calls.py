"""Fields as functions, `field(points)`, and their derivatives in PyTorch's autograd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..runtime.arrays import Array

if TYPE_CHECKING:
    from .contract import Field


def values_at(field: Field, points: Array) -> Array:
    """field.evaluate(points); of torch points that require a gradient, values through which autograd can go, once."""
    if isinstance(points, Tensor) and points.requires_grad and torch.is_grad_enabled():
        values: Array = _Values.apply(points, field)
        return values
    return field.evaluate(points)


class _Values(torch.autograd.Function):
    """F, with grad F(x_i) as the derivative in row i of the points."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, field: Field) -> Tensor:
        values, slopes = field.gradient(points)
        ctx.save_for_backward(slopes.to(points.dtype))
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor, None]:
        """0 where a loss does not look, also where the field is not defined."""
        (slopes,) = ctx.saved_tensors
        weights = weights.to(slopes.dtype)[:, None]
        return torch.where(weights == 0.0, torch.zeros_like(slopes), weights * slopes), None
