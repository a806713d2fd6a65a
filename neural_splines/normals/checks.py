"""Given normals that contradict the geometry: found and named, never changed."""

from __future__ import annotations

import math

import numpy as np
import torch

from ..cloud.clouds import OrientedCloud
from ..cloud.degeneracy import NOT_PERPENDICULAR, unusable
from ..cloud.octree import morton_order
from .areas import AREA_RANK, LARGEST_AREA, disc_areas
from .consistency import consistency

SAMPLE = 2_000  # points that the test for inward normals looks at
FEWEST = 100
DRAWN = 200_000  # points, of which every sample is taken
ROWS = 256  # of distances to all at a time: half a megabyte
LENGTHS = 200_000  # normals whose lengths are looked at
# Shares of the normals that are turned round, and the agreement that makes them worth a warning: noise of 1 % of a
# diagonal has 3 % with 0.5 at most, a patch of 3 % on a clean shape has 0.98, one of 10 % on the scan of a room 0.7.
TURNED = ((0.02, 0.9), (0.1, 0.5))
OFF = 0.05  # share of the normals that lie in the surface; 5 % outliers make 0.007
CLOSED, SPREAD = 0.9, 0.3  # this share of the points has a winding number within SPREAD of -1/2,
MIDDLE = 0.1  # and their median is so near to it
OFF_UNIT, OFF_SHARE = 0.1, 0.01


def contradictions(cloud: OrientedCloud, given: np.ndarray) -> list[str]:
    """Lines about a cloud with the normals `given` [m, 3] before they were made unit."""
    remedy = "use --normals estimate to replace them, or check how they were made"
    lines = []
    some = given[:: -(-len(given) // LENGTHS)]
    largest = np.abs(some).max(1, keepdims=True)
    some, largest = (rows[np.isfinite(largest[:, 0]) & (largest[:, 0] > 0.0)] for rows in (some, largest))
    length = np.linalg.norm(some / largest, axis=1) * largest[:, 0]  # else squares may overflow
    off = float((np.abs(length - 1.0) > OFF_UNIT).mean()) if len(length) else 0.0
    if off > OFF_SHARE:
        lines.append(
            f"{off:.0%} of the normals are not of unit length (median {np.median(length):.3g}): they were made unit; "
            "check that they are normals"
        )
    order = _along_the_curve(cloud)
    found = consistency(cloud, order)
    if any(found.turned > share and found.agreement > agreement for share, agreement in TURNED):
        lines.append(
            f"the signs of normals are mixed: about {found.turned:.0%} are opposite to those around them; {remedy}"
        )
    elif found.off > OFF:
        part = f"{found.off:.0%} of the normals are not perpendicular to the surface; {remedy}"
        lines.append(NOT_PERPENDICULAR if unusable(cloud) else part)
    elif inward(cloud, order):
        lines.append(
            "the normals point into a closed shape, which turns it inside out; use --flip-normals, unless it is a room "
            "seen from within"
        )
    return lines


def _along_the_curve(cloud: OrientedCloud) -> torch.Tensor:
    """Rows of points in the order of the Morton curve: of all, or of so many drawn from a large cloud."""
    if len(cloud) <= DRAWN:
        return morton_order(cloud.box, cloud.points)
    rows = torch.from_numpy(np.unique(np.random.default_rng(0).integers(0, len(cloud), DRAWN)))
    rows = rows.to(cloud.points.device)
    return rows[morton_order(cloud.box, cloud.points[rows])]


def inward(cloud: OrientedCloud, order: torch.Tensor) -> bool:
    """Whether the winding number at the points is near -1/2 nearly everywhere: a closed shape inside out.

    Summed over all pairs of a sample that is even along the Morton curve.
    """
    chosen = order[:: -(-len(order) // SAMPLE)]
    if len(chosen) < FEWEST:
        return False
    sample = cloud.sampling.near.part(chosen)
    areas = disc_areas(sample.query(sample.points, AREA_RANK + 1)[0].cpu())
    x, n = sample.points.cpu() - cloud.box.center, cloud.normals[chosen].cpu()
    areas = areas.clamp_max(LARGEST_AREA * float(areas.median()))
    along, smooth = (x * n).sum(1), float(areas.median())
    parts, far = [], 0
    for part in x.split(ROWS):
        # sum_j a_j n_j . (x_j - x_i) / r^3, with r smoothed by the spacing
        inverse = (torch.cdist(part, x).square_() + smooth).rsqrt_()
        parts.append((inverse**3 * (along - part @ n.T)) @ areas / (4.0 * math.pi))
        far += int(((parts[-1] + 0.5).abs() >= SPREAD).sum())
        if far >= (1.0 - CLOSED) * len(x):  # of a cloud with right normals after one part
            return False
    return abs(float(torch.cat(parts).median()) + 0.5) < MIDDLE
