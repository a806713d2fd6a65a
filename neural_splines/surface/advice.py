"""Lines about a surface that is not what a user may take it for: each with a number and a remedy."""

from __future__ import annotations

from ..clouds import OrientedCloud
from ..runtime.devices import moved
from ..sampling import Sampling
from ..settings import AUTO, Settings
from .lattice import Lattice
from .lost import SAMPLES, Stages, every, lost_lines
from .mesh import Mesh
from .room import open_lines

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
        made_up = open_lines(stages.mesh, wide, settings.cells.fill_holes)
    else:
        remedies = {"none": "drop them with --trim auto", AUTO: "drop them with --trim 2"}
        remedy = remedies.get(str(settings.trim), "drop them with a smaller --trim, or auto")
        made_up = far_lines(stages.mesh, fitted.sampling, fitted.box.diagonal, remedy)
    return made_up + lost_lines(stages, cloud, fitted.sampling, lattice, settings)


def far_lines(mesh: Mesh, sampling: Sampling, diagonal: float, remedy: str) -> list[str]:
    """One line where more than 1 % of the faces lie far from all points, and so are made up."""
    faces = every(mesh.faces, SAMPLES)
    far = max(FAR_DIAGONALS * diagonal, FAR_SPACINGS * sampling.typical)
    share = float(sampling.near.query(mesh.vertices[faces[:, 0]], within=far)[0].isinf().double().mean())
    if share <= NOTABLE:
        return []
    remedy = remedy if share < MOST else "check the points and their normals"
    return [f"{share:.0%} of the faces lie farther than {far:.3g} from every point: no data support them; {remedy}"]
