"""Second derivatives and curvatures, beside autograd, differences of gradients, and surfaces that are known."""

import pytest
import torch
from shapes import sphere, torus

import neural_splines as ns
from neural_splines.kernels.kernels import make_kernel
from neural_splines.kernels.products import Segments
from neural_splines.kernels.second import curvatures, hessian

KERNEL = make_kernel("neural-spline", 0.0)


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_is_the_derivative_of_the_formula():
    x, y, w = 0.3 * numbers(5, 3), 0.3 * numbers(7, 3, seed=1), numbers(7, seed=2)
    expected = [torch.autograd.functional.hessian(lambda p: (KERNEL(p[None], y) @ w)[0], q) for q in x]
    assert torch.allclose(hessian(KERNEL, x, y, w), torch.stack(expected), atol=1e-12)


def test_segments_meet_their_own_columns():
    x, y, w = 0.3 * numbers(6, 3), 0.3 * numbers(9, 3, seed=1), numbers(9, seed=2)
    found = hessian(KERNEL, x, y, w, Segments(torch.tensor([0, 4, 4, 6]), torch.tensor([0, 5, 7, 9])))
    assert torch.allclose(found[:4], hessian(KERNEL, x[:4], y[:5], w[:5]), atol=1e-12)
    assert torch.allclose(found[4:], hessian(KERNEL, x[4:], y[7:], w[7:]), atol=1e-12)


def test_it_is_zero_where_a_point_meets_its_centre():
    x = 0.3 * numbers(4, 3)
    assert float(hessian(KERNEL, x[:1], x[:1], torch.ones(1)).abs().max()) < 1e-6


@pytest.mark.parametrize(
    ("name", "variance"), [("neural-spline", 1.0), ("spherical-laplace", 0.0), ("linear-angle", 0.0)]
)
def test_kernels_with_kinks_have_none(name, variance):
    with pytest.raises(ns.SettingsError, match="curvature asks second derivatives"):
        hessian(make_kernel(name, variance), numbers(2, 3), numbers(2, 3), numbers(2))


def test_curvatures_of_level_sets_that_are_known():
    """f = |x|^2 has spheres; f = x^2 + y^2 cylinders; x y saddles at the origin's axis."""
    x = numbers(50, 3)
    mean, gauss = curvatures(2 * x, 2 * torch.eye(3, dtype=torch.float64).expand(50, 3, 3))
    r = x.norm(dim=1)
    assert torch.allclose(mean, 1 / r)
    assert torch.allclose(gauss, 1 / r**2)
    flat = torch.diag(torch.tensor([2.0, 2.0, 0.0], dtype=torch.float64)).expand(50, 3, 3)
    mean, gauss = curvatures(2 * x * torch.tensor([1.0, 1.0, 0.0]), flat)
    assert torch.allclose(mean, 0.5 / x[:, :2].norm(dim=1))
    assert float(gauss.abs().max()) < 1e-12
    saddle = torch.zeros(1, 3, 3, dtype=torch.float64)  # z - x y at the origin
    saddle[0, 0, 1] = saddle[0, 1, 0] = -1.0
    mean, gauss = curvatures(torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64), saddle)
    assert float(mean) == 0.0
    assert float(gauss) == pytest.approx(-1.0)


@pytest.mark.parametrize("fill", [False, True])
def test_the_hessian_of_a_blend_is_the_derivative_of_its_gradient(fill):
    cloud = torus(600)
    field = ns.fit_cells(cloud.points, cloud.normals, regularization=1e-6, gradient_length=0.2, fill_holes=fill)
    x = cloud.points[::11] + 0.01 * numbers(len(cloud.points[::11]), 3)
    second, step = field.hessian(x), 1e-6
    assert torch.allclose(second, second.mT, atol=1e-9)
    for axis in range(3):
        way = torch.zeros(3, dtype=torch.float64)
        way[axis] = step
        expected = (field.gradient(x + way)[1] - field.gradient(x - way)[1]) / (2 * step)
        wrong = (second[:, axis] - expected).norm(dim=1)
        assert float(wrong.quantile(0.95)) < 1e-4 * float(second.norm(dim=(1, 2)).median())


def test_one_spline_has_it_too():
    cloud = sphere(300)
    field = ns.fit(cloud.points, cloud.normals, outer_layer_variance=0.0)
    x = cloud.points[::9].numpy()
    mean, gauss = curvatures(torch.as_tensor(field.gradient(x)[1]), torch.as_tensor(field.hessian(x)))
    assert float((mean - 1).abs().median()) < 0.02
    assert float((gauss - 1).abs().median()) < 0.04


def test_the_curvature_of_a_torus():
    cloud = torus(6000)
    field = ns.fit_cells(cloud.points, cloud.normals, regularization=1e-9, gradient_length=0.2)
    p = torus(500, seed=5).points
    ring = p[:, :2].norm(dim=1)
    cosine = (ring - 1.0) / 0.4
    mean, gauss = curvatures(field.gradient(p)[1], field.hessian(p))
    assert float((mean / (0.5 * (1 / 0.4 + cosine / ring)) - 1).abs().median()) < 0.04
    assert float((gauss - cosine / (0.4 * ring)).abs().median()) < 0.2
