"""Plane fits of many points at once in PyTorch, for a GPU; runs on any device."""

from __future__ import annotations

import math

import torch
from torch import Tensor

ENTRIES_AT_ONCE = 1 << 24  # neighbours


def fit_planes(
    points: Tensor, neighbours: Tensor, stretch: Tensor, count: int, side: Tensor | None
) -> tuple[Tensor, Tensor]:
    """As planes.fit_planes."""
    out, spread = torch.empty_like(points), torch.empty_like(points[:, 0])
    near_all = neighbours if side is not None else neighbours[:, :count]
    for rows in torch.arange(len(points), device=points.device).split(max(1, ENTRIES_AT_ONCE // near_all.shape[1])):
        near = near_all[rows].long()
        if side is None:
            used = torch.ones_like(near, dtype=torch.bool)
        else:
            used = (side[near] * side[rows, None]).sum(2) > 0.0
            used &= used.cumsum(1) <= count
        used = torch.nn.functional.pad(used, (1, 0), value=True)  # the point itself
        offset = torch.nn.functional.pad(points[near] - points[rows, None], (0, 0, 1, 0))
        length = stretch[rows].norm(dim=1, keepdim=True)
        unit, more = stretch[rows] / length.clamp_min(1e-300), (1.0 + length.square()).sqrt() - 1.0
        offset += (offset @ unit[..., None]) * (more * unit)[:, None]
        square = offset.square().sum(2)
        farthest = torch.where(used, square, 0.0).amax(1, keepdim=True) * 1.0001 + 1e-300
        weight = torch.where(used, 1.0 - square / farthest, 0.0)
        total = weight.sum(1, keepdim=True)
        mean = (weight[:, None] @ offset)[:, 0] / total
        offset -= mean[:, None]
        scatter = offset.mT @ (weight[..., None] * offset)
        direction = least_vectors(scatter)
        variance = (direction[:, None] @ scatter @ direction[..., None])[:, 0, 0]
        direction += more * (direction * unit).sum(1, keepdim=True) * unit
        longer = direction.norm(dim=1).clamp_min(1e-300)  # of points without others on their side it is zero
        out[rows], spread[rows] = direction / longer[:, None], (variance.clamp_min_(0.0) / total[:, 0]).sqrt_() / longer
    return out, spread


def least_vectors(a: Tensor) -> Tensor:
    """Unit eigenvectors [n, 3] of the least eigenvalues of symmetric matrices [n, 3, 3], in closed form.

    The eigenvalues are q + 2 p cos(phi + 2 pi k / 3), and the adjugate of A - lambda I is a multiple of v v^T where
    lambda is simple (O. K. Smith, Eigenvalues of a Symmetric 3 x 3 Matrix, CACM 1961).
    """
    a = a / a.diagonal(dim1=1, dim2=2).sum(1).clamp_min(1e-300)[:, None, None]
    eye = torch.eye(3, dtype=a.dtype, device=a.device)
    q = a.diagonal(dim1=1, dim2=2).mean(1)
    b = a - q[:, None, None] * eye
    p = (b.square().sum((1, 2)) / 6.0).sqrt_().clamp_min_(1e-300)
    half = (_determinant(b / p[:, None, None]) * 0.5).clamp_(-1.0, 1.0)
    least = q + 2.0 * p * torch.cos(torch.acos(half) / 3.0 + 2.0 * math.pi / 3.0)
    rows = a - least[:, None, None] * eye
    adjugate = torch.stack([torch.linalg.cross(rows[:, i], rows[:, (i + 1) % 3]) for i in range(3)], 1)
    size = adjugate.square().sum(2)
    vector = adjugate[torch.arange(len(a), device=a.device), size.argmax(1)]
    flat = size.amax(1) < 1e-20  # on a line, where any vector across it will do
    along = a[torch.arange(len(a), device=a.device), a.square().sum(2).argmax(1)]
    across = torch.linalg.cross(along, eye[along.abs().argmin(1)])
    vector = torch.where(flat[:, None], across, vector)
    return vector / vector.square().sum(1, keepdim=True).sqrt_().clamp_min_(1e-300)


def _determinant(m: Tensor) -> Tensor:
    return (m[:, 0] * torch.linalg.cross(m[:, 1], m[:, 2])).sum(1)
