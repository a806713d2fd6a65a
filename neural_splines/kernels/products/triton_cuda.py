"""GPU backend: fused Triton kernels, compiled at first use and cached on disk; needs no nvcc.

The host side: shapes, tiles and tasks. The kernels, and the bound that they run at: `triton_kernels.py`.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import comb
from typing import Any

import torch
import triton
from torch import Tensor

from ..kernels import Kernel
from .contract import Products, Segments
from .triton_kernels import apply_kernel, dense_gradient_kernel, dense_kernel, gradient_kernel, lift_kernel

# Tiles by measurement on an H200. A program is one warp, so that its threads need not wait for other warps.
ROWS = {torch.float64: 128, torch.float32: 256}  # rows a program: 4 or 8 a thread
GRADIENT_ROWS = {torch.float64: 64, torch.float32: 256}
COLUMNS = {torch.float64: 4, torch.float32: 4}  # columns at a time: independent operations hide latencies
DENSE_COLUMNS, DENSE_ROWS = 128, 64  # of a matrix that one program writes
PROGRAMS = 32768  # sums are split until there are so many: enough to keep all multiprocessors busy to the end
SHORTEST = 64  # columns a program, below which its start would count

# Products and sums are to be contracted, which later versions of Triton no longer do by themselves.
OPTIONS = {"num_warps": 1, "enable_fp_fusion": True}


@dataclass(frozen=True)
class TritonKernels(Products):
    """Fused kernels on an NVIDIA GPU."""

    name: str = "triton"
    storing_pays: bool = False  # on an H200 torch reads a float64 K twice at 273 G pairs/s, no faster than `normal`

    def apply(self, kernel: Kernel, x: Tensor, y: Tensor, w: Tensor, segments: Segments | None = None) -> Tensor:
        return _sum(kernel, x, y, w, segments, gradient=False)[0]

    def gradient(
        self, kernel: Kernel, x: Tensor, y: Tensor, w: Tensor, segments: Segments | None = None
    ) -> tuple[Tensor, Tensor]:
        sums = _sum(kernel, x, y, w, segments, gradient=True)
        return sums[0], sums[1:].t().contiguous()

    def normal(self, kernel: Kernel, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        # One pass would have to keep phi of whole rows, 80 KB each for 10,000 columns, until their sums are known:
        # writing that to memory and reading it back takes as long as computing it again.
        return self.apply(kernel, y, x, self.apply(kernel, x, y, w))

    def dense(self, kernel: Kernel, x: Tensor, y: Tensor) -> Tensor:
        batch, n, m = x.shape[:-2], x.shape[-2], y.shape[-2]
        out = x.new_empty(*batch, n, m)
        if out.numel():
            a, b, _, _, shift = _polynomials(kernel, x.dtype)
            grid = (batch.numel() * triton.cdiv(n, DENSE_ROWS), triton.cdiv(m, DENSE_COLUMNS))
            with _on(x):
                u, v = _lift(kernel, x.reshape(-1, 3)), _lift(kernel, y.reshape(-1, 3))
                dense_kernel[grid](u, v, out, n, m, a, b, shift, DENSE_ROWS, DENSE_COLUMNS, **OPTIONS)
        return out

    def dense_gradient(self, kernel: Kernel, x: Tensor, y: Tensor) -> Tensor:
        batch, n, m = x.shape[:-2], x.shape[-2], y.shape[-2]
        out = x.new_empty(*batch, n, 4, m)
        if out.numel():
            grid = (batch.numel() * triton.cdiv(n, DENSE_ROWS), triton.cdiv(m, DENSE_COLUMNS))
            with _on(x):
                common = _lift(kernel, x.reshape(-1, 3)), _lift(kernel, y.reshape(-1, 3)), out, n, m
                polynomials = _polynomials(kernel, x.dtype)
                dense_gradient_kernel[grid](
                    *common, *polynomials, kernel.homogeneity, DENSE_ROWS, DENSE_COLUMNS, **OPTIONS
                )
        return out


def _sum(kernel: Kernel, x: Tensor, y: Tensor, w: Tensor, segments: Segments | None, gradient: bool) -> Tensor:
    """K w, and its gradient in x where asked for: [1 or 4, n]."""
    n, m, outputs, rows = len(x), len(y), 4 if gradient else 1, (GRADIENT_ROWS if gradient else ROWS)[x.dtype]
    if n == 0:
        return x.new_empty(outputs, 0)
    if segments is None:
        tasks, problems, blocks = None, 1, triton.cdiv(n, rows)
    else:
        tasks = _tasks(segments, n, rows)
        problems, blocks = len(segments.x_offsets) - 1, len(tasks)
    splits = max(1, min(triton.cdiv(PROGRAMS, blocks), m // (problems * SHORTEST), 65535))
    partial = x.new_empty(splits, outputs, n)
    a, b, da, db, shift = _polynomials(kernel, x.dtype)
    with _on(x):
        common = _lift(kernel, x), _lift(kernel, y, w), tasks, partial, n, m
        if gradient:
            gradient_kernel[(blocks, splits)](*common, a, b, da, db, shift, kernel.homogeneity, rows, **OPTIONS)
        else:
            apply_kernel[(blocks, splits)](*common, a, b, shift, rows, COLUMNS[x.dtype], **OPTIONS)
    return partial[0] if splits == 1 else partial.sum(0)


def _tasks(segments: Segments, n: int, rows: int) -> Tensor:
    """Tasks [t, 4]: first row, past the last row, first column, past the last column.

    Made on the device without waiting for it: t is a bound, and tasks past the true number have no rows.
    """
    starts, stops = segments.x_offsets[:-1], segments.x_offsets[1:]
    pieces = (stops - starts + (rows - 1)) // rows
    ends = pieces.cumsum(0)
    index = torch.arange(n // rows + len(starts), device=starts.device)
    problem = torch.searchsorted(ends, index, right=True).clamp_(max=len(starts) - 1)
    first = starts[problem] + (index - (ends - pieces)[problem]) * rows
    columns = segments.y_offsets
    return torch.stack([first, torch.minimum(first + rows, stops[problem]), columns[problem], columns[problem + 1]], 1)


def _lift(kernel: Kernel, points: Tensor, w: Tensor | None = None) -> Tensor:
    """Points [n, 3] as half unit vectors and w |X|^p: [n + padding, 5], the last of them with w = 0."""
    n, padding = len(points), COLUMNS[points.dtype]
    packed = points.new_empty(n + padding, 5)
    w = None if w is None else w.contiguous()
    grid = (triton.cdiv(n + padding, 256),)
    lift_kernel[grid](points.contiguous(), w, packed, n, kernel.homogeneity, padding, 256, **OPTIONS)
    return packed


@lru_cache(maxsize=64)
def _polynomials(kernel: Kernel, dtype: torch.dtype) -> tuple[Any, Any, Any, Any, float]:
    """a, b, 2 a', 2 b' and the shift of their variable, as the kernels below want them.

    Without a shift where that is as accurate: up to z = 1/2 it is, and saves an operation a pair. In float64 the
    odd part is halved, because `_roots` gives 2 s there.
    """
    p = kernel.polynomials(dtype)
    centred = (p.a, p.b, p.da, p.db)
    plain = tuple(_recentred(part, p.shift) for part in centred)
    sizes = [sum(abs(c) * kernel.z_max**k for k, c in enumerate(part)) for part in plain]
    shift, (a, b, da, db) = (0.0, plain) if max(sizes) <= 8.0 else (p.shift, centred)
    odd = 0.5 if dtype == torch.float64 else 1.0
    return a, tuple(odd * c for c in b), tuple(2.0 * c for c in da), tuple(2.0 * odd * c for c in db), shift


def _recentred(coefficients: tuple[float, ...], shift: float) -> tuple[float, ...]:
    """The polynomial in z - shift as one in z, exact but for the rounding of the result."""
    exact, power = [Fraction(c) for c in coefficients], -Fraction(shift)
    return tuple(
        float(sum(c * comb(j, k) * power ** (j - k) for j, c in enumerate(exact) if j >= k)) for k in range(len(exact))
    )


def _on(x: Tensor) -> contextlib.AbstractContextManager[object]:
    """Launch where the tensors are, not on the current device."""
    return torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()
