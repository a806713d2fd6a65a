"""Nyström centres against slow twins: farthest points by all distances, means by a loop, samples by counting."""

import numpy as np
import pytest
import torch
from shapes import torus

from neural_splines.cells.background import fit_background
from neural_splines.errors import SettingsError
from neural_splines.kernels.kernels import make_kernel
from neural_splines.kernels.products import resolve
from neural_splines.spline.farthest import BUCKET, sample
from neural_splines.spline.nystrom import KMEANS_ITERATIONS, choose_centers, enough_centers, farthest_points
from neural_splines.spline.solvers.falkon import Falkon


def cloud(kind: str, n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(n)
    points = torch.rand(n, 3, generator=generator, dtype=torch.float64)
    if kind == "sphere":
        points = torch.nn.functional.normalize(points - 0.5, dim=1)
    elif kind == "clusters":
        points = 1e-3 * points + (torch.arange(n) % 4)[:, None]
    elif kind == "flat":
        points[:, 2] = 0.25
    return points


def farthest_by_all_distances(points: np.ndarray, count: int, first: int) -> list[int]:
    chosen, nearest = [first], np.full(len(points), np.inf)
    while len(chosen) < count:
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2 @ np.ones(3)))
        chosen.append(int(nearest.argmax()))
    return chosen


def separation(points: torch.Tensor) -> float:
    """The smallest distance between two of some points."""
    distance = torch.cdist(points, points)
    return float(distance.fill_diagonal_(torch.inf).min())


@pytest.mark.parametrize("kind", ["cube", "sphere", "clusters", "flat"])
@pytest.mark.parametrize(("n", "count"), [(2, 1), (BUCKET, 20), (BUCKET + 1, BUCKET + 1), (700, 90)])
def test_farthest_points_are_those_of_all_distances(kind, n, count):
    """In the same order, from the same start: the start is the one number that is drawn."""
    points = cloud(kind, n)
    found = farthest_points(points, count, torch.Generator().manual_seed(3))
    first = int(torch.randint(n, (1,), generator=torch.Generator().manual_seed(3)))
    assert found.tolist() == farthest_by_all_distances(points.numpy(), count, first)


def test_buckets_in_any_order_give_the_same_points():
    """The space-filling curve makes it fast; the result does not depend on it."""
    points = cloud("cube", 500)
    shuffled = torch.randperm(500, generator=torch.Generator().manual_seed(1))
    found = sample(points[shuffled].numpy(), 60, 0)
    assert shuffled[torch.from_numpy(found)].tolist() == farthest_by_all_distances(points.numpy(), 60, int(shuffled[0]))


def test_blue_noise_is_spread_evenly_and_a_random_sample_is_not():
    """The two closest of 100 blue-noise centres lie 10 times as far apart as those of a random sample."""
    points = cloud("cube", 3000)
    blue, random = (choose_centers(points, 100, mode, torch.Generator().manual_seed(0)) for mode in
                    ("blue-noise", "random"))  # fmt: skip
    assert separation(blue) > 5 * separation(random)
    farthest = torch.cdist(points, blue).amin(1).max()
    assert farthest <= separation(blue)  # else that point would have been chosen


@pytest.mark.parametrize("mode", ["random", "blue-noise"])
def test_centres_are_distinct_points_of_the_cloud(mode):
    points = cloud("sphere", 400)
    centers = choose_centers(points, 150, mode, torch.Generator().manual_seed(0))
    index = torch.cdist(centers, points).argmin(1)
    assert torch.equal(points[index], centers)
    assert len(torch.unique(index)) == 150


def test_every_point_is_as_likely_in_a_random_sample():
    """400 samples of 10 of 40: 100 times each is expected, with a standard deviation of 8.7."""
    points, generator = torch.arange(40.0, dtype=torch.float64)[:, None].expand(-1, 3), torch.Generator().manual_seed(0)
    drawn = torch.cat([choose_centers(points, 10, "random", generator)[:, 0] for _ in range(400)])
    counts = torch.bincount(drawn.long(), minlength=40)
    assert counts.sum() == 4000
    assert ((counts - 100).abs() < 5 * 8.7).all()


def test_means_are_those_of_a_loop():
    """Lloyd's iteration from the same start; a mean without a point keeps its place."""
    points = cloud("clusters", 300)
    found = choose_centers(points, 12, "k-means", torch.Generator().manual_seed(5))
    first = int(torch.randint(300, (1,), generator=torch.Generator().manual_seed(5)))
    x = points.numpy()
    means = x[farthest_by_all_distances(x, 12, first)]
    for _ in range(KMEANS_ITERATIONS):
        nearest = ((x[:, None] - means[None]) ** 2).sum(2).argmin(1)
        means = np.array([x[nearest == k].mean(0) if (nearest == k).any() else means[k] for k in range(12)])
    assert np.abs(found.numpy() - means).max() < 1e-12


@pytest.mark.parametrize("mode", ["random", "blue-noise", "k-means"])
@pytest.mark.parametrize("count", [50, 51, 10**9])
def test_all_points_are_centres_where_so_many_are_asked_for(mode, count):
    points = cloud("cube", 50)
    assert torch.equal(choose_centers(points, count, mode, torch.Generator()), points)


@pytest.mark.parametrize("mode", ["random", "blue-noise", "k-means"])
def test_the_same_seed_chooses_the_same_centres_and_another_others(mode):
    points = cloud("cube", 200)
    one, again, other = (choose_centers(points, 20, mode, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_an_unknown_mode_is_refused():
    with pytest.raises(SettingsError, match="random, blue-noise or k-means"):
        choose_centers(cloud("cube", 50), 10, "grid", torch.Generator())


def test_the_background_of_a_small_cloud_has_the_centres_that_its_constraints_need(generator):
    """30 sqrt(3 n), not the 3000 of a large one, whose factors would take most of a small run's time."""
    ring, compute = torus(700), resolve("cpu")
    solver = Falkon(1e-9, 5, 1e-3)
    field = fit_background(ring, 3.0, make_kernel("neural-spline", 1.0), solver, compute, generator)
    assert len(field.centers) == 1375
    assert enough_centers(100) == 100
