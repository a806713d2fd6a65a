"""Whether the normals of a cloud were made from its points: then they err together with the points around them."""

from __future__ import annotations

import torch
from torch import Tensor

from ..cloud.clouds import OrientedCloud
from ..cloud.neighbours import SPACING_RANK
from ..geometry import principal_axes

SAMPLE = 600  # points that are looked at
PLANES = range(8, 50, 2)  # neighbours that others fit planes to
BENT = (10, 28)  # whose planes tell noise from curvature
NOISY = 0.08  # spacings: of clean points the noise is less, and does not matter
# Of angle k / thickness, about the same for all k where normals are independent: noise s tilts a plane by s / k.
# Independent ones have 9 to 13, those made from the planes of about as many points 2 to 4.6.
FOLLOWING = 6.0


def follows_noise(cloud: OrientedCloud, generator: torch.Generator) -> bool:
    """Whether the normals agree with planes through noisy neighbours better than independent normals could."""
    if len(cloud) <= 2 * max(PLANES):
        return False
    pick = torch.randperm(len(cloud), generator=generator)[:SAMPLE].to(cloud.points.device)
    distance, index = cloud.sampling.near.nearest(cloud.points[pick], max(PLANES) + 1)
    spacing = distance[:, SPACING_RANK].clamp_min(1e-300)
    planes = {k: _planes(cloud.points[index[:, : k + 1]]) for k in PLANES}
    if float((_noise(*(planes[k][1] for k in BENT)) / spacing).median()) < NOISY:
        return False
    return min(_disagreement(cloud.normals[pick], spacing, k, *planes[k]) for k in PLANES) < FOLLOWING


def _disagreement(normals: Tensor, spacing: Tensor, k: int, plane: Tensor, square: Tensor) -> float:
    """angle k / thickness of normals and planes, medians of each."""
    angle = (plane * normals).sum(1).abs().clamp_max(1.0).acos()
    return k * float(angle.median()) / max(float((square.sqrt() / spacing).median()), 1e-300)


def _noise(few: Tensor, many: Tensor) -> Tensor:
    """sigma [n] of square distances sigma^2 + (c k)^2 from planes through few and many neighbours.

    By curvature distances grow as the square of the radius, which is the number of points k.
    """
    a, b = (float(k * k) for k in BENT)
    return (few - (many - few) * (a / (b - a))).clamp_min(0.0).sqrt()


def _planes(points: Tensor) -> tuple[Tensor, Tensor]:
    """Unit normals [n, 3] of the best planes through points [n, k, 3], and mean square distances [n] from them."""
    squares, axes = principal_axes(points)
    return axes[:, :, 0], squares[:, 0] / (points.shape[1] - 3)
