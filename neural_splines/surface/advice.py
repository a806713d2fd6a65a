"""Lines about a surface that is not what a user may take it for: each with a number and a remedy."""

from __future__ import annotations

from ..settings import AUTO, Settings

# Farther than both is far. Closed objects stay within 0.04 diagonals, open scans have sheets beyond; what is sparse
# leaves wider gaps.
FAR_DIAGONALS, FAR_SPACINGS = 0.03, 4.0
NOTABLE, MOST = 0.01, 0.5  # of the faces


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
