"""The validation points of a choice: the same however a cloud is turned, only where there is a fit, never none."""

import math
import re
from dataclasses import replace

import pytest
import torch
from shapes import sphere

from neural_splines.cells.batches import Batch, Smoothing
from neural_splines.cells.fitting import BlendPlan
from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.kernels.kernels import make_kernel
from neural_splines.kernels.products import resolve
from neural_splines.run import whole
from neural_splines.selection import choose, score
from neural_splines.selection import validation as held_out
from neural_splines.selection.regions import cores, regions_of
from neural_splines.selection.search import PILOT
from neural_splines.selection.validation import LeftOut, ValidationFit
from neural_splines.settings import REGULARIZATION, CellSettings, Settings

SMOOTH = Smoothing(1e-6, gradient_length=0.2)
TURN = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(7), dtype=torch.float64))[0]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def plan_of(cloud: OrientedCloud, per_cell: int, **settings) -> BlendPlan:
    chosen = Settings(grid_size=64, device="cpu", cells=CellSettings(points_per_cell=per_cell), **settings)
    kernel, compute = make_kernel("neural-spline", 0.0), resolve("cpu")
    return BlendPlan.of(cloud, cloud.box.scaled(1.1), kernel, 0.01, chosen, compute, generator())


def trial(plan: BlendPlan, per_cell: int, held: torch.Tensor) -> ValidationFit:
    problem = replace(plan.problem(per_cell), gradients=True)
    return ValidationFit(problem, regions_of(plan.cloud.points, 200), LeftOut(held, held))


def sheet(n: int, noise: float, turn: torch.Tensor | None = None) -> OrientedCloud:
    """A square of side 1 at the height 0, the middle of its box, with noisy points."""
    g = generator(3)
    points = torch.rand(n, 3, generator=g, dtype=torch.float64) - 0.5
    points[:, 2] = noise * torch.randn(n, generator=g, dtype=torch.float64).clamp(-2.5, 2.5)
    normals = torch.zeros_like(points)
    normals[:, 2] = 1.0
    turn = torch.eye(3, dtype=torch.float64) if turn is None else turn
    return OrientedCloud(points @ turn.T, normals @ turn.T)


def test_regions_are_a_partition_into_about_equal_parts(generator):
    points = torch.rand(1000, 3, generator=generator, dtype=torch.float64)
    parts = regions_of(points, 70)
    rows = [part.rows for part in parts]
    assert torch.equal(torch.cat(rows).sort().values, torch.arange(1000))
    assert max(map(len, rows)) <= 70
    assert min(map(len, rows)) >= 60
    for part in parts:
        inside = ((points >= part.lower) & (points < part.upper)).all(1).nonzero()[:, 0]
        assert torch.equal(part.rows.sort().values, inside)
    assert len(regions_of(points[:1].repeat(9, 1), 4)) == 4


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize("turn", [torch.eye(3, dtype=torch.float64), TURN], ids=["level", "tilted"])
def test_a_flat_cloud_keeps_its_judges(noise, turn):
    """Level, all of its points lie at a wall of the octree. About .84^2 of them judge, those of the rim more."""
    cloud = sheet(1000, noise, turn)
    regions = regions_of(cloud.points, 250)[::2]
    rows, _ = cores(cloud.points, regions)
    count = sum(len(region.rows) for region in regions)
    assert len(rows) > 0.6 * count
    height = (cloud.points @ turn)[rows, 2]
    assert noise == 0.0 or abs(float((height > 0).double().mean()) - 0.5) < 0.1


@pytest.mark.parametrize("thickness", [0.0, 1e-17, 0.02])
def test_both_faces_of_a_plate_keep_their_judges(thickness):
    """A share of the thickness is no margin: no wall lies between the faces."""
    cloud = sheet(1000, 0.0)
    cloud.points[::2, 2] += thickness
    regions = regions_of(cloud.points, 100)[::3]
    rows, boxes = cores(cloud.points, regions)
    assert len(rows) > 0.6 * sum(len(region.rows) for region in regions)
    assert abs(float((rows % 2 == 0).double().mean()) - 0.5) < 0.1
    assert all(float(box.sides[2]) == thickness for box in boxes)


def test_around_all_regions_of_a_cloud_nothing_is_kept_back():
    cloud = sphere(300)
    assert len(cores(cloud.points, regions_of(cloud.points, 100))[0]) == 300


