"""Cells of other sizes where points that were left out ask for them."""

import torch
from shapes import torus
from test_levels import SLOPES, levels_of, plan_of

from neural_splines.cells.batches import Smoothing
from neural_splines.cells.levels import fit_levels
from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.runtime.monitor import Silent
from neural_splines.selection.depth import JUDGES, choose_depths, judges_of


def half_noisy(count, noise) -> OrientedCloud:
    """A torus whose points are moved along their normals where x is above 0.3."""
    cloud = torus(count)
    moved = noise * torch.randn(count, 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    moved[cloud.points[:, 0] < 0.3] = 0.0
    return OrientedCloud(cloud.points + moved * cloud.normals, cloud.normals)


def chosen(cloud, most, smoothing=SLOPES):
    judges = judges_of(len(cloud), most, 0, cloud.points.device)
    levels = fit_levels(plan_of(cloud), most, smoothing, Silent(), judges=judges)
    return levels, choose_depths(levels)


def test_a_cloud_that_is_alike_everywhere_keeps_its_size_of_cells():
    levels, (merged, divided) = chosen(torus(4000), 100)
    boxes = len(levels.fitted().boxes)
    assert merged + divided <= 0.05 * boxes


def test_noise_in_one_half_gets_larger_cells_there():
    cloud, smoothing = half_noisy(6000, 0.03), Smoothing(1e-7, gradient_length=0.05)
    levels, (merged, _) = chosen(cloud, 40, smoothing)
    plain = levels_of(cloud, 40, smoothing).field()
    assert merged > 3
    truth = torus(3001)
    noisy = truth.points[:, 0] > 0.5
    before, after = (field.evaluate(truth.points[noisy]).abs().mean() for field in (plain, levels.field()))
    assert after < 0.95 * before


def test_space_is_still_shared_out_once():
    levels, changed = chosen(half_noisy(6000, 0.03), 40, Smoothing(1e-7, gradient_length=0.05))
    boxes = levels.fitted().boxes
    assert sum(changed)
    x = boxes.lower.amin(0) + (boxes.upper.amax(0) - boxes.lower.amin(0)) * torch.rand(
        4000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    inside = ((x[:, None] >= boxes.lower) & (x[:, None] < boxes.upper)).all(2)
    assert bool((inside.sum(1) == 1).all())


def test_about_as_many_points_of_each_cell_judge():
    for most in (400, 3200):
        share = float(judges_of(100_000, most, 0, torch.device("cpu")).double().mean())
        assert abs(0.5 * most * share - JUDGES) < 1.0
