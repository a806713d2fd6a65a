"""Surfaces whose holes are filled: where the lattice cuts them off, and what is left open."""

from __future__ import annotations

import pytest
import torch

from neural_splines.geometry import Box
from neural_splines.surface.expand import on_the_wall, open_lines
from neural_splines.surface.lattice import Lattice
from neural_splines.surface.mesh import Mesh, border_edges, keep_faces


@pytest.mark.parametrize("voxels", [5, 16, 17, 64, 300, 5000])
@pytest.mark.parametrize("offset", [0.0, 5e5])
def test_every_wall_of_the_lattice_is_seen(voxels, offset):
    lattice = Lattice.covering(
        Box(*(torch.tensor([1.0, 2.0, 3.0]).double() * side + offset for side in (0, 1))), voxels
    )
    last = torch.tensor(lattice.shape) - 1
    middle = (last // 2).expand(6, 3)
    walls = torch.where(
        torch.eye(3, dtype=torch.bool).repeat(2, 1), torch.stack([0 * last, last]).repeat_interleave(3, 0), middle
    )
    assert on_the_wall(lattice.positions(walls), lattice).all()
    inner = torch.where(walls == 0, 1, torch.where(walls == last, last - 1, walls))
    assert not on_the_wall(lattice.positions(inner), lattice).any()


def test_what_is_left_open_is_counted():
    """Three border edges of a triangle on the upper wall, or inside; none of a tetrahedron."""
    lattice = Lattice.covering(Box(torch.zeros(3).double(), torch.ones(3).double()), 20)

    def mesh(at: list[int], faces: list[list[int]]) -> Mesh:
        corners = torch.cat([torch.zeros(1, 3), torch.eye(3)]).long() + torch.tensor(at)
        whole = Mesh(lattice.positions(corners), corners.double(), torch.tensor(tetrahedron))
        return keep_faces(whole, torch.tensor([face in faces for face in tetrahedron]))

    def lines(found: Mesh, filled: bool | float) -> list[str]:
        return open_lines(len(border_edges(found)), int(on_the_wall(found.vertices, lattice).sum()), filled)

    tetrahedron = [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]
    assert lines(mesh([9, 9, 18], tetrahedron), True) == []
    (line,) = lines(mesh([9, 9, 18], tetrahedron[:1]), True)
    assert "holes are left: 3 edges have one face" in line
    (line,) = lines(mesh([9, 9, 9], tetrahedron[1:]), 5.0)
    assert "holes of more than 5 spacings: 3 edges" in line
    (line,) = lines(mesh([9, 9, 18], tetrahedron[1:]), True)
    assert "cut off there, at 1 vertices; give it room" in line
