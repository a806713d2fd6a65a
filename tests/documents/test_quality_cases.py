"""What benchmarks/quality.py is made of: the laws of its shapes, clouds and measures."""

import math
from dataclasses import replace

import cases
import clouds
import numpy as np
import pytest
import spoilt
import truths
from cases import Case
from clouds import Cloud
from measures import measure, topology
from results import Results

SQUARE = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], float), np.array([(0, 1, 2), (0, 2, 3)])
MORE_SHAPES = [("sphere", 2, 1, 0), ("knot", 0, 1, 0), ("bracket", 2, 1, 0), ("plate", 2, 1, 0), ("waves", 1, 1, 1596),
               ("thin-shell", 2, 1, 0), ("spring", 2, 1, 0), ("hemisphere", 1, 1, 600)]  # fmt: skip
TORTURED = Case("torus", 2500, noise=0.005, estimated=True, outliers=0.05, holes=3, uneven=True)


@pytest.mark.parametrize(
    ("name", "euler", "pieces", "border"),
    [
        *(("torus", 0, 1, 0), ("cube", 2, 1, 0), ("gear", 0, 1, 0), ("nested", 4, 2, 0), ("vase", 0, 1, 1000)),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in MORE_SHAPES),
    ],
)
def test_truths_are_what_they_are_named(name, euler, pieces, border):
    """Their topology; neighbours are turned alike; the volume of a closed one is positive; at most 400,000 faces."""
    shape = cases.SHAPES[name]()
    found = topology(shape.vertices, shape.faces)
    assert (found.euler, found.components, found.boundary_edges) == (euler, pieces, border)
    assert found.watertight == (border == 0) == Case(name).closed
    assert len(shape.faces) <= 400_000
    directed = shape.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    assert len(np.unique(directed @ [len(shape.vertices), 1])) == len(directed)
    corners = shape.vertices[shape.faces].transpose(1, 2, 0)
    volume = np.einsum("in,in->", corners[0], np.cross(corners[1], corners[2], axis=0)) / 6
    assert border or volume > 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "handles"), [("gyroid", 13), ("lattice", 28), ("scales", 0)])
def test_truths_with_many_handles(name, handles):
    shape = cases.SHAPES[name]()
    found = topology(shape.vertices, shape.faces)
    assert found.watertight
    assert (found.components, found.euler) == (1, 2 - 2 * handles)
    assert len(shape.faces) <= 400_000


def test_vertices_of_a_level_set_lie_on_it():
    shape = truths._level_set(lambda x, y, z: x * x + y * y + 4 * z * z - 1, 1.2, 40)
    x, y, z = shape.vertices.T
    assert np.abs(x * x + y * y + 4 * z * z - 1).max() < 1e-6


def test_a_mesh_is_at_no_distance_from_itself():
    shape = truths.torus()
    found = measure((shape.vertices, shape.faces), (shape.vertices, shape.faces), 3000)
    assert max(found.accuracy, found.completeness, found.cd) < 1e-7
    assert found.normal_consistency == pytest.approx(1.0, abs=1e-4)  # a sample on an edge may meet either face


def test_distance_of_concentric_spheres():
    """From the outer one to the inner one and back it is the difference of the radii, over the diagonal 2 sqrt 3."""
    ball = truths.sphere(5)
    found = measure((ball.vertices, ball.faces), (1.1 * ball.vertices, ball.faces), 3000)
    facets = 2e-4  # how far the middle of a facet lies within the sphere
    assert found.accuracy == pytest.approx(0.1 / 12**0.5, abs=facets)
    assert found.completeness == pytest.approx(0.1 / 12**0.5, abs=facets)
    assert found.cd == pytest.approx((found.accuracy + found.completeness) / 2)
    assert found.normal_consistency > 0.999


def test_topology_welds_a_soup_and_counts_borders():
    vertices, faces = SQUARE
    soup = vertices[faces].reshape(-1, 3), np.arange(6).reshape(-1, 3)
    found = topology(*soup)
    assert (found.vertices, found.components, found.euler, found.boundary_edges) == (4, 1, 1, 4)
    assert not found.watertight
    two = np.concatenate([vertices, vertices + 5]), np.concatenate([faces, faces + 4])
    assert topology(*two).components == 2


