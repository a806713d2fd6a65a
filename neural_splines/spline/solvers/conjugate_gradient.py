"""Conjugate gradients for a symmetric positive definite operator that is known only by its products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...runtime.monitor import Monitor


@dataclass(frozen=True)
class CGResult:
    """An outcome is data: not converging is no exception.

    relative_residual: |b - A x| / |b|, recomputed from its definition, not carried by the recurrence.
    reason: "converged", "iteration limit", or "breakdown" (the operator is not positive to rounding). history: the
    recurrence's relative residual after each iteration, where the solver tells it.
    """

    solution: Tensor
    iterations: int
    relative_residual: float
    reason: str
    history: tuple[float, ...] = ()

    @property
    def converged(self) -> bool:
        return self.reason == "converged"


def conjugate_gradient(
    apply: Callable[[Tensor], Tensor],
    b: Tensor,
    max_iterations: int,
    tolerance: float,
    monitor: Monitor | None = None,
) -> CGResult:
    """Solve A x = b from x = 0 until |r| <= tolerance |b|.

    Differs from the textbook (Golub and Van Loan, 11.3) in three ways: the threshold is relative to b,
    so it does not depend on units; no small constant is added to a denominator, so float32 does not
    freeze; a non-positive curvature p'Ap ends the iteration with the best x so far.
    """
    x, r = torch.zeros_like(b), b.clone()
    p = r.clone()
    rho = float(r @ r)
    norm_b = rho**0.5
    if norm_b == 0.0:
        return CGResult(x, 0, 0.0, "converged")
    iterations, reason, history = 0, "iteration limit", []
    while iterations < max_iterations:
        Ap = apply(p)
        curvature = float(p @ Ap)
        if not curvature > 0.0:  # also NaN
            reason = "breakdown"
            break
        alpha = rho / curvature
        x += alpha * p
        r -= alpha * Ap
        rho, rho_old = float(r @ r), rho
        iterations += 1
        history.append(rho**0.5 / norm_b)
        if monitor:
            monitor.progress(iterations, max_iterations, f"residual {history[-1]:.1e}")
        if rho**0.5 <= tolerance * norm_b:
            reason = "converged"
            break
        p = r + (rho / rho_old) * p
    residual = float((b - apply(x)).norm()) / norm_b
    return CGResult(x, iterations, residual, reason, tuple(history))
