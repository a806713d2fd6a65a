"""How far the mesh of a run in parts is to be trusted, block by block: as `trust`, of a whole run.

What is far from a block says nothing about it: points within FAR spacings are looked at, and cells whose reach meets
it.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from ..cells.partition import Cells
from ..cells.posterior import share_of_full
from ..creases.field import SharpField
from ..errors import SettingsError
from ..kernels.products import Compute
from ..kernels.second import curvatures
from ..runtime.devices import to_device
from ..spline.contract import Field
from ..surface.support import FAR, support
from .blocks import Block, Surroundings
from .cells import cells_of, coarse_posterior, field_of, posterior_of
from .plan import Plan, inside, joined
from .points import cleaned
from .trust import PER_POINT, SHARP, interpolated

LEAST = 4096  # places of a block at which uncertainty is asked for where holes are filled, and few points near
AROUND = 2.0  # spacings more than FAR: the points there have their neighbours


def numbers(plan: Plan, around: Surroundings, block: int, name: str, device: str | None = None) -> Tensor:
    """One of the numbers [v] of a block's vertices, float32."""
    found = plan.store.load(f"block-{block}", "vertices")
    if "vertices" not in found or not len(found["vertices"]):
        return torch.empty(0)
    part, compute = Block.of(plan, around, block), plan.compute(device)
    vertices = found["vertices"].to(compute.device)
    cloud = _near(plan, part, vertices)
    if name == "support":
        metric = to_device(cloud, compute.device).sampling.metric
        return support(metric, _share(plan, part, vertices), vertices).float().cpu()
    field: Any = field_of(plan, part.nodes, part.window.box, compute)
    if isinstance(field, SharpField):
        raise SettingsError(SHARP)
    if name == "uncertainty":
        deviations = _Deviations(plan, part, field, compute)
        most = max(PER_POINT * len(cloud), LEAST * plan.filled)
        return interpolated(deviations.at, vertices, most).float().cpu()
    mean, gauss = curvatures(field.gradient(vertices)[1], field.hessian(vertices))
    return (mean if name == "mean-curvature" else gauss).float().cpu()


def _near(plan: Plan, part: Block, vertices: Tensor) -> Any:
    """The points that may count for vertices [v, 3]."""
    margin = (FAR + AROUND) * part.spacing
    lower, upper = vertices.amin(0).cpu() - margin, vertices.amax(0).cpu() + margin
    return joined([inside(cleaned(plan.store, node), lower, upper) for node in plan.nodes.meeting(lower, upper)])


def _share(plan: Plan, part: Block, vertices: Tensor) -> Tensor:
    """That of cells with points of their own, of all nodes [v]."""
    found = [cells for node in part.nodes if (cells := cells_of(plan, node)) is not None]
    if not found:
        return vertices.new_zeros(len(vertices))
    boxes = Cells(*(torch.cat([getattr(one.boxes, f.name) for one in found]) for f in fields(Cells)))
    full = torch.cat([one.full for one in found])
    return share_of_full(to_device(boxes, vertices.device), full.to(vertices.device), vertices)


class _Deviations:
    """Standard deviations of the surface of a block, by the cells of all nodes that reach into it."""

    def __init__(self, plan: Plan, part: Block, field: Field, compute: Compute):
        self.field = field
        self.coarse = coarse_posterior(plan, compute)
        found = [posterior_of(plan, node, compute, self.coarse) for node in part.nodes]
        self.posteriors = [posterior for posterior in found if posterior is not None]

    def at(self, points: Tensor) -> Tensor:
        """[n], at points [n, 3]."""
        slope = torch.as_tensor(self.field.gradient(points)[1]).norm(dim=1)
        none = torch.zeros(len(points), dtype=torch.float64, device=points.device)
        sums = [(none, none), *(posterior.sums(points) for posterior in self.posteriors)]
        total, weight = (torch.stack(parts).sum(0) for parts in zip(*sums, strict=True))
        value = total / weight
        far = (weight == 0.0).nonzero()[:, 0]
        if self.coarse is not None and len(far):
            value[far] = self.coarse.variances(torch.zeros_like(far), points[far].double()).to(value)
        return value.sqrt().to(slope) / slope
