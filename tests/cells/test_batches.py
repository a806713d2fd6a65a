"""The system of each cell against a slow twin: numpy, one cell at a time, without padding and without batches."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from references import kernel_matrix
from test_several_devices import ONE, problem_on

from neural_splines.cells.batches import Batch, Grams, Smoothing
from neural_splines.cells.problem import LARGEST_EPS

SMOOTHINGS = [Smoothing(1e-5), Smoothing(1e-4, 0.2), Smoothing(1e-4, 0.1, 1), Smoothing(1e-4, 1.0, 3)]


@pytest.fixture(scope="module")
def problem():
    return problem_on((ONE,))


@pytest.fixture(scope="module")
def batch(problem) -> Batch:
    """Six cells from the smallest to the largest: rows and columns are padded."""
    order = problem.members.counts.argsort()
    cells = order[torch.linspace(0, len(order) - 1, 6).long()]
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(len(problem.cells), problem.centers.count, generator=generator, dtype=torch.float64)
    made = Batch.make(problem, cells, draws)
    assert len(set(made.rows.tolist())) > 1
    return made


def constraints(problem, c: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions [3n, 3] and values [3n] of a cell in its model space, point by point: surface, outside, inside."""
    members, cells = problem.members, problem.cells
    index = members.point[members.starts[c] : members.starts[c] + members.counts[c]]
    scale, center = float(cells.scales[c]), cells.centers[c].numpy()
    eps = min(problem.eps * scale, LARGEST_EPS)
    positions, values = [], []
    for x, n in zip(problem.cloud.points[index].numpy(), problem.cloud.normals[index].numpy(), strict=True):
        for side in (0.0, 1.0, -1.0):
            positions.append((x - center) * scale + side * eps * n)
            values.append(side * eps)
    return np.array(positions), np.array(values)


@pytest.fixture(scope="module")
def systems(problem, batch) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """K, K_mm and y of each cell."""
    found = []
    for b, c in enumerate(batch.cell.tolist()):
        x, y = constraints(problem, c)
        centers = batch.centers[b, : int(batch.columns[b])].numpy()
        found.append((kernel_matrix("neural-spline", x, centers), kernel_matrix("neural-spline", centers, centers), y))
    return found


def solved(K, gram, y, smoothing: Smoothing) -> np.ndarray:
    """argmin_a sum_i w_i (K a - y)_i^2 / rows + regularization a' K_mm a, reweighted by Huber's weights."""
    surface = np.arange(len(y)) % 3 == 0
    base = np.where(surface, 1.0, smoothing.offset_weight) / len(y)
    weights = base
    for remaining in range(smoothing.robust_passes, -1, -1):
        A = K.T @ (weights[:, None] * K) + smoothing.regularization * gram
        a = np.linalg.lstsq(A, K.T @ (weights * y), rcond=1e-14)[0]  # two centres may be one point
        residual = np.abs(K @ a - y)
        sigma = np.sort(residual[surface])[(surface.sum() - 1) // 2] / 0.6745  # the lower median, as torch's
        weights = base * np.minimum(1.0, 1.5 * sigma / residual) if remaining else weights
    return a


def test_constraints_and_centres_are_those_of_the_cell(problem, batch):
    for b, c in enumerate(batch.cell.tolist()):
        x, y = constraints(problem, c)
        rows, columns = int(batch.rows[b]), int(batch.columns[b])
        assert rows == len(x)
        assert columns == min(rows, problem.centers.count)
        assert np.allclose(batch.y[b, :rows], y, atol=1e-15)
        centers = batch.centers[b, :columns].numpy()
        nearest = np.linalg.norm(centers[:, None] - x[None], axis=2)
        assert nearest.min(1).max() < 1e-12  # each is a constraint
        assert len(set(nearest.argmin(1))) > 0.7 * columns  # at the ends of two runs one may be chosen twice
        assert np.allclose(batch.K[b, :rows, :columns], kernel_matrix("neural-spline", x, centers), atol=1e-11)
        assert not batch.K[b, :, columns:].any()


@pytest.mark.parametrize("smoothing", SMOOTHINGS, ids=str)
@pytest.mark.parametrize("with_grams", [False, True])
def test_every_system_is_solved_as_if_it_were_alone(batch, systems, smoothing, with_grams):
    solution, jitter = batch.solve(smoothing, Grams.of(batch) if with_grams else None)
    assert (jitter <= 1e-12).all()
    for a, (K, gram, y) in zip(solution.numpy(), systems, strict=True):
        expected = K @ solved(K, gram, y, smoothing)
        assert np.abs(K @ a[: len(gram)] - expected).max() < 1e-6 * np.abs(y).max()
        assert not a[len(gram) :].any()


@pytest.mark.parametrize("smoothing", [s for s in SMOOTHINGS if not s.robust_passes], ids=str)
def test_grams_are_all_that_is_needed_without_robust_passes(batch, smoothing):
    grams, few = Grams.of(batch), batch.without_rows()
    assert few.K.shape[1] == 0
    for found, expected in zip(few.solve(smoothing, grams), batch.solve(smoothing, grams), strict=True):
        assert torch.equal(found, expected)


def test_robust_weights_hold_down_an_outlier(problem, batch):
    """A point moved off the surface by three offsets: with passes, the fit follows it less."""
    y = batch.y.clone()
    y[:, 0:3] += 3 * problem.eps * problem.cells.scales[batch.cell][:, None]
    moved = replace(batch, y=y)
    follow = []
    for passes in (0, 2, 6):
        a, _ = moved.solve(Smoothing(1e-4, 1.0, passes))
        follow.append(((batch.K @ a[:, :, None])[:, :3, 0] - batch.y[:, :3]).abs().mean())
    assert follow[2] < follow[1] < 0.8 * follow[0]
