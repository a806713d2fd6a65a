"""Lines about a surface that is not what a user may take it for: each with a number and a remedy."""

from __future__ import annotations

from ..clouds import OrientedCloud
from ..runtime.devices import moved
from ..settings import AUTO, Settings
from .lattice import Lattice
from .lost import SAMPLES, Stages, every, lost_lines
from .mesh import border_edges
from .room import on_the_wall, open_lines

# Farther than both is far. Closed objects stay within 0.04 diagonals, open scans have sheets beyond; what is sparse
# leaves wider gaps.
FAR_DIAGONALS, FAR_SPACINGS = 0.03, 4.0
NOTABLE, MOST = 0.01, 0.5  # of the faces


def comparison_lines(
    stages: Stages, cloud: OrientedCloud, fitted: OrientedCloud, lattice: Lattice, wide: Lattice, settings: Settings
) -> list[str]:
    """The mesh against the cloud in both directions: faces without points, and points without faces.

    cloud: without its outliers; fitted: what was made of it. wide: the lattice, grown where holes are filled.
    """
    cloud, fitted = (moved(part, stages.mesh.vertices.device) for part in (cloud, fitted))
    if settings.cells is not None and settings.cells.fill_holes:  # sheets without points were asked for
        on_wall = int(on_the_wall(stages.mesh.vertices, wide).sum())
        made_up = open_lines(len(border_edges(stages.mesh)), on_wall, settings.cells.fill_holes)
    else:
        faces = every(stages.mesh.faces, SAMPLES)
        far = far_of(fitted.sampling.typical, fitted.box.diagonal)
        distance = fitted.sampling.near.query(stages.mesh.vertices[faces[:, 0]], within=far)[0]
        made_up = far_lines(float(distance.isinf().double().mean()), far, settings)
    return made_up + lost_lines(stages, cloud, fitted.sampling, lattice, settings)


def far_of(spacing: float, diagonal: float) -> float:
    """The distance from all points that is far, by their median spacing and the diagonal of their box."""
    return max(FAR_DIAGONALS * diagonal, FAR_SPACINGS * spacing)


def far_lines(share: float, far: float, settings: Settings) -> list[str]:
    """One line where more than 1 % of the faces, this share, lie far from all points, and so are made up."""
    if share <= NOTABLE:
        return []
    remedies = {"none": "drop them with --trim auto", AUTO: "drop them with --trim 2"}
    remedy = remedies.get(str(settings.trim), "drop them with a smaller --trim, or auto")
    remedy = remedy if share < MOST else "check the points and their normals"
    return [f"{share:.0%} of the faces lie farther than {far:.3g} from every point: no data support them; {remedy}"]
