"""The quick bound on how far a face is from a mesh: by what lies over it, and only where all of it has something."""

import numpy as np
import pytest
from meshes import grid, hills, places, ring

from neural_splines.surface import overlay_numba
from neural_splines.surface.distance import Tree, distances, largest_distance


def quick(vertices, faces, tree, limit=0.0):
    """The bound of each face, inf where there is none, and the places where they were found."""
    near = np.array([tree_nearest(tree, point) for point in vertices])
    most, place = np.empty(len(faces)), np.empty((len(faces), 3))
    flat = np.ascontiguousarray(faces).reshape(-1)
    overlay_numba.over(0, len(faces), vertices, flat, near, tree.corners, tree.across, limit, most, place)
    return most, place


def tree_nearest(tree, point):
    """The triangle whose centre is nearest: good enough to begin with."""
    return int(np.linalg.norm(tree.corners.mean(1) - point, axis=1).argmin())


def sheet(n, height=0.0):
    """A flat square of n x n vertices, a little larger than that of 0 to 1."""
    x, y = (axis.reshape(-1) for axis in np.meshgrid(*2 * [np.linspace(-0.1, 1.1, n)], indexing="ij"))
    return np.stack([x, y, np.full(len(x), height)], 1), grid(n, n)


FACE = np.array([[0.02, 0.03, 0.0], [0.97, 0.05, 0.0], [0.4, 0.93, 0.0]])
ALONE = np.array([[0, 1, 2]])


@pytest.mark.parametrize("pair", [(hills(40), hills(17)), (hills(9), hills(60)), (ring(40), ring(17))])
def test_bounds_of_faces_are_never_less_and_hardly_more(pair):
    """Against random places of each face; none within the rim of an open mesh is without a bound."""
    for one, other in (pair, pair[::-1]):
        vertices, faces = one
        most, _ = quick(vertices, faces, Tree.of(*other))
        assert np.isfinite(most).mean() > 0.6
        tree, some = Tree.of(*other), np.arange(0, len(faces), 1 + len(faces) // 300)
        found = np.array([distances(places(vertices, faces[f : f + 1], 400), tree).max() for f in some])
        most = most[some]
        assert (most >= found).all()
        known = np.isfinite(most)
        assert np.median(most[known] / np.maximum(found[known], 1e-6)) < 1.3


def test_the_place_of_a_bound_is_on_its_face():
    vertices, faces = hills(30)
    tree = Tree.of(*hills(13))
    most, place = quick(vertices, faces, tree)
    known = np.isfinite(most) & (most > 1e-4)
    assert known.sum() > 500
    off = [distances(place[f : f + 1], Tree.of(vertices, faces[f : f + 1]))[0] for f in np.flatnonzero(known)[::20]]
    assert max(off) < 1e-12
    assert (distances(place[known], tree) <= most[known]).all()
    assert np.median(distances(place[known], tree) / most[known]) > 0.9


def test_what_lies_over_a_face_is_all_looked_at():
    """A sheet in 400 triangles with one vertex raised: its height, and no more."""
    vertices, faces = sheet(15)
    inside = np.flatnonzero((np.abs(vertices[:, :2] - 0.4) < 0.05).all(1))[0]
    vertices[inside, 2] = 0.07
    most, place = quick(FACE, ALONE, Tree.of(vertices, faces))
    assert most[0] == pytest.approx(0.07, abs=1e-6)
    assert place[0, :2] == pytest.approx(vertices[inside, :2])


def test_a_hole_under_a_face_is_never_passed_over():
    """A bound would be a lie: the middle of the hole is far from all triangles. Wherever one of them is missing."""
    vertices, faces = sheet(9, 0.001)
    whole = quick(FACE, ALONE, Tree.of(vertices, faces))[0][0]
    assert whole == pytest.approx(0.001, abs=1e-6)
    missed = 0
    for f in range(len(faces)):
        tree = Tree.of(vertices, np.delete(faces, f, axis=0))
        far = distances(places(FACE, ALONE, 20_000), tree).max()
        most = quick(FACE, ALONE, tree)[0][0]
        assert most >= far
        missed += far > 0.01
        assert largest_distance(FACE, ALONE, tree) >= far
    assert missed > 30


def test_two_sheets_with_holes_in_different_places_are_not_one_whole():
    """Each covers what the other does not; but the face's own sheet has a border over it."""
    vertices, faces = sheet(9)
    upper, lower = vertices + np.array([0, 0, 0.001]), vertices + np.array([0, 0, -0.3])
    soup = np.concatenate([upper, lower])
    hole = np.flatnonzero((np.abs(vertices[faces].mean(1)[:, :2] - 0.45) < 0.1).all(1))
    both = np.concatenate([np.delete(faces, hole, axis=0), faces + len(vertices)])
    tree = Tree.of(soup, both)
    far = distances(places(FACE, ALONE, 20_000), tree).max()
    assert 0.05 < far <= quick(FACE, ALONE, tree)[0][0]


def test_a_fold_counts_once():
    """A sheet with a pleat: three layers over a strip, one of them turned back. Every place is still covered."""
    line = np.array([-0.1, 0.3, 0.6, 0.5, 0.8, 1.1])  # x goes back from 0.6 to 0.5
    height = np.array([0.0, 0.0, 0.02, 0.05, 0.01, 0.0])
    y = np.linspace(-0.1, 1.1, 5)
    vertices = np.stack([np.repeat(line, 5), np.tile(y, 6), np.repeat(height, 5)], 1)
    tree = Tree.of(vertices, grid(6, 5))
    most = quick(FACE, ALONE, tree)[0][0]
    assert distances(places(FACE, ALONE, 50_000), tree).max() <= most <= 0.05 + 1e-6


def test_an_edge_of_three_faces_is_as_a_border():
    vertices, faces = sheet(9)
    fin = np.array([[40, 41, len(vertices)]])
    tree = Tree.of(np.concatenate([vertices, [[0.5, 0.5, 1.0]]]), np.concatenate([faces, fin]))
    assert (tree.across < 0).sum() > (Tree.of(vertices, faces).across < 0).sum()
    assert np.isinf(quick(FACE, ALONE, tree)[0][0])


def test_across_is_mutual():
    tree = Tree.of(*ring(12))
    flat = tree.faces.reshape(-1)
    assert (tree.across >= 0).all()
    for c in range(len(flat)):
        t = tree.across[c]
        ends = {flat[c], flat[c - 2 if c % 3 == 2 else c + 1]}
        assert len(ends & set(tree.faces[t])) == 2
        assert c // 3 in tree.across[3 * t : 3 * t + 3]


@pytest.mark.parametrize("seed", range(12))
def test_rough_meshes(seed):
    """Noise as large as edges, holes at random: folds, slivers and borders. No place is farther than is said."""
    rng = np.random.default_rng(seed)
    pair = []
    for n in rng.integers(8, 60, 2):
        vertices, faces = hills(int(n)) if seed % 2 else ring(int(n))
        vertices = vertices + rng.normal(size=vertices.shape) * rng.choice([0.0, 0.1, 0.5, 1.0]) / n
        pair.append((vertices, faces[rng.random(len(faces)) > rng.choice([0.0, 0.0, 0.02])]))
    for one, other in (pair, pair[::-1]):
        tree = Tree.of(*other)
        found = distances(places(*one, 50_000, seed), tree).max()
        assert found <= largest_distance(*one, tree) <= 1.3 * found
        most, _ = quick(*one, tree)
        for f in range(0, len(one[1]), 1 + len(one[1]) // 100):
            assert distances(places(one[0], one[1][f : f + 1], 300), tree).max() <= most[f]
