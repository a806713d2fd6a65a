"""The mesh against its points in both directions: faces without points, and points without faces; block by block."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..cloud.neighbours import Neighbours
from ..runtime.devices import to_device
from ..runtime.monitor import Monitor
from ..surface.advice import far_lines, far_of
from ..surface.lost import FAR_SPACINGS, NOTABLE, SAMPLES, Losses, Samples, far_from, lost_line, thickness
from .blocks import Block, BlockPoints, Surroundings, sampled
from .cells import field_of
from .plan import Plan, joined
from .points import AROUND, cleaned, fitted, near
from .stitch import Kept
from .workers import Workers

NONE = torch.empty(0, dtype=torch.int64)


@dataclass(frozen=True)
class Comparison:
    """What tasks share. stride: of the faces that are looked at."""

    plan: Plan
    around: Surroundings
    kept: Kept
    samples: Samples
    stride: int


def comparison_lines(plan: Plan, around: Surroundings, kept: Kept, team: Workers, monitor: Monitor) -> list[str]:
    """Lines about faces without points and points without faces, each with a number and a remedy."""
    monitor.phase("compare")
    points, normals, far = sampled_points(plan, team)
    samples, least = Samples.at(points, normals, far, plan.lattice)
    shared = Comparison(plan, around, kept, samples, -(-kept.faces // SAMPLES))
    blocks = [block for block, keep in kept.components.items() if len(keep)]
    team.run(reach, shared, blocks, lambda done: monitor.progress(done, len(blocks)))
    found = [plan.store.load(f"reach-{block}") for block in blocks]
    places = torch.cat([part["places"] for part in found])
    within = far_of(float(far.median()) / FAR_SPACINGS, plan.box.diagonal)
    made_up = []
    if not (plan.settings.cells and plan.settings.cells.fill_holes):  # sheets without points were asked for
        made_up = far_lines(len(far_places(plan, places, points, within)) / len(places), within, plan.settings)
    reached, component = torch.zeros(len(samples), dtype=torch.bool), torch.full((len(samples),), -1)
    for part in found:
        reached[part["rows"]] = True
        component[part["dropped_rows"]] = part["component"].long()
    lost = samples.part(~reached)
    if lost.share <= NOTABLE:
        return made_up
    losses = losses_of(plan, around, lost, component[~reached], team)
    return [*made_up, lost_line(lost, least, losses, plan.lattice.voxel_size, plan.grid_size, plan.settings)]


def sampled_points(plan: Plan, team: Workers) -> list[Tensor]:
    """Some points of all nodes [k, 3], their normals, and the distances [k] from them that are far."""
    nodes = range(len(plan.nodes))
    counts = [int(plan.store.load(f"points-{node}", "counts")["counts"][-1]) for node in nodes]
    stride, first, items = -(-sum(counts) // SAMPLES), 0, []
    for node in nodes:
        items.append((node, -first % stride))
        first += counts[node]
    team.run(sample_node, (plan, stride), items, lambda done: None)
    found = [plan.store.load(f"samples-{node}") for node in nodes]
    return [torch.cat([part[name].cpu() for part in found]) for name in ("points", "normals", "far")]


def sample_node(shared: tuple[Plan, int], item: tuple[int, int], device: str | None) -> None:
    """Store every k-th point of a node, from one on, with the distance from it that is far."""
    plan, stride = shared
    node, first = item
    own, target = cleaned(plan.store, node), plan.compute(device).device
    points, normals, far = own.points[first::stride], own.normals[first::stride], torch.empty(0).double()
    if len(points):
        there = fitted(plan, node)
        around = near(plan.nodes, node, AROUND * (plan.parts.median_spacing or 0.0), lambda k: fitted(plan, k), there)
        cloud = to_device(joined([there, around]) if len(around) else there, target)
        far = far_from(points.to(target), cloud.sampling.near)
    plan.store.save(f"samples-{node}", points=points, normals=normals, far=far)


def reach(shared: Comparison, block: int, device: str | None) -> None:
    """Store which points the mesh of a block reaches, which ones only a component of it that was dropped, with that
    component; and the first vertices of some of its faces.
    """
    plan, samples = shared.plan, shared.samples
    found = plan.store.load(f"block-{block}", "vertices", "faces", "label")
    label, faces, vertices = found["label"].long(), found["faces"].long(), found["vertices"]
    keep = shared.kept.components[block].to(label.device)[label]
    target = plan.compute(device).device
    there = around_box(samples, vertices)
    seen = samples.part(there).on(target)
    reached = seen.reached(vertices[keep].to(target))[0].cpu()
    dropped, nearest = (part.cpu() for part in seen.reached(vertices[~keep].to(target)))
    component = shared.kept.whole[block][label[~keep].cpu()[nearest[dropped]]]
    places = vertices[faces[keep[faces[:, 0]]][:: shared.stride, 0]].cpu()
    plan.store.save(
        f"reach-{block}", rows=there[reached], dropped_rows=there[dropped], component=component, places=places
    )


def around_box(samples: Samples, vertices: Tensor) -> Tensor:
    """The indices of the points that may be near one of vertices [v, 3]."""
    if not len(vertices):
        return NONE
    lower, upper = vertices.amin(0).cpu(), vertices.amax(0).cpu()
    far = samples.far[:, None]
    return ((samples.points >= lower - far) & (samples.points <= upper + far)).all(1).nonzero()[:, 0]


def far_places(plan: Plan, places: Tensor, sample: Tensor, far: float) -> Tensor:
    """Those of places [q, 3] that are farther than `far` from every point that was fitted; sample [k, 3]: of these."""
    if len(plan.nodes) > 1:  # few nodes are left to be looked into
        places = places[Neighbours(sample).query(places, within=far)[0].isinf()]
    for node in range(len(plan.nodes)):
        lower, upper = plan.nodes.lower[node] - far, plan.nodes.upper[node] + far
        if not bool(((places >= lower) & (places <= upper)).all(1).any()):
            continue
        cloud = fitted(plan, node)
        if len(cloud):
            places = places[cloud.sampling.near.query(places.to(cloud.points), within=far)[0].isinf().cpu()]
    return places


def losses_of(plan: Plan, around: Surroundings, lost: Samples, component: Tensor, team: Workers) -> Losses:
    """Why points [k] are lost; component [k]: that was dropped near them, or -1."""
    cube = plan.lattice.coordinates(lost.points).floor().long()
    index = cube.clamp_min(0).minimum(torch.tensor(plan.lattice.shape) - 2) // plan.block
    b = plan.blocks
    owner = (index[:, 0] * b[1] + index[:, 1]) * b[2] + index[:, 2]
    items = [(block, lost.part(owner == block)) for block in owner.unique().tolist()]
    team.run(explain, (plan, around), items, lambda done: None)
    thick, crossed = torch.empty_like(lost.far), torch.empty(len(lost), dtype=torch.bool)
    for block, _ in items:
        found = plan.store.load(f"lost-{block}")
        thick[owner == block], crossed[owner == block] = found["thickness"].cpu(), found["crossed"].cpu()
    return Losses(thick, crossed, component)


def explain(shared: tuple[Plan, Surroundings], item: tuple[int, Samples], device: str | None) -> None:
    """Store of the lost points of a block how thick what they lie on is, and whether a surface was near them before it
    was trimmed: where that is not held, the block is sampled again.
    """
    plan, around = shared
    block, lost = item
    part, compute = Block.of(plan, around, block), plan.compute(device)
    lost = lost.on(compute.device)
    points = BlockPoints.of(plan, part, compute.device)
    uncut, field = plan.store.held("uncut"), None
    if uncut is None:
        field = field_of(plan, part.nodes, part.window.box, compute)
    if field is not None:
        uncut = sampled(plan, part, field, points, NONE, compute)[0]
    crossed = torch.zeros(len(lost), dtype=torch.bool)
    if uncut is not None:
        crossed = lost.reached(uncut.vertices)[0]
    thick = thickness(lost, points.cloud, plan.lattice.voxel_size)
    plan.store.save(f"lost-{block}", thickness=thick, crossed=crossed)
