"""Normals that a file has not for all of its points: those that are zero or not finite are estimated where they are."""

from __future__ import annotations

import numpy as np
import torch

from ..cloud.clouds import SHORTEST_NORMAL
from ..cloud.neighbours import Neighbours
from ..geometry import principal_axes
from ..runtime.arrays import largest_of_rows

PLANE = 12  # points of the plane through a point, itself included
MOST = 0.5  # of the points: where more lack a normal, all are estimated
REMEDY = "check how they were made, or use --normals estimate for all, --normals file to leave these points out"


def repaired(points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray | None, list[str]]:
    """Normals [n, 3] with others in the place of those that are zero or not finite; None where most are; a line."""
    finite = np.isfinite(largest_of_rows(points))
    lacking, count = int((finite & ~has_normal(normals)).sum()), int(finite.sum())
    if not lacking:
        return normals, []
    lines = [repair_line(lacking, count)]
    if too_many(lacking, count):
        return None, lines
    return filled(points, normals), lines


def has_normal(normals: np.ndarray) -> np.ndarray:
    """Mask [n] of the normals [n, 3] that are finite and not zero."""
    largest = largest_of_rows(normals)
    with np.errstate(invalid="ignore"):
        return np.isfinite(largest) & (largest >= SHORTEST_NORMAL)


def too_many(lacking: int, count: int) -> bool:
    """Whether so many of a number of points lack a normal that those of all are estimated."""
    return lacking > MOST * count


def repair_line(lacking: int, count: int) -> str:
    """What is said where some points lack a normal."""
    what = f"{lacking} of {count} normals are zero or not finite"
    if too_many(lacking, count):
        return f"{what}: the normals of all points were estimated; {REMEDY}"
    return f"{what}: these were estimated from the points around them; {REMEDY}"


def filled(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Normals [n, 3] with others in the place of those that are zero or not finite.

    A new normal is that of the least-squares plane through the nearest points. Its sign is that of the normals around,
    from the rim of a patch inwards.
    """
    finite = np.isfinite(points).all(1)
    good = has_normal(normals)
    bad = (~good[finite]).nonzero()[0]
    places = torch.from_numpy(points[finite])
    index = Neighbours(places).nearest(places[bad], PLANE)[1]
    around, across = index.numpy(), principal_axes(places[index])[1][:, :, 0].numpy()
    known = np.where(good[finite, None], normals[finite], 0.0)
    known[good[finite]] = _unit(known[good[finite]])
    left = np.arange(len(bad))
    while len(left):
        side = known[around[left]].sum(1)
        ready = side.any(1)
        if not ready.any():  # no normal is near
            side, ready = across[left], np.ones(len(left), bool)
        towards = (across[left] * side).sum(1, keepdims=True)
        known[bad[left[ready]]] = np.where(towards < 0.0, -across[left], across[left])[ready]
        left = left[~ready]
    result = normals.astype(np.float64)
    result[finite.nonzero()[0][bad]] = known[bad]
    return result


def _unit(normals: np.ndarray) -> np.ndarray:
    scaled = normals / np.abs(normals).max(1, keepdims=True)  # else squares may overflow
    return scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
