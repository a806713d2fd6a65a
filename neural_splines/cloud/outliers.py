"""Points that belong to no surface: far from their neighbours, and off the surface that these lie on."""

from __future__ import annotations

import torch
from torch import Tensor

from ..components import components
from ..geometry import median
from ..runtime.devices import slices
from .clouds import OrientedCloud

SPARSE, SUPPORT = 2.5, 0.5  # times the median distance to the 6th neighbour; the share of witnesses that must agree
# Where there are many outliers, some are near the surface: of 1500 around a gear 450 passed, now 160 do, and some 70
# points of the surface go.
MANY, SPARSE_NEAR, SUPPORT_NEAR = 0.002, 1.25, 0.2
# Where so sparse that nothing else says of what, only what lies in one surface with the other sparse points stays: of
# 60 points high above a terrain 18 agreed with half of their witnesses by chance, and none with nine of ten.
LONE, COHERENT = 10.0, 0.9
SMOOTH = 0.2  # as STEEP, of sparse points among themselves: a halo around a surface is thicker
# At an edge fewer agree. Where density falls 20- or 30-fold, the mean support of a point and its witnesses is 0.29 or
# more on surfaces with edges, of the 60 points above 0.27 at most, of random ones 0.12 in 98 of 100.
EDGE = 0.28
ALONE = 100.0  # times the spacing of most of its neighbours: so far away a point is on no surface that they know of
WITNESSES = 12  # nearest points that are asked
STEEP = 0.5  # of |n.(p - q)| / |p - q|: the sine of 30 degrees, above which p does not lie on q's surface
AGREEING = 0.3  # of n.m: normals that point the same way
MOST = 0.2  # of a cloud that may be outliers; more are the cloud
# Of 800 outliers in 20 clumps 694 to 718 are found so, and at most 3 of 20,000 points of a surface; so are 25 of 30,000
# with noise of 1 % of the diagonal and normals that were estimated from it.
ODD, CLUMP_POINTS = 0.3, 200  # times the typical support by neighbours; more points together are leaves or grass
PASSES = 4  # a few outliers support each other until the others are gone


def outliers(
    cloud: OrientedCloud, sparse: float = SPARSE, support: float = SUPPORT, median_spacing: float | None = None
) -> Tensor:
    """A mask [n] of points that are sparse and whose neighbours do not see them on their surface.

    Both must hold: a part of a surface that was sampled sparsely is coherent, and noise is dense. A witness q supports
    p where p lies near the plane of q and both normals point the same way. Beside a surface that was sampled densely
    the nearest points are all of that one; so the sparse points are asked among themselves too. A point that stands
    alone is one whatever they say: seen from the origin of a map a terrain is a point, and its plane passes near there.
    median_spacing: the median distance of a larger cloud, of which this is a part.
    """
    spacing = cloud.sampling.spacing
    median_spacing = cloud.sampling.median_spacing if median_spacing is None else median_spacing
    suspect = (spacing > sparse * median_spacing).nonzero()[:, 0]
    nearest = cloud.sampling.neighbours[suspect].long()
    alone = suspect[spacing[suspect] > ALONE * spacing[nearest].median(1).values]
    mask = torch.zeros(len(cloud), dtype=torch.bool, device=cloud.points.device)
    found = torch.ones(len(cloud), dtype=torch.float64, device=cloud.points.device)
    for chunk in slices(len(suspect), mask.device):
        index = suspect[chunk]
        needed = torch.where(spacing[index] > LONE * median_spacing, max(support, COHERENT), support)
        found[index] = _support(cloud, index)
        mask[index] = found[index] < needed
    lone = (mask & (spacing > SPARSE * median_spacing)).nonzero()[:, 0]
    if len(lone):
        alike = (spacing > SPARSE * median_spacing).nonzero()[:, 0]
        among = OrientedCloud(cloud.points[alike], cloud.normals[alike])
        here = torch.searchsorted(alike, lone)
        own = _support(among, torch.arange(len(among), device=lone.device), SMOOTH)
        around = own[among.sampling.near.nearest(among.points[here], WITNESSES + 1)[1]].mean(1)
        mask[lone] = (own[here] < COHERENT) & ((around < EDGE) | (found[lone] < SUPPORT_NEAR))
    mask[alone] = True
    return _few(mask)


