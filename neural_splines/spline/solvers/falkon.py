"""FALKON: preconditioned conjugate gradients for Nyström kernel ridge regression, matrix-free in K_nm."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...kernels.kernels import Kernel
from ...kernels.products import Products
from ...runtime import budget, memory
from ...runtime.monitor import Monitor
from .conjugate_gradient import conjugate_gradient
from .contract import Solution
from .preconditioner import factor

logger = logging.getLogger(__name__)

ROWS = 1024  # of K_mm made at a time, where it lies on another device


@dataclass(frozen=True)
class Falkon:
    """FALKON (Rudi, Carratino, Rosasco, NIPS 2017, alg. 1).

    regularization: lambda of the ridge penalty. Conjugate gradients end after max_iterations, or when the residual
    relative to the right-hand side is at most `tolerance`.
    """

    regularization: float
    max_iterations: int
    tolerance: float

    def solve(
        self, products: Products, kernel: Kernel, x: Tensor, y: Tensor, centers: Tensor, monitor: Monitor
    ) -> Solution:
        """argmin_a |K_nm a - y|^2 / n + regularization a' K_mm a for x [n, 3], y [n], centers [m, 3].

        With a = B beta the normal equations become  B' (K_nm' K_nm / n + regularization K_mm) B beta = B' K_nm' y / n,
        and T^-T K_mm T^-1 = I removes K_mm from the product. Everything stays on the device of x, but for a
        preconditioner that only the CPU has room for: then the vectors of the iteration travel.
        """
        n, m, device = len(x), len(centers), x.device
        monitor.phase("preconditioner")
        home = budget.factor_device(m, 0, x.dtype, device) or device
        if home != device:
            logger.warning(
                "the preconditioner of %d centres does not fit on %s: it is kept on the CPU, slower", m, device
            )
        P = factor(lambda: _gram(products, kernel, centers, home), self.regularization)
        normal, storage = normal_product(products, kernel, x, centers)

        def operator(beta: Tensor) -> Tensor:
            v = P.solve_A(beta)
            Ka = normal(P.solve_T(v).to(device)).to(home)
            return P.solve_At(P.solve_Tt(Ka / n) + self.regularization * v)

        monitor.phase("conjugate gradients")
        rhs = P.solve_At(P.solve_Tt(products.apply(kernel, centers, x, y).to(home) / n))
        cg = conjugate_gradient(operator, rhs, self.max_iterations, self.tolerance, monitor)
        storage += f", preconditioner on {home}" if home != device else ""
        return Solution(P.solve_T(P.solve_A(cg.solution)).to(device), cg, P.relative_jitter, storage)


def normal_product(
    products: Products, kernel: Kernel, x: Tensor, centers: Tensor
) -> tuple[Callable[[Tensor], Tensor], str]:
    """v -> K_nm' K_nm v, and what it is made of: K_nm in memory where there is room and reading it pays."""
    shares = products.shares(x)
    row = 2 * len(centers) * x.element_size()  # half of the memory is left to others
    if products.storing_pays and all(memory.fits(len(part) * row, part.device) for part in shares):
        stored = [products.dense(kernel, part, centers.to(part.device)) for part in shares]

        def normal(v: Tensor) -> Tensor:
            parts = [torch.mv(K.mT, torch.mv(K, v.to(K.device))) for K in stored]
            return sum((part.to(v.device) for part in parts[1:]), parts[0])

        return normal, "K_nm stored"
    return lambda v: products.normal(kernel, x, centers, v), "K_nm recomputed"


def _gram(products: Products, kernel: Kernel, centers: Tensor, home: torch.device) -> Tensor:
    """K_mm on `home`, which may have room for it where the device of the centres has not."""
    if home == centers.device:
        return products.dense(kernel, centers, centers)
    K = torch.empty(len(centers), len(centers), dtype=centers.dtype, device=home)
    for rows, block in zip(centers.split(ROWS), K.split(ROWS), strict=True):
        block.copy_(products.dense(kernel, rows, centers))
    return K
