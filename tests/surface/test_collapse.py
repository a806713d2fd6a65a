"""Collapsed edges: the link condition as it is defined, and what it is for: topology that stays."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial import ConvexHull, Delaunay, cKDTree
from skimage.measure import marching_cubes

from neural_splines.surface import collapse_numba, quadrics_numba
from neural_splines.surface.checks import checked
from neural_splines.surface.collapse import Stage, collapsed

TETRAHEDRON = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
KEPT = ("components", "border_loops", "genus", "nonmanifold_edges", "nonmanifold_vertices", "turned_edges")


def level_set(seed, n=40, cut=None, smooth=2.5):
    """A random closed surface with handles and holes, [v, 3] and [f, 3]; cut: without what is beyond a plane."""
    values = gaussian_filter(np.random.default_rng(seed).standard_normal((n, n, n)), smooth)
    values = np.pad(values / values.std(), 1, constant_values=-1.0)
    vertices, faces, _, _ = marching_cubes(values, 0.6, allow_degenerate=False)
    vertices, faces = vertices.astype(float), faces.astype(int)
    return (vertices, faces) if cut is None else compact(vertices, faces[(vertices[faces, 2] < cut).all(1)])


def compact(vertices, faces):
    used, place = np.unique(faces, return_inverse=True)
    return vertices[used], place.reshape(-1, 3)


def fewer(vertices, faces, count):
    """The last stage, as arrays."""
    last = collapsed([Stage.first(vertices, faces)], count)[-1]
    return last.vertices, last.faces


def complex_of(faces):
    """All simplices of faces, and of a cone over their border whose tip is "w", as sets."""
    edges = [frozenset(edge) for face in faces for edge in combinations(face, 2)]
    single = [edge for edge in set(edges) if edges.count(edge) == 1]
    top = [frozenset(face) for face in faces] + [edge | {"w"} for edge in single]
    return {frozenset(part) for simplex in top for k in (1, 2, 3) for part in combinations(simplex, k)}


def link(simplices, of):
    """Simplices that do not meet `of` and make one with it."""
    return {s for s in simplices if not s & of and s | of in simplices}


def linked_by_definition(faces, a, b):
    simplices = complex_of(faces)
    return link(simplices, frozenset({a})) & link(simplices, frozenset({b})) == link(simplices, frozenset({a, b}))


def without_odd(faces):
    """Faces whose vertices `odd` finds nothing at, with their lists of corners; None where none is left."""
    faces = np.asarray(faces, np.int32).reshape(-1, 3)
    while len(faces):
        flat = faces.reshape(-1)
        first, after = quadrics_numba.lists(flat, flat.max() + 1)
        odd = np.empty(flat.max() + 1, bool)
        collapse_numba.odd(0, len(odd), flat, first, after, odd)
        if not odd[faces].any():
            return faces, first, after
        faces = faces[~odd[faces].any(1)]
    return None


def small_complexes():
    """Closed, open, thin, of one triangle; random parts of a disc, a ball and the torus of 7 vertices."""
    ring = [(k, (k + 1) % 7, (k + 3) % 7) for k in range(7)] + [(k, (k + 3) % 7, (k + 2) % 7) for k in range(7)]
    strip = [(0, 1, 3), (1, 4, 3), (1, 2, 4), (2, 5, 4), (2, 0, 5), (0, 3, 5)]  # a border of three edges twice
    whole = [TETRAHEDRON, TETRAHEDRON[1:], TETRAHEDRON[:2], TETRAHEDRON[:1], ring, strip]
    rng = np.random.default_rng(0)
    flat, ball = rng.random((14, 2)), rng.standard_normal((12, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    disc, hull = Delaunay(flat).simplices, ConvexHull(ball).simplices
    turned = np.cross(flat[disc[:, 1]] - flat[disc[:, 0]], flat[disc[:, 2]] - flat[disc[:, 0]]) < 0
    disc = np.where(turned[:, None], disc[:, ::-1], disc)
    turned = np.linalg.det(ball[hull]) < 0
    hull = np.where(turned[:, None], hull[:, ::-1], hull)
    for faces in (disc, hull, np.array(ring), np.array(strip)):
        whole += [faces[rng.random(len(faces)) < share] for share in (0.6, 0.75, 0.9, 1.0) for _ in range(6)]
    return [found for faces in whole if (found := without_odd(faces))]


def test_the_link_condition_is_that_of_its_definition():
    answers = []
    for faces, first, after in small_complexes():
        mark = np.zeros(len(first) + 1, np.int64)
        for a, b in {edge for face in faces.tolist() for pair in combinations(face, 2) for edge in (pair, pair[::-1])}:
            found = collapse_numba.linked(a, b, faces.reshape(-1), first, after, mark)
            assert found == linked_by_definition(faces.tolist(), a, b), (faces.tolist(), a, b)
            answers.append(found)
    assert 300 < sum(answers) < len(answers) - 300


@pytest.mark.parametrize("cut", [None, 24.5], ids=["closed", "open"])
@pytest.mark.parametrize("seed", range(6))
def test_topology_stays_as_faces_go(seed, cut):
    """To a tenth, and as far as it goes: components, handles, loops of borders, and no fault; the same every time."""
    vertices, faces = level_set(seed, cut=cut)
    before = checked(vertices, faces)
    assert before.genus is not None or cut
    assert (before.border_edges > 0) == (cut is not None)
    for count in (len(faces) // 10, 4):
        points, left = fewer(vertices, faces, count)
        after = checked(points, left)
        assert {name: getattr(after, name) for name in KEPT} == {name: getattr(before, name) for name in KEPT}
        assert after.flat_faces == 0
        assert count == 4 or len(left) <= count or before.border_edges
        again = fewer(vertices.copy(), faces.copy(), count)
        assert np.array_equal(again[0], points)
        assert np.array_equal(again[1], left)
    assert len(left) < len(faces) // 10


def test_a_handle_stays_and_a_ball_ends_as_a_tetrahedron():
    vertices, faces = level_set(0)
    sizes = []
    for genus in (0, 1):
        x = np.stack(np.meshgrid(*[np.linspace(-1.6, 1.6, 40)] * 3, indexing="ij"), -1)
        ring = np.hypot(np.hypot(x[..., 0], x[..., 1]) - genus, x[..., 2])
        vertices, faces, _, _ = marching_cubes(0.5 - ring, 0.0)
        points, left = fewer(vertices, faces, 4)
        assert checked(points, left).genus == genus
        sizes.append(len(left))
    assert sizes[0] < 20
    assert 14 <= sizes[1] < 80  # no torus has fewer faces than 14


def test_the_surface_stays_where_it_was_and_so_do_its_borders():
    """Within some tenths of a voxel, both ways, with a quarter of the faces."""
    vertices, faces = level_set(3, 24, cut=15.5)
    points, left = fewer(vertices, faces, len(faces) // 4)
    for one, other in (((vertices, faces), (points, left)), ((points, left), (vertices, faces))):
        assert cKDTree(dense(*one)).query(dense(*other, 5))[0].max() < 0.7
        assert cKDTree(sides(*one)).query(sides(*other))[0].max() < 0.6


def dense(vertices, faces, parts=12):
    """Places on faces."""
    u, v = (x[np.add.outer(np.arange(parts), np.arange(parts)) < parts] / (parts - 1) for x in np.mgrid[:parts, :parts])
    weights = np.stack([1 - u - v, u, v], 1)
    return np.einsum("nk,fkd->fnd", weights, vertices[faces]).reshape(-1, 3)


def sides(vertices, faces):
    """Places on edges of one face."""
    edges, counts = np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1), axis=0, return_counts=True)
    a, b = vertices[edges[counts == 1]].transpose(1, 0, 2)
    return (a + np.linspace(0, 1, 20)[:, None, None] * (b - a)).reshape(-1, 3)


def test_what_stays_keeps_its_bits_and_every_vertex_says_what_it_became():
    vertices, faces = level_set(1)
    vertices += [5e5, 4e6, 100.0]
    kept = np.random.default_rng(0).random(len(vertices)) < 0.02
    first = Stage.first(vertices, faces)
    assert not first.kept.any()
    found, became = replace(first, kept=kept).next(0)
    assert np.array_equal(found.vertices[became[kept]], vertices[kept])
    assert np.array_equal(np.flatnonzero(found.kept), np.unique(became[kept]))
    assert np.linalg.norm(found.vertices[became] - vertices, axis=1).max() < 4.0
    assert set(became) == set(found.faces.ravel()) == set(range(len(found.vertices)))
    assert len(found.faces) <= 0.75 * len(faces)
    last = collapsed([replace(first, kept=kept)], len(faces) // 8)[-1]
    assert len(last.faces) <= len(faces) // 8
    assert {tuple(x) for x in vertices[kept]} <= {tuple(x) for x in last.vertices}


def test_what_is_not_manifold_stays_as_it_is():
    """Two sheets that share an edge, and two that share a vertex, among what is collapsed."""
    vertices, faces = level_set(2)
    count = len(vertices)
    edge = faces[0, :2]
    vertices = np.vstack([vertices, vertices[edge[0]] + [0.0, 0.0, 9.0], vertices[7] + [[0.0, 0, 9], [0, 1, 9]]])
    faces = np.vstack([faces, [*edge, count], [7, count + 1, count + 2]])
    before = checked(vertices, faces)
    assert (before.nonmanifold_edges, before.nonmanifold_vertices) == (1, 1)
    points, left = fewer(vertices, faces, len(faces) // 10)
    after = checked(points, left)
    assert (after.nonmanifold_edges, after.nonmanifold_vertices, after.components) == (1, 1, before.components)
    assert {tuple(x) for x in vertices[[*edge, 7]]} <= {tuple(x) for x in points}


@pytest.mark.parametrize("vertices", [np.zeros((3, 3)), np.array([(0.0, 0, 0), (1, 0, 0), (0, 1, 0)])])
def test_nothing_to_collapse(vertices):
    """A triangle with and without area, an unused vertex, no faces."""
    found, became = Stage.first(np.vstack([[9.0, 9, 9], vertices]), np.array([(1, 2, 3)])).next(0)
    assert np.array_equal(found.vertices[found.faces[0]], vertices)
    assert became.tolist() == [-1, 0, 1, 2]
    assert len(fewer(vertices, np.empty((0, 3), int), 0)[1]) == 0
