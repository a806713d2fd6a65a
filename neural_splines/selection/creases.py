"""Which creases are kept: where the sides predict points that they have not seen better than one spline does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ..cells.batches import Smoothing
from ..cells.fitting import BlendPlan
from ..cells.left_out import blended
from ..cells.models import fit_and_judge
from ..creases.sides import Creases, Fits
from ..runtime.monitor import Silent
from . import score

SHARE = 0.3  # of the points near creases that judge
NEAR = 2.5  # spacings from a crease: there one spline errs
JUDGES, FEWEST = 48, 5  # nearest judges of a creased point; how many decide
VOTES = 32  # creased points around one that decide with it
WITHIN = 8.0  # spacings: farther judges say nothing
BETTER = 0.9  # of the error of one spline


def kept(blend: BlendPlan, per_cell: int, smoothing: Smoothing, found: Creases, fits: Fits) -> np.ndarray:
    """The creased points [n] around which the sides have less error than the cells at points left out of either."""
    distance = found.distance(found.creased)[fits.rows]
    near = (distance < NEAR) & (fits.count > 0)
    near &= np.random.default_rng(blend.settings.seed).random(len(near)) < SHARE
    none = np.zeros_like(found.creased)
    if not near.any():
        return none
    judges = torch.zeros(len(found.points), dtype=torch.bool, device=blend.cloud.points.device)
    judges[torch.from_numpy(fits.rows[near]).to(judges.device)] = True
    cells = blend.cells(per_cell)
    cells = cells.subset(
        torch.bincount(cells.members(blend.cloud.points[judges])[1], minlength=len(cells)).nonzero()[:, 0]
    )
    problem = blend.problem_of(cells, per_cell, gradients=smoothing.gradients)
    left = fit_and_judge(replace(problem, judges=judges), smoothing, Silent())[1]
    if left is None or not len(left.point):
        return none
    which, value, slope = blended(left, cells, blend.cloud.points)
    spline = [part.cpu().numpy() for part in score.newton(value, slope, blend.cloud.normals[which])]
    place = np.full(len(found.points), -1)
    place[fits.rows] = np.arange(len(fits.rows))
    rows = which.cpu().numpy()
    own = place[rows]
    sides = [np.abs(fits.distance[own]), np.arccos(np.clip(fits.cosine[own], -1.0, 1.0))]
    return _better(found, rows, sides, spline)


def _better(found: Creases, rows: np.ndarray, sides: list[np.ndarray], spline: list[np.ndarray]) -> np.ndarray:
    """Where around creased points the judges `rows` have less error with sides: distances and angles [j] of each."""
    from scipy.spatial import cKDTree

    creased = np.flatnonzero(found.creased)
    count = min(JUDGES, len(rows))
    far, at = cKDTree(found.points[rows]).query(found.points[creased], list(range(1, count + 1)))
    counts = far < WITHIN * found.spacing[creased, None]
    judged = counts & np.isfinite(spline[0][at])
    total = np.maximum(judged.sum(1), 1)
    clip = score.CLIP * np.minimum(*(_median(part[0][at], judged) for part in (sides, spline)))[:, None]

    def errors(part: list[np.ndarray]) -> np.ndarray:
        distance = np.where(judged, np.minimum(part[0][at], clip), 0.0)
        angle = np.where(judged, part[1][at], 0.0).sum(1) / total
        error: np.ndarray = np.sqrt((distance**2).sum(1) / total) * (angle + score.ANGLE_OFFSET) ** score.ANGLE_POWER
        return error

    one = (judged.sum(1) >= FEWEST) & (errors(sides) < BETTER * errors(spline))
    # Few judge each, by chance: where most of the points along a crease are kept, the others are too.
    points = found.points[creased]
    far, at = cKDTree(points).query(points, list(range(1, min(VOTES, len(points)) + 1)))
    votes = far < WITHIN * found.spacing[creased, None]
    better = np.zeros_like(found.creased)
    better[creased] = one | (2 * (one[at] & votes).sum(1) > votes.sum(1))
    return better


def _median(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Of each row's values under a mask, the upper one of two."""
    ordered = np.sort(np.where(mask, values, np.inf), axis=1)
    return ordered[np.arange(len(values)), np.minimum(mask.sum(1) // 2, values.shape[1] - 1)]
