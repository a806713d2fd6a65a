"""FALKON: preconditioned conjugate gradients for Nyström kernel ridge regression, matrix-free in K_nm."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor

from .. import memory
from ..kernels import Kernel
from .conjugate_gradient import CGResult, conjugate_gradient
from .preconditioner import factor

logger = logging.getLogger(__name__)

ROWS = 1024  # of K_mm made at a time, where it lies on another device


@dataclass(frozen=True)
class Solution:
    """Coefficients [m] of the centres, with how they were found; `storage` says which matrices were kept where."""

    coefficients: Tensor
    cg: CGResult
    jitter: float
    storage: str = ""

    def summary(self) -> str:
        text = f"{self.cg.iterations} iterations, residual {self.cg.relative_residual:.1e}, {self.cg.reason}"
        return text + (f", jitter {self.jitter:.0e}" if self.jitter else "") + (self.storage and f", {self.storage}")


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
    Everything stays on the device of x, but for a preconditioner that only the CPU has room for: then the vectors of
    the iteration travel.
    """
    n, m, device = len(x), len(centers), x.device
    on_phase("preconditioner")
    home = memory.factor_device(m, 0, x.dtype, device) or device
    if home != device:
        logger.warning("the preconditioner of %d centres does not fit on %s: it is kept on the CPU, slower", m, device)
    P = factor(lambda: _gram(products, kernel, centers, home), regularization)
    normal, storage = normal_product(products, kernel, x, centers)

    def operator(beta: Tensor) -> Tensor:
        v = P.solve_A(beta)
        Ka = normal(P.solve_T(v).to(device)).to(home)
        return P.solve_At(P.solve_Tt(Ka / n) + regularization * v)

    on_phase("conjugate gradients")
    rhs = P.solve_At(P.solve_Tt(products.apply(kernel, centers, x, y).to(home) / n))
    cg = conjugate_gradient(operator, rhs, max_iterations, tolerance, on_iteration)
    storage += f", preconditioner on {home}" if home != device else ""
    return Solution(P.solve_T(P.solve_A(cg.solution)).to(device), cg, P.jitter, storage)


def normal_product(
    products: ModuleType, kernel: Kernel, x: Tensor, centers: Tensor
) -> tuple[Callable[[Tensor], Tensor], str]:
    """v -> K_nm' K_nm v, and what it is made of: K_nm in memory where there is room and reading it pays."""
    if products.STORING_PAYS and memory.fits_half(len(x) * len(centers) * x.element_size(), x.device):
        K = products.dense(kernel, x, centers)
        return lambda v: torch.mv(K.mT, torch.mv(K, v)), "K_nm stored"
    return lambda v: products.normal(kernel, x, centers, v), "K_nm recomputed"


def _gram(products: ModuleType, kernel: Kernel, centers: Tensor, home: torch.device) -> Tensor:
    """K_mm on `home`, which may have room for it where the device of the centres has not."""
    if home == centers.device:
        return products.dense(kernel, centers, centers)
    K = torch.empty(len(centers), len(centers), dtype=centers.dtype, device=home)
    for rows, block in zip(centers.split(ROWS), K.split(ROWS), strict=True):
        block.copy_(products.dense(kernel, rows, centers))
    return K
