"""What a mesh carries of its points beside their surface: colours, further numbers, and how well they support it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..attributes import carry, densities, distances, nearest
from ..clouds import OrientedCloud
from ..files.scans import ScannedCloud
from ..surface.mesh import Mesh

QUALITY = "quality"  # what MeshLab and CloudCompare show as a colour ramp


@dataclass(frozen=True)
class Paint:
    """Of every vertex: colours [v, 3] uint8 where the points have them; scalars [v] by name."""

    colours: np.ndarray | None = None
    scalars: dict[str, np.ndarray] = field(default_factory=dict)


def paint(scanned: ScannedCloud, cloud: OrientedCloud, kept: OrientedCloud, mesh: Mesh, quality: str | None) -> Paint:
    """Colours and scalars of the scanned points, carried to the vertices; `quality`: distance or density.

    Points of the cloud that were not kept, as outliers, give nothing. Integers, such as classes, are those of the
    nearest point.
    """
    vertices = mesh.numpy().vertices
    rows = np.isfinite(scanned.points).all(1)
    left = kept.points.cpu().numpy()
    if len(kept) < len(cloud):
        all_points = cloud.points.cpu().numpy()
        out = all_points[distances(left, all_points) > 0.0]
        rows[rows] = distances(out, scanned.points[rows]) > 0.0
    points = scanned.points[rows]
    colours = None
    if scanned.colours is not None:
        colours = np.round(carry(points, scanned.colours[rows], vertices)).astype(np.uint8)
    scalars = {name: _carried(points, values[rows], vertices) for name, values in scanned.scalars.items()}
    if quality:
        measure = distances if quality == "distance" else densities
        scalars[QUALITY] = measure(left, vertices).astype(np.float32)
    return Paint(colours, scalars)


def _carried(points: np.ndarray, values: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Numbers [n] of their own type."""
    if values.dtype.kind == "f":
        return carry(points, values[:, None].astype(np.float64), vertices)[:, 0].astype(values.dtype)
    return values[nearest(points, vertices)]
