"""Lines about a surface that is not what a user may take it for: each with a number and a remedy."""

from __future__ import annotations

import math

from ..settings import AUTO, Settings
from .checks import Checked

# Farther than both is far. Closed objects stay within 0.04 diagonals, open scans have sheets beyond; what is sparse
# leaves wider gaps.
FAR_DIAGONALS, FAR_SPACINGS = 0.03, 4.0
NOTABLE, MOST = 0.01, 0.5  # of the faces
# Mean width in spacings below which a surface is in narrow strips. Of real scans: crossing scan lines 5.6 to 7.0,
# leaves 2.0; a building among trees 7.6; shapes on a floor 8.1, others from 15 on.
SHREDS, SHRED_LOOPS = 8.0, 10  # with fewer borders a narrow surface is a small one, or has holes that can be seen
WIDE_GAP = 6.0  # spacings from the middle of a gap to its ends


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
    return [f"{share:.0%} of the faces are more than {far:.3g} from every point, so no data support them; {remedy}"]


def shred_lines(shape: Checked, spacing: float, diagonal: float, settings: Settings) -> list[str]:
    """One line where trimming left a surface in narrow strips: it has many borders, and its mean width, 2 area /
    length of these, is small.

    spacing: the median distance of points from their 6th neighbour. diagonal: of a voxel. All in units of the shape.
    """
    if settings.trim != AUTO or shape.border_loops < SHRED_LOOPS:
        return []
    width = 2.0 * shape.area / (shape.border_length * spacing)
    if width > SHREDS:
        return []
    asked = math.ceil(WIDE_GAP * spacing / diagonal)
    return [
        f"the mesh is in narrow strips (mean width below {SHREDS:g} point spacings). Cause: wide gaps between scan "
        f"lines, leaves, or wrong normals; --trim {asked} closes gaps of up to {2.0 * WIDE_GAP:g} spacings"
    ]
