"""Whether the normals of a cloud were made from its points: then they err together with the points around them."""

from __future__ import annotations

import torch
from torch import Tensor

from ..clouds import OrientedCloud
from ..neighbours import SPACING_RANK, Neighbours

SAMPLE = 600  # points that are looked at
PLANES = (10, 16, 24, 36)  # neighbours that others fit planes to
ROUGH = 0.12  # spacings: clean points lie so near to their planes; there it does not matter
FOLLOWING = 0.25  # of the roughness: normals of other makes differ from the planes by 0.3 to 0.6 of it, those made
# from the planes of about as many points by 0.08 to 0.2


def follows_noise(cloud: OrientedCloud, generator: torch.Generator) -> bool:
    """Whether the normals agree with planes through noisy neighbours better than independent normals could.

    roughness = rms distance of k points from their plane over their spacing; it tilts the plane by about as much.
    """
    n = len(cloud)
    if n <= 2 * max(PLANES):
        return False
    pick = torch.randperm(n, generator=generator)[:SAMPLE].to(cloud.points.device)
    near, x = Neighbours(cloud.points), cloud.points[pick]
    found = [near.query(x, k) for k in range(1, max(PLANES) + 2)]
    index, spacing = torch.stack([i for _, i in found], 1), found[SPACING_RANK][0]
    for k in PLANES:
        normal, thickness = _planes(cloud.points[index[:, : k + 1]])
        angle = (normal * cloud.normals[pick]).sum(1).abs().clamp_max(1.0).acos()
        rough = float((thickness / spacing.clamp_min(1e-300)).median())
        if rough > ROUGH and float(angle.median()) < FOLLOWING * rough:
            return True
    return False


def _planes(points: Tensor) -> tuple[Tensor, Tensor]:
    """Unit normals [n, 3] of the best planes through points [n, k, 3], and the rms distances [n] from them."""
    centred = points - points.mean(1, keepdim=True)
    values, vectors = torch.linalg.eigh(centred.mT @ centred)
    return vectors[:, :, 0], (values[:, 0].clamp_min(0.0) / points.shape[1]).sqrt()
