"""KeOps backend: the kernel's formula as a lazy tensor; compiled by the user's C++ compiler or nvcc.

For GPUs without Triton and for comparison; never imported unless asked for.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...errors import BackendError, first_line
from ...geometry import lift
from ..kernels import Kernel
from .contract import Segments
from .torch_blocks import TorchBlocks

for variable in ("KEOPS_VERBOSE", "PYKEOPS_VERBOSE"):  # it prints what it compiles among a script's results
    os.environ.setdefault(variable, "0")
from pykeops.torch import LazyTensor  # noqa: E402


@dataclass(frozen=True)
class KeOps(TorchBlocks):
    """KeOps keeps no matrix, and its sqrt has no derivative at 0: what needs these is plain torch."""

    name: str = "keops"
    storing_pays: bool = True

    def apply(self, kernel: Kernel, x: Tensor, y: Tensor, w: Tensor, segments: Segments | None = None) -> Tensor:
        (u, r), (v, q) = lift(x), lift(y)
        difference = LazyTensor(u[:, None, :].contiguous()) - LazyTensor(v[None, :, :].contiguous())
        matrix: Any = kernel.phi((difference * difference).sum(-1).sqrt())  # lazy
        if segments is not None:
            matrix.ranges = _block_diagonal(segments)
        try:
            product = matrix @ (w * q**kernel.homogeneity)[:, None]
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:  # here it compiles; a failure may be any exception
            raise BackendError(
                f"--backend keops cannot be used here: {first_line(error)}; KeOps compiles its formulas and needs a "
                "C++ compiler, on a GPU CUDA's headers too; try --backend auto"
            ) from error
        return product[:, 0] * r**kernel.homogeneity

    def normal(self, kernel: Kernel, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        return self.apply(kernel, y, x, self.apply(kernel, x, y, w))


def _block_diagonal(segments: Segments) -> tuple[Tensor, ...]:
    rows = torch.stack([segments.x_offsets[:-1], segments.x_offsets[1:]], 1).int().contiguous()
    columns = torch.stack([segments.y_offsets[:-1], segments.y_offsets[1:]], 1).int().contiguous()
    slices = torch.arange(1, len(rows) + 1, dtype=torch.int32, device=rows.device)
    return rows, slices, columns, columns, slices, rows
