"""A region of interest: only the points of a file that lie in a box are read.

Bounds are (x0, y0, x1, y1), at any height, or (x0, y0, z0, x1, y1, z1), in the units of the file; none: everything.
Points on the faces of the box lie in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ..errors import CloudError
from .scans import ScannedCloud, rows_of

Limits = tuple[np.ndarray, np.ndarray]  # the lowest and the highest coordinates [3]


class OutsideError(CloudError):
    """A file that has no point within the bounds."""


def limits(bounds: Sequence[float]) -> Limits:
    """The corners of the box [3] each; infinite where nothing is said of heights."""
    lower, upper = np.array(bounds, np.float64).reshape(2, -1)
    missing = 3 - len(lower)
    return np.append(lower, [-np.inf] * missing), np.append(upper, [np.inf] * missing)


def inside(points: np.ndarray, bounds: Sequence[float]) -> np.ndarray:
    """Mask [n] of the points [n, 3] in the box; those that are not finite are not."""
    lower, upper = limits(bounds)
    return np.all((points >= lower) & (points <= upper), axis=1)


def overlap(box: Limits, bounds: Sequence[float]) -> bool:
    """Whether a box has a place in common with the bounds."""
    lower, upper = limits(bounds)
    return bool(((box[0] <= upper) & (box[1] >= lower)).all())


def outside(bounds: Sequence[float], box: Limits) -> OutsideError:
    """The error of a file all of whose points lie in another box."""
    asked, there = " ".join(f"{v:.10g}" for v in bounds), [" ".join(f"{v:.10g}" for v in corner) for corner in box]
    return OutsideError(
        f"has no point within --bounds {asked}; its points lie within {there[0]} and {there[1]}; choose others"
    )


def within(cloud: ScannedCloud, bounds: Sequence[float]) -> ScannedCloud:
    """The points in the box, of the whole cloud of a file."""
    (found,) = pieces_within([cloud], bounds)
    return found


def pieces_within(pieces: Iterable[ScannedCloud], bounds: Sequence[float]) -> Iterator[ScannedCloud]:
    """Of each piece the points in the box; OutsideError after the last where there were none."""
    if not bounds:
        yield from pieces
        return
    lower, upper, found = np.full(3, np.inf), np.full(3, -np.inf), 0
    for piece in pieces:
        mask = inside(piece.points, bounds)
        finite = piece.points[np.isfinite(piece.points).all(1)]
        lower, upper = (
            np.minimum(lower, finite.min(0, initial=np.inf)),
            np.maximum(upper, finite.max(0, initial=-np.inf)),
        )
        found += int(mask.sum())
        yield rows_of(piece, mask)
    if not found and (lower <= upper).all():
        raise outside(bounds, (lower, upper))
