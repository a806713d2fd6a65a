"""The cells of a node, fitted; the field that cells of several nodes make together."""

from __future__ import annotations

from dataclasses import fields, replace

import torch
from torch import Tensor

from ..cells import background
from ..cells.batches import Smoothing
from ..cells.blending import BlendedField
from ..cells.fitting import BlendPlan
from ..cells.levels import FILLING_CENTERS, FILLING_POINTS, Fitted, fit_levels
from ..cells.members import Members, capped
from ..cells.models import CellModels, fit_cells
from ..cells.partition import Cells, Share, cells_with
from ..cells.posterior import CellPosterior, Posterior
from ..cells.splines import Splines
from ..cells.tally import Tally
from ..cells.ties import Ties
from ..cloud.clouds import OrientedCloud
from ..cloud.octree import bounding_cube, leaves
from ..files.arrays import as_array
from ..geometry import Box
from ..kernels.kernels import make_kernel
from ..kernels.products import Compute
from ..runtime.blas import one_thread_each
from ..runtime.devices import to_device
from ..runtime.monitor import Monitor, Silent
from ..selection.depth import choose_depths, judges_of
from ..spline.contract import Field
from ..spline.solvers.falkon import Falkon
from ..spline.spline import NeuralSpline
from .plan import Plan, joined
from .points import AROUND, fitted, fitted_count, near
from .spline import fit_one

MARGINS = tuple(f.name for f in fields(Cells))
MODELS = ("centers", "coefficients", "offsets", "jitters", "attempts")
SEEDS_APART = 1_000_003  # of the nodes' random numbers
LAST = -1  # in the place of a spline's number: the coarse one, which comes after those of all nodes


def blend_of(plan: Plan, cloud: OrientedCloud, compute: Compute, node: int) -> BlendPlan:
    """How the cells of a node are made of its points and those near it."""
    s = plan.settings
    assert s.cells
    box = plan.nodes.box if s.cells.adaptive else plan.lattice.box
    kernel = make_kernel(s.kernel, s.outer_layer_variance)
    generator = torch.Generator().manual_seed((s.seed + SEEDS_APART * node) % 2**63)
    return BlendPlan.of(cloud, box, kernel, plan.eps, s, compute, generator)


def fit(plan: Plan, node: int, device: str | None = None) -> None:
    """Store the splines of the cells of a node, which depend on its points and on those just around it.

    count: of cells, also those that could not be solved; lower_bound, upper_bound [3]: within their reach.
    """
    own, compute = fitted(plan, node), plan.compute(device)
    if not plan.settings.cell_settings:
        plan.store.hold("fit", fit_one(own, plan.eps, plan.settings, compute, plan.monitor))
        return
    with one_thread_each():
        found = _fitted(plan, node, own, compute) if len(own) else None
    if found is None:
        plan.store.save(f"cells-{node}", count=0, **Tally().state())
        return
    bounds = found.boxes.subset(found.full.nonzero()[:, 0]) if len(found.boxes) else found.cells
    plan.store.save(
        f"cells-{node}", count=len(found.cells), z_max=found.z_max,
        level=found.level, most=found.most, model=found.model, full=found.full,
        lower_bound=bounds.outer_lower.amin(0), upper_bound=bounds.outer_upper.amax(0),
        **{name: getattr(found.models, name) for name in MODELS},
        **{name: getattr(found.cells, name) for name in MARGINS},
        **{f"box_{name}": getattr(found.boxes, name) for name in MARGINS},
        **Tally.of(found.models, found.cells, plan.eps).state(),
    )  # fmt: skip


def _fitted(plan: Plan, node: int, own: OrientedCloud, compute: Compute) -> Fitted | None:
    """The cells of a node; None where no cell holds enough points."""
    blend, share = _blend(plan, node, own, compute), None
    if len(plan.nodes) > 1:
        share = Share(plan.nodes.of_points(blend.cloud.points), node, int(plan.nodes.level[node]))
    assert plan.smoothing
    if blend.options.adaptive:
        coarse, most = background_of(plan, compute), plan.points_per_cell
        judges = None
        if plan.local_depth:
            judges = judges_of(len(blend.cloud), most, plan.settings.seed, blend.cloud.points.device)
        levels = fit_levels(blend, most, plan.smoothing, plan.monitor, coarse, share, judges, plan.free)
        if levels is not None and judges is not None:
            choose_depths(levels)
        return None if levels is None else levels.fitted().used(plan.smoothing)
    cells = blend.cells(plan.points_per_cell, share)
    if not len(cells):
        return None
    problem = blend.problem_of(cells, plan.points_per_cell, gradients=plan.smoothing.gradients)
    if plan.free is not None:
        problem = replace(problem, ties=Ties(None, False, plan.free.of(cells)))
    return Fitted.of_one_level(cells, fit_cells(problem, plan.smoothing, plan.monitor), problem.kernel.z_max)


