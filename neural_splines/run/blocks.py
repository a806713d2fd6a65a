"""The mesh of one block of the lattice's cubes, made so that blocks fit together.

A block is sampled, meshed and trimmed with a halo, so that what is decided near its walls is decided as in the
neighbour; of that mesh the faces of its own cubes are kept. A run with one block has no walls and no halo.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ..cloud.clouds import OrientedCloud
from ..files.mesh_content import Content
from ..kernels.products import Compute
from ..runtime import memory
from ..runtime.devices import to_device
from ..settings import AUTO
from ..spline.contract import Field
from ..surface import trimming
from ..surface.band import Wanted
from ..surface.lattice import Lattice
from ..surface.mesh import Mesh, border_edges, keep_faces
from .cells import field_of
from .extract import Surface, extract
from .plan import Plan, inside, joined
from .points import cleaned, fitted
from .walls import key_of, leaving_cubes, lowest, on_walls, on_whole

GAPS = 4.0  # around a block, times a gap that trimming leaves closed
BEYOND = 2.5  # spacings more than such a gap, around what is meshed: there may be the points nearest to it


@dataclass(frozen=True)
class Surroundings:
    """What is known of all nodes when blocks are meshed: bounds of their cells' reach [k, 3], and spacings [k]."""

    lower: Tensor
    upper: Tensor
    spacing: Tensor

    def meeting(self, lower: Tensor, upper: Tensor) -> list[int]:
        return ((self.lower <= upper) & (self.upper >= lower)).all(1).nonzero()[:, 0].tolist()


