"""Laws of the cells: they share out points and space, and their blend is one field."""

from dataclasses import replace

import pytest
import torch
from shapes import knot, sphere, torus

from neural_splines.cells.batches import Smoothing
from neural_splines.cells.blending import BlendedField
from neural_splines.cells.members import Members
from neural_splines.cells.models import fit_cells
from neural_splines.cells.partition import adaptive_cells, uniform_cells
from neural_splines.cells.problem import FitProblem
from neural_splines.cells.splines import Splines
from neural_splines.cells.weights import CellWeights
from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.cloud.sampling import Sampling
from neural_splines.geometry import Box
from neural_splines.kernels.kernels import make_kernel
from neural_splines.kernels.products import resolve
from neural_splines.run import whole
from neural_splines.runtime.monitor import Silent
from neural_splines.settings import Settings
from neural_splines.spline.fitting import Centers
from neural_splines.surface.lattice import Lattice

CPU = resolve("cpu")
KERNEL = make_kernel("neural-spline", 1.0).covering(1.6, 1.6)


def cells_of(cloud, kind, overlap=0.25):
    box = cloud.box.scaled(1.1)
    if kind == "adaptive":
        return adaptive_cells(box, cloud.sampling, 60, overlap, 0)
    return uniform_cells(box, cloud.sampling, kind, overlap, 0)


KINDS = pytest.mark.parametrize("kind", ["adaptive", 2, 5])


@KINDS
def test_every_point_has_one_own_cell(kind):
    cloud = knot(2000)
    cells = cells_of(cloud, kind)
    x = cloud.points[:, None, :]
    own = ((x >= cells.lower) & (x < cells.upper)).all(-1)
    assert (own.sum(1) == 1).all()
    assert own.any(0).all()  # no empty cell
    if kind == "adaptive":
        assert own.sum(0).max() <= 60


@KINDS
@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.25, 1.0])
def test_containing_matches_brute_force(kind, overlap, generator):
    cloud = torus(1500)
    cells = cells_of(cloud, kind, overlap)
    box = cloud.box.scaled(1.3)
    points = box.lower + torch.rand(800, 3, generator=generator, dtype=torch.float64) * box.sides
    x = points[:, None, :]
    for (point, cell), margin in ((cells.containing(points), cells.reach), (cells.members(points), cells.padding)):
        m = margin[:, None]
        expected = ((x > cells.lower - m) & (x < cells.upper + m)).all(-1)
        found = torch.zeros_like(expected)
        found[point, cell] = True
        assert torch.equal(found, expected)
        assert len(point) == expected.sum()
        assert (point.diff() >= 0).all()


def grid(flat=False, middle=(0.0, 0.0, 0.0)):
    """A symmetric lattice of points: the walls of cells go through its middle planes."""
    steps = torch.linspace(-1.0, 1.0, 9, dtype=torch.float64)
    points = torch.cartesian_prod(steps, steps, steps[4:5] if flat else steps)
    return points + torch.tensor(middle, dtype=torch.float64)


@pytest.mark.parametrize("kind", ["adaptive", 2, 5])
@pytest.mark.parametrize("overlap", [0.0, 0.25])
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("middle", [(0.0, 0.0, 0.0), (4e5 + 1 / 3, -7e6 / 3, 0.1), (1e10 / 3, 0.0, 0.0)])
def test_every_point_is_a_member_of_a_cell_with_weight_there(kind, overlap, flat, middle):
    points = grid(flat, middle)
    cloud = OrientedCloud(points, points)
    box = Lattice.around(cloud.box, 1.0, 20).box
    if kind == "adaptive":
        cells = adaptive_cells(box, Sampling(points), 20, overlap, 0)
    else:
        cells = uniform_cells(box, Sampling(points), kind, overlap, 0)
    point, cell = cells.members(points)
    assert torch.bincount(point, minlength=len(points)).min() > 0
    assert torch.bincount(cell, minlength=len(cells)).min() > 0
    near = points + 1e-3 * torch.tensor([[1.0, -1.0, 0.5]], dtype=torch.float64)
    for places in (CellWeights.of(cells, x) for x in (points, near)):
        assert torch.bincount(places.point, minlength=len(points)).min() > 0
        assert places.weight.min() > 0.0


