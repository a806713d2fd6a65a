"""The compiled loop that makes and solves cells' systems, beside the batches of them."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from references import kernel_matrix
from shapes import torus
from test_left_out import problem_of

from neural_splines.cells import models
from neural_splines.cells.batches import Batch, Smoothing
from neural_splines.cells.fused import Systems, applies
from neural_splines.cells.fused_numba import _lower_median
from neural_splines.cells.left_out import Judges, LeftOut
from neural_splines.cells.ties import Ties
from neural_splines.runtime.monitor import Silent

# Larger ridges than clouds ask for: with small ones rounding moves a solution by more than an error would.
SMOOTHINGS = [Smoothing(1e-3, gradient_length=0.2), Smoothing(1e-3, robust_passes=3, gradient_length=0.05)]


@dataclass(frozen=True)
class Plane:
    """f = z - height: a coarser field that is far from the points."""

    height: float

    def gradient(self, x):
        return x[:, 2] - self.height, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(len(x), 3)


@pytest.fixture(scope="module", params=[None, 0.4, -0.1], ids=["free", "far", "near"])
def problem(request):
    """Of a torus; the plane makes sheets of some cells' solutions where it is near."""
    found = problem_of(torus(700), True)
    ties = None if request.param is None else Ties(Plane(request.param), fill=False)
    return replace(found, ties=ties, judges=None)


def made(problem):
    cell = torch.arange(len(problem.cells))
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(len(cell), problem.centers.count, generator=generator, dtype=torch.float64)
    return Systems.of(problem, cell, draws), Batch.make(problem, cell, draws)


@pytest.mark.parametrize("smoothing", SMOOTHINGS, ids=str)
def test_the_loop_finds_what_batches_find(problem, smoothing):
    systems, batch = made(problem)
    assert torch.equal(systems.centers, batch.centers)
    solution, jitter = systems.solve(problem, smoothing)
    expected = batch.solved(smoothing)
    assert float(jitter.maximum(expected.jitter).max()) <= 1e-12  # which of them rounding decides
    off = (batch.K @ (solution - expected.solution)[:, :, None])[:, :, 0]
    assert float(off.abs().max()) < 1e-6  # slopes are near 1
    slot = torch.arange(solution.shape[1])
    assert not bool(solution[slot >= systems.columns[:, None]].any())


@pytest.mark.parametrize("smoothing", SMOOTHINGS, ids=str)
def test_the_loop_leaves_out_what_batches_leave_out(problem, smoothing):
    judged = replace(problem, judges=torch.arange(len(problem.cloud)) % 7 == 0)
    systems, batch = made(judged)
    cell = torch.arange(len(judged.cells))
    judges = Judges.of(judged, cell)
    found = LeftOut.by_slopes(judged, cell, judges, systems.solve_and_judge(judged, smoothing, judges)[2])
    expected = LeftOut.of(judged, batch, batch.solved(smoothing))
    assert len(found.point) > 100
    assert torch.equal(found.point, expected.point)
    assert torch.equal(found.cell, expected.cell)
    assert torch.allclose(found.value, expected.value, rtol=0.0, atol=1e-6)
    assert torch.allclose(found.slope, expected.slope, rtol=0.0, atol=1e-5)


def test_some_cells_are_solved_as_all_are(problem):
    """To the bit, whatever stands beside them; only what was tied tightly differs from what was not."""
    systems, _ = made(problem)
    whole, _ = systems.solve(problem, SMOOTHINGS[0])
    some = torch.tensor([5, 2])
    assert torch.equal(systems.subset(some).solve(problem, SMOOTHINGS[0])[0], whole[some])


def test_a_cell_is_ridge_regression():
    """Against numpy's least squares of one cell, of values and slopes by differences."""
    problem = replace(problem_of(torus(700), True), judges=None)
    systems, _ = made(problem)
    smoothing, c, step = SMOOTHINGS[0], 3, 1e-4
    n, m = int(systems.counts[c]), int(systems.columns[c])
    x, normals, centers = systems.x[c, :n].numpy(), systems.normals[c, :n].numpy(), systems.centers[c, :m].numpy()
    value = lambda at: kernel_matrix("neural-spline", at, centers, 0.0)  # noqa: E731
    slopes = [(value(x + step * axis) - value(x - step * axis)) / (2 * step) for axis in np.eye(3)]
    K = np.concatenate([value(x), *slopes])
    y = np.concatenate([np.zeros(n), *normals.T])
    W = np.concatenate([np.ones(n), np.full(3 * n, smoothing.normal_weight)]) / (4 * n)
    A = K.T @ (W[:, None] * K) + smoothing.regularization * value(centers)
    expected = value(x) @ np.linalg.solve(A, K.T @ (W * y))
    found = value(x) @ systems.solve(problem, smoothing)[0][c, :m].numpy()
    assert np.abs(found - expected).max() < 1e-5


def test_a_system_without_a_factor_is_told_and_raised(monkeypatch):
    problem = replace(problem_of(torus(700), True), judges=None)
    systems, _ = made(problem)
    judged = replace(problem, judges=torch.ones(len(problem.cloud), dtype=torch.bool))
    judges = Judges.of(judged, torch.arange(len(problem.cells)))
    _, jitter, unseen = systems.solve_and_judge(judged, Smoothing(-1.0, gradient_length=0.2), judges)
    assert bool(jitter.isnan().all())
    assert bool(unseen.isnan().all())  # and nothing of the cell before
    real = Systems.solve_and_judge

    def failing(self, problem, smoothing, judges):
        solution, jitter, unseen = real(self, problem, smoothing, judges)
        if smoothing.regularization < 1e-2:
            jitter = jitter.masked_fill(self.cell == 4, torch.nan)
        return solution, jitter, unseen

    monkeypatch.setattr(Systems, "solve_and_judge", failing)
    found = models.fit_cells(problem, SMOOTHINGS[0], Silent())
    assert found.retried == 1
    assert found.attempts.nonzero().tolist() == [[4]]


def test_which_problems_are_for_the_loop():
    problem = problem_of(torus(700), True)
    assert applies(problem)
    assert not applies(problem_of(torus(700), False))
    assert not applies(replace(problem, compute=replace(problem.compute, dtype=torch.float32)))


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_the_lower_median(count):
    values = np.random.default_rng(count).integers(0, 20, count).astype(float)
    assert _lower_median(values.copy()) == np.sort(values)[(count - 1) // 2]