@dataclass(frozen=True)
class Block:
    """The cubes with first <= index < last of the lattice; `window` has those around them too.

    nodes: whose cells reach into the window. spacing: of the sparsest of these, or the typical one.
    """

    first: tuple[int, int, int]
    last: tuple[int, int, int]
    window: Lattice
    nodes: list[int]
    spacing: float

    @classmethod
    def of(cls, plan: Plan, around: Surroundings, block: int) -> Block:
        b, lattice = plan.blocks, plan.lattice
        index = (block // (b[1] * b[2]), block // b[2] % b[1], block % b[2])
        first = [plan.block * i for i in index]
        last = [min(f + plan.block, n - 1) for f, n in zip(first, lattice.shape, strict=True)]
        spacing = median_spacing = plan.parts.median_spacing or 0.0
        for halo in (0, None):
            if halo is None:
                deep = GAPS * trimming.gap_of(plan.settings) * spacing / lattice.voxel_size
                halo = min(plan.block // 2, math.ceil(deep) + 1)
            window = lattice.part([f - halo for f in first], [end + halo for end in last])
            box = window.box
            nodes = around.meeting(box.lower, box.upper)
            spacing = max([median_spacing, *around.spacing[nodes].tolist()])
        return cls((first[0], first[1], first[2]), (last[0], last[1], last[2]), window, nodes, spacing)

    def own(self, index: Tensor) -> Tensor:
        """Which of the lattice's cubes [n, 3] are this block's."""
        first, last = (torch.tensor(wall, device=index.device) for wall in (self.first, self.last))
        return ((index >= first) & (index < last)).all(-1)


@dataclass(frozen=True)
class BlockPoints:
    """The points in and around a block: all that are kept, and those in it that are fitted [n, 3]."""

    cloud: OrientedCloud
    fitted: Tensor

    @classmethod
    def of(cls, plan: Plan, part: Block, device: torch.device) -> BlockPoints:
        """On that device; in a run with one block, once and for all."""
        held: BlockPoints | None = plan.store.held("points")
        if held is None:
            held = cls._near(plan, part, device)
            if plan.parts.whole:
                plan.store.hold("points", held)
        return held

    @classmethod
    def _near(cls, plan: Plan, part: Block, device: torch.device) -> BlockPoints:
        if plan.parts.whole:
            return cls(to_device(cleaned(plan.store, 0), device), fitted(plan, 0).points.to(device))
        box, margin = part.window.box, (trimming.gap_of(plan.settings) + BEYOND) * part.spacing
        lower, upper = box.lower - margin, box.upper + margin
        nodes = sorted({*part.nodes, *plan.nodes.meeting(lower, upper)})
        cloud = joined([inside(cleaned(plan.store, node), lower, upper) for node in nodes])
        if not plan.averaged:
            return cls(to_device(cloud, device), inside(cloud, box.lower, box.upper).points.to(device))
        seeds = joined([inside(fitted(plan, node), box.lower, box.upper) for node in nodes])
        return cls(to_device(cloud, device), seeds.points.to(device))


def mesh(plan: Plan, around: Surroundings, block: int, entering: Tensor, device: str | None = None) -> None:
    """Store the mesh of a block. entering: cubes of the lattice where the surface comes in from other blocks."""
    part, compute = Block.of(plan, around, block), plan.compute(device)
    field = field_of(plan, part.nodes, part.window.box, compute)
    if field is None:
        none = torch.empty(0, dtype=torch.int64)
        plan.store.save(
            f"block-{block}", faces=none.int().reshape(0, 3), cubes=none, leaving=none, entering=entering, evaluations=0
        )
        return
    points = BlockPoints.of(plan, part, compute.device)
    uncut, found = sampled(plan, part, field, points, entering, compute)
    if plan.settings.trim != "none":
        plan.monitor.phase("trim")
        memory.release()
    cut = trimmed(plan, part, uncut, points)
    plan.store.hold("uncut", uncut)
    plan.store.save(f"block-{block}", entering=entering, **found, **stored(plan, part, cut))


def sampled(
    plan: Plan, part: Block, field: Field, points: BlockPoints, entering: Tensor, compute: Compute
) -> tuple[Mesh, dict[str, object]]:
    """The surface in a block and around it; beside it, what there is to be known of its cubes."""
    s, seeds = plan.settings, points.fitted
    if len(entering):
        seeds = torch.cat([seeds, plan.lattice.positions(plan.lattice.indices(entering)).to(seeds.device)])
    near = None
    if s.trim == AUTO and len(points.cloud):
        near = partial(trimming.may_support, points.cloud.sampling.metric, trimming.gap_of(s))
    # A field of several nodes that has no background ends with their cells: to ask for each place costs more there.
    wanted = near if plan.parts.whole or plan.filled else None
    surface = extract(field, part.window, seeds, s, compute, plan.monitor, wanted)
    if plan.parts.whole:
        plan.store.hold("grid", surface.grid)
        return surface.mesh, {"evaluations": surface.evaluations, "crossed": len(surface.mesh.faces)}
    return _with_ends(plan, surface), _cubes(plan, part, surface, near)


def _with_ends(plan: Plan, surface: Surface) -> Mesh:
    """The mesh with what its vertices are known by on the whole lattice."""
    assert surface.crossings is not None
    ends = on_whole(plan.lattice, surface.crossings)
    return replace(surface.mesh, ends=torch.stack([ends, ends], 1))


def _cubes(plan: Plan, part: Block, surface: Surface, near: Wanted | None) -> dict[str, object]:
    """The block's own cubes that the surface passes, and those outside that it leaves to, where some of it may
    be kept.
    """
    cubes = surface.cubes
    assert cubes is not None
    index = part.window.indices(cubes.ids) + torch.tensor(part.window.start, device=cubes.ids.device)
    own = plan.lattice.ids(index[part.own(index)])
    leaving = leaving_cubes(plan.lattice, cubes, part.first, part.last)
    if near is not None and len(leaving):
        middle = plan.lattice.positions(plan.lattice.indices(leaving) + 0.5)
        leaving = leaving[near(middle, 0.5 * plan.lattice.voxel_diagonal)]
    return {
        "cubes": own, "leaving": leaving,
        "evaluations": surface.evaluations, "crossed": len(own),
    }  # fmt: skip


def trimmed(plan: Plan, part: Block, mesh: Mesh, points: BlockPoints) -> Mesh:
    """What of a block's own faces is near enough to the points, or supported by them."""
    cut_off = None if plan.parts.whole else on_walls(plan.lattice, part.window, mesh)
    cut = trimming.cut_back(mesh, points.cloud, plan.lattice.voxel_diagonal, plan.settings, cut_off)
    return cut if plan.parts.whole else own_faces(plan.lattice, part, cut)


def own_faces(lattice: Lattice, part: Block, mesh: Mesh) -> Mesh:
    """The faces of the block's own cubes."""
    low = lowest(lattice, mesh)
    return keep_faces(mesh, part.own(low[mesh.faces].amin(1)))


def stored(plan: Plan, part: Block, mesh: Mesh) -> dict[str, object]:
    """A block's mesh: its components, where they may be dropped, and what its vertices near walls are known by."""
    label = torch.zeros(len(mesh.vertices), dtype=torch.int64, device=mesh.vertices.device)
    if plan.settings.min_component != 0.0:
        label = trimming.labels(mesh).unique(return_inverse=True)[1]
    counts = torch.bincount(label[mesh.faces[:, 0]], minlength=int(label.max()) + 1 if len(label) else 0)
    found: dict[str, object] = {"label": label.int(), "face_counts": counts}
    if plan.parts.whole:
        return found | {"vertices": mesh.vertices, "normals": mesh.normals, "faces": mesh.faces}
    return (
        found
        | {"vertices": mesh.vertices, "normals": mesh.normals.float(), "faces": mesh.faces.int()}
        | of_walls(plan.lattice, part, mesh)
    )


def of_walls(lattice: Lattice, part: Block, mesh: Mesh) -> dict[str, object]:
    """border, keys: vertices near walls, and what these are known by, sorted. owned [v]: which no other block has.
    open: edges with one face. loss: of float32, which may leave no face without its area.
    """
    low = lowest(lattice, mesh)
    first, last = (torch.tensor(wall, device=low.device) for wall in (part.first, part.last))
    border = ((low <= first + 1) | (low >= last - 2)).any(1).nonzero()[:, 0]
    assert mesh.ends is not None
    keys, order = key_of(mesh.ends[border]).sort()
    content = Content(mesh.vertices.cpu().numpy(), None, mesh.faces.cpu().numpy())
    loss = math.inf if content.collapsed() else content.loss()
    return {
        "border": border[order],
        "keys": keys,
        "owned": part.own(low),
        "open": border_edges(mesh).int(),
        "loss": loss,
    }


def support(shared: tuple[Plan, Surroundings, dict[int, Tensor], int], block: int, device: str | None) -> None:
    """Store how points support the components of a block but for the largest of all: votes and numbers of points.

    shared: also the component of the whole [c] that each of a block's own is part of, by block, and the largest.
    """
    plan, around, labels, largest = shared
    found = plan.store.load(f"block-{block}", "label", "owned", "vertices")
    label = labels[block].to(found["label"].device)[found["label"].long()]
    chosen = label != largest
    rows = (chosen & found["owned"] if "owned" in found else chosen).nonzero()[:, 0]
    label, vertices = label[rows], found["vertices"][rows]
    part, target = Block.of(plan, around, block), plan.compute(device).device
    points = BlockPoints.of(plan, part, target)
    if len(rows) and len(points.cloud):
        which, votes, count = trimming.component_support(
            vertices.to(target), label.to(target), points.cloud.sampling.metric
        )
    else:
        which, votes = label.unique(return_counts=True)
        count = torch.zeros_like(votes)
    plan.store.save(f"support-{block}", label=which, votes=votes, points=count)
