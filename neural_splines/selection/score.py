"""How well a field goes through points that it has not seen: what every automatic choice is made by."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..cells.weights import sum_by
from ..quantities import plain

STEPS = 6  # on either side of a point, along its normal
WINDOW = 5.0  # times the distance of the points from a first surface: so long are the lines
PERCENTILE = 0.68  # of normally distributed errors: their standard deviation
CLIP = 4.0  # times the least 68th percentile: farther counts as so far
# The root mean square tells heights apart; angles tell wild surfaces, and say little else: normals that were estimated
# from noisy points err together, so that a field may follow their errors even at points that it has not seen.
ANGLE_OFFSET, ANGLE_POWER = 0.2, 0.25


class UnjudgedError(Exception):
    """No point says anything about any candidate: there is nothing to choose by."""


@dataclass(frozen=True)
class Residuals:
    """At each of some points [h]: the distance along its normal to the surface (world units, at most the window; NaN
    where the point cannot judge), and the angle (radians) between the normal and the field's gradient.
    """

    distance: Tensor
    angle: Tensor

    def of(self, rows: Tensor) -> Residuals:
        return Residuals(self.distance[rows], self.angle[rows])


def lines(points: Tensor, normals: Tensor, window: float) -> Tensor:
    """Points x + t n [h (2 STEPS + 1), 3], t from -window to window, one line after another."""
    t = torch.arange(-STEPS, STEPS + 1, dtype=torch.float64, device=points.device) * (window / STEPS)
    return (points[:, None] + t[:, None] * normals[:, None]).reshape(-1, 3)


def newton(value: Tensor, slope: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
    """Distances [h] along the normals to the surface to first order, f / (n . grad f), infinite where the slope is not
    positive, and angles [h] between normals and slopes."""
    along = (slope * normals).sum(1)
    angle = (along / slope.norm(dim=1).clamp_min(1e-300)).clamp(-1.0, 1.0).acos().nan_to_num(nan=math.pi)
    distance = torch.where(along > 0.0, value.abs() / along, math.inf)
    return distance.nan_to_num(nan=math.inf, posinf=math.inf), angle


def window(value: Tensor, slope: Tensor, normals: Tensor) -> float:
    """The length of lines on either side of points, from a first surface.

    Where normals contradict their neighbours that has no distance along them: such points say nothing here.
    """
    return WINDOW * percentile(newton(value, slope, normals)[0])


def residuals(value: Tensor, slope: Tensor, along: Tensor, normals: Tensor, window: float) -> Residuals:
    """Of the values and slopes at points, and the values at their `lines`.

    The surface is where the field changes its sign on the line through the point. Where it does so once and near by,
    the distance is a Newton step; else |t*|, t* = -1/2 int sign f(x + t n) dt: the height of the sheet if there is
    one, the mean height of many. To first order at the point alone, a wild surface passes near every point.
    """
    near, angle = newton(value, slope, normals)
    step = window / STEPS
    once, height = heights(along.reshape(-1, 2 * STEPS + 1), step)
    distance = torch.where(once & (near < step), near, height.abs())
    return Residuals(distance.clamp_max(window), angle)


def heights(f: Tensor, step: float) -> tuple[Tensor, Tensor]:
    """Of values f [h, 2k + 1] along lines, `step` apart: whether the sign changes once, from - to +, and
    -1/2 the integral of the sign, by linear interpolation. NaN counts as outside.
    """
    f = f.nan_to_num(nan=1.0)
    a, b, positive = f[:, :-1], f[:, 1:], f >= 0
    before, after = positive[:, :-1], positive[:, 1:]
    once = ((before != after).sum(1) == 1) & positive[:, -1]
    rising = (b.abs() - a.abs()) / (a.abs() + b.abs()).clamp_min(1e-300)  # of the sign, where it rises through zero
    pure = torch.where(before, 1.0, -1.0).to(f)
    sign = torch.where(before == after, pure, torch.where(after, rising, -rising))
    return once, -0.5 * step * sign.sum(1)


def percentile(distance: Tensor) -> float:
    """The 68th of those that are finite."""
    known = distance[distance.isfinite()].sort().values
    if not len(known):
        raise UnjudgedError
    return float(known[int(PERCENTILE * len(known))])


def said(distance: Tensor) -> str:
    """How far the surface is from points that its fit did not see, in words."""
    return f"{PERCENTILE:.0%} of the held-out points within {plain(percentile(distance))}"


def errors(candidates: Sequence[Residuals]) -> list[float]:
    """One number for each candidate, at the points that judge all of them: rms distance (clipped alike) times
    (angle + 0.2)^(1/4).

    The mean square of independent heights is the noise's plus the fit's error squared: its least is the best fit's.
    """
    found = errors_of_groups(candidates, torch.zeros_like(candidates[0].distance, dtype=torch.int64), 1)
    if bool(found.isnan().any()):
        raise UnjudgedError
    return [float(error) for error in found[:, 0]]


def errors_of_groups(candidates: Sequence[Residuals], group: Tensor, count: int) -> Tensor:
    """The same for each of several groups [h] of points: errors [c, g], NaN where no point judges all candidates."""
    judged = torch.stack([c.distance for c in candidates]).isfinite().all(0)
    group = group[judged]
    size = torch.bincount(group, minlength=count)
    last = size.cumsum(0) - 1
    place = (last - size + 1 + (PERCENTILE * size).long()).minimum(last).clamp_min(0)
    common = [Residuals(c.distance[judged], c.angle[judged]) for c in candidates]
    if not len(group):
        return torch.full((len(candidates), count), torch.nan, dtype=torch.float64, device=group.device)

    def typical(distance: Tensor) -> Tensor:
        order = distance.argsort()
        order = order[group[order].argsort(stable=True)]
        return distance[order][place]

    clip = CLIP * torch.stack([typical(c.distance) for c in common]).amin(0)
    found = []
    for c in common:
        square = sum_by(group, c.distance.minimum(clip[group]).square(), count) / size
        angle = sum_by(group, c.angle, count) / size
        found.append(square.sqrt() * (angle + ANGLE_OFFSET) ** ANGLE_POWER)
    return torch.stack(found)


def least(levels: int, first: Sequence[int], errors: Callable[[Sequence[int]], dict[int, float]]) -> int:
    """The level of a ladder with the least error, by descent: some are tried, then the neighbours of the best until it
    is a minimum. errors: of levels to try, and with them of all that were tried before.
    """
    todo = sorted({level for level in first if level < levels})
    while todo:
        known = errors(todo)
        best = min(known, key=known.__getitem__)
        todo = [level for level in (best - 1, best + 1) if 0 <= level < levels and level not in known]
    return best
