"""What a mesh carries of its points beside their surface: colours, further numbers, and how well they support it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..cloud.clouds import OrientedCloud
from ..files.scans import ScannedCloud
from ..run.trust import qualities
from ..run.whole import Reconstruction
from ..surface.attributes import Attributes, distances, interpolated


def paint(scanned: ScannedCloud, cloud: OrientedCloud, result: Reconstruction, names: tuple[str, ...]) -> Attributes:
    """Colours and scalars of the scanned points, carried to the vertices; and the qualities of these names.

    Points of the cloud that were not kept, as outliers, give nothing.
    """
    vertices, rows = result.mesh.numpy().vertices, counted(scanned, cloud, result.kept)
    found = Attributes()
    if scanned.colours is not None or scanned.scalars:
        attributes = Attributes(scanned.colours, scanned.scalars).of_rows(rows)
        found, _ = interpolated(scanned.points[rows], attributes, vertices, result.kept.points.device)
    return replace(found, scalars={**found.scalars, **qualities(result, names)}) if names else found


def counted(scanned: ScannedCloud, cloud: OrientedCloud, kept: OrientedCloud) -> np.ndarray:
    """Which of the scanned points [n] give something: those that are finite, and no outliers of the cloud."""
    rows = np.isfinite(scanned.points).all(1)
    if len(kept) < len(cloud):
        device = kept.points.device
        all_points, left = cloud.points.cpu().numpy(), kept.points.cpu().numpy()
        out = all_points[distances(left, all_points, device) > 0.0]
        rows[rows] = distances(out, scanned.points[rows], device) > 0.0
    return np.asarray(rows)
