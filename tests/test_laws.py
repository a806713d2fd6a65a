"""Laws of the whole: what must not matter to a mesh does not, and what must turn it over does."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapes import torus, volume

from neural_splines.cloud.clouds import OrientedCloud, clean
from neural_splines.run.whole import mesh_cloud
from neural_splines.settings import CellSettings, Settings

KINDS = {"spline": None, "adaptive cells": CellSettings(cells_per_axis="auto"), "cells": CellSettings(cells_per_axis=2)}
SEEDS = st.integers(0, 2**31)
FEW = settings(
    max_examples=2, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TORUS = torus(250)


def mesh(points, normals, kind, eps=0.05):
    """All constraints are centres, so that no choice depends on the order; smoothing is fixed."""
    cloud, _ = clean(points, normals, "cloud")
    chosen = Settings(eps=eps, num_nystrom_samples=-1, grid_size=12, cells=KINDS[kind], regularization=1e-6,
                      trim="none", outer_layer_variance=1.0,
                      cg_max_iters=100, cg_stop_thresh=1e-12, device="cpu")  # fmt: skip
    return mesh_cloud(cloud, chosen).mesh


def shuffled(seed: int, count: int) -> torch.Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
@FEW
@given(seed=SEEDS)
def test_the_order_of_the_points_does_not_matter(kind, seed):
    """The same sums in another order, solved with a condition number of about 1e8: within 1e-5 of the size."""
    order = shuffled(seed, len(TORUS))
    one, other = (mesh(points, normals, kind) for points, normals in (
        (TORUS.points, TORUS.normals), (TORUS.points[order], TORUS.normals[order])))  # fmt: skip
    assert torch.equal(one.faces, other.faces)
    assert (one.vertices - other.vertices).abs().max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
@FEW
@given(seed=SEEDS, copies=st.integers(1, 250))
def test_repeated_points_change_nothing(kind, seed, copies):
    again = shuffled(seed, len(TORUS))[:copies]
    points, normals = (torch.cat([t, t[again]]) for t in (TORUS.points, TORUS.normals))
    one, other = mesh(TORUS.points, TORUS.normals, kind), mesh(points, normals, kind)
    assert torch.equal(one.faces, other.faces)
    assert torch.equal(one.vertices, other.vertices)


@pytest.mark.parametrize("kind", KINDS)
@FEW
@given(eps=st.floats(0.02, 0.1))
def test_flipped_normals_flip_the_mesh(kind, eps):
    """The same vertices, inside out; only ambiguous cubes are triangulated otherwise.

    What is outside comes before what is inside: coarse cells, which have few of them, take other centres.
    """
    one, other = mesh(TORUS.points, TORUS.normals, kind, eps), mesh(TORUS.points, -TORUS.normals, kind, eps)
    assert volume(one.vertices, one.faces) == pytest.approx(-volume(other.vertices, other.faces), rel=1e-2)
    near = 1e-3 if kind == "adaptive cells" else 1e-5
    assert torch.cdist(one.vertices, other.vertices).amin(1).max() < near
    assert (one.normals.mean(0) + other.normals.mean(0)).abs().max() < 10 * near


@FEW
@given(
    factor=st.floats(1e-6, 1e6),
    shift=st.tuples(*[st.floats(-1e3, 1e3)] * 3),
    kind=st.sampled_from(list(KINDS)),
)
def test_scale_and_shift_carry_over(factor, shift, kind):
    """Shifts up to a thousand times the size, in double: ten digits are left, of which the solution loses some."""
    shift = torch.tensor(shift, dtype=torch.float64)
    one = mesh(TORUS.points, TORUS.normals, kind)
    moved = OrientedCloud(factor * (TORUS.points + shift), TORUS.normals)
    other = mesh(moved.points, moved.normals, kind, 0.05 * factor)
    assert len(one.faces) == len(other.faces)
    assert torch.cdist(other.vertices / factor - shift, one.vertices).amin(1).max() < 1e-5
