"""KeOps backend: the kernel's formula as a lazy tensor; compiled by the user's C++ compiler or nvcc.

For GPUs without Triton and for comparison; never imported unless asked for.
"""

from __future__ import annotations

import torch
from pykeops.torch import LazyTensor
from torch import Tensor

from ..geometry import lift
from ..kernels import Kernel
from . import Segments
from .torch_blocks import dense, gradient  # KeOps keeps no matrix, and sqrt has no derivative at 0 there

__all__ = ["apply", "dense", "gradient", "normal"]


def apply(kernel: Kernel, x: Tensor, y: Tensor, w: Tensor, segments: Segments | None = None) -> Tensor:
    (u, r), (v, q) = lift(x), lift(y)
    difference = LazyTensor(u[:, None, :].contiguous()) - LazyTensor(v[None, :, :].contiguous())
    matrix = kernel.phi((difference * difference).sum(-1).sqrt())
    if segments is not None:
        matrix.ranges = _block_diagonal(segments)
    return (matrix @ (w * q**kernel.homogeneity)[:, None])[:, 0] * r**kernel.homogeneity


def normal(kernel: Kernel, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
    return apply(kernel, y, x, apply(kernel, x, y, w))


def _block_diagonal(segments: Segments):
    rows = torch.stack([segments.x_offsets[:-1], segments.x_offsets[1:]], 1).int().contiguous()
    columns = torch.stack([segments.y_offsets[:-1], segments.y_offsets[1:]], 1).int().contiguous()
    slices = torch.arange(1, len(rows) + 1, dtype=torch.int32, device=rows.device)
    return rows, slices, columns, columns, slices, rows
