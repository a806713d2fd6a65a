"""The points of a node, made ready to be fitted: no repeated ones, no outliers, averaged within voxels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..cloud.clouds import OrientedCloud, voxel_downsample
from ..cloud.distinct import distinct_points, separate_points
from ..cloud.neighbours import SPACING_RANK
from ..cloud.outliers import without_outliers
from ..runtime.devices import to_device
from ..settings import AUTO
from .nodes import Nodes
from .plan import Parts, Plan, inside, joined, select
from .store import Store

AROUND = 10.0  # typical spacings: neighbours of a node's points lie no farther, but for those that are outliers
SPARSE_SHARE = 0.9  # the spacing that so many points of a node do not exceed says how far things reach there


def near(
    nodes: Nodes, node: int, margin: float, load: Callable[[int], OrientedCloud], own: OrientedCloud
) -> OrientedCloud:
    """The points of other nodes within `margin` of the box of a node's own points."""
    if not len(own):
        return own
    lower, upper = own.box.lower - margin, own.box.upper + margin
    return joined([inside(load(k), lower, upper) for k in nodes.meeting(lower, upper) if k != node])


def distinct(cloud: OrientedCloud) -> OrientedCloud:
    return select(cloud, distinct_points(cloud.points))


def separate(cloud: OrientedCloud, close: float) -> OrientedCloud:
    """The distinct points of a cloud, and one of those within `close` of each other, the same one in every node."""
    return select(cloud, separate_points(cloud.sampling, close, cloud.normals))


def clean(parts: Parts, node: int, device: str | None = None) -> None:
    """Store the points of a node that belong to the surface: distinct ones, without outliers.

    counts: how many repeat others, nearly repeat others, are outliers, are kept. out: where the outliers are, of parts.
    lower, upper: of the box of those that are kept, where there are any. along, across: spacings of some of them;
    spacing: that most do not exceed, for blocks' halos.
    """
    nodes = parts.nodes
    cloud, repeated = with_near(parts, node)
    cloud, outliers = to_device(cloud, parts.compute(device).device), 0
    own = of_node(nodes, node, cloud)
    copies = int(nodes.counts[node]) - repeated - len(own)
    out = own.points[:0]
    if parts.settings.remove_outliers == AUTO:
        cloud = coherent(nodes, cloud, parts.median_spacing)
        before, own = own, of_node(nodes, node, cloud)
        outliers = len(before) - len(own)
        if outliers and not parts.whole:
            out = before.points[own.sampling.near.query(before.points)[0] > 0.0] if len(own) else before.points
    parts.store.hold(f"points-{node}", own)
    parts.store.save(
        f"points-{node}", points=own.points, normals=own.normals, one_sided=own.one_sided, out=out,
        counts=torch.tensor([repeated, copies, outliers, len(own)]), **_ends(own), **_spacings(parts, node, own, cloud),
    )  # fmt: skip


def with_near(parts: Parts, node: int) -> tuple[OrientedCloud, int]:
    """The distinct points of a node and those that may be neighbours of theirs; how many of its own repeat others."""
    given = parts.source.points_of(node)
    if parts.whole:
        return given, 0
    assert parts.median_spacing is not None
    own = distinct(given)
    around = distinct(near(parts.nodes, node, AROUND * parts.median_spacing, parts.source.points_of, own))
    repeated = parts.source.repeated_in(node) + len(given) - len(own)
    return separate(joined([own, around]), parts.close), repeated


def coherent(nodes: Nodes, cloud: OrientedCloud, median_spacing: float | None) -> OrientedCloud:
    """A part without its outliers: none of so few points that all others must be far away from these."""
    if len(cloud) <= SPACING_RANK < int(nodes.counts.sum()):
        return cloud.part(torch.empty(0, dtype=torch.int64, device=cloud.points.device))
    return without_outliers(cloud, median_spacing)[0]


def _spacings(parts: Parts, node: int, own: OrientedCloud, cloud: OrientedCloud) -> dict[str, Tensor]:
    """Of a node's own points, which with those near them are a cloud; of a whole run they are known to its block."""
    if parts.whole or not len(own):
        along, across = torch.empty(2, 0, dtype=torch.float64)
        return {"along": along, "across": across, "spacing": torch.tensor(0.0)}
    metric, mine = cloud.sampling.metric, parts.nodes.of_points(cloud.points) == node
    along, across = metric.along[mine], metric.across[mine]
    spacing = across[:: max(1, len(own) // 5000)].quantile(SPARSE_SHARE)
    return {"along": along[:: parts.stride], "across": across[:: parts.stride], "spacing": spacing}


def _ends(cloud: OrientedCloud) -> dict[str, Tensor]:
    """The box of a cloud, where it has points."""
    return {"lower": cloud.box.lower, "upper": cloud.box.upper} if len(cloud) else {}


def average(plan: Plan, node: int, device: str | None = None) -> None:
    """Store the means of the points of a node within voxels."""
    own = to_device(cleaned(plan.store, node), plan.compute(device).device)
    if len(own):
        means = voxel_downsample(own, plan.lattice.origin, plan.lattice.voxel_size)
        own = of_node(plan.nodes, node, means)
    plan.store.hold(f"fitted-{node}", own)
    plan.store.save(f"fitted-{node}", points=own.points, normals=own.normals, count=len(own), **_ends(own))


def of_node(nodes: Nodes, node: int, cloud: OrientedCloud) -> OrientedCloud:
    """The points of a cloud that lie in a node."""
    return cloud if len(nodes) == 1 else select(cloud, nodes.of_points(cloud.points) == node)


def cleaned(store: Store, node: int) -> OrientedCloud:
    """The points of a node that belong to the surface."""
    held: OrientedCloud | None = store.held(f"points-{node}")  # with what is known of its sampling
    if held is not None:
        return held
    found = store.load(f"points-{node}", "points", "normals", "one_sided")
    return OrientedCloud(found["points"], found["normals"], bool(found["one_sided"]))


def fitted(plan: Plan, node: int) -> OrientedCloud:
    """The points of a node that are fitted: where they are many, means within voxels."""
    if not plan.averaged:
        return cleaned(plan.store, node)
    held: OrientedCloud | None = plan.store.held(f"fitted-{node}")
    if held is not None:
        return held
    found = plan.store.load(f"fitted-{node}", "points", "normals")
    return OrientedCloud(found["points"], found["normals"])


def fitted_count(plan: Plan, node: int) -> int:
    """How many points of a node are fitted."""
    if plan.averaged:
        return int(plan.store.load(f"fitted-{node}", "count")["count"])
    return int(plan.store.load(f"points-{node}", "counts")["counts"][3])
