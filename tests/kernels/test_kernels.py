"""Laws of the kernels and of their polynomials."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import kernel_value

from neural_splines.errors import SettingsError
from neural_splines.geometry import lift
from neural_splines.kernels.kernels import KERNELS, TOLERANCE, Z_LADDER, make_kernel

ALL = pytest.mark.parametrize("name", KERNELS)


def points(n, seed=0, scale=1.0):
    return scale * (torch.rand(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.5)


@ALL
@pytest.mark.parametrize("variance", [0.0, 1e-3, 1.0, 10.0])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_polynomials_meet_their_tolerance_on_the_whole_domain(name, variance, dtype):
    for z_max in Z_LADDER:
        radius = math.tan(math.asin(math.sqrt(z_max - 1e-9)))
        kernel = make_kernel(name, variance).covering(radius, radius)
        assert kernel.z_max == z_max
        p = kernel.polynomials(dtype)
        z = torch.linspace(0.0, z_max, 20_001, dtype=torch.float64)
        a, b = (torch.from_numpy(np.polyval(c[::-1], (z - p.shift).numpy())) for c in (p.a, p.b))
        exact = kernel.phi(z.sqrt())
        assert (a + z.sqrt() * b - exact).abs().max() <= TOLERANCE[dtype] * exact.max()


@pytest.mark.parametrize(("dtype", "least"), [(torch.float64, 15), (torch.float32, 7)], ids=str)
def test_the_polynomial_of_the_default_kernel_is_as_short_as_its_tolerance_allows(dtype, least):
    """Every coefficient is an operation a pair. Reweighted least squares finds no shorter one."""
    p = make_kernel("neural-spline", 1.0).polynomials(dtype)
    assert (len(p.a), len(p.b)) == (2, least)


@ALL
def test_formula_is_stable_for_neighbours(name):
    """1e-9 apart: an arccos of the dot product would return the angle 0 (or 1e-8); the formula keeps 7 digits."""
    x = torch.tensor([[0.3, -0.2, 0.1]], dtype=torch.float64)
    y = x + torch.tensor([[1e-9, 0.0, 0.0]], dtype=torch.float64)
    (u, _), (v, _) = lift(x), lift(y)
    X, Y = np.append(x.numpy(), 1.0), np.append(y.numpy(), 1.0)
    sine = np.linalg.norm(np.outer(X, Y) - np.outer(Y, X)) / math.sqrt(2) / np.linalg.norm(X) / np.linalg.norm(Y)
    assert float((u - v).norm()) == pytest.approx(0.5 * sine, rel=1e-6)
    exact = kernel_value(name, x[0].numpy(), y[0].numpy())
    assert float(make_kernel(name, 1.0)(x, y)) == pytest.approx(exact, rel=1e-14)


@ALL
def test_gram_matrix_is_symmetric_and_positive(name):
    x = points(60)
    K = make_kernel(name, 1.0)(x, x)
    assert torch.equal(K, K.T)
    assert torch.linalg.eigvalsh(K).min() > -1e-12 * len(x)


@ALL
@given(
    scale=st.floats(0.1, 8.0),
    x=st.tuples(*[st.floats(-0.8, 0.8)] * 3),
    y=st.tuples(*[st.floats(-0.8, 0.8)] * 3),
)
@settings(max_examples=60, deadline=None)
def test_homogeneity_in_the_lifted_point(name, scale, x, y):
    """k(aX, Y) = a^p k(X, Y): degree one, or zero for linear-angle."""
    kernel = make_kernel(name, 1.0)
    X, Y = np.append(np.asarray(x), 1.0), np.append(np.asarray(y), 1.0)

    def k(X, Y):
        nx, ny = np.linalg.norm(X), np.linalg.norm(Y)
        s = torch.tensor(0.5 * np.linalg.norm(X / nx - Y / ny), dtype=torch.float64)
        return (nx * ny) ** kernel.homogeneity * float(kernel.phi(s))

    assert k(scale * X, Y) == pytest.approx(scale**kernel.homogeneity * k(X, Y), rel=1e-12)
    found = kernel(torch.tensor([x], dtype=torch.float64), torch.tensor([y], dtype=torch.float64))
    assert float(found) == pytest.approx(k(X, Y), rel=1e-12, abs=1e-14)


def test_neural_spline_kernel_is_the_mean_of_relu_features():
    """E[relu(w.X) relu(w.Y)] for normal w is |X||Y| (sin t + (pi - t) cos t) / 2 pi: variance 0, halved."""
    g = torch.Generator().manual_seed(3)
    x, y = points(1, 1), points(1, 2)
    X, Y = (torch.cat([p, torch.ones(1, 1, dtype=p.dtype)], 1)[0] for p in (x, y))
    w = torch.randn(400_000, 4, generator=g, dtype=torch.float64)
    features = 2.0 * (w @ X).clamp_min(0) * (w @ Y).clamp_min(0)
    standard_error = float(features.std()) / math.sqrt(len(w))
    assert abs(float(features.mean()) - float(make_kernel("neural-spline", 0.0)(x, y))) < 4 * standard_error


def test_points_too_far_out_are_refused():
    with pytest.raises(SettingsError, match="too far"):
        make_kernel("neural-spline", 1.0).covering(50.0, 50.0)
