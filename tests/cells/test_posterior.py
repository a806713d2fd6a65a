"""How far splines of cells may be off, beside dense Gaussian processes in plain NumPy."""

import numpy as np
import pytest
import torch
from references import kernel_gradient, kernel_matrix, kernel_value
from shapes import knot, sphere, torus

import neural_splines as ns
from neural_splines.cells.batches import Smoothing
from neural_splines.cells.members import Members
from neural_splines.cells.models import fit_cells
from neural_splines.cells.partition import uniform_cells
from neural_splines.cells.posterior import SHARED, SMALL, CellPosterior, Posterior, _Data
from neural_splines.cells.problem import FitProblem
from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.kernels.kernels import make_kernel
from neural_splines.kernels.products import resolve
from neural_splines.runtime.monitor import Silent
from neural_splines.spline.fitting import Centers

KERNEL = make_kernel("neural-spline", 0.0).covering(1.6, 1.6)
EPS = 0.05


def noisy(cloud, sigma, seed=0) -> OrientedCloud:
    noise = torch.randn(cloud.points.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return OrientedCloud(cloud.points + sigma * noise, cloud.normals)


def fitted(cloud, smoothing, centers, per_axis=1) -> CellPosterior:
    cells = uniform_cells(cloud.box.scaled(1.1), cloud.sampling, per_axis, 0.25, 0)
    members, generator = Members.of(cells, cloud.points), torch.Generator().manual_seed(0)
    problem = FitProblem(
        cloud, cells, members, KERNEL, resolve("cpu"), EPS, Centers(centers, "blue-noise"), generator,
        smoothing.gradients,
    )  # fmt: skip
    models = fit_cells(problem, smoothing, Silent())
    most = torch.full((len(cells),), 10**6)
    return CellPosterior(cloud, cells, models, most, smoothing, EPS, KERNEL, problem.compute)


def places(seed=1, count=6) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1.2, 1.2, (count, 3))


def K_of(x, y) -> np.ndarray:
    return kernel_matrix("neural-spline", x, y, 0.0)


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_with_all_centres_it_is_the_error_of_a_dense_gaussian_process(weight):
    """A draw of the process with covariance s0^2 k, seen with errors that its three rows share, and smoothed."""
    posterior = fitted(noisy(torus(25), 0.05), Smoothing(1e-3, offset_weight=weight), 75)
    scale, center = float(posterior.cells.scales), posterior.cells.centers.numpy()
    p = (posterior.cloud.points.numpy() - center) * scale
    n, eps = len(p), EPS * scale
    out = eps * posterior.cloud.normals.numpy()
    rows, y = np.concatenate([p, p + out, p - out]), np.repeat([0.0, eps, -eps], n)
    W = np.repeat([1.0, weight, weight], n) / (3 * n)
    K = K_of(rows, rows)
    smoother = np.linalg.inv(W[:, None] * K + 1e-3 * np.eye(3 * n)) * W  # f(x) = k(x)' smoother y
    H, a = K @ smoother, smoother @ y
    residual = (K @ a - y).reshape(3, n)
    own = np.arange(n)
    hat = sum(np.trace(H[:n, k * n : (k + 1) * n]) for k in range(3))
    s2 = (residual[0] ** 2).mean() / (1 - hat / n)
    plus, minus = n + own, 2 * n + own
    tilt = 0.5 * (H[plus, plus] - H[plus, minus] - H[minus, plus] + H[minus, minus]).sum()
    t2 = ((residual[1] - residual[2]) ** 2 / 4).mean() / (1 - tilt / n)
    s02 = a @ K @ a / np.trace(H)
    x = (places() - center) * scale
    expected = []
    for q in x:
        k = K_of([q], rows)[0]
        c = k @ smoother
        process = s02 * (kernel_value("neural-spline", q, q, 0.0) - 2 * c @ k + c @ K @ c)
        by_point = c.reshape(3, n)
        errors = s2 * (by_point.sum(0) ** 2).sum() + t2 * ((by_point[1] - by_point[2]) ** 2).sum()
        expected.append((process + errors) / scale**2)
    found = posterior.variances(torch.zeros(len(x), dtype=torch.int64), torch.from_numpy(places()))
    assert found.numpy() == pytest.approx(np.array(expected), rel=1e-5)


