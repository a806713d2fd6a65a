"""How far the fitted points of a run in parts lie from its surface, block by block."""

from __future__ import annotations

import torch
from torch import Tensor

from ..runtime.monitor import Monitor
from ..spline.residuals import residuals
from .blocks import Block, Surroundings
from .cells import field_of
from .plan import Plan
from .points import fitted as fitted_points
from .workers import Workers

MOST = 1_000_000  # points that are looked at


def residuals_in_parts(
    plan: Plan, around: Surroundings, blocks: list[int], fitted: int, team: Workers, monitor: Monitor
) -> Tensor:
    """Distances [k] of at most some million of the `fitted` points from the surface, world units, in order."""
    stride = -(-fitted // MOST)
    team.run(store_residuals, (plan, around, stride), blocks, lambda done: monitor.progress(done, len(blocks)))
    found = [plan.store.load(f"residuals-{block}")["distances"] for block in blocks]
    return torch.cat(found).sort().values


def store_residuals(shared: tuple[Plan, Surroundings, int], block: int, device: str | None) -> None:
    """Store the distances of every k-th fitted point of a block."""
    plan, around, stride = shared
    part, compute = Block.of(plan, around, block), plan.compute(device)
    parts = [
        torch.empty(0, 3, dtype=torch.float64),
        *(fitted_points(plan, node).points[::stride] for node in part.nodes),
    ]
    points = torch.cat(parts)
    last = torch.tensor(plan.lattice.shape) - 2
    points = points[part.own(plan.lattice.coordinates(points).floor().long().clamp_min(0).minimum(last))]
    distances = points.new_empty(0)
    field = field_of(plan, part.nodes, part.window.box, compute) if len(points) else None
    if field is not None:
        distances = residuals(field, points.to(compute.device))
    plan.store.save(f"residuals-{block}", distances=distances)
