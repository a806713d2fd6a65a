"""Clouds and offsets that determine no surface, or one that the grid cannot show: a line with the cause and a remedy.

Nothing is refused here but an offset that no surface can be made with.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import SettingsError
from ..geometry import Box, principal_axes
from ..settings import MAX_GRID
from .clouds import OUTLIER_RATIO, OrientedCloud

FLAT = 1e-7  # of a cloud's length: thinner is a line, or a plane
SAMPLE = 2000  # points that are looked at
FEWEST = 100  # points that tell across from along
SCALES = (6, 24, 96, 384)  # neighbours: where noise hides the surface from few, it shows to many
SHARE = 8  # a part of the cloud, of which at most such a share are neighbours
LYING = 0.43  # sine of the angle between neighbours and the plane of a normal: 0.5 at random, 0.64 in the surface
FLAT_ACROSS = 0.25  # mean square cosine between the normals and that of a plane
GAP, GAP_SPACINGS = 1 / 32, 10.0  # of the box's longest side, and median spacings: a wider gap parts clusters
FEW_VOXELS, GOOD_VOXELS = 16.0, 64.0
NOT_PERPENDICULAR = (
    "the normals are not perpendicular to the surface, so the mesh is not usable; use --normals estimate"
)
LEAST_EPS, SHORT_EPS = 1e-9, 0.01  # of a box's diagonal; of half a voxel diagonal, and of the spacing


def shape_lines(cloud: OrientedCloud) -> list[str]:
    """Points on a line, and normals that run along the surface that the points lie on."""
    (_, width, length), _ = _extents(cloud)
    if width < FLAT * length:
        return [f"the {len(cloud)} points lie on a line, which determines no surface; scan more of the object"]
    return [NOT_PERPENDICULAR] if unusable(cloud) else []


def unusable(cloud: OrientedCloud) -> bool:
    """Whether the normals of nearly all points run along the surface or point anywhere; never where points lie on a
    line.
    """
    (thickness, width, length), across = _extents(cloud)
    if width < FLAT * length:
        return False
    if len(cloud) > 3 and thickness < FLAT * length:  # three points always lie in a plane
        return float((cloud.normals @ across).square().mean()) < FLAT_ACROSS
    return len(cloud) >= FEWEST and _lying(cloud)


def _extents(cloud: OrientedCloud) -> tuple[list[float], Tensor]:
    """Standard deviations of the points along their principal axes [3], ascending, in units of their largest
    coordinate; and the first of these axes [3].
    """
    points = cloud.points - cloud.points.mean(0)
    squares, axes = principal_axes(points / points.abs().max())
    return squares.sqrt().tolist(), axes[:, 0]


def _lying(cloud: OrientedCloud) -> bool:
    """Whether at every scale the median |n.(y - x)| / |y - x| of neighbours y of x is large: it is 0 on a plane."""
    near, chosen = cloud.sampling.near, slice(None, None, -(-len(cloud) // SAMPLE))
    x, n = cloud.points[chosen], cloud.normals[chosen]
    for scale in (min(scale, len(cloud) // SHARE) for scale in SCALES):
        found = near.nearest(x, scale + 1)[1][:, torch.linspace(scale / 2, scale, 6).round().long().to(x.device)]
        rays = [cloud.points[index] - x for index in found.T]
        sines = [(ray * n).sum(1).abs() / ray.norm(dim=1).clamp_min(1e-300) for ray in rays]
        if float(torch.stack(sines).mean(0).median()) <= LYING:
            return False
    return True


def cluster_line(cloud: OrientedCloud, voxel_size: float) -> str | None:
    """One line where gaps part the points into clusters that get few voxels, because the box must hold them all."""
    longest = float(cloud.box.sides.max())
    parts = _clusters(cloud.points, GAP * longest)
    if len(parts) > 1:
        parts = _clusters(cloud.points, max(GAP * longest, GAP_SPACINGS * cloud.sampling.median_spacing))
    largest = max(float(Box.around(part).sides.max()) for part in parts)
    if longest < OUTLIER_RATIO * largest or largest >= FEW_VOXELS * voxel_size:
        return None
    grid = 1.1 * GOOD_VOXELS * longest / max(largest, 1e-300)
    remedy = f", or raise GRID_SIZE to {grid:.0f}" if grid <= MAX_GRID else ""
    return (
        f"the points lie in {len(parts)} clusters far apart, and the largest spans only {largest / voxel_size:.2g} "
        f"voxels of the {longest / voxel_size:.0f} along the box; reconstruct each by itself{remedy}"
    )


def _clusters(points: Tensor, gap: float) -> list[Tensor]:
    """The points parted along the axes wherever a gap between their coordinates is wider."""
    todo, done = [points], []
    while todo:
        part = todo.pop()
        for axis in range(3):
            position, order = part[:, axis].sort()
            walls = (position.diff() > gap).nonzero()[:, 0] + 1
            if len(walls):
                todo += [part[index] for index in order.tensor_split(walls.cpu())]
                break
        else:
            done.append(part)
    return done


def check_eps(eps: float, diagonal: float) -> None:
    """Refuse an offset that is longer than the box, or so short that float64 cannot tell its ends apart."""
    if not LEAST_EPS * diagonal <= eps <= diagonal:
        raise SettingsError(
            f"EPS {eps:g} is {'longer' if eps > diagonal else 'a billion times shorter'} than the box of the cloud "
            f"(diagonal {diagonal:.3g}, in the units of the cloud); use EPS auto"
        )


def eps_line(eps: float, usual: float, cloud: OrientedCloud) -> str | None:
    """One line where an offset is so much shorter than the usual one and the points' spacing that it says little."""
    least = min(usual, cloud.sampling.median_spacing)
    if eps >= SHORT_EPS * least:
        return None
    return (
        f"EPS {eps:g} is {least / eps:.2g} times shorter than the spacing of the points or half a voxel diagonal, so "
        f"that the normals hardly count; use EPS auto, which is {usual:.3g}"
    )