def test_with_slopes_it_is_the_formula():
    """Fewer centres than rows: noise, smoothing, and what the centres cannot say, term by term."""
    ridge, h = 1e-4, 0.3
    posterior = fitted(noisy(torus(30), 0.05), Smoothing(ridge, gradient_length=h), 20)
    scale, center = float(posterior.cells.scales), posterior.cells.centers.numpy()
    p = (posterior.cloud.points.numpy() - center) * scale
    n, c = len(p), posterior.models.centers.numpy()
    value, G = K_of(p, c), K_of(c, c)
    slope = np.stack([kernel_gradient("neural-spline", p, [y], [1.0], 0.0) for y in c], 2)  # [n, 3, m]
    B = np.concatenate([value, slope.reshape(3 * n, -1)])
    y = np.concatenate([np.zeros(n), posterior.cloud.normals.numpy().ravel()])
    W = np.concatenate([np.ones(n), np.full(3 * n, h**2)]) / (4 * n)
    inverse = np.linalg.inv((B.T * W) @ B + ridge * G)
    a = inverse @ (B.T * W) @ y
    residual, hat = B @ a - y, np.einsum("im,mk,ik->i", B, inverse, B) * W
    s2 = (residual[:n] ** 2).mean() / (1 - hat[:n].mean())
    t2 = (residual[n:] ** 2).mean() / (1 - hat[n:].mean())
    e = residual[n:].reshape(n, 3)  # neighbours in the order of the cloud share some of it
    shared = 1 + 2 * sum((e[lag:] * e[:-lag]).sum() for lag in range(1, SHARED + 1)) / (e**2).sum()
    t2 *= max(1.0, shared)
    s02 = a @ G @ a / hat.sum()
    S = np.concatenate([np.full(n, s2), np.full(3 * n, t2)])
    spread = (B.T * (W * S * W)) @ B + s02 * ridge**2 * G
    k = K_of((places() - center) * scale, c)
    kxx = np.array([kernel_value("neural-spline", q, q, 0.0) for q in (places() - center) * scale])
    first = np.einsum("im,mk,ik->i", k @ inverse, spread, k @ inverse)
    rest = s02 * (kxx - np.einsum("im,mk,ik->i", k, np.linalg.inv(G), k))
    found = posterior.variances(torch.zeros(len(k), dtype=torch.int64), torch.from_numpy(places()))
    assert found.numpy() == pytest.approx((first + rest) / scale**2, rel=1e-4)


def test_the_error_is_the_posterior_variance_where_the_penalty_is_right():
    """In NumPy alone: what the documentation says of S = s^2 / (n W) and s0^2 = s^2 / (n lambda)."""
    rng, n, ridge, s2 = np.random.default_rng(0), 12, 1e-3, 0.7
    x, W, q = rng.uniform(-0.5, 0.5, (n, 3)), rng.uniform(0.5, 2.0, n) / n, np.array([0.1, 0.2, -0.1])
    K, k, kxx = K_of(x, x), K_of([q], x)[0], kernel_value("neural-spline", q, q, 0.0)
    s02, noise = s2 / (n * ridge), s2 / (n * W)
    c = k @ np.linalg.inv(W[:, None] * K + ridge * np.eye(n)) * W
    error = s02 * (kxx - 2 * c @ k + c @ K @ c) + (c**2 * noise).sum()
    gram = s02 * K + np.diag(noise)
    assert error == pytest.approx(s02 * kxx - s02 * k @ np.linalg.solve(gram, s02 * k), rel=1e-8)