def test_uniform_weights_sum_to_one_inside():
    """Smoothstep ramps of equal cells need no normalisation: S(t) + S(1 - t) = 1."""
    cloud = sphere(20_000)
    box = cloud.box.scaled(1.1)
    cells = uniform_cells(box, Sampling(box.lower + torch.rand(4000, 3, dtype=torch.float64) * box.sides), 4, 0.3, 0)
    assert len(cells) == 64
    interior = Box.around(cloud.points).scaled(0.8)
    points = interior.lower + torch.rand(500, 3, dtype=torch.float64) * interior.sides
    point, cell = cells.containing(points)
    total = torch.zeros(500, dtype=torch.float64).index_add_(0, point, cells.weights(points[point], cell))
    assert torch.allclose(total, torch.ones_like(total), atol=3e-5)  # 27 cells within reach


def models_of_a_plane(cells, offset=0.0):
    """Models that all represent the linear field x - y + 2 z + offset, in world units, up to 1e-3."""
    g = torch.Generator().manual_seed(0)
    centers = torch.rand(400, 3, generator=g, dtype=torch.float64) - 0.5
    K = KERNEL(centers, centers) + 1e-10 * torch.eye(400, dtype=torch.float64)
    plane = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64)
    all_centers, coefficients = [], []
    for c in range(len(cells)):
        world = centers / cells.scales[c] + cells.centers[c]
        all_centers.append(centers)
        coefficients.append(torch.linalg.solve(K, (world @ plane + offset) * cells.scales[c]))
    offsets = torch.arange(len(cells) + 1) * 400
    box = Box(cells.lower.amin(0), cells.upper.amax(0))
    splines = Splines(cells.centers, cells.scales, torch.cat(all_centers), torch.cat(coefficients), offsets)
    return BlendedField(cells, torch.arange(len(cells)), splines, KERNEL, CPU, box), plane


@pytest.mark.parametrize("kind", ["adaptive", 3])
def test_partition_of_unity_reproduces_a_common_field(kind):
    """Where all cells agree so does the blend: normalised weights sum to one, and their gradients to zero."""
    cloud = sphere(500)
    field, plane = models_of_a_plane(cells_of(cloud, kind))
    points = cloud.points[:100] * 0.999
    assert torch.allclose(field.evaluate(points), points @ plane, atol=1e-2)
    value, slope = field.gradient(points)
    assert torch.allclose(value, field.evaluate(points), atol=1e-12)
    assert torch.allclose(slope, plane.expand_as(slope), atol=0.1)


def fitted(cloud, cells, eps=0.02, centers=100):
    members = Members.of(cells, cloud.points)
    generator = torch.Generator().manual_seed(0)
    problem = FitProblem(cloud, cells, members, KERNEL, CPU, eps, Centers(centers, "blue-noise"), generator)
    models = fit_cells(problem, Smoothing(1e-7), Silent())
    return BlendedField.of(problem, models), models


@pytest.mark.parametrize("kind", ["adaptive", 3])
def test_the_gradient_is_the_derivative_of_the_blend(kind):
    """Also where cells disagree and weights vary."""
    cloud = torus(1200)
    field, _ = fitted(cloud, cells_of(cloud, kind))
    points, h = cloud.points[:200] * 1.003, 1e-6
    _, slope = field.gradient(points)
    for axis in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[axis] = h
        numeric = (field.evaluate(points + step) - field.evaluate(points - step)) / (2 * h)
        assert torch.allclose(slope[:, axis], numeric, atol=1e-4)


def test_the_gradient_is_the_derivative_where_only_far_cells_speak():
    cloud = torus(1200)
    cells = cells_of(cloud, "adaptive")
    field, _ = fitted(cloud, cells)
    generator, h = torch.Generator().manual_seed(0), 1e-6
    points = cloud.points + 0.3 * torch.randn(len(cloud), 3, generator=generator, dtype=torch.float64)
    point, cell = cells.containing(points)
    weight = torch.zeros(len(points), dtype=torch.float64).index_add_(0, point, cells.weights(points[point], cell))
    points = points[(weight > 1e-8) & (weight < 5e-7) & (torch.bincount(point, minlength=len(points)) > 1)]
    assert len(points) > 10
    slope = field.gradient(points)[1][:, 0]
    step = torch.tensor([h, 0.0, 0.0], dtype=torch.float64)
    numeric = (field.evaluate(points + step) - field.evaluate(points - step)) / (2 * h)
    assert (slope - numeric).abs().median() < 1e-4


