"""Marching cubes over any set of lattice cubes, with vertices shared by lattice edge; refinement; trimming.

The table of cases is derived here from one rule, so cracks cannot occur: on every face of a cube the
inside corners are cut off run by run, which both cubes of the face see alike; the segments chain to
loops, and a loop is triangulated without diagonals in a face of the cube where that is possible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from .devices import pieces, slices, spread
from .lattice import CORNERS, EDGES, Cubes, Lattice

# Corners of the six faces, anticlockwise seen from outside.
OUTLINES = [(0, 4, 6, 2), (1, 3, 7, 5), (0, 1, 5, 4), (2, 6, 7, 3), (0, 2, 3, 1), (4, 5, 7, 6)]


@dataclass(frozen=True)
class Mesh:
    """Vertices [v, 3] in world units, unit vertex normals [v, 3] pointing outwards, triangles [f, 3]."""

    vertices: Tensor
    normals: Tensor
    faces: Tensor


@lru_cache(maxsize=1)
def case_table() -> list[list[tuple[int, int, int]]]:
    """Triangles of each of the 256 sign patterns (bit c: corner c is inside) as triples of edges."""
    edge_of = {frozenset(corners): e for e, corners in enumerate(EDGES)}
    faces_of = [{f for f, face in enumerate(OUTLINES) if set(corners) <= set(face)} for corners in EDGES]
    return [_triangles(case, edge_of, faces_of) for case in range(256)]


def _triangles(case: int, edge_of: dict, faces_of: list[set[int]]) -> list[tuple[int, int, int]]:
    follow = {}  # directed segments: edge -> next edge
    for face in OUTLINES:
        inside = [case >> c & 1 for c in face]
        for i in range(4):
            if inside[i] and not inside[(i + 1) % 4]:  # the boundary leaves the inside here
                start = i
                while inside[start - 1]:
                    start -= 1
                leave = edge_of[frozenset((face[i], face[(i + 1) % 4]))]
                enter = edge_of[frozenset((face[start - 1], face[start]))]
                follow[leave] = enter
    triangles = []
    while follow:
        edge, loop = next(iter(follow)), []
        while edge in follow:
            loop.append(edge)
            edge = follow.pop(edge)
        triangles += _triangulate(tuple(loop), faces_of)[1]
    return triangles


def _triangulate(loop: tuple[int, ...], faces_of: list[set[int]]):
    """(diagonals that lie in a face, triangles): the triangulation of a loop with the fewest of those."""
    if len(loop) < 3:
        return 0, []
    best = None
    for k in range(1, len(loop) - 1):  # the triangle on the side from the last to the first vertex
        cost = sum(
            bool(faces_of[a] & faces_of[b])
            for a, b, is_side in ((loop[0], loop[k], k == 1), (loop[k], loop[-1], k == len(loop) - 2))
            if not is_side
        )
        left, right = _triangulate(loop[: k + 1], faces_of), _triangulate(loop[k:], faces_of)
        total = cost + left[0] + right[0]
        if best is None or total < best[0]:
            best = total, [(loop[0], loop[-1], loop[k]), *left[1], *right[1]]
    return best


@dataclass(frozen=True)
class Crossings:
    """The lattice edge of every vertex, as 3 * (id of its lower end) + axis [v], and the values at both ends [v]."""

    lattice: Lattice
    edges: Tensor
    low: Tensor
    high: Tensor

    @property
    def axis(self) -> Tensor:
        return self.edges % 3

    def part(self, chunk: slice, device: torch.device) -> Crossings:
        return Crossings(self.lattice, *(t[chunk].to(device) for t in (self.edges, self.low, self.high)))

    def positions(self, t: Tensor) -> Tensor:
        """World positions at the fractions t [v] of the edges."""
        start = self.lattice.indices(self.edges // 3).double()
        return self.lattice.positions(start.scatter_add_(1, self.axis[:, None], t[:, None]))


def marching_cubes(cubes: Cubes) -> tuple[Mesh, Crossings]:
    """The mesh of the cubes, oriented from negative to positive values, its normals still zero (`refine` has them).

    A vertex is where linear interpolation along a lattice edge crosses zero. Edges are known by their ids:
    the mesh does not depend on how many cubes are taken at a time.
    """
    lattice = cubes.lattice
    corners = torch.cat([_triangle_edges(cubes, ids) for ids in pieces(cubes.ids)])
    edges = torch.unique(torch.cat([torch.unique(part) for part in pieces(corners)]))
    for part in pieces(corners):
        part.copy_(torch.searchsorted(edges, part))
    step = lattice.ids(torch.eye(3, dtype=torch.int64, device=edges.device))
    crossings = Crossings(lattice, edges, cubes.values_at(edges // 3), cubes.values_at(edges // 3 + step[edges % 3]))
    vertices = torch.empty(len(edges), 3, dtype=torch.float64, device=edges.device)
    for chunk in slices(len(edges), edges.device):
        part = crossings.part(chunk, edges.device)
        vertices[chunk] = part.positions(part.low / (part.low - part.high))
    return Mesh(vertices, vertices.new_zeros(1, 3).expand_as(vertices), corners), crossings


def _triangle_edges(cubes: Cubes, ids: Tensor) -> Tensor:
    """The lattice edges [f, 3] on which the triangles of some cubes have their vertices."""
    offsets = cubes.lattice.ids(CORNERS.to(ids.device))
    inside = cubes.values_at(ids[:, None] + offsets) < 0
    case = (inside.long() << torch.arange(8, device=ids.device)).sum(1)
    edges = _padded_table().to(ids.device)[case]  # [c, 5, 3], -1 where a case has fewer triangles
    cube, slot = (edges[:, :, 0] >= 0).nonzero(as_tuple=True)
    edges = edges[cube, slot]
    lower_ends = torch.tensor([start for start, _ in EDGES], device=ids.device)
    return (ids[cube, None] + offsets[lower_ends[edges]]) * 3 + edges // 4


@lru_cache(maxsize=1)
def _padded_table() -> Tensor:
    table = case_table()
    flat = np.full((256, max(map(len, table)), 3), -1)
    for case, triangles in enumerate(table):
        flat[case, : len(triangles)] = np.asarray(triangles, dtype=int).reshape(-1, 3)
    return torch.from_numpy(flat)


Gradient = Callable[[Tensor], tuple[Tensor, Tensor]]


def refine(
    mesh: Mesh, crossings: Crossings, gradient: Gradient, steps: int, devices: Sequence[torch.device] = ()
) -> Mesh:
    """Move vertices along their lattice edges onto the field's zero set; normals are its gradient there.

    A step goes to the root of the parabola through the value and slope at the vertex and the value at
    the end of the bracket beyond the zero, which grazing edges need. It cannot leave the bracket, so a
    vertex stays on its edge and the mesh cannot fold. With 0 steps only the normals are computed.
    """
    vertices, normals = torch.empty_like(mesh.vertices), torch.empty_like(mesh.vertices)

    def move(device: torch.device, chunk: slice) -> None:
        position, slope = _on_zero_set(crossings.part(chunk, device), gradient, steps)
        vertices[chunk], normals[chunk] = position, slope / slope.norm(dim=1, keepdim=True)

    spread(devices or (vertices.device,), move, slices(len(vertices), vertices.device))
    mesh = Mesh(vertices, normals, mesh.faces)
    defined = normals.isfinite().all(1, keepdim=True)  # not where a blend of cells ends inside a voxel
    if not bool(defined.all()):
        torch.where(defined, normals, face_average_normals(mesh), out=normals)
    return mesh


def _on_zero_set(crossings: Crossings, gradient: Gradient, steps: int) -> tuple[Tensor, Tensor]:
    """Positions [v, 3] on the edges, and the field's gradients there [v, 3]."""
    low, high = crossings.low, crossings.high
    left, right = torch.zeros_like(low), torch.ones_like(high)
    t = low / (low - high)
    vertices = crossings.positions(t)
    value, slope = gradient(vertices)
    for _ in range(steps):
        before = (value < 0) == (crossings.low < 0)  # the zero lies to the right of t
        left, low = torch.where(before, t, left), torch.where(before, value, low)
        right, high = torch.where(before, right, t), torch.where(before, high, value)
        along = slope.gather(1, crossings.axis[:, None])[:, 0] * crossings.lattice.voxel_size
        t = t + _parabola_root(value, along, torch.where(before, right, left) - t, torch.where(before, high, low))
        vertices = crossings.positions(t)
        value, slope = gradient(vertices)
    return vertices, slope


