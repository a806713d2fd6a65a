"""Spacings of points, along and across the lines of a scanner, and what trimming makes of them."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from shapes import edges, knot, sphere
from test_choices import generator
from test_trimming import grid, square

from neural_splines.cloud.clouds import CleaningReport, OrientedCloud
from neural_splines.cloud.metric import Metric
from neural_splines.geometry import Box
from neural_splines.normals.estimate import estimate
from neural_splines.run.nodes import Nodes
from neural_splines.run.plan import OneCloud, Parts
from neural_splines.run.points import clean
from neural_splines.run.store import MemoryStore
from neural_splines.settings import Settings
from neural_splines.surface.band import sample_band
from neural_splines.surface.lattice import Lattice
from neural_splines.surface.marching_cubes import marching_cubes
from neural_splines.surface.trimming import GAP_SPACINGS, may_support, trim_unsupported


def dense_beside_sparse(ratio: int) -> torch.Tensor:
    """Points of a square that are 0.01 apart up to x = 0.5, and from there on so many times as far."""
    step = 0.01 * ratio
    dense, sparse = grid(0.01, 0.0, 1.0), grid(step, 0.0, 1.0)
    return torch.cat([dense[dense[:, 0] < 0.505], sparse + torch.tensor([0.5 + step, 0, 0])])


def dense_within_sparse(ratio: int) -> torch.Tensor:
    dense, sparse = grid(0.01, 0.0, 1.0), grid(0.01 * ratio, 0.0, 1.0)
    inner = [((part[:, :2] - 0.5).abs() < 0.205).all(1) for part in (dense, sparse)]
    return torch.cat([dense[inner[0]], sparse[~inner[1]]])


@pytest.mark.parametrize("ratio", [3, 4, 6, 8, 10])
@pytest.mark.parametrize("points", [dense_beside_sparse, dense_within_sparse])
def test_no_moat_where_density_changes(points, ratio):
    """A gap between dense and sparse points is as wide as the sparse ones are apart: the square is whole there."""
    found = trim_unsupported(square(100), Metric(points(ratio)))
    pairs, count = edges(found.faces)
    rim = found.vertices[pairs[count == 1].reshape(-1)]
    assert ((rim[:, :2] - 0.5).abs().amax(1) > 0.45).all()


def test_a_lone_point_lends_no_sheet_its_spacing():
    """Beyond the last points of a square a sheet ends, though a lone point lies on it twenty spacings away."""
    points = grid(0.02, 0.0, 0.5)
    lone = torch.tensor([[0.9, 0.25, 0.0]], dtype=torch.float64)
    found = trim_unsupported(square(50), Metric(torch.cat([points, lone])))
    assert not ((found.vertices[:, 0] > 0.6) & (found.vertices[:, 0] < 0.8)).any()


def lines(ratio: int, step: float = 0.004) -> torch.Tensor:
    """Points of the unit square in lines along x, so many times as far apart as the points in a line, each shifted."""
    along = torch.arange(0.0, 1.0, step, dtype=torch.float64)
    rows = torch.arange(0.02, 1.0, ratio * step, dtype=torch.float64)
    shift = step * torch.rand(len(rows), 1, generator=generator(ratio), dtype=torch.float64)
    x = (along + shift).reshape(-1)
    return torch.stack([x, rows.repeat_interleave(len(along)), torch.zeros_like(x)], 1)


@pytest.mark.parametrize("ratio", [5, 8, 10, 20])
@pytest.mark.parametrize("turned", [False, True])
def test_a_surface_in_lines_is_one_sheet(ratio, turned):
    """Between the lines of a scanner there is surface; and along them a gap of eight points is a gap."""
    points, mesh = lines(ratio), square(150)
    points = points[((points[:, :2] - 0.5).abs() > torch.tensor([0.05, 0.2])).any(1)]
    if turned:
        turn = torch.linalg.qr(torch.randn(3, 3, generator=generator(2), dtype=torch.float64))[0]
        points, mesh = points @ turn.T, replace(mesh, vertices=mesh.vertices @ turn.T)
    found = trim_unsupported(mesh, Metric(points))
    pairs, count = edges(found.faces)
    rim = found.vertices[pairs[count == 1].reshape(-1)]
    rim = (rim @ turn if turned else rim)[:, :2] - 0.5
    inner = rim[(rim.abs() < 0.4).all(1)]
    assert len(inner) > 0  # the hole
    assert (inner.abs() < torch.tensor([0.051, 0.21 + 0.004 * ratio])).all()


def test_neighbours_are_the_nearest_by_the_stretched_distance():
    """Of points in lines and of points in between, as by the distances of all pairs."""
    points = torch.cat([lines(8), grid(0.02, 2.0, 2.5)])
    metric, rows = Metric(points), torch.arange(0, len(points), 7)
    found = metric.neighbours(rows, 12)
    way = points[None] - points[rows, None]
    distance = (way.square().sum(2) + (way * metric.stretch()[rows, None]).sum(2).square()).sqrt()
    distance[torch.arange(len(rows)), rows] = torch.inf
    expected = distance.sort(1).values[:, :12]
    assert torch.allclose(distance.gather(1, found).sort(1).values, expected, rtol=1e-9)


@pytest.mark.parametrize("ratio", [5, 10, 20])
def test_normals_of_a_surface_in_lines_are_those_of_the_surface(ratio):
    """A sheet that is bent across its lines, with noise of an eighth of the step: planes span several lines."""
    flat = lines(ratio)
    angle = flat[:, 1:2] * 2.0
    normals = torch.cat([torch.zeros_like(angle), angle.sin(), angle.cos()], 1)
    noise = 5e-4 * torch.randn(len(flat), 1, generator=generator(3), dtype=torch.float64)
    points = (0.5 + noise) * normals + flat * torch.tensor([1.0, 0.0, 0.0])
    found = torch.from_numpy(estimate(points.numpy()).normals)
    angle = torch.rad2deg((found * normals).sum(1).abs().clamp_max(1.0).acos())
    assert float(angle.median()) < 4.0


def test_blocks_look_as_far_as_lines_are_apart():
    """What a node of points in lines says of its spacing is the distance across them."""
    cloud = OrientedCloud(points := lines(8), torch.ones_like(points))
    settings = Settings(remove_outliers="none", device="cpu")
    nodes, read = Nodes.one(cloud.box, len(cloud)), CleaningReport(len(cloud), 0, 0, 0, len(cloud))
    parts = Parts(MemoryStore(), OneCloud(cloud), settings, nodes, read, points, median_spacing=0.01, block=64)
    clean(parts, 0)
    assert float(parts.store.load("points-0")["spacing"]) == pytest.approx(math.sqrt(2.0) * 8 * 0.004, rel=0.1)


def uneven(seed: int) -> torch.Tensor:
    """Points of the unit sphere, thousands of times as dense around a pole as on the other side."""
    around = torch.nn.functional.normalize(torch.randn(3000, 3, generator=generator(seed), dtype=torch.float64), dim=1)
    far = (2.0 * torch.randn(3000, 1, generator=generator(seed + 100), dtype=torch.float64) - 3.0).exp()
    return torch.nn.functional.normalize(torch.eye(3, dtype=torch.float64)[0] + far * around, dim=1)


@pytest.mark.parametrize(
    "points", [lines(8), grid(0.02, 0.0, 0.5), dense_beside_sparse(8)], ids=["lines", "square", "uneven"]
)
def test_no_surface_is_looked_for_where_none_is_kept(points):
    """A plane that goes on far beyond its points costs less, and is cut to the same mesh."""
    lattice, metric = Lattice.around(Box.around(points), 6.0, 256), Metric(points)

    whole, part = (
        sample_band(lambda x: x[:, 2] - 0.0001, lattice, points, wanted=near)
        for near in (None, partial(may_support, metric, GAP_SPACINGS))
    )
    assert part.evaluations < 0.5 * whole.evaluations
    one, other = (trim_unsupported(marching_cubes(cubes)[0], metric) for cubes in (whole, part))
    assert torch.equal(one.vertices[one.faces], other.vertices[other.faces])


@pytest.mark.parametrize("points", [uneven(1), dense_beside_sparse(8), lines(8)], ids=["uneven", "sides", "lines"])
@pytest.mark.parametrize("radius", [0.01, 0.3])
def test_places_are_reached_by_any_point(points, radius):
    """Not by the nearest alone: against all pairs, of which spacings within an octave may be taken for each other."""
    metric = Metric(points)
    x = points[torch.randint(len(points), (500,), generator=generator())]
    x = x + radius * torch.randn(len(x), 3, generator=generator(1), dtype=torch.float64)
    index = torch.arange(len(points))
    spacing = torch.stack([metric.towards(index, place.expand_as(points)) for place in x])
    distance = (x[:, None] - points).norm(dim=2)
    found = metric.reached(x, radius, 8.0)
    assert bool(found[(distance <= radius + 4.0 * spacing).any(1)].all())
    assert not bool(found[(distance > radius + 8.0 * spacing).all(1)].any())
    assert bool(found.any())


def test_points_that_are_in_no_lines_have_one_spacing():
    """Nor have those of which one lies in line with some by chance: it would support a sheet across the whole cloud."""
    for points in (knot(3000).points, sphere(2000).points, grid(0.05, 0.0, 1.0), *map(uneven, (1, 4, 6, 8))):
        metric = Metric(points)
        assert torch.equal(metric.along, metric.across)
        assert metric.lines() is None


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_lines_are_named_with_both_spacings(scale):
    """A torus in rings 0.08 apart, of points 0.01 apart in a ring, each shifted."""
    rings = [
        torch.stack([ring * u.cos(), ring * u.sin(), torch.full_like(u, 0.4 * math.sin(v))], 1)
        for v in (torch.arange(31) * 2 * math.pi / 31).tolist()
        for ring in [1.0 + 0.4 * math.cos(v)]
        for u in [torch.arange(0.0, 2 * math.pi, 0.01 / ring, dtype=torch.float64) + v * v]
    ]
    found = Metric(scale * torch.cat(rings)).lines()
    assert found.along == pytest.approx(0.01 * scale, rel=0.2)
    assert found.across == pytest.approx(0.08 * scale, rel=0.2)
    assert found.share > 0.9


def test_a_wire_before_a_wall_is_no_line_of_it():
    """A line of points with nothing but points in no lines beside it has one spacing: no sheet joins them."""
    wire = torch.zeros(100, 3, dtype=torch.float64)
    wire[:, 0], wire[:, 2] = torch.linspace(0.0, 1.0, 100), 0.1
    metric = Metric(torch.cat([wire, grid(0.02, 0.0, 1.0) + 0.003 * torch.rand(2601, 3, generator=generator(7))]))
    assert torch.equal(metric.along, metric.across)


def test_between_lines_of_uneven_points_the_next_line_counts():
    """Points anywhere on lines 0.02 apart: few lines are known as such, and the next one of these may be far."""
    g = generator(5)
    points = torch.rand(5000, 3, generator=g, dtype=torch.float64)
    points[:, 1], points[:, 2] = 0.02 * torch.randint(0, 50, (5000,), generator=g), 0.0
    metric = Metric(points)
    assert float((metric.across > metric.along).double().mean()) > 0.1
    assert float(metric.across.quantile(0.999)) < 0.1  # 2 ** 0.5 times the distance of the line after the next is 0.057
