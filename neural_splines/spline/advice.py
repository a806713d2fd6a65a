"""Lines about a solution that is not what a user may take it for: each with a number and a remedy."""

from __future__ import annotations

import torch

from .solvers import Solution


def jitter_lines(relative: float, limit: float, where: str, remedy: str) -> list[str]:
    """One line where the diagonal of a matrix was raised by at least `limit` of its mean to factor it."""
    if relative < limit:
        return []
    return [
        f"{where} is so close to singular that {relative:.0e} of its diagonal was added to it, which blurs the "
        f"surface; {remedy}"
    ]


def convergence_lines(solution: Solution, tolerance: float, dtype: torch.dtype) -> list[str]:
    """One line where conjugate gradients ended above the tolerance, or believe that they did not."""
    cg = solution.cg
    if not cg.converged:
        return [
            f"conjugate gradients did not converge ({cg.reason} after {cg.iterations} iterations, residual "
            f"{cg.relative_residual:.1e} instead of {tolerance:.0e}); raise --cg-max-iters or --regularization"
        ]
    if cg.relative_residual > 10 * tolerance:
        return [
            f"conjugate gradients reached a residual of only {cg.relative_residual:.1e} instead of {tolerance:.0e}, "
            f"the limit of {str(dtype)[6:]}; use --dtype float64 or a larger --regularization"
        ]
    return []