def _blend(plan: Plan, node: int, own: OrientedCloud, compute: Compute) -> BlendPlan:
    """How the cells of a node are made of its own points and those around."""
    around = near(plan.nodes, node, _margin(plan, node, own), lambda k: fitted(plan, k), own)
    return blend_of(plan, joined([own, around]), compute, node)


def posterior_of(plan: Plan, node: int, compute: Compute, coarse: CellPosterior | None = None) -> Posterior | None:
    """How far the splines of a node's cells may be off; None where it has no cells. coarse: of a run in parts."""
    found = cells_of(plan, node)
    if found is None:
        return None
    assert plan.smoothing
    kernel = replace(make_kernel(plan.settings.kernel, plan.settings.outer_layer_variance), z_max=found.z_max)
    cloud = _blend(plan, node, fitted(plan, node), compute).cloud
    device = compute.device
    cells, boxes = to_device(found.cells, device), to_device(found.boxes, device)
    own = CellPosterior(
        cloud, cells, to_device(found.models, device), found.most.to(device), plan.smoothing, plan.eps, kernel, compute
    )
    if plan.filled and plan.parts.whole:
        coarse = _coarse_posterior(plan, cloud, compute)
    return Posterior(boxes, found.model.to(device), found.full.to(device), own, coarse)


