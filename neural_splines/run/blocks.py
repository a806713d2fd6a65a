"""The mesh of one block of the lattice's cubes, made so that blocks fit together.

A block is sampled, meshed and trimmed with a halo, so that what is decided near its walls is decided as in the
neighbour; of that mesh the faces of its own cubes are kept. Vertices are known by their lattice edges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..clouds import OrientedCloud
from ..field.contract import Field, Replicas
from ..files.mesh_content import Content
from ..metric import Metric
from ..neighbours import Neighbours
from ..pipeline import REFINE_STEPS
from ..settings import AUTO
from ..surface import trimming
from ..surface.band import sample_band
from ..surface.components import components
from ..surface.cubes import CORNERS, FACES, Cubes
from ..surface.lattice import Lattice
from ..surface.marching_cubes import Crossings, marching_cubes
from ..surface.mesh import Mesh, border_edges, keep_faces
from ..surface.refinement import refine
from .cells import field_in
from .plan import Plan, inside
from .points import all_points

HALO_SPACINGS = 6.0  # around a block: twice as far as a gap that trimming leaves closed is deep
POINTS_BEYOND = 4.0  # spacings around what is meshed: there may be the points nearest to it


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
    """The cubes with first <= index < last of the lattice; `window` has those around them too."""

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
        spacing = plan.typical
        for halo in (0, None):
            if halo is None:
                halo = min(plan.block // 2, math.ceil(HALO_SPACINGS * spacing / lattice.voxel_size) + 1)
            window = lattice.part([f - halo for f in first], [end + halo for end in last])
            box = window.box
            nodes = around.meeting(box.lower, box.upper)
            spacing = max([plan.typical, *around.spacing[nodes].tolist()])
        return cls((first[0], first[1], first[2]), (last[0], last[1], last[2]), window, nodes, spacing)

    def own(self, index: Tensor) -> Tensor:
        """Which of the lattice's cubes [n, 3] are this block's."""
        first, last = (torch.tensor(wall, device=index.device) for wall in (self.first, self.last))
        return ((index >= first) & (index < last)).all(-1)


def mesh(plan: Plan, around: Surroundings, block: int, entering: Tensor, device: str | None = None) -> None:
    """Store the mesh of a block. entering: cubes of the lattice where the surface comes in from other blocks."""
    part, compute = Block.of(plan, around, block), plan.compute(device)
    box = part.window.box
    field: Field | None = field_in(plan, part.nodes, box, compute)
    name = f"block-{block}"
    if field is None:
        none = np.empty(0, np.int64)
        empty = np.empty((0, 3), np.int32)
        plan.store.save(name, faces=empty, cubes=none, leaving=none, entering=entering, evaluations=0)
        return
    margin = POINTS_BEYOND * part.spacing
    points = points_in(plan, part.nodes, box.lower - margin, box.upper + margin).to(compute.device)
    inner = ((points >= box.lower.to(points.device)) & (points <= box.upper.to(points.device))).all(1)
    seeds = torch.cat([points[inner], plan.lattice.positions(plan.lattice.indices(entering)).to(points.device)])
    if len(compute.devices) > 1:
        field = Replicas(field, compute.devices)
    cubes = sample_band(field.evaluate, part.window, seeds, None, compute.devices)
    index = part.window.indices(cubes.ids) + torch.tensor(part.window.start, device=cubes.ids.device)
    own_cubes = plan.lattice.ids(index[part.own(index)])
    whole, crossings = marching_cubes(cubes)
    ends = on_whole(plan.lattice, crossings)
    whole = replace(whole, ends=torch.stack([ends, ends], 1))
    s = plan.settings
    whole = refine(whole, crossings, field.gradient, REFINE_STEPS if s.refine_vertices else 0, compute.devices)
    found = own_faces(plan.lattice, part, trimmed(plan, part, whole, points))
    leaving = leaving_cubes(plan.lattice, cubes)
    plan.store.save(
        name, **stored(plan.lattice, part, found), cubes=own_cubes, leaving=leaving, entering=entering,
        evaluations=cubes.evaluations,
    )  # fmt: skip


def points_in(plan: Plan, nodes: list[int], lower: Tensor, upper: Tensor) -> Tensor:
    parts = [torch.empty(0, 3, dtype=torch.float64)]
    for node in sorted({*nodes, *plan.nodes.meeting(lower, upper)}):
        points = all_points(plan.store, node)
        parts.append(inside(OrientedCloud(points, points), lower, upper).points)
    return torch.cat(parts)


def on_whole(lattice: Lattice, crossings: Crossings) -> Tensor:
    """The edges of vertices [v] as edges of the whole lattice."""
    window = crossings.lattice
    index = window.indices(crossings.edges // 3) + torch.tensor(window.start, device=crossings.edges.device)
    return 3 * lattice.ids(index) + crossings.edges % 3


def lowest(lattice: Lattice, mesh: Mesh) -> Tensor:
    """The lowest corners [v, 3] of the edges that vertices lie on or between."""
    assert mesh.ends is not None
    return lattice.indices(mesh.ends // 3).amin(1)


def own_faces(lattice: Lattice, part: Block, mesh: Mesh) -> Mesh:
    """The faces of the block's own cubes. A face is of the cube at the lowest corner of its vertices' edges, from
    whichever block it is looked at."""
    low = lowest(lattice, mesh)
    return keep_faces(mesh, part.own(low[mesh.faces].amin(1)))


def trimmed(plan: Plan, part: Block, mesh: Mesh, points: Tensor) -> Mesh:
    """As `trimming.trimmed`, but for components, which reach beyond a block."""
    s = plan.settings
    if s.trim == "none" or not len(mesh.faces):
        return mesh
    if not len(points):
        return keep_faces(mesh, torch.zeros(len(mesh.faces), dtype=torch.bool, device=mesh.faces.device))
    if s.trim == AUTO:
        return trimming.trim_unsupported(mesh, Metric(points), cut_off=on_walls(plan.lattice, part.window, mesh))
    return trimming.trim(mesh, Neighbours(points), float(s.trim) * plan.lattice.voxel_diagonal)


def on_walls(lattice: Lattice, window: Lattice, mesh: Mesh) -> Tensor:
    """Which vertices [v] may be on the mesh's border only because the window ends there, and the lattice does not."""
    low = lowest(lattice, mesh)
    start = torch.tensor(window.start, device=low.device)
    stop = start + torch.tensor(window.shape, device=low.device) - 1
    end = torch.tensor(lattice.shape, device=low.device) - 1
    return (((low <= start) & (start > 0)) | ((low >= stop - 1) & (stop < end))).any(1)