def _parabola_root(value: Tensor, slope: Tensor, reach: Tensor, end_value: Tensor) -> Tensor:
    """The root between 0 and `reach` of the parabola with this value and slope at 0 and end_value at reach.

    The values have opposite signs, so there is exactly one; 0 where the value is 0 or undefined.
    """
    curvature = (end_value - value - slope * reach) / reach.square()
    root = (slope.square() - 4.0 * curvature * value).clamp_min(0.0).sqrt()
    # Of the roots -2 value / (slope +- root), the one on the side of `reach`: there the denominator has
    # the sign of -value * reach.
    step = -2.0 * value / (slope - torch.sign(value * reach) * root)
    step = torch.where(step.isfinite(), step, torch.zeros_like(step))
    return torch.where(reach < 0, step.clamp(max=0.0).maximum(reach), step.clamp(min=0.0).minimum(reach))


def face_average_normals(mesh: Mesh) -> Tensor:
    """Unit vertex normals [v, 3]: the mean of the adjacent faces' normals, weighted by area."""
    total = torch.zeros_like(mesh.vertices)
    for faces in pieces(mesh.faces):
        a, b, c = (mesh.vertices[faces[:, k]] for k in range(3))
        cross = torch.linalg.cross(b - a, c - a)
        for k in range(3):
            total.index_add_(0, faces[:, k], cross)
    return total / total.norm(dim=1, keepdim=True).clamp_min(1e-300)
