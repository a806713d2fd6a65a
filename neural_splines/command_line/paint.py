"""What a mesh carries of its points beside their surface: colours, further numbers, and how well they support it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..cloud.clouds import OrientedCloud
from ..files.scans import ScannedCloud
from ..surface.attributes import QUALITY, Attributes, distances, interpolated, quality_of
from ..surface.mesh import Mesh


def paint(
    scanned: ScannedCloud, cloud: OrientedCloud, kept: OrientedCloud, mesh: Mesh, quality: str | None
) -> Attributes:
    """Colours and scalars of the scanned points, carried to the vertices; `quality`: distance or density.

    Points of the cloud that were not kept, as outliers, give nothing.
    """
    vertices = mesh.numpy().vertices
    rows = np.isfinite(scanned.points).all(1)
    left = kept.points.cpu().numpy()
    if len(kept) < len(cloud):
        all_points = cloud.points.cpu().numpy()
        out = all_points[distances(left, all_points) > 0.0]
        rows[rows] = distances(out, scanned.points[rows]) > 0.0
    found = Attributes()
    if scanned.colours is not None or scanned.scalars:
        attributes = Attributes(scanned.colours, scanned.scalars).of_rows(rows)
        found, _ = interpolated(scanned.points[rows], attributes, vertices)
    if quality:
        found = replace(found, scalars={**found.scalars, QUALITY: quality_of(left, vertices, quality)[0]})
    return found
