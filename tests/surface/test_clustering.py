"""Vertex clustering: a coarse mesh of a fine one, the same whatever parts it comes in."""

import numpy as np
import pytest
import torch
from lattices import crossing_cubes
from shapes import euler_number, is_watertight
from test_meshing import CPU

from neural_splines.geometry import Box
from neural_splines.runtime.monitor import Silent
from neural_splines.surface.clustering import VertexClusters
from neural_splines.surface.dense import sample_dense
from neural_splines.surface.lattice import Lattice
from neural_splines.surface.marching_cubes import marching_cubes


@pytest.fixture(scope="module")
def ball():
    """Vertices and faces of a unit sphere, 64 voxels wide."""
    corners = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
    lattice = Lattice.around(Box(*corners), 1.1, 64)
    cubes = crossing_cubes(sample_dense(lambda x: x.norm(dim=1) - 1.0, lattice, CPU, Silent()), lattice)
    mesh = marching_cubes(cubes)[0]
    return mesh.vertices.numpy(), mesh.faces.numpy()


def clustered(vertices, faces, side, parts=1):
    found = VertexClusters(np.full(3, -2.0), side)
    for rows in np.array_split(np.arange(len(faces)), parts):
        used, local = np.unique(faces[rows], return_inverse=True)
        found.add(vertices[used], local.reshape(-1, 3))
    return found.mesh()


def test_a_coarse_ball_is_a_ball(ball):
    side = 4 * 2.2 / 64
    vertices, faces = clustered(*ball, side)
    assert len(faces) < len(ball[1]) / 8
    assert is_watertight(torch.from_numpy(faces))
    assert euler_number(torch.from_numpy(faces)) == 2
    assert np.abs(np.linalg.norm(vertices, axis=1) - 1.0).max() < side**2  # a chord's height, at most
    a, b, c = vertices[faces].transpose(1, 0, 2)
    assert (np.einsum("ij,ij->i", np.cross(b - a, c - a), a) > 0).mean() > 0.99  # turned as they were


def test_parts_make_the_faces_of_the_whole(ball):
    whole, faces = clustered(*ball, 0.2)
    vertices, others = clustered(*ball, 0.2, parts=7)
    assert np.array_equal(others, faces)
    assert np.abs(vertices - whole).max() < 0.1  # shared vertices count once for each part: the means differ a little


def test_cells_smaller_than_an_edge_change_nothing(ball):
    vertices, faces = ball
    fine, same = clustered(vertices, faces, 1e-5)
    assert len(same) == len(faces)
    assert sorted(map(tuple, fine.round(9).tolist())) == sorted(map(tuple, vertices.round(9).tolist()))
