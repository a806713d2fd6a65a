"""Marching cubes over any set of lattice cubes, with vertices shared by lattice edge.

Our own, because a library's takes a dense grid: at grid 512 the cubes near the surface are 3 % of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..runtime.arrays import distinct
from ..runtime.devices import map_in_halves, pieces, slices
from .case_table import padded_table
from .cubes import CORNERS, EDGES, Cubes
from .lattice import Lattice
from .mesh import Mesh


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

    def part(self, rows: slice | Tensor, device: torch.device) -> Crossings:
        return Crossings(self.lattice, *(t[rows].to(device) for t in (self.edges, self.low, self.high)))

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
    corners = torch.cat(map_in_halves(lambda ids: _triangle_edges(cubes, ids), pieces(cubes.ids)))
    edges = distinct(torch.cat(map_in_halves(distinct, pieces(corners))))
    map_in_halves(lambda part: part.copy_(torch.searchsorted(edges, part)), pieces(corners))
    start, axis = edges // 3, edges % 3
    low = cubes.values_at(start)
    high = torch.empty_like(low)
    for along, step in enumerate(lattice.ids(torch.eye(3, dtype=torch.int64)).tolist()):
        rows = axis == along
        high[rows] = cubes.values_at(start[rows] + step)
    crossings = Crossings(lattice, edges, low, high)
    vertices = torch.empty(len(edges), 3, dtype=torch.float64, device=edges.device)
    for chunk in slices(len(edges), edges.device):
        ends = crossings.part(chunk, edges.device)
        vertices[chunk] = ends.positions(ends.low / (ends.low - ends.high))
    return Mesh(vertices, vertices.new_zeros(1, 3).expand_as(vertices), corners), crossings


def _triangle_edges(cubes: Cubes, ids: Tensor) -> Tensor:
    """The lattice edges [f, 3] on which the triangles of some cubes have their vertices."""
    offsets = cubes.lattice.ids(CORNERS.to(ids.device))
    inside = cubes.values_at(ids[:, None] + offsets) < 0
    case = (inside.long() << torch.arange(8, device=ids.device)).sum(1)
    edges = padded_table().to(ids.device)[case]  # [c, 5, 3], -1 where a case has fewer triangles
    cube, slot = (edges[:, :, 0] >= 0).nonzero(as_tuple=True)
    edges = edges[cube, slot]
    lower_ends = torch.tensor([start for start, _ in EDGES], device=ids.device)
    return (ids[cube, None] + offsets[lower_ends[edges]]) * 3 + edges // 4
