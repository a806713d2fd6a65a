"""Batched direct solution of many small weighted kernel ridge regressions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

GRAM_BLOCKS = 2  # column blocks: 3 of 4 block products suffice for a symmetric result; measured against 1 to 4
JITTER = {torch.float64: (0.0, 1e-14, 1e-12, 1e-10), torch.float32: (0.0, 1e-6, 1e-5, 1e-4)}
FACTOR_JITTER = (1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10)  # relative, of matrices in double precision


def gram(K: Tensor, weights: Tensor) -> Tensor:
    """K' diag(weights) K for K [b, n, m], weights [b, n] >= 0: symmetric."""
    if K.device.type == "cpu":
        return _squared(K * weights.sqrt()[:, :, None])
    return _blockwise([(K * weights[:, :, None], K)])


def gram_of_rows(parts: Sequence[Tensor]) -> Tensor:
    """sum K' K over K [b, n, m] in `parts`, which may be views of every so many rows of one matrix."""
    if parts[0].device.type == "cpu":
        return _squared(parts[0] if len(parts) == 1 else torch.cat(list(parts), 1))
    return _blockwise([(K, K) for K in parts])


def _squared(K: Tensor) -> Tensor:
    """K' K [b, m, m] on a CPU. NumPy takes a product of a matrix with itself to a routine that makes one triangle: 0.4
    to 0.6 of the time of a batched product of torch.
    """
    x = K.numpy()
    return torch.from_numpy(np.matmul(x.transpose(0, 2, 1), x))


def _blockwise(pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """sum K' L [b, m, m] over pairs (K, L), where it is symmetric, by blocks of columns."""
    b, _, m = pairs[0][0].shape
    step = -(-m // GRAM_BLOCKS)
    out = pairs[0][0].new_empty(b, m, m)
    for i in range(0, m, step):
        block = out[:, i : i + step, i:]
        for k, (left, right) in enumerate(pairs):
            torch.baddbmm(block, left[:, :, i : i + step].mT, right[:, :, i:], beta=min(k, 1), out=block)
        out[:, i + step :, i : i + step] = block[:, :, step:].mT
    return out


def solve_spd(A: Tensor, rhs: Tensor) -> tuple[Tensor, Tensor]:
    """(solutions [b, m], relative jitter used [b], NaN where even the largest fails) for A [b, m, m]."""
    diagonal = A.diagonal(dim1=-2, dim2=-1)
    scale, jitter = diagonal.mean(-1), torch.full(A.shape[:1], torch.nan, dtype=A.dtype, device=A.device)
    solution = torch.full_like(rhs, torch.nan)
    todo = torch.arange(len(A), device=A.device)
    for step in JITTER[A.dtype]:
        B = A if len(todo) == len(A) and step == 0.0 else A[todo]
        if step:
            B.diagonal(dim1=-2, dim2=-1).add_((step * scale[todo])[:, None])
        L, info = torch.linalg.cholesky_ex(B)
        x = torch.cholesky_solve(rhs[todo][..., None], L)[..., 0]
        good = (info == 0) & x.isfinite().all(-1)
        solution[todo[good]], jitter[todo[good]] = x[good], step
        todo = todo[~good]
        if not len(todo):
            break
    return solution, jitter


def factor_spd(A: Tensor) -> Tensor:
    """Lower factors L [b, m, m], L L' = A, of A [b, m, m], or of A with the least jitter that leaves it positive: NaN
    where none does.
    """
    factor, info = torch.linalg.cholesky_ex(A)
    todo = (info != 0).nonzero()[:, 0]
    scale = A.diagonal(dim1=-2, dim2=-1).mean(-1)
    for step in FACTOR_JITTER:
        if not len(todo):
            return factor
        more = A[todo]
        more.diagonal(dim1=-2, dim2=-1).add_((step * scale[todo])[:, None])
        factor[todo], info = torch.linalg.cholesky_ex(more)
        todo = todo[info != 0]
    factor[todo] = torch.nan
    return factor
