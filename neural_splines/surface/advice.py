"""Lines about a surface that is not what a user may take it for: each with a number and a remedy."""

from __future__ import annotations

from torch import Tensor

from ..clouds import OrientedCloud
from ..neighbours import Neighbours
from .mesh import Mesh

SAMPLES = 20_000  # faces, and points, that are looked at
# Farther than both is far. Closed objects stay within 0.04 diagonals, open scans have sheets beyond; what is sparse
# leaves wider gaps.
FAR_DIAGONALS, FAR_SPACINGS = 0.03, 4.0
NOTABLE, MOST = 0.01, 0.5  # of the faces


def far_lines(mesh: Mesh, cloud: OrientedCloud, remedy: str) -> list[str]:
    """One line where more than 1 % of the faces lie far from all points, and so are made up."""
    points, faces = cloud.points.to(mesh.vertices.device), _sample(mesh.faces)
    near = Neighbours(points)
    spacing = float(near.spacing(_sample(points)).median())
    far = max(FAR_DIAGONALS * cloud.box.diagonal, FAR_SPACINGS * spacing)
    share = float(near.query(mesh.vertices[faces[:, 0]], within=far)[0].isinf().double().mean())
    if share <= NOTABLE:
        return []
    remedy = remedy if share < MOST else "check the points and their normals"
    return [f"{share:.0%} of the faces lie farther than {far:.3g} from every point: no data support them; {remedy}"]


def _sample(rows: Tensor) -> Tensor:
    return rows[:: -(-len(rows) // SAMPLES)]
