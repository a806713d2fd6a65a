"""Lines about a result that is not what a user may take it for: each with a number and a remedy."""

from __future__ import annotations

from torch import Tensor

from .cells import Cells
from .clouds import OrientedCloud
from .meshing import Mesh
from .neighbours import Neighbours

SAMPLES = 20_000  # faces, and points, that are looked at
# Farther than both is far. Closed objects stay within 0.04 diagonals, open scans have sheets beyond; what is sparse
# leaves wider gaps.
FAR_DIAGONALS, FAR_SPACINGS = 0.03, 4.0
NOTABLE, MOST = 0.01, 0.5  # of the faces


def jitter_lines(relative: float, limit: float, where: str, remedy: str) -> list[str]:
    """One line where the diagonal of a matrix was raised by at least `limit` of its mean to factor it."""
    if relative < limit:
        return []
    return [
        f"{where} is so close to singular that {relative:.0e} of its diagonal was added to it, which blurs the "
        f"surface; {remedy}"
    ]


def eps_lines(eps: float, cells: Cells, limit: float) -> list[str]:
    """One line where an offset `eps` (world units) is cut to `limit` times the padded side of some cells."""
    cut = int((eps * cells.scales > limit).sum())
    if not cut:
        return []
    return [
        f"EPS {eps:g} is too long for {cut} of {len(cells)} cells and was cut to {limit:g} of their side there; "
        f"use EPS auto or at most {limit / float(cells.scales.max()):.3g}, or larger cells"
    ]


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
