"""The solvers against the normal equations, and against what they promise of themselves."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from references import kernel_matrix, ridge_solution

from neural_splines.errors import NotPositiveDefiniteError
from neural_splines.kernels.kernels import KERNELS, make_kernel
from neural_splines.kernels.products import load
from neural_splines.runtime import budget, memory
from neural_splines.runtime.monitor import Silent
from neural_splines.spline.solvers import direct, falkon
from neural_splines.spline.solvers.conjugate_gradient import conjugate_gradient
from neural_splines.spline.solvers.falkon import Falkon
from neural_splines.spline.solvers.preconditioner import cholesky_, cholesky_with_jitter, factor, upper_times_transpose


def spd(m, seed=0, condition=1e3):
    g = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(m, m, generator=g, dtype=torch.float64))
    return q @ torch.diag(torch.logspace(0, np.log10(condition), m, dtype=torch.float64)) @ q.T


@pytest.mark.parametrize("block", [1, 7, 64, 200])
def test_blocked_cholesky_is_the_cholesky_factor(block):
    A = spd(100)
    U = A.clone()
    assert cholesky_(U, block)
    assert torch.allclose(U.triu(), torch.linalg.cholesky(A, upper=True), rtol=1e-11)
    assert torch.allclose(upper_times_transpose(U, block).triu(), (U.triu() @ U.triu().T).triu(), rtol=1e-12)


@pytest.mark.parametrize("block", [16, 200])
def test_an_indefinite_matrix_is_noticed(block):
    A = spd(100)
    A[70, 70] = -1.0
    assert not cholesky_(A.clone(), block)
    with pytest.raises(NotPositiveDefiniteError, match="100 centres"):
        cholesky_with_jitter(lambda: A.clone())


def test_the_jitter_that_was_needed_is_reported():
    x = torch.rand(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.5
    x = torch.cat([x, x])  # every centre twice: singular
    kernel = make_kernel("neural-spline", 1.0)
    P = factor(lambda: kernel(x, x), 1e-7)
    assert 0.0 < P.relative_jitter < 1e-6
    K = kernel(x, x)
    K += P.relative_jitter * K.diagonal().mean() * torch.eye(80, dtype=torch.float64)
    T = P.T.triu()
    assert torch.allclose(T.T @ T, K, atol=1e-12)
    A = P.A.triu()
    assert torch.allclose(A.T @ A, T @ T.T / 80 + 1e-7 * torch.eye(80, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize("tolerance", [1e-4, 1e-10])
def test_cg_meets_its_relative_residual(tolerance):
    A, b = spd(80), torch.linspace(1, 2, 80, dtype=torch.float64)
    result = conjugate_gradient(lambda v: A @ v, b, 500, tolerance)
    assert result.converged
    assert (b - A @ result.solution).norm() <= 10 * tolerance * b.norm()
    assert result.relative_residual == pytest.approx(float((b - A @ result.solution).norm() / b.norm()), rel=1e-6)


@pytest.mark.parametrize("unit", [2.0**-40, 2.0**40])  # powers of two: the same roundings
def test_cg_does_not_depend_on_units(unit):
    A, b = spd(50), torch.ones(50, dtype=torch.float64)
    plain, scaled = (conjugate_gradient(lambda v: A @ v, u * b, 200, 1e-6) for u in (1.0, unit))
    assert plain.iterations == scaled.iterations
    assert torch.equal(scaled.solution / unit, plain.solution)


def test_cg_in_float32_does_not_freeze_on_small_numbers():
    A, b = spd(50, condition=10).float(), 1e-8 * torch.ones(50)
    assert conjugate_gradient(lambda v: A @ v, b, 100, 1e-5).converged


def test_cg_says_why_it_stopped():
    A, b = spd(80), torch.ones(80, dtype=torch.float64)
    assert conjugate_gradient(lambda v: A @ v, b, 3, 1e-12).reason == "iteration limit"
    assert conjugate_gradient(lambda v: -A @ v, b, 3, 1e-12).reason == "breakdown"
    zero = conjugate_gradient(lambda v: A @ v, 0 * b, 3, 1e-12)
    assert zero.converged
    assert not zero.solution.any()


def problem(n=150, m=40, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 3, generator=g, dtype=torch.float64) - 0.5
    y = torch.sin(4 * x[:, 0]) * x[:, 1] + x[:, 2]
    return x, y, x[torch.randperm(n, generator=g)[:m]]


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("m", [40, 150])
def test_falkon_solves_the_normal_equations(name, m):
    """Also with every point a centre, where it is full kernel ridge regression."""
    x, y, centers = problem(m=m)
    kernel = make_kernel(name, 1.0).covering(1.0, 1.0)
    found = Falkon(1e-5, 200, 1e-12).solve(load("numba"), kernel, x, y, centers, Silent())
    assert found.cg.converged
    K_nm, K_mm = kernel_matrix(name, x, centers), kernel_matrix(name, centers, centers)
    expected = ridge_solution(K_nm, K_mm, y.numpy(), 1e-5)
    assert np.abs(K_nm @ (found.coefficients.numpy() - expected)).max() < 1e-8


def test_a_stored_matrix_gives_the_same_solution(monkeypatch):
    """Stored where half of the free memory takes K_nm and reading it pays; else recomputed."""
    x, y, centers = problem()
    kernel, backend = make_kernel("neural-spline", 1.0).covering(1.0, 1.0), load("torch")

    def solve(free, pays=True):
        monkeypatch.setattr(memory, "available", lambda device: free)
        told = replace(backend, storing_pays=pays)
        return Falkon(1e-4, 100, 1e-13).solve(told, kernel, x, y, centers, Silent())

    needed = 8 * len(x) * len(centers)
    recomputed, stored = solve(2 * needed - 1), solve(2 * needed)
    assert ("recomputed" in recomputed.summary(), "stored" in stored.summary()) == (True, True)
    assert "recomputed" in solve(2 * needed, pays=False).summary()
    difference = stored.coefficients - recomputed.coefficients
    assert difference.norm() < 1e-10 * recomputed.coefficients.norm()


def test_a_preconditioner_that_does_not_fit_beside_the_points_is_kept_on_the_cpu(monkeypatch, caplog):
    """A device of another name stands for the CPU, the CPU for the GPU."""
    x, y, centers = problem()
    kernel = make_kernel("neural-spline", 1.0).covering(1.0, 1.0)
    solver = Falkon(1e-4, 100, 1e-13)
    here = solver.solve(load("numba"), kernel, x, y, centers, Silent())
    assert not caplog.records
    monkeypatch.setattr(falkon, "ROWS", 7)  # of 40
    monkeypatch.setattr(budget, "factor_device", lambda *args: torch.device("cpu:0"))
    moved = solver.solve(load("numba"), kernel, x, y, centers, Silent())
    assert "preconditioner on cpu:0" in moved.summary()
    assert "does not fit on cpu" in caplog.text
    assert torch.allclose(moved.coefficients, here.coefficients, rtol=1e-12)


def test_falkon_in_float32_is_close():
    x, y, centers = problem()
    kernel = make_kernel("neural-spline", 1.0).covering(1.0, 1.0)
    double, single = (
        Falkon(1e-4, 50, 1e-5).solve(load("numba"), kernel, *(t.to(dtype) for t in (x, y, centers)), Silent())
        for dtype in (torch.float64, torch.float32)
    )
    assert single.cg.converged
    values = [kernel(x, centers) @ s.coefficients.double() for s in (double, single)]
    assert (values[0] - values[1]).abs().max() < 1e-3 * y.abs().max()


def test_batched_gram_and_solution_match_one_by_one():
    g = torch.Generator().manual_seed(1)
    K, w = torch.randn(3, 50, 23, generator=g, dtype=torch.float64), torch.rand(3, 50, generator=g, dtype=torch.float64)
    A = direct.gram(K, w)
    for b in range(3):
        assert torch.allclose(A[b], K[b].T @ torch.diag(w[b]) @ K[b], atol=1e-12)
    rhs = torch.randn(3, 23, generator=g, dtype=torch.float64)
    A[1].fill_(float("nan"))  # one hopeless system must not touch the others
    solution, jitter = direct.solve_spd(A, rhs)
    assert jitter.isnan().tolist() == [False, True, False]
    assert torch.allclose(A[0] @ solution[0], rhs[0], atol=1e-9)
    assert torch.allclose(A[2] @ solution[2], rhs[2], atol=1e-9)


def test_a_singular_system_is_solved_with_reported_jitter():
    A = torch.ones(1, 5, 5, dtype=torch.float64)
    solution, jitter = direct.solve_spd(A, torch.ones(1, 5, dtype=torch.float64))
    assert 0 < float(jitter[0]) <= 1e-10
    assert (A @ solution[..., None]).sub(1).abs().max() < 1e-6
