"""The FalkonML library behind the call of `falkon.Falkon`; imported only when asked for.

Its preconditioner and its conjugate gradients solve the system; its kernel class takes blocks and products from our
backends. Where the library was built without its GPU part, only the products run on the GPU. FalkonML 0.9: Meanti,
Carratino, Rosasco, Rudi, NeurIPS 2020.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import torch
from falkon import FalkonOptions
from falkon.c_ext import cuda_version
from falkon.kernels import Kernel as LibraryKernel
from falkon.optim import FalkonConjugateGradient
from falkon.preconditioner import FalkonPreconditioner
from torch import Tensor

from ...errors import NotPositiveDefiniteError
from ...kernels.kernels import Kernel
from ...kernels.products import Products
from ...runtime.monitor import Monitor
from .conjugate_gradient import CGResult
from .contract import Solution

CPU_ONLY = cuda_version() == -1  # raises here, not later, where its compiled part does not fit this torch


class SplineKernel(LibraryKernel):
    """One of our kernels as the library's: its tensors may live elsewhere than on the device of the products."""

    def __init__(self, products: Products, kernel: Kernel, device: torch.device, options: FalkonOptions):
        super().__init__(kernel.name, options)
        self.products, self.kernel, self.device = products, kernel, device

    def compute(self, X1: Tensor, X2: Tensor, out: Tensor, diag: bool, **_: Any) -> Tensor:
        """A block of the matrix; the library chooses its size."""
        x, y = X1.to(self.device), X2.to(self.device)
        if diag:
            return out.copy_(self.products.dense(self.kernel, x[:, None], y[:, None])[:, 0, 0])
        return out.copy_(self.products.dense(self.kernel, x, y))

    def compute_sparse(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("points are dense")

    def extra_mem(self, *_: Any, **__: Any) -> dict[str, float]:
        return {"nm": 1}

    def _decide_mmv_impl(self, *_: Any, **__: Any) -> Callable[..., Tensor]:
        return partial(self._columns, self.products.apply)

    def _decide_dmmv_impl(self, X1: Any, X2: Any, v: Any, w: Any, opt: Any) -> Callable[..., Tensor]:
        if v is None or w is not None:
            return super()._decide_dmmv_impl(X1, X2, v, w, opt)
        return partial(self._columns, self.products.normal)

    def _columns(
        self, product: Callable, X1: Tensor, X2: Tensor, v: Tensor, out: Tensor | None = None, **_: Any
    ) -> Tensor:
        x, y = X1.to(self.device), X2.to(self.device)
        columns = [product(self.kernel, x, y, w.contiguous()) for w in v.to(self.device).mT]
        result = torch.stack(columns, 1).to(v.device)
        return result if out is None else out.copy_(result)


@dataclass(frozen=True)
class FalkonLibrary:
    """What `falkon.Falkon` minimizes, by the library. The right-hand side is scaled to length 1, because the library's
    threshold and the constants that it adds to denominators are absolute."""

    regularization: float
    max_iterations: int
    tolerance: float

    def solve(
        self, products: Products, kernel: Kernel, x: Tensor, y: Tensor, centers: Tensor, monitor: Monitor
    ) -> Solution:
        monitor.phase("preconditioner")
        home = torch.device("cpu") if CPU_ONLY else x.device
        options = FalkonOptions(use_cpu=home.type == "cpu", keops_active="no", cg_tolerance=self.tolerance)
        library_kernel = SplineKernel(products, kernel, x.device, options)
        n, m, X, M = len(x), len(centers), x.to(home), centers.to(home)
        P = FalkonPreconditioner(self.regularization, library_kernel, options)
        try:
            P.init(M)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise NotPositiveDefiniteError(
                f"FalkonML could not factor the Gram matrix of {m} centres ({reason}); "
                "use fewer NUM_NYSTROM_SAMPLES, a larger EPS, --dtype float64 or --solver builtin"
            ) from error

        monitor.phase("conjugate gradients")
        rhs = P.apply_t(library_kernel.mmv(M, X, y.to(home)[:, None] / n))
        length = float(rhs.norm())
        diagonal = float(kernel(centers[:, None], centers[:, None]).mean())
        jitter = m * options.pc_epsilon(x.dtype) / diagonal  # relative
        if length == 0.0:
            return Solution(torch.zeros_like(centers[:, 0]), CGResult(rhs[:, 0], 0, 0.0, "converged"), jitter)
        rhs /= length
        iteration = FalkonConjugateGradient(library_kernel, P, options)
        operator = partial(iteration.falkon_mmv, penalty=self.regularization, X=X, M=M, n=n)

        def callback(i: int, beta: Tensor, seconds: float) -> None:
            monitor.progress(i, self.max_iterations)

        beta = iteration.optimizer.solve(None, rhs, operator, self.max_iterations, callback)
        count, residual = iteration.optimizer.num_iter + 1, float((rhs - operator(beta)).norm())
        # the library does not say why it stopped: before the limit only below the threshold
        met = count < self.max_iterations or residual <= self.tolerance
        reason = "converged" if met else "iteration limit" if math.isfinite(residual) else "breakdown"
        cg = CGResult(length * beta[:, 0], count, residual, reason)
        return Solution(length * P.apply(beta)[:, 0].to(x.device), cg, jitter)
