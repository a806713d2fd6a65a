"""The steps of a run, in order: points of nodes, cells of nodes, blocks of the lattice, one mesh.

Each is a task for every node or block, done by workers, whose results are in the store: what is there is not made
again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..cells.advice import REMEDY, cell_lines
from ..cells.fitting import NO_CELL
from ..errors import CloudError, EmptySurfaceError, NotPositiveDefiniteError, said
from ..runtime.monitor import Monitor
from ..settings import AUTO, QUALITIES
from ..surface.expand import expanded_lattice
from ..surface.lattice import Lattice
from . import blocks, cells, creases, points
from .blocks import Surroundings
from .choices import Chosen, degeneracy_lines, planned, with_smoothing
from .plan import Parts, Plan
from .stitch import Kept, kept_components
from .totals import Totals, dropped_lines
from .workers import Workers, each, progress

OF_CELLS = ("count", "lower_bound", "upper_bound")


@dataclass(frozen=True)
class Meshed:
    """A run up to its last step: the blocks are meshed, and it is known what is kept of them.

    lattice: before it grew where holes are filled. degeneracy: what keeps the points from being a surface.
    """

    plan: Plan
    lattice: Lattice
    chosen: Chosen
    totals: Totals
    around: Surroundings
    blocks: list[int]
    kept: Kept
    degeneracy: list[str]

    @property
    def lines(self) -> list[str]:
        """What is said of the points and of the fit."""
        return [*dropped_lines(self.totals), *self.degeneracy, *fit_lines(self.plan, self.chosen, self.totals)]


def meshed(parts: Parts, team: Workers, monitor: Monitor, check: Callable[[Plan], None]) -> Meshed:
    """All steps. check: may refuse the plan when the lattice and the points that are fitted are known."""
    plan = clean(parts, team, monitor)
    check(plan)
    degeneracy = degeneracy_lines(plan)
    plan, chosen = fit(plan, team, monitor)
    counted, around = totals(plan), surroundings(plan)
    lattice, plan = plan.lattice, widened(plan, monitor)
    blocks = mesh(plan, around, team, monitor)
    try:
        kept = keep(plan, around, blocks, team, monitor)
    except EmptySurfaceError as error:
        raise EmptySurfaceError(f"no surface is left: {degeneracy[0]}" if degeneracy else said(error)) from None
    return Meshed(plan, lattice, chosen, counted, around, blocks, kept, degeneracy)


def fit_lines(plan: Plan, chosen: Chosen, counted: Totals) -> list[str]:
    """What is said of a fit."""
    if not plan.settings.cell_settings:
        lines: list[str] = plan.store.held("fit").warnings
        return lines
    assert plan.smoothing
    eps = None if plan.settings.eps == AUTO else plan.eps
    return chosen.warnings + cell_lines(counted.cells, plan.smoothing, eps, plan.compute().dtype)


def clean(parts: Parts, team: Workers, monitor: Monitor) -> Plan:
    """Points without outliers; the lattice around them; their means within voxels, where they are many."""
    nodes = range(len(parts.nodes))
    each(team, points.clean, parts, parts.store, "points", nodes, "points", monitor)
    plan = planned(parts)
    if plan.averaged:
        each(team, points.average, plan, parts.store, "fitted", nodes, "downsample", monitor)
    return plan


def fit(plan: Plan, team: Workers, monitor: Monitor) -> tuple[Plan, Chosen]:
    """Smoothing, the splines of all nodes, and the coarse one of the whole where holes are filled."""
    plan, chosen = with_smoothing(plan, monitor)
    phase = "fit" if plan.settings.cell_settings else "nystrom"
    cells.fit_background(plan, monitor)
    each(team, cells.fit, plan, plan.store, "cells", range(len(plan.nodes)), phase, monitor)
    if plan.parts.empty is not None:
        from . import free  # not before: few ask for it

        plan = free.respected(plan, monitor)
    if plan.settings.sharp_edges:
        creases.sharpen(plan, monitor)
    return plan, chosen


def totals(plan: Plan) -> Totals:
    """What was counted. CloudError, NotPositiveDefiniteError where there is no cell with a model."""
    found = Totals.of(plan)
    if plan.settings.cell_settings and not found.cells.cells:
        raise CloudError(NO_CELL)
    if plan.settings.cell_settings and found.cells.failed == found.cells.cells:
        raise NotPositiveDefiniteError(f"no cell could be solved: {found.cells.reason}; {REMEDY}")
    return found


def surroundings(plan: Plan) -> Surroundings:
    """Bounds and spacings of all nodes."""
    nodes = len(plan.nodes)
    lower, upper = torch.full((2, nodes, 3), torch.inf, dtype=torch.float64)
    upper, spacing = -upper, torch.zeros(nodes, dtype=torch.float64)
    if plan.parts.whole:
        return Surroundings(-lower, -upper, spacing)
    for node in range(nodes):
        spacing[node] = float(plan.store.load(f"points-{node}", "spacing")["spacing"])
        found = plan.store.load(f"cells-{node}", *OF_CELLS)
        if int(found["count"]):
            lower[node], upper[node] = found["lower_bound"], found["upper_bound"]
    return Surroundings(lower, upper, spacing)


def widened(plan: Plan, monitor: Monitor) -> Plan:
    """With a larger lattice where the surface that closes holes needs it: that of the field, of several nodes the
    coarse one.
    """
    if plan.settings.dense or not plan.filled:
        return plan
    compute = plan.compute()
    one = len(plan.nodes) == 1
    field = cells.field_of(plan, [0] if one else [], plan.lattice.box, compute)
    assert field is not None
    if plan.parts.whole:
        monitor.phase("sample")
    seeds = points.fitted(plan, 0).points if one else field.world_centers()
    return replace(plan, lattice=expanded_lattice(field.evaluate, plan.lattice, seeds.to(compute.device)))


def mesh(plan: Plan, around: Surroundings, team: Workers, monitor: Monitor) -> list[int]:
    """Mesh all blocks that cells reach into, and those where the surface comes in from a neighbour and was not found
    from inside, as often as it takes; which blocks there are.

    A block is never without a result meanwhile: it knows the cubes that it was looked into from, so that a run which
    is stopped between two rounds goes on. Each round looks into cubes that none has looked into, and there are so many.
    """
    monitor.phase("sample" if plan.parts.whole else "mesh")
    touched = {*blocks_of(plan)}
    none = torch.empty(0, dtype=torch.int64)
    left = {block: none for block in sorted(touched) if not plan.store.has(f"block-{block}")}
    while True:
        items = [(block, cubes.numpy()) for block, cubes in left.items()]
        known = len(touched) - len(left)
        for block in left:
            _forget_attributes(plan, block)
        team.run(_mesh_block, (plan, around), items, partial(progress, monitor, known, len(touched)))
        plan.store.sync(f"block-{block}" for block in left)
        left = {} if plan.parts.whole else missed(plan, touched)
        if not left:
            return sorted(touched)
        touched |= {*left}


def _mesh_block(shared: tuple[Plan, Surroundings], item: tuple[int, Any], device: str | None) -> None:
    plan, around = shared
    block, entering = item
    blocks.mesh(plan, around, block, torch.as_tensor(entering, dtype=torch.int64), device)


def blocks_of(plan: Plan) -> list[int]:
    """The blocks of the lattice that cells reach into, and those that were looked into before."""
    if plan.parts.whole:
        return [0]
    shape, found = torch.tensor(plan.blocks), [torch.empty(0, dtype=torch.int64)]
    for node in range(len(plan.nodes)):
        boxes = cells.boxes_of(plan, node)
        if boxes is None or not len(boxes):
            continue
        first, last = (
            (plan.lattice.coordinates(corner) / plan.block).floor().long().clamp_min(0).minimum(shape - 1)
            for corner in (boxes.outer_lower, boxes.outer_upper)
        )
        span = last - first
        for step in torch.cartesian_prod(*(torch.arange(int(n) + 1) for n in span.amax(0))):
            index = (first + step)[(step <= span).all(1)]
            found.append(((index[:, 0] * shape[1] + index[:, 1]) * shape[2] + index[:, 2]).unique())
    here = torch.cat(found).unique().tolist()
    if not plan.filled:
        return here
    return sorted({*here, *(k for k in range(math.prod(plan.blocks)) if plan.store.has(f"block-{k}"))})


def missed(plan: Plan, touched: set[int]) -> dict[int, Tensor]:
    """The blocks that the surface enters from a neighbour in cubes that were neither found nor looked into, and all
    cubes of each to look into then. Where holes are filled, these may be blocks that no cell reaches into.
    """
    leaving = [plan.store.load(f"block-{b}", "leaving")["leaving"] for b in touched]
    cubes = torch.cat(leaving).unique()
    b = plan.blocks
    index = plan.lattice.indices(cubes) // plan.block
    owner = (index[:, 0] * b[1] + index[:, 1]) * b[2] + index[:, 2]
    result = {}
    for block in owner.unique().tolist():
        mine = cubes[owner == block]
        if block not in touched:
            if plan.filled:
                result[block] = mine
            continue
        found = plan.store.load(f"block-{block}", "cubes", "entering")
        inside, entering = found["cubes"], found["entering"]
        mine = mine[~torch.isin(mine, torch.cat([inside, entering]))]
        if len(mine):
            result[block] = torch.cat([entering, mine]).unique()
    return result


def _forget_attributes(plan: Plan, block: int) -> None:
    """Remove what was made of a block's mesh, before it is meshed again."""
    if plan.parts.whole:
        return
    from . import painting  # not before: a whole run needs none of the normals of nodes

    for name in ("attributes", "heights", *QUALITIES, *map(painting.stored_as, QUALITIES)):
        if plan.store.has(f"{name}-{block}"):
            plan.store.remove(f"{name}-{block}")


def paint(
    plan: Plan, around: Surroundings, found: list[int], qualities: tuple[str, ...], team: Workers, monitor: Monitor
) -> None:
    """Attributes of the vertices of all blocks, where points have some; and their qualities of these names."""
    from . import painting  # not before: a whole run needs none of the normals of nodes

    if painting.wanted(plan):
        each(team, painting.paint, plan, plan.store, "attributes", found, "colour", monitor)
    if "uncertainty" in qualities and plan.filled:
        cells.sample_coarse(plan)
    for quality in qualities:
        name = painting.stored_as(quality)
        each(team, painting.measure, (plan, around, quality), plan.store, name, found, "colour", monitor)


def keep(plan: Plan, around: Surroundings, found: list[int], team: Workers, monitor: Monitor) -> Kept:
    """Which components are kept."""
    if plan.settings.trim != "none" or plan.settings.min_component != 0.0:
        monitor.phase("trim")
    return kept_components(plan, around, found, team, monitor)
