"""What the phases of a run are for, in the words of who waits for it, and the share of the time that each takes."""

from __future__ import annotations

from collections.abc import Mapping

from ..quantities import duration, percentages

PURPOSES = {
    "reading": ("read", "check", "partition"),
    "normals": ("neighbours", "winding field", "directions", "patches", "signs"),
    "cleaning and spacing of points": ("points", "downsample", "free space"),
    "choice of smoothing": ("smoothing", "regularization"),
    "fit": ("nystrom", "preconditioner", "conjugate gradients", "fit", "creases"),
    "filling of holes": ("background",),
    "surface": ("sample", "mesh", "trim", "simplify", "print", "heights"),
    "colours and numbers": ("colour", "texture"),
    "tiles": ("divide", "tiles"),
    "checks": ("compare", "shape", "residuals"),
    "writing": ("write",),
    "pictures": ("pictures",),
}
OF_PHASE = {phase: purpose for purpose, phases in PURPOSES.items() for phase in phases}
WORTH = 0.015  # of all: what takes less is told together
REST = "the rest"


def by_purpose(seconds: Mapping[str, float]) -> dict[str, float]:
    """Seconds of each purpose, in the order of the run; a phase that is not known is one of its own."""
    found: dict[str, float] = {}
    for phase, took in seconds.items():
        purpose = OF_PHASE.get(phase, phase)
        found[purpose] = found.get(purpose, 0.0) + took
    return found


def shares(seconds: Mapping[str, float]) -> list[tuple[str, float, int]]:
    """Purpose, seconds and percent of those that take some of the time, and the rest; percentages add up to 100."""
    found, total = by_purpose(seconds), sum(seconds.values())
    told = {purpose: took for purpose, took in found.items() if took >= WORTH * total}
    rest = {purpose: took for purpose, took in found.items() if purpose not in told}
    if len(rest) == 1:
        told = found
    elif rest:
        told[REST] = sum(rest.values())
    return [(*pair, share) for pair, share in zip(told.items(), percentages([*told.values()]), strict=True)]


def summary(seconds: Mapping[str, float]) -> str:
    """One line: `12 s: fit 7.2 s (60%), surface 4.8 s (40%)`."""
    words = ", ".join(f"{purpose} {duration(took)} ({share}%)" for purpose, took, share in shares(seconds))
    return f"{duration(sum(seconds.values()))}{': ' if words else ''}{words}"