def sample_coarse(plan: Plan) -> None:
    """Store the points that `coarse_posterior` is of: so many of all nodes, at even steps of their list."""
    if plan.store.has("coarse"):
        return
    counts = [fitted_count(plan, node) for node in range(len(plan.nodes))]
    total, kept = sum(counts), min(sum(counts), FILLING_POINTS)
    cloud = _rows_of_all(plan, counts, torch.arange(kept) * total // max(1, kept))
    plan.store.save("coarse", points=cloud.points, normals=cloud.normals)
    plan.store.sync(["coarse"])


def _rows_of_all(plan: Plan, counts: list[int], rows: Tensor) -> OrientedCloud:
    """The fitted points with these sorted rows [k] in the list of all nodes, which have so many each."""
    first, sample = 0, []
    for node, count in enumerate(counts):
        mine = rows[(rows >= first) & (rows < first + count)] - first
        if len(mine):
            own = fitted(plan, node)
            sample.append(OrientedCloud(own.points[mine], own.normals[mine]))
        first += count
    return joined(sample)


def coarse_posterior(plan: Plan, compute: Compute) -> CellPosterior | None:
    """How far the coarse spline of a run in parts may be off, where holes are filled."""
    if not plan.filled:
        return None
    found = plan.store.load("coarse")
    return _coarse_posterior(plan, to_device(OrientedCloud(found["points"], found["normals"]), compute.device), compute)


def _coarse_posterior(plan: Plan, cloud: OrientedCloud, compute: Compute) -> CellPosterior:
    """Of a cell around all points, in the place of the background, whose system is too large to factor again."""
    blend = blend_of(plan, cloud, compute, 0)
    lower, side = bounding_cube(blend.box)
    length = torch.full((1,), side, dtype=torch.float64, device=compute.device)
    cells = cells_with(lower.to(compute.device)[None], length, 0.5 * length)
    few = capped(Members.of(cells, blend.cloud.points), FILLING_POINTS)
    smoothing = Smoothing(background.REGULARIZATION)
    problem = blend.problem_of(cells, FILLING_POINTS, few, FILLING_CENTERS)
    models = fit_cells(problem, smoothing, Silent())
    most = torch.full((1,), FILLING_POINTS, device=compute.device)
    return CellPosterior(blend.cloud, cells, models, most, smoothing, plan.eps, problem.kernel, compute)


def _margin(plan: Plan, node: int, own: OrientedCloud) -> float:
    """How far around a node's points others matter: to the padding of its cells, and of uniform cells to their ends."""
    options = plan.settings.cells
    assert options
    if len(plan.nodes) == 1:
        return 0.0
    around = AROUND * (plan.parts.median_spacing or 0.0)
    if options.adaptive:
        shape = (plan.points_per_cell, options.min_pts_per_cell, int(plan.nodes.level[node]))
        sides = leaves(plan.nodes.box, own.points, *shape)[1]
        return max(0.5 * options.overlap * float(sides.max()) if len(sides) else 0.0, around)
    return (1.0 + options.overlap) * float(plan.lattice.box.sides.max()) / int(options.cells_per_axis) + around


def boxes_of(plan: Plan, node: int) -> Cells | None:
    """The boxes of a node that hold points; None where it has no cells."""
    found = cells_of(plan, node)
    return None if found is None else found.boxes.subset(found.full.nonzero()[:, 0])


def cells_of(plan: Plan, node: int) -> Fitted | None:
    """The cells of a node; None where it has none."""
    if not int(plan.store.load(f"cells-{node}", "count")["count"]):
        return None
    assert plan.smoothing
    of_boxes = [f"box_{name}" for name in MARGINS]
    found = plan.store.load(f"cells-{node}", "z_max", "level", "most", "model", "full", *MODELS, *MARGINS, *of_boxes)
    boxes = Cells(*(found[name] for name in of_boxes))
    models = CellModels.of(**{name: found[name] for name in MODELS}, smoothing=plan.smoothing)
    cells = Cells(*(found[name] for name in MARGINS))
    level, most, model, full = (found[name] for name in ("level", "most", "model", "full"))
    return Fitted(cells, models, level, most, boxes, model, full, float(found["z_max"]))


def fit_background(plan: Plan, monitor: Monitor) -> None:
    """Store the coarse spline that closes the surface, of a sample of the points of all nodes."""
    s = plan.settings
    if not plan.filled or plan.store.has("background"):
        return
    monitor.phase("background")
    generator, compute = torch.Generator().manual_seed(s.seed), plan.compute()
    counts = [fitted_count(plan, node) for node in range(len(plan.nodes))]
    total = sum(counts)
    rows = torch.arange(total)
    if total > background.POINTS:
        rows = torch.randint(total, (background.POINTS,), generator=generator).unique()
    solver = Falkon(background.REGULARIZATION, s.cg_max_iters, s.cg_stop_thresh)
    cloud, kernel = _rows_of_all(plan, counts, rows), make_kernel(s.kernel, s.outer_layer_variance)
    spline = background.fit_background(cloud, plan.box.diagonal, kernel, solver, compute, generator, plan.free)
    plan.store.save("background", **spline.state())
    plan.store.sync(["background"])


def background_of(plan: Plan, compute: Compute) -> NeuralSpline | None:
    """The coarse spline of the whole, where holes are filled."""
    if not plan.filled:
        return None
    state = {name: as_array(value) for name, value in plan.store.load("background").items()}
    return NeuralSpline.from_state(state, compute)


def field_of(plan: Plan, nodes: list[int], box: Box, compute: Compute) -> Field | None:
    """The field in a box: one spline, or the blend of the cells of some nodes that reach into it, with the background.

    None where there are no such cells and no background.
    """
    held: Field | None = plan.store.held("field")
    if held is not None:
        return held
    field = _field_of(plan, nodes, box, compute)
    if plan.parts.whole:
        plan.store.hold("field", field)
    return field


def _field_of(plan: Plan, nodes: list[int], box: Box, compute: Compute) -> Field | None:
    if not plan.settings.cell_settings:
        one: Field = plan.store.held("fit").field
        return one
    far, boxes, splines, models, count, z_max = background_of(plan, compute), [], [], [], 0, 0.0
    for node in nodes:
        found = cells_of(plan, node)
        if found is None:
            continue
        z_max = max(z_max, found.z_max)  # also of cells that are left out: it is the same for every block
        lower, upper = box.lower.to(found.model.device), box.upper.to(found.model.device)
        keep = ((found.boxes.outer_lower <= upper) & (found.boxes.outer_upper >= lower)).all(1)
        which = keep.nonzero()[:, 0]
        number, model = found.model[which].unique(return_inverse=True)
        here = number[number < len(found.cells)]
        if not len(which):
            continue
        boxes.append(found.boxes.subset(which))
        splines.append(Splines.of(found.cells, found.models).subset(here))
        models.append(torch.where(found.model[which] < len(found.cells), model + count, LAST))
        count += len(here)
    if not boxes:
        return far
    kernel = make_kernel(plan.settings.kernel, plan.settings.outer_layer_variance)
    joint = to_device(Splines.joined(splines), compute.device)
    joint = replace(joint, centers=compute.place(joint.centers), coefficients=compute.place(joint.coefficients))
    cells = Cells(*(torch.cat([getattr(part, name) for part in boxes]).to(compute.device) for name in MARGINS))
    model = torch.cat(models).to(compute.device)
    if far is not None:
        joint, model = joint.and_of(far), torch.where(model == LAST, count, model)
    return BlendedField(cells, model, joint, replace(kernel, z_max=z_max), compute, box, far)
