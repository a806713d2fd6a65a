"""The sides of a surface near its creases: planes and quadrics that each follow the points of one side alone."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from ..runtime.threads import limit, parallel

NEIGHBOURS, TURNS = 16, 12  # of a point that links join, and that a crease is looked for among
ROUNDS = 3  # of smoothing normals
SUPPORT = 4  # of TURNS neighbours lie at a crease, too
FIRST_RADII = (3.0, 4.5)  # spacings, of quadrics that noise and curvature are told by
RADII = (3.0, 5.0, 8.0, 12.0)  # spacings, of the fits
EXACT = 1e-9  # spacings: less is rounding
FEWEST = 6  # points of a fit that counts
REACH = 3.0  # spacings around a place: whose sides are looked at
INNER, OUTER = 4.0, 6.0  # spacings from a crease: up to there the sides are the field, and from there they are not
WIDER, NOISY = 2.0, 0.08  # times as far where the noise is more than so many spacings: planes are better there, too
STEPS = 5  # to where sides meet
MOST_BUCKETS = 128  # along an axis


@dataclass(frozen=True)
class Creases:
    """Where normals [n, 3] of points [n, 3] turn at once: `creased` [n], the points that lie at such a turn.

    normals: smoothed within sides. near [n, k], spacing [n]: neighbours, itself first; 1 / sqrt(density). links [n, k]:
    those on the same side, or -1.
    """

    points: np.ndarray
    given: np.ndarray
    normals: np.ndarray
    near: np.ndarray
    spacing: np.ndarray
    links: np.ndarray
    creased: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray, given: np.ndarray) -> Creases | None:
        """None where no normals turn so, which is known before anything is fitted on most smooth surfaces."""
        from . import finding_numba as numba  # not before: Numba takes half a second to import

        n = len(points)
        if n <= NEIGHBOURS:
            return None
        distance, near = _tree(points).query(points, NEIGHBOURS + 1, workers=limit())
        spacing = np.median(distance[near[:, : TURNS + 1], 6], 1) * np.sqrt(np.pi / 6)
        spacing = np.maximum(spacing, 1e-300)
        normals = given
        for _ in range(ROUNDS):
            out = np.empty_like(given)
            parallel(numba.smooth, n, points, normals, near, spacing, out)
            normals = out
        close, turning = np.ascontiguousarray(near[:, : TURNS + 1]), np.empty(n, np.bool_)
        parallel(numba.turning, n, points, normals, close, spacing, turning)
        if not turning.any():
            return None
        links = np.empty_like(near)
        parallel(numba.link, n, points, normals, near, spacing, links)
        found = cls(points, given, normals, near, spacing, links, np.zeros(n, np.bool_))
        rows = np.flatnonzero(turning)
        frames, coefficients, fitted = found.first_fits(rows)
        row = np.full(n, -1)
        row[rows] = np.where(fitted[:, 0] > 0.0, np.arange(len(rows)), -1)
        kept, creased = rows[row[rows] >= 0], np.zeros(n, np.bool_)
        row[kept] = np.arange(len(kept))
        good = fitted[:, 0] > 0.0
        at_crease = np.empty(len(kept), np.bool_)
        parallel(
            numba.creased, len(kept), kept, row, points, normals, close, spacing, frames[good], coefficients[good],
            at_crease,
        )  # fmt: skip
        creased[kept] = at_crease
        creased &= creased[close[:, 1:]].sum(1) >= SUPPORT
        found.creased[:] = creased
        return found if creased.any() else None

    def first_fits(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frames, coefficients and what is known of the first quadrics of some points."""
        from . import fitting_numba as numba

        m = len(rows)
        frames, coefficients, found = np.empty((m, 3, 3)), np.zeros((m, 6)), np.empty((m, 3))
        parallel(
            numba.first_fits, m, rows, self.points, self.normals, self.given, self.links, self.spacing,
            np.array(FIRST_RADII), frames, coefficients, found,
        )  # fmt: skip
        return frames, coefficients, found

    def distance(self, creased: np.ndarray) -> np.ndarray:
        """Of every point from the nearest that is creased, in its spacings."""
        return _tree(self.points[creased]).query(self.points, workers=limit())[0] / self.spacing

    def fitted(self) -> Fits:
        """The fits of all points that matter near creases."""
        from . import fitting_numba as numba

        distance = self.distance(self.creased)
        rows = np.flatnonzero(distance < OUTER)
        noise = self.first_fits(rows)[2][:, 1] / self.spacing[rows]
        wide = WIDER if float(np.median(noise)) > NOISY else 1.0
        rows = np.flatnonzero(distance < wide * OUTER + REACH + 1.0)
        m = len(rows)
        found = self.first_fits(rows)[2]
        square, known = np.zeros((2, len(self.points))), np.zeros(len(self.points))
        square[:, rows], known[rows] = found[:, 1:].T ** 2, found[:, 0] > 0.0
        near = self.near[rows]
        count = np.maximum(known[near].sum(1), 1.0)
        noise, turn = (np.sqrt((part * known)[near].sum(1) / count) for part in square)
        noise += EXACT * self.spacing[rows]
        frames, coefficients, found = np.empty((m, 3, 3)), np.zeros((m, 6)), np.empty((m, 3))
        parallel(
            numba.best_fits, m, rows, self.points, self.normals, self.given, self.links, self.spacing, np.array(RADII),
            noise, turn, frames, coefficients, found,
        )  # fmt: skip
        return Fits(rows, frames, coefficients, found[:, 0], found[:, 1], found[:, 2], wide)


