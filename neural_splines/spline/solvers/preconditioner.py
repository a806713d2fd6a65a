"""Cholesky factors of FALKON's preconditioner, in place, with a bounded and visible jitter ladder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import NotPositiveDefiniteError

logger = logging.getLogger(__name__)

# Relative to the mean diagonal; float32 starts where its rounding of the Gram matrix lies.
JITTER = {torch.float64: (0.0, 1e-13, 1e-11, 1e-9, 1e-7), torch.float32: (0.0, 1e-6, 1e-5, 1e-4, 1e-3)}
BLOCK = 512  # rows or columns a step: enough for products at full speed, few enough to waste little on triangles


@dataclass(frozen=True)
class Preconditioner:
    """B = T^-1 A^-1 with T'T = K_mm + relative_jitter mean(diag K_mm) I and A'A = T T' / m + regularization I.

    Then B' (K_nm' K_nm / n + regularization K_mm) B is close to the identity
    (Rudi, Carratino, Rosasco, FALKON, NIPS 2017, eq. 13). Only the upper triangles are meaningful.
    """

    T: Tensor
    A: Tensor
    relative_jitter: float

    def solve_T(self, v: Tensor) -> Tensor:
        return _solve(self.T, v, transposed=False)

    def solve_A(self, v: Tensor) -> Tensor:
        return _solve(self.A, v, transposed=False)

    def solve_Tt(self, v: Tensor) -> Tensor:
        return _solve(self.T, v, transposed=True)

    def solve_At(self, v: Tensor) -> Tensor:
        return _solve(self.A, v, transposed=True)


def factor(gram: Callable[[], Tensor], regularization: float) -> Preconditioner:
    """Factor K_mm, made anew by `gram()` for each step of the jitter ladder; holds two m x m matrices."""
    T, relative_jitter = cholesky_with_jitter(gram)

    def capacity() -> Tensor:
        A = upper_times_transpose(T).mul_(1.0 / len(T))
        A.diagonal().add_(regularization)
        return A

    A, _ = cholesky_with_jitter(capacity)
    return Preconditioner(T, A, relative_jitter)


def cholesky_with_jitter(gram: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """(U, jitter) with U'U = K + jitter mean(diag K) I for the smallest step of the ladder that works."""
    K = gram()
    m, ladder, scale = len(K), JITTER[K.dtype], float(K.diagonal().mean())
    for step in ladder:
        if step > 0.0:
            del K  # the factorization has overwritten it: it is freed before it is made anew
            K = gram()
            K.diagonal().add_(step * scale)
        if cholesky_(K):
            return K, step
        logger.debug("a %d x %d Cholesky factorization failed with relative jitter %.0e", m, m, step)
    raise NotPositiveDefiniteError(
        f"the Gram matrix of {m} centres is not positive definite even with a relative jitter of {ladder[-1]:.0e}; "
        "use fewer NUM_NYSTROM_SAMPLES, a larger EPS or --dtype float64"
    )


def cholesky_(K: Tensor, block: int = BLOCK) -> bool:
    """Overwrite the upper triangle of K by U with U'U = K; False where K is not positive definite.

    Left-looking and blocked: in place, one m x m matrix instead of LAPACK's call on a copy, the work in one
    large matrix product a block, and Python regains control (for an interrupt) after each.
    """
    m = len(K)
    for start in range(0, m, block):
        stop = min(start + block, m)
        K[start:stop, start:].addmm_(K[:start, start:stop].mT, K[:start, start:], alpha=-1.0)
        U, info = torch.linalg.cholesky_ex(K[start:stop, start:stop], upper=True)
        if int(info) or not bool(torch.isfinite(U.diagonal()).all()):
            return False
        K[start:stop, start:stop] = U
        if stop < m:
            K[start:stop, stop:] = torch.linalg.solve_triangular(U.mT, K[start:stop, stop:], upper=False)
    return True


def upper_times_transpose(U: Tensor, block: int = BLOCK) -> Tensor:
    """The upper triangle of U U' for upper triangular U, by blocks of columns: a third of the full product's work."""
    m = len(U)
    out = torch.empty_like(U)
    for start in range(0, m, block):
        stop = min(start + block, m)
        corner = U[start:stop, start:stop].triu()
        out[:start, start:stop] = U[:start, start:stop] @ corner.mT
        out[start:stop, start:stop] = corner @ corner.mT
        out[:stop, start:stop].addmm_(U[:stop, stop:], U[start:stop, stop:].mT)
    return out


def _solve(U: Tensor, v: Tensor, transposed: bool) -> Tensor:
    matrix, upper = (U.mT, False) if transposed else (U, True)
    return torch.linalg.solve_triangular(matrix, v[:, None], upper=upper)[:, 0]