def test_boxes_that_overlap_average_their_variances():
    posterior = fitted(noisy(torus(300), 0.02), Smoothing(1e-4, gradient_length=0.3), 40, per_axis=2)
    cells = posterior.cells
    blend = Posterior(cells, torch.arange(len(cells)), torch.ones(len(cells), dtype=torch.bool), posterior)
    x = torch.from_numpy(places(count=200))
    point, cell = cells.containing(x)
    weight = cells.weights(x[point], cell)
    total, expected, kept = torch.zeros(3, len(x), dtype=torch.float64)
    total.index_add_(0, point, weight)
    weight = weight.where(weight > SMALL * total[point], 0.0)
    value = posterior.variances(cell, x[point])
    expected.index_add_(0, point, weight * value)
    kept.index_add_(0, point, weight)
    assert torch.allclose(blend.variance(x), expected / kept, rtol=1e-6, equal_nan=True)
    assert bool((total == 0).any()), "some places are in no box"


def test_most_vertices_of_a_noisy_sphere_lie_within_two_deviations():
    cloud, true = noisy(sphere(3000), 0.01), sphere(2000).points
    field = ns.fit_cells(cloud.points, cloud.normals, regularization=1e-6, gradient_length=0.2)
    sigma = field.uncertainty(true)
    value, slope = field.gradient(true)
    assert 0.9 < float((value.abs() / slope.norm(dim=1) < 2 * sigma).double().mean())
    assert float(sigma.median()) < 0.01, "less than the noise of a point"


def test_shares_of_the_data_in_a_fit_are_shares(monkeypatch):
    """0 <= tr H / n <= 1 of values and of slopes in every cell, though the Gram matrix of its centres is singular to
    all digits: by A^-1 in its basis some were -10^5 or 10^7, and the vertices of their cells had no bounds.
    """
    found, spread = [], _Data.spread

    def watched(data, inverse):
        found.extend((inverse * hat).sum((1, 2)) for hat in data.hats)
        return spread(data, inverse)

    monkeypatch.setattr(_Data, "spread", watched)
    cloud = noisy(knot(6000), 0.004)
    field = ns.fit_cells(cloud.points, cloud.normals, regularization=1e-9, gradient_length=0.05, points_per_cell=400)
    sigma = field.uncertainty(cloud.points[::5])
    shares = torch.cat(found)
    assert len(shares) > 40
    assert float(shares.min()) > 0.0
    assert float(shares.max()) < 1.0
    assert bool(sigma.isfinite().all())


def test_errors_of_normals_that_neighbours_share_count_for_more():
    """Normals that are off by as much, each by itself, or as planes of neighbours have it: one way in a region."""
    cloud = noisy(sphere(3000), 0.002)
    x, y, z = 8.0 * cloud.points.T
    waves = torch.stack([x.sin() * y.cos(), y.sin() * z.cos(), z.sin() * x.cos()], 1)
    sigma = []
    for order in (torch.arange(3000), torch.randperm(3000, generator=torch.Generator().manual_seed(0))):
        normals = cloud.normals + 0.2 * waves[order]
        normals = normals / normals.norm(dim=1, keepdim=True)
        field = ns.fit_cells(cloud.points, normals, regularization=1e-5, gradient_length=0.2)
        sigma.append(float(field.uncertainty(cloud.points[::5]).median()))
    assert sigma[0] > 1.3 * sigma[1]


def test_it_grows_where_there_are_no_points():
    """Where holes are filled it is that of the level that spans them."""
    cloud, true = noisy(sphere(700), 0.005), sphere(700).points
    seen = cloud.points[:, 2] < 0.6
    options = {"regularization": 1e-6, "gradient_length": 0.2, "points_per_cell": 60, "fill_holes": True}
    field = ns.fit_cells(cloud.points[seen], cloud.normals[seen], **options)
    sigma = field.uncertainty(true)
    assert bool(sigma.isfinite().all())
    assert float(sigma[true[:, 2] > 0.8].median()) > 3 * float(sigma[true[:, 2] < 0.4].median())


def test_a_field_from_a_file_does_not_know_its_points(tmp_path):
    cloud = torus(800)
    field = ns.fit_cells(cloud.points, cloud.normals)
    field.save(tmp_path / "field.npz")
    with pytest.raises(ns.SettingsError, match="uncertainty asks the points"):
        ns.load(tmp_path / "field.npz").uncertainty(cloud.points)
    assert field.uncertainty(cloud.points.numpy()).shape == (len(cloud),)