@dataclass(frozen=True)
class Fits:
    """Of points `rows` [m]: the frame and coefficients of each one's fit, its number of points, and what it says of the
    point had it not seen it: distance (world units) and cosine of the normal. wide: how much farther from creases the
    sides are the field.
    """

    rows: np.ndarray
    frames: np.ndarray
    coefficients: np.ndarray
    count: np.ndarray
    distance: np.ndarray
    cosine: np.ndarray
    wide: float


@dataclass(frozen=True)
class Sides:
    """Points [m, 3] near creases with their normals and fits.

    reach [m, 2]: how far around it sides are looked for, and its spacing. weights [m]: of the sides against the field
    without them. near [m, k]: neighbours, or -1 where these are not among the points; links [m, k]: those of the same
    side, or -1.
    """

    points: np.ndarray
    normals: np.ndarray
    reach: np.ndarray
    weights: np.ndarray
    near: np.ndarray
    links: np.ndarray
    frames: np.ndarray
    coefficients: np.ndarray

    @classmethod
    def of(cls, found: Creases, fits: Fits, creased: np.ndarray) -> Sides:
        """Those around some of the creased points [n]."""
        distance = found.distance(creased)
        inner, outer = fits.wide * INNER, fits.wide * OUTER
        kept = (fits.count >= FEWEST) & (distance[fits.rows] < outer + REACH + 1.0)
        rows = fits.rows[kept]
        place = np.full(len(found.points) + 1, -1)
        place[rows] = np.arange(len(rows))
        wide = found.spacing.copy()
        np.maximum.at(wide, found.near.ravel(), np.repeat(found.spacing, found.near.shape[1]))
        t = np.clip((outer - distance[rows]) / (outer - inner), 0.0, 1.0)
        return cls(
            found.points[rows], found.normals[rows], np.stack([REACH * wide[rows], found.spacing[rows]], 1),
            t * t * (3.0 - 2.0 * t), place[found.near[rows, 1:]], place[found.links[rows, 1:]],
            fits.frames[kept], fits.coefficients[kept],
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.points)

    def values(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """At places [q, 3]: value [q] and slope [q, 3] of the sides; the share [q] that is theirs, with its slope
        [q, 3], 0 where there are none; and how many sides there are [q].
        """
        from . import blending_numba as numba

        x = np.ascontiguousarray(x, np.float64)
        value, share, count = np.zeros(len(x)), np.zeros(len(x)), np.zeros(len(x), np.int64)
        slope, rise = np.zeros((2, len(x), 3))
        parallel(numba.evaluate, len(x), x, self._arrays, self._buckets, value, slope, share, rise, count)
        return value, slope, share, rise, count

    def meet(self, x: np.ndarray, within: float) -> tuple[np.ndarray, np.ndarray]:
        """Places [q, 3] near those given where sides meet that pass within a distance of them, and how many [q] do."""
        from . import blending_numba as numba

        x = np.ascontiguousarray(x, np.float64)
        out, count = np.empty_like(x), np.zeros(len(x), np.int64)
        parallel(numba.meet, len(x), x, within, STEPS, self._arrays, self._buckets, out, count)
        return out, count

    @cached_property
    def _arrays(self) -> tuple[np.ndarray, ...]:
        return tuple(np.ascontiguousarray(getattr(self, f.name)) for f in fields(self))

    @cached_property
    def _buckets(self) -> tuple[np.ndarray, float, np.ndarray, np.ndarray, np.ndarray]:
        """A grid over the points: its lower corner, side and shape, where each bucket starts, the points in order."""
        from . import gathering_numba as numba

        low, size = self.points.min(0), np.ptp(self.points, axis=0)
        side = max(numba.RANGE * float(self.reach[:, 1].max()), float(size.max()) / MOST_BUCKETS, 1e-300)
        index = ((self.points - low) / side).astype(np.int64)
        shape = index.max(0) + 1
        key = (index[:, 0] * shape[1] + index[:, 1]) * shape[2] + index[:, 2]
        order = np.argsort(key, kind="stable")
        return low, side, shape, np.searchsorted(key[order], np.arange(int(shape.prod()) + 1)), order


def _tree(points: np.ndarray) -> Any:
    from scipy.spatial import cKDTree

    return cKDTree(points)
