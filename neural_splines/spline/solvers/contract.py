"""What solves the system of one spline, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ...kernels.kernels import Kernel
from ...kernels.products import Products
from ...quantities import counted
from ...runtime.monitor import Monitor
from .conjugate_gradient import CGResult


@dataclass(frozen=True)
class Solution:
    """Coefficients [m] of the centres, with how they were found.

    relative_jitter: what was added to the diagonal of K_mm to factor it, over its mean; storage: which matrices were
    kept where.
    """

    coefficients: Tensor
    cg: CGResult
    relative_jitter: float
    storage: str = ""

    def summary(self) -> str:
        text = f"{counted(self.cg.iterations, 'iteration')}, residual {self.cg.relative_residual:.1e}, {self.cg.reason}"
        return (
            text
            + (f", jitter {self.relative_jitter:.0e}" if self.relative_jitter else "")
            + (self.storage and f", {self.storage}")
        )


class Solver(Protocol):
    """argmin_a |K_nm a - y|^2 / n + regularization a' K_mm a: a record of settings that solves it."""

    @property
    def regularization(self) -> float:
        """lambda of the ridge penalty."""
        ...

    @property
    def tolerance(self) -> float:
        """The residual, relative to the right-hand side, at which the iteration stops."""
        ...

    def solve(
        self, products: Products, kernel: Kernel, x: Tensor, y: Tensor, centers: Tensor, monitor: Monitor
    ) -> Solution:
        """Coefficients for points x [n, 3] with values y [n] and centres [m, 3], all in model space."""
        ...
