"""Laws of levels: cubes share out the points, boxes share out space, and the field is defined in all of it."""

from dataclasses import replace

import pytest
import torch
from shapes import sphere, torus

from neural_splines.cells import levels, ties
from neural_splines.cells.batches import Smoothing
from neural_splines.cells.cubes import Cubes
from neural_splines.cells.fitting import BlendPlan
from neural_splines.cells.levels import fit_levels
from neural_splines.cells.members import Members, capped
from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.cloud.octree import bounding_cube
from neural_splines.kernels.kernels import make_kernel
from neural_splines.kernels.products import resolve
from neural_splines.runtime.monitor import Silent
from neural_splines.settings import CellSettings, Settings

CPU, SLOPES = resolve("cpu"), Smoothing(1e-9, gradient_length=0.02)


def plan_of(cloud, **options) -> BlendPlan:
    settings = Settings(grid_size=64, device="cpu", cells=CellSettings(**options))
    kernel, generator = make_kernel("neural-spline", 0.0), torch.Generator().manual_seed(0)
    return BlendPlan.of(cloud, cloud.box.scaled(1.1), kernel, 0.01, settings, CPU, generator)


def levels_of(cloud, most=100, smoothing=SLOPES, **options):
    return fit_levels(plan_of(cloud, **options), most, smoothing, Silent())


def without(cloud, keep) -> OrientedCloud:
    return OrientedCloud(cloud.points[keep], cloud.normals[keep])


def test_the_eighths_of_cubes_share_out_their_points():
    plan = plan_of(torus(3000))
    points = plan.cloud.points
    lower, side = bounding_cube(plan.box)
    cubes = Cubes.first(lower, side, torch.arange(len(points)))
    for _ in range(4):
        wanted = cubes.counts > 20
        finer = cubes.divided(points, wanted)
        assert torch.equal(torch.bincount(finer.parent, finer.counts, len(wanted)).long(), cubes.counts * wanted)
        low = finer.lower[finer.cube]
        assert bool(((points[finer.rows] >= low) & (points[finer.rows] < low + finer.side)).all())
        assert torch.equal(torch.bincount(finer.cube, minlength=len(finer.counts)), finer.counts)
        empty, parent = cubes.empty_eighths(finer, wanted.nonzero()[:, 0])
        eighths = torch.bincount(finer.parent, minlength=len(wanted)) + torch.bincount(parent, minlength=len(wanted))
        assert torch.equal(eighths, 8 * wanted)
        assert not bool(((points[:, None] >= empty) & (points[:, None] < empty + finer.side)).all(2).any())
        cubes = finer


def test_points_in_any_order_give_the_same_cubes():
    plan = plan_of(torus(2000))
    lower, side = bounding_cube(plan.box)
    order = torch.randperm(2000, generator=torch.Generator().manual_seed(3))
    found = []
    for points in (plan.cloud.points, plan.cloud.points[order]):
        cubes = Cubes.first(lower, side, torch.arange(2000))
        for _ in range(3):
            cubes = cubes.divided(points, cubes.counts > 20)
        found.append((cubes.lower, cubes.counts))
    assert all(map(torch.equal, *found))


@pytest.mark.parametrize("minimum", [0, 30])
def test_boxes_tile_the_cube_and_the_field_is_defined_in_all_of_it(minimum):
    levels = levels_of(torus(3000), min_pts_per_cell=minimum)
    fitted, field = levels.fitted(), levels.field()
    lower, side = bounding_cube(levels.plan.box)
    volume = (fitted.boxes.upper - fitted.boxes.lower).prod(1).sum()
    assert float(volume) == pytest.approx(side**3, rel=1e-9)
    generator = torch.Generator().manual_seed(1)
    x = lower + side * torch.rand(5000, 3, generator=generator, dtype=torch.float64)
    inside = ((x[:, None] >= fitted.boxes.lower) & (x[:, None] < fitted.boxes.upper)).all(2)
    assert bool((inside.sum(1) == 1).all())
    value, slope = field.gradient(x)
    assert bool(value.isfinite().all() & slope.isfinite().all())


def test_cells_of_the_last_levels_hold_the_points_and_fit_them():
    cloud = torus(3000)
    levels = levels_of(cloud)
    fitted = levels.fitted()
    points = levels.plan.cloud.points
    boxes = fitted.boxes
    assert int(((points[:, None] >= boxes.lower) & (points[:, None] < boxes.upper)).all(2).sum(0).max()) <= 100
    assert float(levels.field().evaluate(points).abs().max()) < 1e-3
    assert int(fitted.level.max()) >= 3


def test_a_coarser_spline_moves_no_surface_where_there_are_points():
    """Not even where eight large cubes meet, seven of them empty: the blend in a box that holds points is that of such
    boxes alone, but for a little near the walls of the last.
    """
    cloud = sphere(3000)
    plan = plan_of(cloud)
    lower, side = bounding_cube(plan.box)
    corner = lower + 0.25 * side * torch.tensor([1.0, 1.0, 1.0], dtype=torch.float64)
    moved = OrientedCloud(cloud.points + corner + torch.full((3,), 1 / 3**0.5, dtype=torch.float64), cloud.normals)
    field = fit_levels(replace(plan, cloud=moved), 100, SLOPES, Silent()).field()
    firm = ~field.cells.yields
    assert 0 < int(firm.sum()) < len(firm)
    alone = replace(field, cells=field.cells.subset(firm.nonzero()[:, 0]), model=field.model[firm])
    moved_by = (field.evaluate(moved.points) - alone.evaluate(moved.points)).abs()
    assert float(moved_by.quantile(0.99)) == 0.0
    assert float(moved_by.max()) < 2e-5  # and 8e-5 where large boxes keep their weight


