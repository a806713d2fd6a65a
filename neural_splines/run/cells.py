"""The cells of a node, fitted."""

from __future__ import annotations

from dataclasses import fields, replace

import torch
from torch import Tensor

from ..cells.blending import BlendedField
from ..cells.fitting import BlendPlan
from ..cells.models import fit_cells
from ..cells.partition import Cells, adaptive_cells, leaves
from ..cells.tally import Tally, solution_of_each
from ..clouds import OrientedCloud
from ..field.kernels import Kernel, make_kernel
from ..field.products import Compute
from ..geometry import Box
from ..runtime.monitor import Silent
from .plan import Plan, joined
from .points import AROUND, near, prepared

MARGINS = tuple(f.name for f in fields(Cells))
OF_FIELD = (*MARGINS, "count", "z_max", "centers", "coefficients", "offsets")


def blend_of(plan: Plan, cloud: OrientedCloud, compute: Compute, seed: int) -> BlendPlan:
    s = plan.settings
    kernel = make_kernel(s.kernel, s.outer_layer_variance)
    return BlendPlan.of(
        cloud, plan.nodes.box, kernel, plan.eps, s, compute, torch.Generator().manual_seed(seed % 2**63)
    )


def fit(plan: Plan, node: int, device: str | None = None) -> None:
    """Store the splines of the cells of a node, which depend on its points and on those just around it."""
    own, nodes, options = prepared(plan.store, node), plan.nodes, plan.settings.cells
    assert options
    assert plan.smoothing
    level, box = int(nodes.level[node]), nodes.box
    shape = (plan.points_per_cell, options.min_pts_per_cell, level)
    largest = leaves(box, own.points, *shape)[1].max() if len(own) else torch.tensor(0.0)
    if not float(largest):
        plan.store.save(f"cells-{node}", count=0, **Tally().state())
        return
    margin = max(0.5 * options.overlap * float(largest), AROUND * plan.typical)
    cloud = joined([own, near(nodes, node, margin, lambda k: prepared(plan.store, k), own)])
    compute = plan.compute(device)
    blend = blend_of(plan, cloud, compute, plan.settings.seed * 1_000_003 + node)
    cells = adaptive_cells(
        box, blend.cloud.sampling, plan.points_per_cell, options.overlap, options.min_pts_per_cell,
        options.weight_type == "trilinear", level, own.points.to(compute.device),
    )  # fmt: skip
    problem = blend.problem_of(cells, plan.points_per_cell)
    problem = replace(problem, gradients=plan.smoothing.gradients)
    models = fit_cells(problem, plan.smoothing, Silent())
    solved, centers, coefficients, offsets = models.solved(cells)
    plan.store.save(
        f"cells-{node}", count=len(cells), z_max=problem.kernel.z_max, blocks=blocks_of(plan, cells),
        lower_bound=cells.outer_lower.amin(0), upper_bound=cells.outer_upper.amax(0),
        centers=centers, coefficients=coefficients, offsets=offsets,
        **{name: getattr(solved, name) for name in MARGINS}, **Tally.of(models, cells, plan.eps).state(),
        **solution_of_each(models, cells),
    )  # fmt: skip


def blocks_of(plan: Plan, cells: Cells) -> Tensor:
    """The blocks of the lattice that the cells speak in: linear ids, sorted."""
    shape = torch.tensor(plan.blocks)
    first, last = (
        (plan.lattice.coordinates(corner.cpu()) / plan.block).floor().long().clamp_min(0).minimum(shape - 1)
        for corner in (cells.outer_lower, cells.outer_upper)
    )
    found, span = [], last - first
    for step in torch.cartesian_prod(*(torch.arange(int(n) + 1) for n in span.amax(0))):
        index = (first + step)[(step <= span).all(1)]
        found.append(((index[:, 0] * shape[1] + index[:, 1]) * shape[2] + index[:, 2]).unique())
    return torch.cat(found).unique()


def field_in(plan: Plan, nodes: list[int], box: Box, compute: Compute) -> BlendedField | None:
    """The blend of the cells of some nodes that speak in a box; None where there are none."""
    parts, centers, coefficients, counts, z_max = [], [], [], [], 0.0
    for node in nodes:
        found = {name: torch.from_numpy(values) for name, values in plan.store.load(f"cells-{node}", *OF_FIELD).items()}
        if not int(found["count"]):
            continue
        cells, offsets = Cells(*(found[name] for name in MARGINS)), found["offsets"]
        keep = ((cells.outer_lower <= box.upper) & (cells.outer_upper >= box.lower)).all(1)
        z_max = max(z_max, float(found["z_max"]))  # also of those left out: it is the same for every block
        if not bool(keep.any()):
            continue
        rows = torch.repeat_interleave(keep, offsets.diff())
        parts.append(cells.subset(keep.nonzero()[:, 0]))
        centers.append(found["centers"][rows])
        coefficients.append(found["coefficients"][rows])
        counts.append(offsets.diff()[keep])
    if not parts:
        return None
    cells = Cells(*(torch.cat([getattr(part, name) for part in parts]).to(compute.device) for name in MARGINS))
    kernel: Kernel = make_kernel(plan.settings.kernel, plan.settings.outer_layer_variance)
    ends = torch.cat(counts).cumsum(0)
    offsets = torch.cat([ends.new_zeros(1), ends]).to(compute.device)
    return BlendedField(
        cells, replace(kernel, z_max=z_max), compute.place(torch.cat(centers)),
        compute.place(torch.cat(coefficients)), offsets, compute, box,
    )  # fmt: skip