def clumps(cloud: OrientedCloud) -> Tensor:
    """A mask [n] of points in small dense groups that contradict one another, as on no surface.

    The support of a point is the share of its six neighbours that see it on their surface, averaged over these twice.
    """
    neighbours = cloud.sampling.neighbours
    support = torch.empty(len(cloud), dtype=torch.float64, device=cloud.points.device)
    for chunk in slices(len(cloud), support.device):
        other = neighbours[chunk].long()
        offset, normal = cloud.points[chunk, None] - cloud.points[other], cloud.normals[other]
        support[chunk] = _agree(offset, cloud.normals[chunk, None], normal, STEEP).double().mean(1)
    for _ in range(2):
        before = support
        support = torch.empty_like(before)
        for chunk in slices(len(cloud), support.device):
            around = before[neighbours[chunk].long()]
            support[chunk] = (before[chunk] + around.sum(1)) / (1 + around.shape[1])
    odd = support < ODD * median(support)
    which = odd.nonzero()[:, 0]
    if len(which):
        other = neighbours[which].long()
        place = odd.cumsum(0) - 1
        row, column = odd[other].nonzero().T
        edges = torch.stack([row, place[other[row, column]]], 1)
        _, label, size = components(edges, len(which)).unique(return_inverse=True, return_counts=True)
        odd[which[size[label] > CLUMP_POINTS]] = False
    return _few(odd)


def _few(mask: Tensor) -> Tensor:
    """A mask [n], or none where it is of too much of the cloud."""
    return mask if float(mask.double().mean()) <= MOST else torch.zeros_like(mask)


def _agree(offset: Tensor, normal: Tensor, other: Tensor, steep: float) -> Tensor:
    """Which points at an offset [..., 3] from others lie near the planes of these, with normals that point alike."""
    height = (offset * other).sum(-1).abs()
    return (height < steep * offset.norm(dim=-1)) & ((normal * other).sum(-1) > AGREEING)


def _support(cloud: OrientedCloud, index: Tensor, steep: float = STEEP) -> Tensor:
    """The share of the witnesses of points [k] that support them; of a cloud with fewer, the missing ones do not."""
    votes = torch.zeros(len(index), dtype=torch.float64, device=index.device)
    x, n = cloud.points[index], cloud.normals[index]
    for other in cloud.sampling.near.nearest(x, WITNESSES + 1)[1].T[1:]:
        votes += _agree(x - cloud.points[other], n, cloud.normals[other], steep)
    return votes / WITNESSES


def without_outliers(cloud: OrientedCloud, median_spacing: float | None = None) -> tuple[OrientedCloud, str | None]:
    """The cloud without its outliers, and one line where there were any; `median_spacing` as for `outliers`."""
    kept = cloud
    if not cloud.one_sided:  # what was seen from above has leaves and grass, which contradict one another too
        odd = clumps(cloud)
        kept = _apart(cloud, odd) if bool(odd.any()) else cloud
    kept = _without(kept, SPARSE, SUPPORT, median_spacing)
    if len(cloud) - len(kept) > MANY * len(cloud):
        kept = _without(kept, SPARSE_NEAR, SUPPORT_NEAR, median_spacing)
    lines = outlier_lines(len(cloud) - len(kept), len(cloud))
    return (kept, lines[0]) if lines else (cloud, None)


def outlier_lines(count: int, total: int) -> list[str]:
    """One line where so many of all points were left out."""
    if not count:
        return []
    what = "was ignored as a stray point" if count == 1 else "were ignored as stray points"
    return [
        f"{count:,} of {total:,} points {what} (far from the surface of {'its' if count == 1 else 'their'} neighbours)"
        "; keep such points with --remove-outliers none"
    ]


def _without(cloud: OrientedCloud, sparse: float, support: float, median_spacing: float | None) -> OrientedCloud:
    for _ in range(PASSES):
        mask = outliers(cloud, sparse, support, median_spacing)
        if not bool(mask.any()):
            break
        cloud = _apart(cloud, mask)
    return cloud


def _apart(cloud: OrientedCloud, mask: Tensor) -> OrientedCloud:
    """A cloud without the points under a mask [n]; it is not asked for its neighbours any more."""
    part = cloud.part((~mask).nonzero()[:, 0])
    cloud.sampling.forget()
    return part
