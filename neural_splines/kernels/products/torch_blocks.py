"""Reference backend: the kernel's formula in plain torch, on any device, in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ...geometry import lift
from ..kernels import Kernel
from .contract import Products, Segments

BLOCK_BYTES = 256 << 20
TEMPORARIES = 12  # live [rows, m] tensors while a formula is evaluated: differences [rows, m, 4], z, s, t, ...


@dataclass(frozen=True)
class TorchBlocks(Products):
    """The formula of the kernel as it stands, block by block."""

    name: str = "torch"
    storing_pays: bool = True

    def apply(self, kernel: Kernel, x: Tensor, y: Tensor, w: Tensor, segments: Segments | None = None) -> Tensor:
        out = x.new_empty(len(x))
        for rows, columns in _blocks(x, y, segments):
            out[rows] = kernel(x[rows], y[columns]) @ w[columns]
        return out

    def gradient(
        self, kernel: Kernel, x: Tensor, y: Tensor, w: Tensor, segments: Segments | None = None
    ) -> tuple[Tensor, Tensor]:
        values, gradients = x.new_empty(len(x)), torch.empty_like(x)
        for rows, columns in _blocks(x, y, segments):
            with torch.inference_mode(False), torch.enable_grad():  # copies: the caller's may be for inference alone
                block = x[rows].clone().requires_grad_()
                value = kernel(block, y[columns].clone()) @ w[columns].clone()
                (slopes,) = torch.autograd.grad(value.sum(), block)
            values[rows], gradients[rows] = value.detach(), slopes
        return values, gradients

    def normal(self, kernel: Kernel, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        out = torch.zeros_like(w)
        for rows, _ in _blocks(x, y, None):
            block = kernel(x[rows], y)
            out += (block @ w) @ block
        return out

    def dense(self, kernel: Kernel, x: Tensor, y: Tensor) -> Tensor:
        out = x.new_empty(*x.shape[:-1], y.shape[-2])
        per_row = y.shape[-2] * x.shape[:-2].numel()
        for rows in _rows(0, x.shape[-2], per_row, x):
            out[..., rows, :] = kernel(x[..., rows, :], y)
        return out

    def dense_gradient(self, kernel: Kernel, x: Tensor, y: Tensor) -> Tensor:
        out = x.new_empty(*x.shape[:-1], 4, y.shape[-2])
        per_row = 4 * y.shape[-2] * x.shape[:-2].numel()
        for rows in _rows(0, x.shape[-2], per_row, x):
            out[..., rows, :, :] = _values_and_slopes(kernel, x[..., rows, :], y)
        return out


def _values_and_slopes(kernel: Kernel, x: Tensor, y: Tensor) -> Tensor:
    """k and dk/dx [..., n, 4, m] by the chain rule through the half unit vectors h = X / (2 |X|) of the lifted points.

    dk/dX = (|X||Y|)^p (p phi X / |X|^2 + phi'(s) / s P (h_x - h_y) / (2 |X|)), P projects off h_x.
    """
    (u, r), (v, q) = lift(x), lift(y)
    difference = u[..., :, None, :] - v[..., None, :, :]
    s = difference.square().sum(-1).clamp_min(torch.finfo(x.dtype).tiny).sqrt()
    with torch.inference_mode(False), torch.enable_grad():
        chord = s.clone().requires_grad_()
        phi = kernel.phi(chord)
        (steepness,) = torch.autograd.grad(phi.sum(), chord)
    phi, steepness = phi.detach(), steepness / s
    along = 4.0 * (difference * u[..., :, None, :]).sum(-1)  # |h|^2 = 1/4
    size = (r[..., :, None] * q[..., None, :]) ** kernel.homogeneity
    slopes = steepness[..., None] * (difference - along[..., None] * u[..., :, None, :])
    slopes = slopes + 4.0 * kernel.homogeneity * phi[..., None] * u[..., :, None, :]
    slopes = slopes[..., :3] * (0.5 * size / r[..., :, None])[..., None]
    return torch.cat([(size * phi)[..., None], slopes], -1).transpose(-1, -2)


def _blocks(x: Tensor, y: Tensor, segments: Segments | None) -> Iterator[tuple[slice, slice]]:
    segments = segments or Segments.single(x, y)
    x_offsets, y_offsets = segments.x_offsets.tolist(), segments.y_offsets.tolist()
    for p in range(len(x_offsets) - 1):
        columns = slice(y_offsets[p], y_offsets[p + 1])
        for rows in _rows(x_offsets[p], x_offsets[p + 1], columns.stop - columns.start, x):
            yield rows, columns


def _rows(start: int, stop: int, per_row: int, like: Tensor) -> Iterator[slice]:
    step = max(1, BLOCK_BYTES // (TEMPORARIES * max(per_row, 1) * like.element_size()))
    return (slice(i, min(i + step, stop)) for i in range(start, stop, step))
