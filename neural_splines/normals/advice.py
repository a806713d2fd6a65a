"""What a user should know of estimated normals."""

from __future__ import annotations

from ..geometry import place
from .confidence import SURE_ENOUGH, Confidence
from .evidence import Guidance


def sign_warnings(c: Confidence, guidance: Guidance) -> list[str]:
    """A line where signs are uncertain: how many, where, and what helps; one where all may be upside down."""
    lines = []
    if c.down:
        lines.append(
            f"the surface is open and {c.down:.0%} of it faces down (confidence {c.value:.2f}); if it was seen "
            "from above, use --aerial, if from within, --inside; if another axis is up, say --up"
        )
    if c.agreement * c.continuity >= SURE_ENOUGH:
        return lines
    where = ""
    if c.where is not None:
        low, high = (place(corner, float((c.where[1] - c.where[0]).max())) for corner in c.where)
        where = f", most of them between {low} and {high}"
    if guidance.sensors is not None or guidance.viewpoints is not None:
        remedy = "check the result, or add a --sensor-position or camera that sees these"
    elif guidance.inside:
        remedy = "check the result, or give a --sensor-position instead of --inside"
    else:
        remedy = "an open surface: check the result, or give a --sensor-position, or --inside for a room"
    return [
        *lines,
        f"the signs of {c.share:.0%} of the estimated normals are uncertain (confidence {c.value:.2f})"
        f"{where}; {remedy}",
    ]
