"""FALKON: preconditioned conjugate gradients for Nyström kernel ridge regression, matrix-free in K_nm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from torch import Tensor

from ..kernels import Kernel
from .conjugate_gradient import CGResult, conjugate_gradient
from .preconditioner import factor


@dataclass(frozen=True)
class Solution:
    """Coefficients [m] of the centres, with how they were found."""

    coefficients: Tensor
    cg: CGResult
    jitter: float

    def summary(self) -> str:
        text = f"{self.cg.iterations} iterations, residual {self.cg.relative_residual:.1e}, {self.cg.reason}"
        return text + (f", jitter {self.jitter:.0e}" if self.jitter else "")


def solve(
    products: ModuleType,
    kernel: Kernel,
    x: Tensor,
    y: Tensor,
    centers: Tensor,
    *,
    regularization: float,
    max_iterations: int,
    tolerance: float,
    on_phase: Callable[[str], None] = lambda name: None,
    on_iteration: Callable[[int, float], None] | None = None,
) -> Solution:
    """argmin_a |K_nm a - y|^2 / n + regularization a' K_mm a for x [n, 3], y [n], centers [m, 3].

    With a = B beta the normal equations become  B' (K_nm' K_nm / n + regularization K_mm) B beta = B' K_nm' y / n,
    and T^-T K_mm T^-1 = I removes K_mm from the product (Rudi, Carratino, Rosasco, NIPS 2017, alg. 1).
    Everything stays on the device of x.
    """
    n = len(x)
    on_phase("preconditioner")
    P = factor(lambda: products.dense(kernel, centers, centers), regularization)

    def operator(beta: Tensor) -> Tensor:
        v = P.solve_A(beta)
        Ka = products.normal(kernel, x, centers, P.solve_T(v))
        return P.solve_At(P.solve_Tt(Ka / n) + regularization * v)

    on_phase("conjugate gradients")
    rhs = P.solve_At(P.solve_Tt(products.apply(kernel, centers, x, y) / n))
    cg = conjugate_gradient(operator, rhs, max_iterations, tolerance, on_iteration)
    return Solution(P.solve_T(P.solve_A(cg.solution)), cg, P.jitter)