def test_a_hole_is_spanned_where_one_level_alone_goes_astray():
    """A cap of a sphere without points: the field of levels has its surface there about where the sphere is."""
    cloud = sphere(6000)
    cloud = without(cloud, cloud.points[:, 2] < 0.85)
    field = levels_of(cloud).field()
    top = torch.tensor([[0.0, 0.0, z] for z in torch.linspace(0.4, 1.1, 200, dtype=torch.float64).tolist()])
    value = field.evaluate(top.double())
    crossing = ((value[:-1] < 0) != (value[1:] < 0)).nonzero()[:, 0]
    assert len(crossing) == 1
    assert float(top[crossing[0], 2]) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("fill", [False, True])
def test_ties_move_no_surface_where_there_is_no_hole(fill, monkeypatch):
    """Two spheres, one in the other: the field between them is flat and near 0, which is no hole."""
    inner, outer = sphere(3000, radius=0.8), sphere(4000)
    cloud = OrientedCloud(torch.cat([outer.points, inner.points]), torch.cat([outer.normals, inner.normals]))
    monkeypatch.setattr(levels, "Ties", lambda coarse, **_: ties.Ties(coarse, fill))
    tied = levels_of(cloud).field()
    monkeypatch.setattr(ties.Ties, "places", lambda *_: None)
    free = levels_of(cloud).field()
    for x in (sphere(777).points, sphere(777, radius=0.8).points):
        moved = tied.evaluate(x) - free.evaluate(x)
        assert 0.0 < float(moved.square().mean().sqrt()) < 1e-3  # the points are 0.05 apart


def test_a_cell_that_cannot_be_solved_has_the_spline_of_the_level_above(monkeypatch):
    from neural_splines.cells import models as module

    real, calls = module.ModelStore.put, []

    def failing(store, made, solution, jitter, attempts):
        calls.append(len(attempts))
        if len(calls) > 2:
            jitter[0] = torch.nan
        real(store, made, solution, jitter, attempts)

    monkeypatch.setattr(module.ModelStore, "put", failing)
    fitted = levels_of(torus(3000)).fitted()
    bad = fitted.models.jitters.isnan().nonzero()[:, 0]
    assert len(bad)
    assert not bool(torch.isin(fitted.model, bad).any())
    lower, upper = fitted.boxes.lower.amin(0), fitted.boxes.upper.amax(0)
    volume = (fitted.boxes.upper - fitted.boxes.lower).prod(1).sum()
    assert float(volume) == pytest.approx(float((upper - lower).prod()), rel=1e-6)


def test_cells_that_serve_no_box_are_left_out_and_the_field_is_the_same():
    levels = levels_of(torus(3000))
    every, used = levels.fitted(), levels.fitted().used(SLOPES)
    assert len(used.cells) < len(every.cells)
    assert used.model.unique().tolist() == list(range(len(used.cells)))
    x = levels.plan.cloud.points[:200] * 1.02
    kernel, box = levels.field().kernel, levels.plan.box
    before, after = (one.blend(kernel, CPU, box, None).gradient(x) for one in (every, used))
    assert all(map(torch.equal, before, after))


def test_capped_members_are_spread_over_all():
    point, cell = torch.arange(100), torch.repeat_interleave(torch.tensor([0, 1]), torch.tensor([10, 90]))
    members = capped(Members.grouped(point, cell, 2), 30)
    assert members.counts.tolist() == [10, 30]
    assert torch.equal(members.point[:10], point[:10])
    assert set(members.point[10:].diff().tolist()) == {3}


def test_units_and_place_cancel():
    """The same cells of a cloud that is moved and enlarged; systems that are nearly singular amplify the rounding."""
    cloud = torus(2000)
    moved = OrientedCloud(1000.0 * cloud.points + 5e5, cloud.normals)
    near, far = levels_of(cloud), fit_levels(replace(plan_of(moved), eps=10.0), 100, SLOPES, Silent())
    x = cloud.points[:300] * 1.01
    expected = near.field().evaluate(x)
    error = (far.field().evaluate(1000.0 * x + 5e5) / 1000.0 - expected).abs()
    assert float(error.quantile(0.5)) < 1e-5
    assert float(error.max()) < 1e-3


def test_only_a_clear_sheet_tightens_the_ties_of_its_cell():
    """Of three cells, one agrees with the coarser field, one has the other sign by little, one by much."""
    K, y = torch.eye(2, dtype=torch.float64).expand(3, 2, 2), torch.full((3, 2), 0.5, dtype=torch.float64)
    rows = ties.TieRows(K, y, torch.full_like(y, ties.WEIGHT), torch.full_like(y, ties.FILLING_WEIGHT))
    solution = torch.tensor([[0.4, 0.5], [-0.05, 0.5], [-0.4, 0.5]], dtype=torch.float64)
    tightened = rows.tightened(solution).weights
    assert (tightened[:2] == ties.WEIGHT).all()
    assert (tightened[2] == ties.FILLING_WEIGHT).all()
    assert rows.tightened(solution[:1].expand(3, 2)) is None


def test_a_surface_crosses_a_hole_where_its_foot_is_far_from_all_points():
    """The coarser surface is the plane z = 0; points on all of it, but for a hole in the second cell."""
    x = 0.9 * torch.rand(2, 400, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64) - 0.45
    x[:, :, 2] = 0.0
    unused = torch.stack([torch.zeros(400, dtype=torch.bool), x[1, :, :2].norm(dim=1) < 0.3])
    place = torch.tensor([[[0.0, 0.0, 0.1], [0.3, 0.2, 0.4]]], dtype=torch.float64).expand(2, -1, -1)
    slope = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(2, 2, 3)
    assert ties._in_hole(x, unused, place, place[:, :, 2], slope).tolist() == [False, True]