def test_the_blend_is_continuous_across_cells():
    cloud = sphere(3000)
    cells = cells_of(cloud, "adaptive")
    field, _ = fitted(cloud, cells)
    walls = cells.upper[:, 0]
    on_wall = cloud.points[:200].clone()
    on_wall[:, 0] = walls[(cloud.points[:200, :1] - walls).abs().argmin(1)]
    on_wall = on_wall[field.evaluate(on_wall).isfinite()]
    step = torch.tensor([1e-9, 0.0, 0.0], dtype=torch.float64)
    assert len(on_wall) > 50
    jump = field.evaluate(on_wall + step) - field.evaluate(on_wall - step)
    assert jump.abs().max() < 1e-7


def test_the_field_is_undefined_away_from_cells():
    cloud = sphere(4000)  # gaps of three spacings are carried across
    field, _ = fitted(cloud, cells_of(cloud, 8))
    values = field.evaluate(torch.tensor([[0.0, 0.0, 0.0], [9.0, 9.0, 9.0], [1.0, 0.0, 0.0]], dtype=torch.float64))
    assert values.isnan().tolist() == [True, True, False]


def test_hard_weights_take_the_own_cell_alone():
    cloud = sphere(2000)
    cells = uniform_cells(cloud.box.scaled(1.1), cloud.sampling, 3, 0.25, 0, blend=False)
    hard, _ = fitted(cloud, cells)
    c = 5
    inside = cloud.points[((cloud.points >= cells.lower[c]) & (cloud.points < cells.upper[c])).all(1)]
    only = torch.tensor([c])
    one = replace(hard, cells=cells.subset(only), model=only)
    assert torch.allclose(hard.evaluate(inside), one.evaluate(inside), atol=1e-9)


@pytest.mark.parametrize("mode", ["random", "blue-noise", "k-means"])
def test_a_cell_fits_its_points(mode):
    cloud = sphere(1500)
    cells = cells_of(cloud, "adaptive")
    members = Members.of(cells, cloud.points)
    problem = FitProblem(cloud, cells, members, KERNEL, CPU, 0.02, Centers(120, mode), torch.Generator().manual_seed(0))
    models = fit_cells(problem, Smoothing(1e-8), Silent())
    assert not models.failed
    field = BlendedField.of(problem, models)
    # the spacing is 0.09 and eps 0.02: errors stay well below both
    assert field.evaluate(cloud.points).abs().max() < 4e-3
    assert field.evaluate(cloud.points).abs().mean() < 1e-3
    assert (field.evaluate(cloud.points + 0.02 * cloud.normals) - 0.02).abs().mean() < 2e-3


def test_batching_does_not_change_the_models(monkeypatch):
    cloud = torus(1500)
    cells = cells_of(cloud, "adaptive")
    field, one = fitted(cloud, cells)
    monkeypatch.setattr("neural_splines.cells.problem.CPU_BATCH_BYTES", 1)
    alone, other = fitted(cloud, cells)
    assert torch.equal(one.centers, other.centers)
    # the systems' condition numbers of some 1e8 amplify another order of summation
    assert (field.evaluate(cloud.points) - alone.evaluate(cloud.points)).abs().max() < 1e-7


def test_random_centres_do_not_depend_on_threads(monkeypatch):
    """They are drawn batch by batch, in order."""
    cloud = sphere(3000)
    cells = cells_of(cloud, "adaptive")
    members, centers = Members.of(cells, cloud.points), Centers(40, "random")
    monkeypatch.setattr("neural_splines.cells.problem.CPU_BATCH_BYTES", 1)
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 4):
            torch.set_num_threads(threads)
            draws = torch.Generator().manual_seed(0)
            problem = FitProblem(cloud, cells, members, KERNEL, CPU, 0.02, centers, draws)
            found.append(fit_cells(problem, Smoothing(1e-6), Silent()))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0].centers, found[1].centers)
    assert torch.equal(found[0].coefficients, found[1].coefficients)


def test_smoothing_follows_the_noise():
    """Clean points are followed closely; of noise of 0.02 along the normals less than a quarter is left."""
    errors = {}
    for noise in (0.0, 0.02):
        cloud = sphere(800)
        g = torch.Generator().manual_seed(5)
        moved = cloud.points + noise * torch.randn(800, 1, generator=g, dtype=torch.float64) * cloud.normals
        fit = whole.fit_cloud(replace(cloud, points=moved), Settings(grid_size=64, device="cpu"))
        errors[noise] = float(fit.field.evaluate(sphere(777).points).abs().mean())
    assert errors[0.0] < 0.001
    assert errors[0.02] < 0.004  # the mean of |noise| is 0.016
