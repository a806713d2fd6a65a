"""How far a mesh is from another: never less than at any place, and hardly more than at the farthest."""

import numpy as np
import pytest
from meshes import grid, hills, places, ring

from neural_splines.surface.distance import Tree, distances, largest_distance


def to_triangles(points, corners):
    """The least distance of each point from any triangle: inside its prism from the plane, else from its edges."""
    least = np.full(len(points), np.inf)
    for a, b, c in corners:
        normal = np.cross(b - a, c - a)
        unit = normal / np.linalg.norm(normal)
        inside = np.ones(len(points), bool)
        for p, q in ((a, b), (b, c), (c, a)):
            inside &= (points - p) @ np.cross(unit, q - p) >= 0.0
            t = np.clip((points - p) @ (q - p) / ((q - p) @ (q - p)), 0.0, 1.0)
            least = np.minimum(least, np.linalg.norm(points - p - t[:, None] * (q - p), axis=1))
        least = np.where(inside, np.minimum(least, np.abs((points - a) @ unit)), least)
    return least


def test_distances_are_those_of_all_triangles():
    vertices, faces = ring(12)
    points = np.random.default_rng(1).normal(size=(500, 3))
    expected = to_triangles(points, vertices[faces])
    assert distances(points, Tree.of(vertices, faces)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("pair", [(hills(60), hills(23)), (ring(60), ring(17)), (hills(9), hills(80))])
def test_no_place_is_farther_and_one_is_nearly_as_far(pair):
    for one, other in (pair, pair[::-1]):
        tree = Tree.of(*other)
        most = distances(places(*one, 200_000), tree).max()
        assert most <= largest_distance(*one, tree) <= 1.06 * most


def test_the_farthest_place_may_be_where_edges_cross():
    """Two diagonals of one skew square: all corners are common, and the middles are half a unit apart."""
    vertices = np.array([[0.0, 0, 0], [1, 0, 1], [1, 1, 0], [0, 1, 1]])
    one, other = np.array([[0, 1, 2], [0, 2, 3]]), np.array([[0, 1, 3], [1, 2, 3]])
    tree = Tree.of(vertices, other)
    assert distances(vertices, tree).max() == 0.0
    most = distances(places(vertices, one, 100_000), tree).max()
    assert 0.3 < most <= largest_distance(vertices, one, tree) <= 1.03 * most


def test_the_same_surface_in_other_triangles_is_no_distance_away():
    """A plane, and one above it; below what is enough, that is the answer."""
    x, y = (axis.reshape(-1) for axis in np.meshgrid(*2 * [np.linspace(0.0, 1.0, 30)]))
    plane, tree = np.stack([x, y, 0.0 * x], 1), Tree.of(np.array([[-1.0, -1, 0], [3, -1, 0], [-1, 3, 0]]), [[0, 1, 2]])
    faces = grid(30, 30)
    assert largest_distance(plane, faces, tree) < 1e-14
    assert largest_distance(plane + np.array([0.0, 0.0, 0.3]), faces, tree) == pytest.approx(0.3, rel=1e-5)
    coarse = np.array([[0.0, 0, 0], [1, 0, 0], [0.4, 0.6, 0], [1, 1, 0], [0, 1, 0]])
    halves = np.array([[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2]])
    assert largest_distance(coarse, halves, Tree.of(plane, faces), 1e-4) <= 1.1e-4


def test_faces_without_an_area_do_no_harm():
    vertices, faces = hills(12)
    faces = np.concatenate([faces, [[0, 0, 5], [3, 3, 3]]])
    tree = Tree.of(vertices, faces)
    assert largest_distance(vertices, faces, tree, 1e-6) <= 2e-6
