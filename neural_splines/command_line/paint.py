"""What a mesh carries of its points beside their surface: colours, further numbers, and how well they support it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..attributes import carry, densities, distances
from ..clouds import OrientedCloud
from ..files.scans import ScannedCloud
from ..surface.mesh import Mesh

QUALITY = "quality"  # what MeshLab and CloudCompare show as a colour ramp


@dataclass(frozen=True)
class Paint:
    """Of every vertex: colours [v, 3] uint8 where the points have them; scalars [v] by name."""

    colours: np.ndarray | None = None
    scalars: dict[str, np.ndarray] = field(default_factory=dict)


def paint(scanned: ScannedCloud, cloud: OrientedCloud, mesh: Mesh, quality: str | None) -> Paint:
    """Colours and scalars of the scanned points, carried to the vertices; `quality`: distance or density."""
    vertices = mesh.numpy().vertices
    finite = np.isfinite(scanned.points).all(1)
    points = scanned.points[finite]
    colours = None
    if scanned.colours is not None:
        colours = np.round(carry(points, scanned.colours[finite], vertices)).astype(np.uint8)
    scalars = {name: carry(points, values[finite, None], vertices)[:, 0] for name, values in scanned.scalars.items()}
    if quality:
        measure = distances if quality == "distance" else densities
        scalars[QUALITY] = measure(cloud.points.cpu().numpy(), vertices)
    return Paint(colours, scalars)
