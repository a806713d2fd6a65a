"""Marching cubes over any set of lattice cubes, with vertices shared by lattice edge; refinement; trimming.

The table of cases is derived here from one rule, so cracks cannot occur: on every face of a cube the
inside corners are cut off run by run, which both cubes of the face see alike; the segments chain to
loops, and a loop is triangulated without diagonals in a face of the cube where that is possible.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from .lattice import CORNERS, Cubes, Lattice

# Edge 4 * axis + k joins the k-th corner (in ascending order) without the axis' bit to the one with it.
EDGES = [(c, c | 1 << axis) for axis in range(3) for c in range(8) if not c >> axis & 1]
# Corners of the six faces, anticlockwise seen from outside.
FACES = [(0, 4, 6, 2), (1, 3, 7, 5), (0, 1, 5, 4), (2, 6, 7, 3), (0, 2, 3, 1), (4, 5, 7, 6)]


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
    faces_of = [{f for f, face in enumerate(FACES) if set(corners) <= set(face)} for corners in EDGES]
    return [_triangles(case, edge_of, faces_of) for case in range(256)]


def _triangles(case: int, edge_of: dict, faces_of: list[set[int]]) -> list[tuple[int, int, int]]:
    follow = {}  # directed segments: edge -> next edge
    for face in FACES:
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
    """The lattice edge of every vertex: its lower end [v, 3], axis [v], and the values at both ends [v]."""

    lattice: Lattice
    start: Tensor
    axis: Tensor
    low: Tensor
    high: Tensor

    def positions(self, t: Tensor) -> Tensor:
        """World positions at the fractions t [v] of the edges."""
        index = self.start.double().scatter_add(1, self.axis[:, None], t[:, None])
        return self.lattice.positions(index)


def marching_cubes(cubes: Cubes) -> tuple[Mesh, Crossings]:
    """The mesh of the cubes, oriented from negative to positive values, its normals still zero.

    A vertex is where linear interpolation along a lattice edge crosses zero.
    """
    lattice, device = cubes.lattice, cubes.ids.device
    bits = (cubes.values < 0).long() << torch.arange(8, device=device)
    edges = _padded_table().to(device)[bits.sum(1)]  # [c, 5, 3], -1 where a case has fewer triangles
    cube, slot = (edges[:, :, 0] >= 0).nonzero(as_tuple=True)
    edges = edges[cube, slot]  # [f, 3]

    ends = torch.tensor(EDGES, device=device)
    offsets = lattice.ids(CORNERS.to(device))
    # A lattice edge is known by its lower end and its axis; up to four cubes meet at it.
    keys = (cubes.ids[cube, None] + offsets[ends[edges, 0]]) * 3 + edges // 4
    keys, faces = torch.unique(keys, return_inverse=True)
    owner = torch.empty(len(keys), dtype=torch.int64, device=device)
    owner[faces.reshape(-1)] = (cube[:, None] * 12 + edges).reshape(-1)  # any one cube of the edge will do
    low, high = (cubes.values[owner // 12, ends[owner % 12, side]] for side in (0, 1))
    crossings = Crossings(lattice, lattice.indices(keys // 3), keys % 3, low, high)
    vertices = crossings.positions(low / (low - high))
    return Mesh(vertices, torch.zeros_like(vertices), faces), crossings


@lru_cache(maxsize=1)
def _padded_table() -> Tensor:
    table = case_table()
    flat = np.full((256, max(map(len, table)), 3), -1)
    for case, triangles in enumerate(table):
        flat[case, : len(triangles)] = np.asarray(triangles, dtype=int).reshape(-1, 3)
    return torch.from_numpy(flat)


Gradient = Callable[[Tensor], tuple[Tensor, Tensor]]


def refine(mesh: Mesh, crossings: Crossings, gradient: Gradient, steps: int) -> Mesh:
    """Move vertices along their lattice edges onto the field's zero set; normals are its gradient there.

    A step goes to the root of the parabola through the value and slope at the vertex and the value at
    the end of the bracket beyond the zero, which grazing edges need. It cannot leave the bracket, so a
    vertex stays on its edge and the mesh cannot fold. With 0 steps only the normals are computed.
    """
    low, high = crossings.low, crossings.high
    left, right = torch.zeros_like(low), torch.ones_like(high)
    t = low / (low - high)
    vertices, (value, slope) = mesh.vertices, gradient(mesh.vertices)
    for _ in range(steps):
        before = (value < 0) == (crossings.low < 0)  # the zero lies to the right of t
        left, low = torch.where(before, t, left), torch.where(before, value, low)
        right, high = torch.where(before, right, t), torch.where(before, high, value)
        along = slope.gather(1, crossings.axis[:, None])[:, 0] * crossings.lattice.voxel_size
        t = t + _parabola_root(value, along, torch.where(before, right, left) - t, torch.where(before, high, low))
        vertices = crossings.positions(t)
        value, slope = gradient(vertices)
    mesh = replace(mesh, vertices=vertices)
    normals = slope / slope.norm(dim=1, keepdim=True)
    defined = normals.isfinite().all(1, keepdim=True)  # not where a blend of cells ends inside a voxel
    return replace(mesh, normals=torch.where(defined, normals, face_average_normals(mesh)))


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
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    cross = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(mesh.vertices)
    for k in range(3):
        total.index_add_(0, mesh.faces[:, k], cross)
    return total / total.norm(dim=1, keepdim=True).clamp_min(1e-300)