def test_a_level_board_is_judged_and_smoothed_as_a_tilted_one():
    """Its surface lies as close to the plane that noisy points were drawn from."""
    noise = 0.01
    for turn in (torch.eye(3, dtype=torch.float64), TURN):
        cloud = sheet(1300, noise, turn)
        fit = whole.fit_cloud(cloud, Settings(grid_size=64, device="cpu"))
        assert "inf" not in fit.chosen
        assert not [line for line in fit.warnings if "judge" in line]
        side = torch.linspace(-0.45, 0.45, 20, dtype=torch.float64)
        plane = torch.cartesian_prod(side, side, torch.zeros(1, dtype=torch.float64)) @ turn.T
        value, slope = fit.field.gradient(plane)
        assert (value / slope.norm(dim=1)).square().mean().sqrt() < 0.15 * noise


def test_a_cell_whose_points_are_all_left_out_is_absent(monkeypatch):
    """No system is made of no rows, the blend has only cells with points, and where none is left nobody judges."""
    cloud, made, make = sphere(900), [], Batch.make.__func__

    def counted(cls, problem, cell, draws):
        made.append(make(cls, problem, cell, draws))
        return made[-1]

    monkeypatch.setattr(Batch, "make", classmethod(counted))
    plan = plan_of(cloud, 20)
    points = plan.cloud.points
    left = trial(plan, 20, points[:, 2] > 0.4)
    assert min(int(batch.rows.min()) for batch in made) > 0
    field = left.field(SMOOTH)
    assert len(field.cells) == sum(len(batch.cell) for batch in made)
    assert (field.splines.offsets.diff() > 0).all()
    assert field.evaluate(torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])).isnan().tolist() == [True, False]
    found = left.residuals(SMOOTH, 0.1)
    judged = found.distance.isfinite()
    assert 0 < judged.sum() < 0.5 * len(judged)
    low, high = (side[:, None] for side in (field.cells.lower, field.cells.upper))
    assert ((left.points[judged] > low - 0.2) & (left.points[judged] < high + 0.2)).all(2).any(0).all()


def test_all_points_judge_all_candidates_or_none(generator):
    """A point that cannot judge one of them judges no other."""
    distance, angle = torch.rand(2, 50, generator=generator, dtype=torch.float64), torch.zeros(50, dtype=torch.float64)
    some = distance.clone()
    some[0, :20] = torch.nan
    found = score.errors([score.Residuals(d, angle) for d in some])
    assert found == score.errors([score.Residuals(d[20:], angle[20:]) for d in distance])
    some[1, 20:] = math.inf
    with pytest.raises(score.UnjudgedError):
        score.errors([score.Residuals(d, angle) for d in some])


@pytest.mark.parametrize("cells", [CellSettings(), None], ids=["cells", "one"])
def test_points_whose_normals_contradict_each_other_judge_by_numbers(cells):
    cloud = sphere(600)
    sign = torch.where(torch.rand(600, 1, generator=generator(1)) < 0.5, -1.0, 1.0).double()
    few = {"num_nystrom_samples": 100, "regularization": "auto"} if cells is None else {}
    fit = whole.fit_cloud(
        replace(cloud, normals=sign * cloud.normals), Settings(grid_size=32, device="cpu", cells=cells, **few)
    )
    at = float(re.search(r"68% of the held-out points within ([\d.]+) of the surface", fit.chosen)[1])
    assert 0.0 < at < 2.0


def test_where_nobody_can_judge_a_warning_says_what_was_taken(monkeypatch):
    """A smoothing that suits most clouds, not the first of the ladder, which is the closest fit."""
    none = LeftOut(*torch.zeros(2, 500, dtype=torch.bool))
    monkeypatch.setattr(held_out.LeftOut, "single", lambda *_: none)
    fit = whole.fit_cloud(sphere(500), Settings(grid_size=32, device="cpu"))
    assert fit.smoothing == PILOT[0]
    assert fit.points_per_cell == choose.POINTS_PER_CELL
    (line,) = fit.warnings
    assert "smoothing could not be chosen from the points" in line
    assert str(fit.smoothing) in line


def test_one_spline_that_nobody_can_judge_says_so(monkeypatch):
    monkeypatch.setattr(score, "window", lambda *_: score.percentile(torch.empty(0)))
    settings = Settings(grid_size=32, device="cpu", cells=None, num_nystrom_samples=60, regularization="auto")
    fit = whole.fit_cloud(sphere(200), settings)
    assert fit.regularization == REGULARIZATION
    assert [line for line in fit.warnings if "smoothing could not be chosen from the points" in line]


@pytest.mark.parametrize("size", [2, 3, 5])
def test_a_small_grid_is_told_as_it_was_asked_for(size):
    """A lattice has four voxels along a side at least: what is repeated is the run that was made."""
    settings = Settings(grid_size=size, device="cpu", regularization=1e-6)
    assert whole.mesh_cloud(sphere(200), settings).grid_size == size
