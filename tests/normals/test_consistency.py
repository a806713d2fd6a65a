"""Normals that contradict themselves, whole patches or at random, are named with their share; others are not."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from shapes import hemisphere, knot, sphere, torus

from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.cloud.degeneracy import NOT_PERPENDICULAR, unusable
from neural_splines.normals.checks import contradictions


def box(n, *sides, seed=0) -> OrientedCloud:
    """Area-uniform points of a box with sharp edges."""
    rng, sides = np.random.default_rng(seed), np.array(sides)
    areas = np.repeat(sides.prod() / sides, 2)
    face = rng.choice(6, n, p=areas / areas.sum())
    axis, top = face // 2, face % 2
    points, normals = rng.random((n, 3)) * sides, np.zeros((n, 3))
    points[np.arange(n), axis] = top * sides[axis]
    normals[np.arange(n), axis] = 2.0 * top - 1.0
    return cloud(points, normals)


def cloud(points, normals) -> OrientedCloud:
    return OrientedCloud(torch.as_tensor(points), torch.as_tensor(normals))


def noisy(shape: OrientedCloud, sigma: float) -> OrientedCloud:
    """With that noise, in parts of the diagonal."""
    generator = torch.Generator().manual_seed(1)
    offsets = torch.randn(shape.points.shape, generator=generator, dtype=torch.float64)
    return OrientedCloud(shape.points + sigma * shape.box.diagonal * offsets, shape.normals)


def room(n=4000) -> OrientedCloud:
    """Seen from within, without a ceiling."""
    walls = box(n, 5.0, 3.0, 2.5)
    there = walls.points[:, 2] < 2.5
    return OrientedCloud(walls.points[there], -walls.normals[there])


def sheet(n=1500) -> OrientedCloud:
    generator = torch.Generator().manual_seed(4)
    points = torch.rand(n, 3, generator=generator, dtype=torch.float64) * torch.tensor([1.0, 1.0, 0.0])
    return OrientedCloud(points, torch.eye(3, dtype=torch.float64)[2].expand(n, 3))


def said(shape: OrientedCloud) -> list[str]:
    return contradictions(shape, shape.normals.numpy())


def mixed(shape: OrientedCloud) -> float:
    """The share of the normals that are named as opposite to those around them."""
    (line,) = said(shape)
    return int(re.fullmatch(r"the signs of normals are mixed: about (\d+)% are .*; use --normals estimate .*", line)[1])


CLOSED = {
    "sphere": sphere(2000),
    "torus": torus(3000),
    "knot": knot(3000),
    "cube": box(3000, 1.0, 1.0, 1.0),
    "plate": box(4000, 1.0, 0.8, 0.06),  # two spacings thick
    "noisy torus": noisy(torus(3000), 0.005),
}


@pytest.mark.parametrize("shape", CLOSED.values(), ids=CLOSED)
@pytest.mark.parametrize("share", [0.03, 0.1, 0.5])
def test_a_patch_that_is_turned_round_is_named_with_its_share(shape, share):
    for place in (0, len(shape) // 2):
        distance = (shape.points - shape.points[place]).norm(dim=1)
        patch = distance <= distance.quantile(share)
        turned = OrientedCloud(shape.points, torch.where(patch[:, None], -shape.normals, shape.normals))
        assert mixed(turned) == pytest.approx(100 * share, abs=2)


@pytest.mark.parametrize("shape", CLOSED.values(), ids=CLOSED)
def test_normals_turned_one_by_one_are_named_with_their_share(shape):
    for share in (0.05, 0.3):
        chosen = torch.rand(len(shape), generator=torch.Generator().manual_seed(2)) < share
        turned = OrientedCloud(shape.points, torch.where(chosen[:, None], -shape.normals, shape.normals))
        assert mixed(turned) == pytest.approx(100 * share, abs=2)


@pytest.mark.parametrize("shape", CLOSED.values(), ids=CLOSED)
def test_all_normals_on_one_side_are_named(shape):
    up = torch.where(shape.normals[:, 2:] < 0.0, -shape.normals, shape.normals)
    assert mixed(OrientedCloud(shape.points, up)) > 10


@pytest.mark.parametrize("name", ["sphere", "torus", "knot", "cube"])
def test_normals_that_are_all_the_same_are_named(name):
    shape = CLOSED[name]
    up = torch.zeros_like(shape.normals)
    up[:, 2] = 1.0
    (line,) = said(OrientedCloud(shape.points, up))
    if unusable(OrientedCloud(shape.points, up)):
        assert line == NOT_PERPENDICULAR
    else:
        assert int(re.match(r"(\d+)% of the normals are not perpendicular to the surface", line)[1]) > 15


@pytest.mark.parametrize("shape", CLOSED.values(), ids=CLOSED)
def test_random_normals_are_named(shape):
    normals = torch.randn(shape.normals.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    assert mixed(OrientedCloud(shape.points, normals / normals.norm(dim=1, keepdim=True))) > 40


FINE = {
    **CLOSED,
    "hemisphere": hemisphere(1500),
    "sheet": sheet(),
    "room": room(),
    "rod": box(3000, 5.0, 0.1, 0.1),
    "plate of one spacing": box(4000, 1.0, 0.8, 0.03),
    "plate of a quarter": box(4000, 1.0, 0.8, 0.007),
    "noisy knot": noisy(knot(4000), 0.01),
    "noisy cube": noisy(CLOSED["cube"], 0.01),
}


@pytest.mark.parametrize("shape", FINE.values(), ids=FINE)
def test_normals_that_are_right_are_not_named(shape):
    assert said(shape) == []
