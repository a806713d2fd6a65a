"""What cells predict at points that they have not seen, beside fits without these points."""

from dataclasses import replace

import pytest
import torch
from shapes import torus
from test_cells import KERNEL, cells_of

from neural_splines.cells.batches import Batch, Smoothing
from neural_splines.cells.left_out import LeftOut, blended
from neural_splines.cells.members import Members
from neural_splines.cells.problem import FitProblem
from neural_splines.kernels.kernels import make_kernel
from neural_splines.kernels.products import resolve
from neural_splines.spline.fitting import Centers

CPU = resolve("cpu")


def problem_of(cloud, gradients) -> FitProblem:
    cells = cells_of(cloud, "adaptive")
    kernel = make_kernel("neural-spline", 0.0).covering(1.6, 1.6) if gradients else KERNEL
    generator = torch.Generator().manual_seed(0)
    members = Members.of(cells, cloud.points)
    problem = FitProblem(cloud, cells, members, kernel, CPU, 0.02, Centers(40, "blue-noise"), generator, gradients)
    judges = torch.zeros(len(cloud), dtype=torch.bool)
    judges[::7] = True
    return replace(problem, judges=judges)


@pytest.mark.parametrize("gradients", [True, False])
def test_the_formula_is_the_fit_without_the_point(gradients):
    """With the same centres, and the same divisor of the weights."""
    cloud = torus(700)
    problem, smoothing = problem_of(cloud, gradients), Smoothing(1e-5, gradient_length=0.2 if gradients else 0.0)
    cell = torch.tensor([1])
    batch = Batch.make(problem, cell, torch.full((len(problem.cells), 40), 0.5, dtype=torch.float64))
    found = LeftOut.of(problem, batch, batch.solved(smoothing))
    assert len(found.point) > 3
    members = problem.members.point[problem.members.starts[1] :][: int(problem.members.counts[1])]
    K, y, width = batch.K[0], batch.y[0], batch.width
    weights = batch.base_weights(smoothing.normal_weight)[0]
    scale = problem.cells.scales[1]
    for k, point in enumerate(found.point.tolist()):
        place = int((members == point).nonzero())
        rows = torch.arange(len(y))
        keep = (rows // width != place) & (weights > 0)
        W = weights[keep]
        A = K[keep].T @ (W[:, None] * K[keep]) + smoothing.regularization * batch.gram_centers[0]
        a = torch.linalg.solve(A, K[keep].T @ (W * y[keep]))
        predicted = K[place * width : place * width + width] @ a
        assert float(found.value[k]) == pytest.approx(float(predicted[0] / scale), abs=1e-7)
        if gradients:
            assert torch.allclose(found.slope[k], predicted[1:], atol=1e-5)


def test_the_blend_of_predictions_has_the_weights_of_the_cells():
    cloud = torus(700)
    cells = cells_of(cloud, "adaptive")
    point, cell = cells.members(cloud.points)
    value = torch.randn(len(point), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    slope = torch.stack([value, 2 * value, -value], 1)
    which, mean, tilt = blended(LeftOut(cell, point, value, slope), cells, cloud.points)
    assert which.tolist() == list(range(700))
    for i in (0, 350, 699):
        mine = point == i
        w = cells.weights(cloud.points[point[mine]], cell[mine])
        assert float(mean[i]) == pytest.approx(float((w * value[mine]).sum() / w.sum()), rel=1e-12)
    assert torch.allclose(tilt, torch.stack([mean, 2 * mean, -mean], 1))


def test_the_order_of_the_pairs_does_not_matter():
    """To the bit: threads hand them over as they finish."""
    cloud = torus(700)
    cells, generator = cells_of(cloud, "adaptive", 1.0), torch.Generator().manual_seed(0)
    point, cell = cells.members(cloud.points)
    value = torch.randn(len(point), generator=generator, dtype=torch.float64)
    slope = torch.randn(len(point), 3, generator=generator, dtype=torch.float64)
    mixed = torch.randperm(len(point), generator=generator)
    one = blended(LeftOut(cell, point, value, slope), cells, cloud.points)
    other = blended(LeftOut(cell[mixed], point[mixed], value[mixed], slope[mixed]), cells, cloud.points)
    assert all(map(torch.equal, one, other))