def leaving_cubes(lattice: Lattice, cubes: Cubes) -> Tensor:
    """The cubes of the lattice just outside the window that the surface enters from it: linear ids, sorted."""
    window, device = cubes.lattice, cubes.ids.device
    index = window.indices(cubes.ids)
    corners = cubes.values_at(cubes.ids[:, None] + window.ids(CORNERS.to(device))) < 0
    faces = corners[:, torch.tensor(FACES, device=device)]
    mixed = faces.any(2) & ~faces.all(2)
    last, found = torch.tensor(window.shape, device=device) - 2, [cubes.ids[:0]]
    end = torch.tensor(lattice.shape, device=device) - 2
    for axis in range(3):
        for side in (0, 1):
            at_wall = index[:, axis] == (last[axis] if side else 0)
            out = index[at_wall & mixed[:, 2 * axis + side]] + torch.tensor(window.start, device=device)
            out[:, axis] += 1 if side else -1
            found.append(lattice.ids(out[((out >= 0) & (out <= end)).all(1)]))
    return torch.cat(found).unique()


def stored(lattice: Lattice, part: Block, mesh: Mesh) -> dict[str, object]:
    """A block's mesh: its components, and what its vertices near walls are known by."""
    links = torch.cat([mesh.faces[:, :2], mesh.faces[:, 1:]])
    label = components(links, len(mesh.vertices)).unique(return_inverse=True)[1]
    low = lowest(lattice, mesh)
    first, last = (torch.tensor(wall, device=low.device) for wall in (part.first, part.last))
    border = ((low <= first + 1) | (low >= last - 2)).any(1).nonzero()[:, 0]
    assert mesh.ends is not None
    keys, order = key_of(mesh.ends[border]).sort()
    content = Content(mesh.vertices.cpu().numpy(), None, mesh.faces.cpu().numpy())
    loss = math.inf if content.collapsed() else content.loss()  # of float32, which may leave no face without its area
    return {
        "vertices": mesh.vertices, "normals": mesh.normals.float(), "faces": mesh.faces.int(), "label": label.int(),
        "face_counts": torch.bincount(label[mesh.faces[:, 0]], minlength=int(label.max()) + 1 if len(label) else 0),
        "border": border[order], "keys": keys, "loss": loss,
        "owned": part.own(low), "open": border_edges(mesh).int(),
    }  # fmt: skip


def key_of(ends: Tensor) -> Tensor:
    """One number for the two ends [n, 2] of a vertex; products wrap."""
    one, other = ends.unbind(1)
    key = one * 0x1E3779B97F4A7C15
    key = (key ^ key >> 29) + other * 0x3F58476D1CE4E5B9
    return key ^ key >> 32


def support(shared: tuple[Plan, Surroundings, dict[int, Tensor], int], block: int, device: str | None) -> None:
    """Store how points support the components of a block but for the largest of the scene: votes and numbers of points.

    shared: also the component of the whole [c] that each of a block's own is part of, by block, and the largest.
    """
    plan, around, labels, largest = shared
    found = plan.store.load(f"block-{block}", "label", "owned", "vertices")
    label = labels[block][torch.from_numpy(found["label"]).long()]
    rows = ((label != largest) & torch.from_numpy(found["owned"])).nonzero()[:, 0]
    label, which = label[rows].unique(return_inverse=True)
    votes, points = torch.zeros(2, len(label), dtype=torch.int64)
    if len(rows):
        part, target = Block.of(plan, around, block), plan.compute(device).device
        margin, box = POINTS_BEYOND * part.spacing, part.window.box
        cloud = points_in(plan, part.nodes, box.lower - margin, box.upper + margin).to(target)
        near, nearest = trimming.near_points(torch.from_numpy(found["vertices"])[rows].to(target), Metric(cloud))
        votes.index_add_(0, which, 1 - 2 * near.cpu().long())
        pairs = torch.stack([which, nearest.cpu()], 1).unique(dim=0)
        points.index_add_(0, pairs[:, 0], torch.ones(len(pairs), dtype=torch.int64))
    plan.store.save(f"support-{block}", label=label, votes=votes, points=points)
