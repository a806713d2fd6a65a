"""The points of a node, made ready to be fitted: no repeated ones, no outliers, averaged within voxels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..clouds import OrientedCloud, voxel_downsample
from ..distinct import distinct_points, separate_points
from ..files.work_directory import WorkDirectory
from ..geometry import Box
from ..neighbours import SPACING_RANK
from ..outliers import without_outliers
from ..runtime.devices import moved
from ..settings import AUTO
from .nodes import Nodes
from .partition import Partition
from .plan import Plan, inside, joined, raw

AROUND = 10.0  # typical spacings: neighbours of a node's points lie no farther, but for those that are outliers
SPARSE_SHARE = 0.9  # the spacing that so many points of a node do not exceed says how far things reach there


def near(
    nodes: Nodes, node: int, margin: float, load: Callable[[int], OrientedCloud], own: OrientedCloud
) -> OrientedCloud:
    """The points of other nodes within `margin` of the box of a node's own points."""
    if not len(own):
        return own
    lower, upper = own.points.amin(0) - margin, own.points.amax(0) + margin
    return joined([inside(load(k), lower, upper) for k in nodes.meeting(lower, upper) if k != node])


def distinct(cloud: OrientedCloud) -> OrientedCloud:
    return _kept(cloud, distinct_points(cloud.points))


def separate(cloud: OrientedCloud, close: float) -> OrientedCloud:
    """The distinct points of a cloud, and one of those within `close` of each other, the same one in every node."""
    return _kept(cloud, separate_points(cloud.sampling, close, cloud.normals))


def _kept(cloud: OrientedCloud, keep: Tensor) -> OrientedCloud:
    return cloud if bool(keep.all()) else cloud.part(keep.nonzero()[:, 0])


def prepare(plan: Plan, node: int, device: str | None = None) -> None:
    """Store the points of a node that are fitted, and all that are left of it for trimming where these are averages."""
    s, nodes = plan.settings, plan.nodes
    compute = plan.compute(device)
    cloud, repeated = with_near(plan.store, nodes, node, plan.typical, plan.close)
    cloud, outliers = moved(cloud, compute.device), 0
    own = of_node(nodes, node, cloud)
    copies = int(nodes.counts[node]) - repeated - len(own)
    if s.remove_outliers == AUTO:
        cloud = coherent(nodes, cloud, plan.typical)
        own, before = of_node(nodes, node, cloud), len(own)
        outliers = before - len(own)
    along, across = torch.empty(2, 0, dtype=torch.float64)
    if len(own):
        metric, mine = cloud.sampling.metric, nodes.of_points(cloud.points) == node
        along, across = metric.along[mine], metric.across[mine]
    spacing = across[:: max(1, len(own) // 5000)]
    fitted, arrays = own, {}
    if plan.averaged and len(own):
        fitted = of_node(nodes, node, voxel_downsample(own, plan.lattice.origin, plan.lattice.voxel_size))
        arrays["all_points"] = own.points
    plan.store.save(
        f"points-{node}", points=fitted.points, normals=fitted.normals, **arrays,
        counts=torch.tensor([repeated, copies, outliers, len(own), len(fitted)]),
        spacing=spacing.quantile(SPARSE_SHARE) if len(spacing) else torch.tensor(0.0),
        along=along[:: plan.stride], across=across[:: plan.stride],
        lower=fitted.points.amin(0) if len(own) else torch.full((3,), torch.inf),
        upper=fitted.points.amax(0) if len(own) else torch.full((3,), -torch.inf),
    )  # fmt: skip


def with_near(store: WorkDirectory, nodes: Nodes, node: int, typical: float, close: float) -> tuple[OrientedCloud, int]:
    """The distinct points of a node and those that may be neighbours of theirs; how many of its own repeat others."""
    all_own = raw(store, nodes, node)
    own = distinct(all_own)
    around = distinct(near(nodes, node, AROUND * typical, lambda k: raw(store, nodes, k), own))
    return separate(joined([own, around]), close), len(all_own) - len(own)


def coherent(nodes: Nodes, cloud: OrientedCloud, typical: float) -> OrientedCloud:
    """A part without its outliers: none of so few points that all others must be far away from these."""
    if len(cloud) <= SPACING_RANK < int(nodes.counts.sum()):
        return OrientedCloud(cloud.points[:0], cloud.normals[:0])
    return without_outliers(cloud, typical)[0]


def extent(store: WorkDirectory, found: Partition, typical: float, close: float) -> Box:
    """The box of the points without the outliers that are far from most: one of these would make the lattice large."""
    nodes, most = found.nodes, found.most
    corners = [torch.stack([most.lower, most.upper])]
    if bool((found.box.lower >= most.lower).all()) and bool((found.box.upper <= most.upper).all()):
        return most
    beyond = ((nodes.lower < most.lower) | (nodes.upper > most.upper)).any(1)
    for node in beyond.nonzero()[:, 0].tolist():
        if bool(most.contains(raw(store, nodes, node).points).all()):
            continue
        kept = of_node(nodes, node, coherent(nodes, with_near(store, nodes, node, typical, close)[0], typical))
        if len(kept):
            corners.append(torch.stack([kept.points.amin(0), kept.points.amax(0)]))
    return Box.around(torch.cat(corners))


def of_node(nodes: Nodes, node: int, cloud: OrientedCloud) -> OrientedCloud:
    keep = nodes.of_points(cloud.points) == node
    return OrientedCloud(cloud.points[keep], cloud.normals[keep])


def prepared(store: WorkDirectory, node: int) -> OrientedCloud:
    found = store.load(f"points-{node}")
    return OrientedCloud(torch.from_numpy(found["points"]), torch.from_numpy(found["normals"]))


def all_points(store: WorkDirectory, node: int) -> Tensor:
    """The points of a node before they were averaged."""
    found = store.load(f"points-{node}")
    return torch.from_numpy(found.get("all_points", found["points"]))
