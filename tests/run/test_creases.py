"""Sharp edges: exact where sides are planes, nothing else where no normals turn, as manifold as without."""

import numpy as np
import pytest
import torch
from shapes import sphere

import neural_splines as ns
from neural_splines.creases import blending_numba, fitting_numba
from neural_splines.creases.field import SharpField
from neural_splines.creases.sides import Creases, Sides
from neural_splines.surface.checks import checked

# Boxes whose union is the body, and rectangles of its surface: corner, two sides; the normal is their cross product.
CUBE = [((0, 0, 0), (0, 1, 0), (1, 0, 0)), ((0, 0, 1), (1, 0, 0), (0, 1, 0))]
CUBE += [((0, 0, 0), (1, 0, 0), (0, 0, 1)), ((0, 1, 0), (0, 0, 1), (1, 0, 0))]
CUBE += [((0, 0, 0), (0, 0, 1), (0, 1, 0)), ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
STEP = [((0, 0, 0), (0, 1, 0), (2, 0, 0)), ((0, 0, 0), (0, 0, 2), (0, 1, 0)), ((2, 0, 0), (0, 1, 0), (0, 0, 1))]
STEP += [((1, 0, 1), (1, 0, 0), (0, 1, 0)), ((1, 0, 1), (0, 1, 0), (0, 0, 1)), ((0, 0, 2), (1, 0, 0), (0, 1, 0))]
STEP += [((0, 0, 0), (2, 0, 0), (0, 0, 1)), ((0, 0, 1), (1, 0, 0), (0, 0, 1))]
STEP += [((0, 1, 0), (0, 0, 1), (2, 0, 0)), ((0, 1, 1), (0, 0, 1), (1, 0, 0))]


def cloud(rectangles, count, seed=0):
    """Random points of rectangles, and their normals."""
    rng = np.random.default_rng(seed)
    corner, u, v = (np.array(part, float) for part in zip(*rectangles, strict=True))
    normal = np.cross(u, v)
    area = np.linalg.norm(normal, axis=1)
    which = rng.choice(len(area), count, p=area / area.sum())
    a, b = rng.random((2, count, 1))
    return corner[which] + a * u[which] + b * v[which], (normal / area[:, None])[which]


def creased(mesh):
    """The ends of edges whose faces turn by more than 25 degrees."""
    normals = np.cross(*(mesh.vertices[mesh.faces[:, k]] - mesh.vertices[mesh.faces[:, 0]] for k in (1, 2)))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    edges, face = np.sort(mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1), np.arange(len(mesh.faces)).repeat(3)
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    pairs = face[order].reshape(-1, 2)
    turned = (normals[pairs[:, 0]] * normals[pairs[:, 1]]).sum(1) < np.cos(np.radians(25.0))
    return mesh.vertices[np.unique(edges[order][::2][turned])]


@pytest.fixture(scope="module")
def cube():
    return ns.reconstruct(*cloud(CUBE, 3000), ns.Settings(grid_size=32, device="cpu", sharp_edges=True))


def test_edges_and_corners_of_a_cube_are_exact(cube):
    """Vertices lie on it, where the smooth field ends exactly, those of creases on two planes; corners have one."""
    v = cube.mesh.vertices
    off = np.abs(np.concatenate([v, v - 1.0], 1)).min(1)
    assert off.max() < 1e-3
    assert off[cube.field.shares(v) == 1.0].max() < 1e-9
    ends = creased(cube.mesh)
    assert np.sort(np.abs(np.concatenate([ends, ends - 1.0], 1)), 1)[:, 1].max() < 1e-9
    corners = np.stack(np.meshgrid(*3 * [[0.0, 1.0]]), -1).reshape(-1, 3)
    assert np.linalg.norm(corners[:, None] - ends, axis=2).min(1).max() < 1e-9
    found = checked(v, cube.mesh.faces, intersecting=True)
    assert found.closed
    assert found.lines() == []
    assert found.genus == 0
    assert found.volume == pytest.approx(1.0, abs=1e-4)
    assert found.area == pytest.approx(6.0, abs=1e-4)


def test_an_edge_that_looks_inwards_is_sharp_too():
    result = ns.reconstruct(*cloud(STEP, 4000), ns.Settings(grid_size=36, device="cpu", sharp_edges=True))
    found = checked(result.mesh.vertices, result.mesh.faces, intersecting=True)
    assert found.lines() == []
    assert found.genus == 0
    assert found.volume == pytest.approx(3.0, abs=1e-4)
    inner = np.linalg.norm(result.mesh.vertices[:, [0, 2]] - 1.0, axis=1) < 1e-9
    assert inner.sum() > 10


def test_a_smooth_shape_keeps_its_bits():
    ball = sphere(1500)
    meshes = [
        ns.reconstruct(ball.points, ball.normals, ns.Settings(grid_size=32, device="cpu", sharp_edges=sharp)).mesh
        for sharp in (False, True)
    ]
    assert all(torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(*map(parts, meshes), strict=True))


def parts(mesh):
    return mesh.vertices, mesh.normals, mesh.faces


def test_the_field_has_its_gradient_and_comes_back_from_a_file(cube, tmp_path):
    field, rng = cube.field, np.random.default_rng(1)
    assert isinstance(field, SharpField)
    x = rng.random((400, 3)) * [1.0, 1.0, 0.3] + [0.0, 0.0, -0.1]
    value, slope = field.gradient(x)
    assert np.allclose(value, field.evaluate(x), atol=1e-12, equal_nan=True)
    apart = 1e-6 * np.eye(3)
    numeric = np.stack([(field.evaluate(x + e) - field.evaluate(x - e)) / 2e-6 for e in apart], 1)
    near = np.abs(value) < 0.02  # neither between two sides, nor where another point is the nearest
    off = np.abs(numeric - slope)[near].max(1)
    assert near.sum() > 30
    assert np.quantile(off, 0.9) < 1e-4
    assert field.hessian(x[:5]).shape == (5, 3, 3)
    field.save(tmp_path / "field.npz")
    again = ns.load(tmp_path / "field.npz", device="cpu")
    assert np.array_equal(again.evaluate(x), field.evaluate(x), equal_nan=True)
    moved, count = field.meet(np.array([[0.01, 0.02, 0.98], [0.5, 0.01, 0.01]]), 0.05)
    assert np.allclose(moved, [[0.0, 0.0, 1.0], [0.5, 0.0, 0.0]], atol=1e-9)
    assert count.tolist() == [3, 2]


def test_a_fit_is_the_least_squares_solution():
    """Against rows written out and NumPy's least squares."""
    rng, radius, eta = np.random.default_rng(2), 0.7, 0.3
    local = np.zeros((40, 7))
    local[:, :3] = rng.uniform(-0.4, 0.4, (40, 3)) * [1, 1, 0.2]
    normals = np.concatenate([rng.normal(size=(40, 2)) * 0.2, np.ones((40, 1))], 1)
    local[:, 3:6] = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    local[:, 6] = (local[:, :3] ** 2).sum(1)
    u, v, z = local[:, :3].T / radius
    w = 1.0 - local[:, 6] / radius**2
    none, one = 0 * u, 0 * u + 1
    rows = [np.stack([one, u, v, u * u / 2, u * v, v * v / 2], 1)]
    rows += [np.stack([none, one, none, u, v, none], 1), np.stack([none, none, one, none, u, v], 1)]
    targets = [z, -local[:, 3] / local[:, 5], -local[:, 4] / local[:, 5]]
    scales = [w, w * eta / radius, w * eta / radius]
    for m in (3, 6):
        A = np.concatenate([row[:, :m] * s[:, None] for row, s in zip(rows, scales, strict=True)])
        b = np.concatenate([t * s for t, s in zip(targets, scales, strict=True)])
        x = np.empty(6)
        assert fitting_numba.fit(local, 40, 0, radius, eta, m, np.empty((6, 6)), np.empty(6), x) == 40
        assert np.allclose(x[:m], np.linalg.lstsq(A, b, rcond=None)[0], atol=1e-8)


def test_sides_are_joined_by_the_tree_of_minima_and_maxima():
    rng = np.random.default_rng(3)
    for _ in range(200):
        count = int(rng.integers(2, 8))
        value, convex = rng.normal(size=count), np.zeros((count, count), bool)

        def joined(leaves, value=value, convex=convex):
            if len(leaves) == 1:
                return value[leaves[0]]
            cut, most = int(rng.integers(1, len(leaves))), bool(rng.integers(2))
            for a in leaves[:cut]:
                convex[a, leaves[cut:]] = convex[leaves[cut:], a] = most
            return (max if most else min)(joined(leaves[:cut]), joined(leaves[cut:]))

        true = joined(rng.permutation(count))
        which = blending_numba.deciding(convex, np.arange(count, dtype=float), np.ones(count, bool), count, value)
        assert value[which] == true


def test_curvature_is_no_crease():
    """Nor is a thin sheet, whose sides look apart."""
    ball = sphere(300)
    assert Creases.of(ball.points.numpy(), ball.normals.numpy()) is None
    x, _ = cloud([((0, 0, 0), (1, 0, 0), (0, 1, 0))], 2000)
    up = np.array([[0.0, 0.0, 1.0]])
    sheet = np.concatenate([x, x[:1000] - 0.01 * up]), np.concatenate([up.repeat(2000, 0), -up.repeat(1000, 0)])
    assert Creases.of(*sheet) is None


def test_sides_know_nothing_far_away():
    found = Creases.of(*cloud(CUBE, 3000))
    assert found is not None
    sides = Sides.of(found, found.fitted(), found.creased)
    value, slope, share, rise, count = sides.values(np.array([[0.5, 0.5, 0.5], [5.0, 5.0, 5.0], [np.inf, 0.0, 0.0]]))
    assert not share.any()
    assert not count.any()
    assert not np.concatenate([value[:, None], slope, rise], 1).any()


def test_one_spline_has_no_sides():
    with pytest.raises(ns.SettingsError, match="--sharp-edges needs cells"):
        ns.Settings(cells=None, sharp_edges=True)
