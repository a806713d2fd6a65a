"""Fits that respect what is known to be empty: fitted, looked at, and fitted again with rows where they do not."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ..cells.free import FreePlaces
from ..cloud.octree import morton_order
from ..errors import CloudError
from ..geometry import Box, median
from ..runtime.monitor import Monitor
from ..spline.contract import Field
from . import cells
from .empty import Envelope, Rays
from .plan import Plan
from .points import cleaned, fitted

ROUNDS = 2
MOST_RAYS = 30_000
BACK = 2.0  # spacings before the end of a ray, which is within the noise of its point: there it says nothing
CLEAR, NOISE = 0.6, 4.0  # spacings and standard deviations from every point: nearer, points say where the surface is
SEEN = 0.5  # spacings: a point is one of those that are kept if one of these is so near
STEP, STEP_NEAR = 0.25, 0.5  # of the distance to the end, and to the nearest point, from one place of a ray to the next
SHARE_OF_END, SHARE_OF_NEAREST = 0.125, 0.5  # of the distance to the end of a ray, and to the nearest point: asked for
WORSE = 0.5  # of what is asked for: less is a violation
MOST_PLACES = 60_000  # of a round
MEDIAN = 0.6745  # of |x|, of normal noise of variance 1
FACING = 0.5  # of the points look at what saw them: fewer, and places or normals are wrong
OUTSIDE = 60_000  # places outside of an envelope that are looked at, in a round


def respected(plan: Plan, monitor: Monitor) -> Plan:
    """The plan whose fits are positive at places that are known to be empty, as far as ROUNDS of them bring it."""
    empty = plan.parts.empty
    assert empty is not None
    monitor.phase("free space")
    generator = torch.Generator().manual_seed(plan.settings.seed)
    for _ in range(ROUNDS):
        field = cells.field_of(plan, [0], plan.lattice.box, plan.compute())
        plan.store.hold("field", None)
        assert field is not None
        known = [_on_rays(plan, field, empty.rays, generator)] if empty.rays else []
        known += [_outside(plan, empty.envelope, generator)] if empty.envelope else []
        more = _violated(plan, field, known[0] if len(known) == 1 else known[0].joined(known[1]))
        if not len(more):
            break
        plan = replace(plan, free=more if plan.free is None else plan.free.joined(more))
        _fit_again(plan, monitor)
    return plan


def _on_rays(plan: Plan, field: Field, rays: Rays, generator: torch.Generator) -> FreePlaces:
    """Places on rays within the lattice's box, denser towards points, and values that the field is known to exceed."""
    cloud = cleaned(plan.store, 0)
    metric, device = cloud.sampling.metric, cloud.points.device
    noise = float(median(field.evaluate(fitted(plan, 0).points).abs().nan_to_num())) / MEDIAN
    sensors, ends, spacing = _seen(plan, rays, generator)
    back = sensors - ends
    length = back.norm(dim=1)
    back /= length[:, None]
    leaves = _leaves(plan.lattice.box, ends, back).minimum(length)
    places, values = [ends[:0]], [spacing[:0]]
    at = BACK * spacing + NOISE * noise
    at = at + STEP * at * torch.rand(len(ends), generator=generator, dtype=torch.float64).to(device)
    left = (at < leaves).nonzero()[:, 0]
    while len(left):
        t = at[left]
        x = ends[left] + t[:, None] * back[left]
        nearest, index = metric.cloud.query(x)
        around = metric.across[index]
        over = nearest - CLEAR * around - NOISE * noise
        clear = over > 0.0
        places.append(x[clear])
        values.append((SHARE_OF_END * t).minimum(SHARE_OF_NEAREST * over)[clear])
        at[left] = t + (STEP * t).minimum(STEP_NEAR * nearest.maximum(around))
        left = left[at[left] < leaves[left]]
    return FreePlaces(torch.cat(places), torch.cat(values))


def _seen(plan: Plan, rays: Rays, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Sensors and ends [r, 3] of MOST_RAYS rays at most to kept points that look at them, and spacings [r] there."""
    cloud = cleaned(plan.store, 0)
    metric, device = cloud.sampling.metric, cloud.points.device
    rows = torch.randperm(len(rays.points), generator=generator)[:MOST_RAYS]
    sensors, ends = rays.sensors[rows].to(device), rays.points[rows].to(device)
    distance, index = metric.cloud.query(ends)
    spacing = metric.across[index]
    kept = distance <= SEEN * spacing
    facing = ((sensors - ends) * cloud.normals[index]).sum(1) > 0.0
    if int((kept & facing).sum()) < FACING * int(kept.sum()):
        raise CloudError(
            "--free-space: most points look away from where they were seen from; check --sensor-position, the "
            "viewpoints of the file, and which side the normals are on"
        )
    used = kept & facing
    return sensors[used], ends[used], spacing[used]


def _leaves(box: Box, x: Tensor, direction: Tensor) -> Tensor:
    """How far along unit directions [n, 3] places [n, 3] of a box reach its walls."""
    low, high = box.lower.to(x), box.upper.to(x)
    wall = torch.where(direction > 0.0, high, low)
    along = torch.where(direction.abs() > 1e-12, (wall - x) / direction, math.inf)
    return along.amin(1).clamp_min(0.0)


def _outside(plan: Plan, envelope: Envelope, generator: torch.Generator) -> FreePlaces:
    """Random places of the lattice's box outside of an envelope, and half of the distance from it."""
    box, device = plan.lattice.box, cleaned(plan.store, 0).points.device
    x = torch.rand(OUTSIDE, 3, generator=generator, dtype=torch.float64)
    x = (box.lower.cpu() + x * box.sides.cpu()).to(device)
    beyond = envelope.beyond(x)
    out = beyond > 0.0
    return FreePlaces(x[out], SHARE_OF_NEAREST * beyond[out])


def _violated(plan: Plan, field: Field, known: FreePlaces) -> FreePlaces:
    """The places where the field is clearly less than what is known, along a curve."""
    value = field.evaluate(known.points).to(known.values)
    bad = value < WORSE * known.values  # NaN where there is no cell: and no surface
    x, y = known.points[bad], known.values[bad]
    order = morton_order(plan.lattice.box, x)[:: max(1, -(-len(x) // MOST_PLACES))]
    return FreePlaces(x[order], y[order])


def _fit_again(plan: Plan, monitor: Monitor) -> None:
    """All cells, and the coarse spline where there is one."""
    for name in ("background", "cells-0"):
        if plan.store.has(name):
            plan.store.remove(name)
    cells.fit_background(plan, monitor)
    monitor.phase("free space")
    cells.fit(plan, 0)
