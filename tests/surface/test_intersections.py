"""Pairs of triangles that meet, by whole numbers and separating axes: a definition that shares no code."""

from itertools import combinations, product

import numpy as np
import pytest

from neural_splines.surface import intersections as module
from neural_splines.surface.intersections import intersections


def apart(one, other):
    """Whether two convex hulls of at most three points, of whole numbers, are disjoint: an axis has a gap between them.

    If there is one, then among the normals, the products of edges, and in one plane those across an edge.
    """
    a, b = ([q - p for p, q in combinations(points, 2)] for points in (one, other))
    across = [product(a, b), combinations(a, 2), combinations(b, 2)]
    axes = [[1, 0, 0], [0, 1, 0], [0, 0, 1], *(cross(p, q) for pairs in across for p, q in pairs)]
    normals = axes[-1], axes[-4] if len(b) == 3 and len(a) == 3 else axes[-1]
    axes += [cross(normal, edge) for normal in normals for edge in (*a, *b)]
    return any(gap(axis, one, other) for axis in axes)


def gap(axis, one, other):
    here, there = ([sum(x * y for x, y in zip(axis, p, strict=True)) for p in points] for points in (one, other))
    return max(here) < min(there) or max(there) < min(here)


def cross(a, b):
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def meet(f, g, points):
    """Two faces of points in whole numbers, beside what they have in common."""
    common = set(f) & set(g)
    if len(common) == 3:
        return True
    if len(common) == 1:  # what they have in common begins at the corner: a segment across, next to it
        (v,) = common
        fine = 2**30
        a, b = ([fine * points[v] + points[p] - points[v] for p in face if p != v] for face in (f, g))
        large = [[fine * points[p] for p in face] for face in (f, g)]
        return not (apart(a, large[1]) and apart(b, large[0]))
    if len(common) == 2:
        a, b = (points[v] for v in common)
        p, q = (points[v] for face in (f, g) for v in face if v not in common)
        one, other = np.cross(b - a, p - a), np.cross(b - a, q - a)
        return not np.cross(one, other).any() and int(one @ other) > 0
    return not apart([points[v] for v in f], [points[v] for v in g])


def pairs(points, faces):
    return {
        (i, j) for (i, f), (j, g) in combinations(enumerate(faces.tolist()), 2) if meet(f, g, points.astype(object))
    }


def proper(points, faces):
    """Those with an area: others are lines, of which the definition above does not speak."""
    a, b, c = points[faces].transpose(1, 0, 2)
    return faces[np.cross(b - a, c - a).any(1)]


@pytest.mark.parametrize("side", [3, 6, 10**6], ids=["many touch", "some touch", "few touch"])
def test_the_pairs_that_meet_are_found(side):
    """Points of a small grid, where triangles touch, lie in one plane, or have corners at one place."""
    rng, count = np.random.default_rng(side), 0
    for _ in range(8):
        points = rng.integers(0, side, (12, 3))
        faces = proper(points, np.array([rng.choice(12, 3, replace=False) for _ in range(10)]))
        want = pairs(points, faces)
        assert set(map(tuple, intersections(points, faces).tolist())) == want
        count += len(want)
    assert count > 20


@pytest.mark.parametrize("sizes", [(1, 1), (10, 1)])
def test_triangles_of_any_size_are_compared_with_all(sizes):
    """Large beside small ones, in boxes of several sizes and by several threads."""
    rng = np.random.default_rng(7)
    corners = [
        rng.integers(0, 600, (n, 1, 3)) + rng.integers(0, 120 * size, (n, 3, 3))
        for n, size in zip((60, 240), sizes, strict=True)
    ]
    points = np.concatenate(corners).reshape(-1, 3)
    faces = proper(points, np.arange(900).reshape(-1, 3))
    corners = points[faces]
    low, high = corners.min(1), corners.max(1)
    close = np.argwhere(((low[:, None] <= high) & (low <= high[:, None])).all(2))
    want = {(i, j) for i, j in close.tolist() if i < j and not apart(*corners[[i, j]].astype(object))}
    assert len(want) > 10
    assert set(map(tuple, intersections(points, faces).tolist())) == want


def test_rounding_decides_nothing():
    """A tip that ends a rounding error before, on and behind a triangle far from the origin."""
    far = np.array([3e5, 1e5, 7e4])
    base = np.array([[0.0, 0, 0], [1, 0, 0.3], [0, 1, 0.7]]) + far
    middle = base.mean(0)
    for axis in range(3):
        tips = np.tile(middle, (3, 1))
        tips[[0, 2], axis] = np.nextafter(middle[axis], [-np.inf, np.inf])
        for tip in tips:
            points = np.vstack([base, tip, np.add(tip, (0, 0.1, 2)), np.add(tip, (0.1, 0, 2))])
            scale = 2.0**60
            exact = np.array([[int(x * scale) for x in p] for p in points], dtype=object)
            want = not apart(exact[:3], exact[3:])
            assert (len(intersections(points, np.array([[0, 1, 2], [3, 4, 5]]))) == 1) == want


def test_a_surface_of_one_plane_does_not_meet_itself(monkeypatch):
    """Though every sign of a volume is unsure: no pair is left to whole numbers, which take long."""
    n = 60
    x, y = (part.reshape(-1) for part in np.meshgrid(np.arange(n) / 7, np.arange(n) / 3, indexing="ij"))
    at = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).reshape(-1)
    faces = np.concatenate([np.stack([at, at + n, at + 1], 1), np.stack([at + 1, at + n, at + n + 1], 1)])
    points = np.stack([x, y, x - y], 1)
    monkeypatch.setattr(module, "meet", lambda *_: pytest.fail("left to whole numbers"))
    assert len(intersections(points, faces)) == 0


def test_a_heap_of_triangles_is_counted_up_to_a_limit(monkeypatch):
    monkeypatch.setattr(module, "MOST", 50)
    points = np.random.default_rng(0).random((300, 3))
    assert len(intersections(points, np.arange(300).reshape(-1, 3))) == 50


def test_faces_with_a_repeated_corner_are_left_out():
    """Two triangles that cross, and beside them faces that are segments and points."""
    vertices = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0], [1, 1, -1], [1, 1, 1], [3, 3, 1]], float)
    crossing = np.array([[0, 1, 2], [3, 4, 5]])
    assert intersections(vertices, crossing).tolist() == [[0, 1]]
    faces = np.array([[0, 3, 3], [0, 1, 2], [4, 4, 4], [3, 4, 5], [1, 3, 1]])
    assert intersections(vertices, faces).tolist() == [[1, 3]]
    assert intersections(vertices, faces[[0, 2]]).shape == (0, 2)