def test_a_case_is_the_same_every_time_and_its_fingerprint_tells():
    (cloud, truth), (again, _) = TORTURED.build(), TORTURED.build()
    assert np.array_equal(cloud.points, again.points)
    assert np.array_equal(cloud.normals, again.normals)
    mark = cases.fingerprint(cloud, truth)
    results = Results(None)
    results.add("a", mark, {"default": {"cd": 1.0}})
    assert results.known("a", [x * (1 + 1e-12) for x in mark])
    one = (np.arange(len(cloud)) == 7)[:, None]
    for changed in (
        Cloud(cloud.points + 1e-3 * one, cloud.normals),
        Cloud(cloud.points, cloud.normals * (1 - 2 * one)),
    ):
        assert not results.known("a", cases.fingerprint(changed, truth))
    assert not results.known("a", cases.fingerprint(cloud.keep(np.arange(len(cloud)) > 0), truth))
    other, _ = replace(TORTURED, points=2400).build()
    assert not np.array_equal(cloud.points[:1000], other.points[:1000])  # another name, other numbers


def test_there_are_enough_cases_of_every_kind(tmp_path):
    everything, own = cases.all_cases(tmp_path), cases.all_cases(None)
    assert len(own) >= 45
    assert len({case.name for case in everything}) == len(everything)
    assert {case.name for case in own} < {case.name for case in everything}
    assert 1 / 4 < np.mean([case.held_out for case in everything]) < 1 / 2
    kinds = ("scan", "lines", "stripes", "quantised", "clumps", "flipped", "laplace", "void")
    for tag in ("clean", "noise", "estimated", "outliers", "holes", "uneven", "sparse", "closed", "open", *kinds):
        marked = [case.held_out for case in everything if tag in case.tags]
        assert len(marked) >= 3, tag
        assert len(set(marked)) == 2, f"{tag}: none is held out, or all are"
    assert sum(case.first for case in everything) == 79
    for kind in spoilt.KINDS:
        assert len({case.shape for case in own if case.kind == kind}) >= 3
    for noise in (0.001, 0.002, 0.005, 0.01):
        assert len({case.shape for case in own if case.noise == noise and case.estimated}) >= 3


def test_clouds_are_spoilt_as_they_say():
    """Noise has its sigma; normals of planes are exact on a plane; outliers are so many, and in the box; an uneven
    cloud is twenty times as dense at one end; holes have no points."""
    plate = truths.box(1.0, 1.0, 1.0)
    rng = np.random.default_rng(0)
    flat = Case("cube", 4000, noise=0.002).build()[0]
    off = np.abs(np.abs(flat.points - 0.5) - 0.5).min(1)  # nearly everywhere the distance from the nearest face
    assert math.sqrt(np.mean(off**2)) == pytest.approx(0.002 * plate.diagonal, rel=0.1)

    sheet = Cloud(np.c_[rng.random((500, 2)), np.zeros(500)], np.tile([0.0, 0.6, -0.8], (500, 1)))
    assert np.allclose(clouds.plane_normals(sheet), [0, 0, -1])

    spoilt = clouds.with_outliers(sheet, 0.1, rng)
    assert len(spoilt) == 550
    assert np.abs(spoilt.points[500:, :2] - 0.5).max() <= 0.6
    assert np.allclose(np.linalg.norm(spoilt.normals, axis=1), 1)

    x = clouds.sampled(plate, 40_000, rng, 20.0).points[:, 0]
    x = x[(x > 0) & (x < 1)]  # the walls along the axis
    counts = [((low < x) & (x < low + 0.1)).sum() for low in (0.0, 0.9)]
    assert counts[0] / counts[1] == pytest.approx(20**0.9, rel=0.25)  # between the middles of first and last tenth

    case = Case("torus", 5000, holes=3)
    holed = case.build()[0]
    whole = replace(case, holes=0)
    assert len(holed) < 0.97 * case.points
    assert not case.complete
    assert not case.clean
    assert whole.clean
    assert len(holed) < len(whole.build()[0])


def test_sampled_normals_are_those_of_the_surface():
    cloud = clouds.sampled(truths.torus(1.0, 0.35), 2000, np.random.default_rng(0))
    ring = cloud.points * [1, 1, 0]
    ring /= np.linalg.norm(ring, axis=1, keepdims=True)
    exact = (cloud.points - ring) / 0.35
    assert np.linalg.norm(cloud.normals - exact, axis=1).max() < 0.03
    cube = clouds.sampled(truths.box(1.0, 1.0, 1.0), 500, np.random.default_rng(0))
    assert np.allclose(np.abs(cube.normals).max(1), 1)  # not smoothed over its edges
