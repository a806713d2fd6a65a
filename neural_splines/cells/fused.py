"""Cells fitted by one compiled loop each batch: see `fused_numba`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..spline.solvers.direct import JITTER
from .batches import ROBUST_CUTOFF, Constraints, Smoothing
from .left_out import Judges
from .problem import FitProblem
from .ties import BAND, TiePlaces


def applies(problem: FitProblem) -> bool:
    """Whether the loop is for such a problem; all others are for `batches`."""
    compute = problem.compute
    return compute.products.name == "numba" and compute.dtype == torch.float64 and problem.gradients


@dataclass(frozen=True)
class Systems:
    """What the systems of cells [b] are made from: as `Batch`, without the matrices.

    x, normals [b, n, 3]: of which the first `counts` [b] are true; centers [b, m, 3], of which `columns` [b] are.
    """

    cell: Tensor
    x: Tensor
    normals: Tensor
    counts: Tensor
    centers: Tensor
    columns: Tensor
    ties: TiePlaces

    @classmethod
    def of(cls, problem: FitProblem, cell: Tensor, draws: Tensor) -> Systems:
        constraints = Constraints.of(problem, cell)
        centers, columns = constraints.choose_centers(problem, draws[cell])
        x, counts = constraints.x[:, ::3].contiguous(), constraints.rows // 3
        ties = problem.ties.places(problem, cell, x, counts) if problem.ties else None
        if ties is None:
            none = x.new_zeros(len(cell), 0)
            ties = TiePlaces(x.new_zeros(len(cell), 0, 3), none, none, none)
        return cls(cell, x, constraints.normals.contiguous(), counts, centers, columns, ties)

    def subset(self, which: Tensor) -> Systems:
        """Those of some of the cells."""
        ties = TiePlaces(*(part[which] for part in vars(self.ties).values()))
        return Systems(**{name: part[which] for name, part in vars(self).items() if name != "ties"}, ties=ties)

    def solve(self, problem: FitProblem, smoothing: Smoothing) -> tuple[Tensor, Tensor]:
        """Coefficients [b, m] and relative jitter [b], NaN where a system cannot be solved; as `Batch.solve`."""
        return self.solve_and_judge(problem, smoothing, Judges.none(len(self.cell), self.x.device))[:2]

    def solve_and_judge(
        self, problem: FitProblem, smoothing: Smoothing, judges: Judges
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same, and the residuals [b, s, 4] of the rows of judges, had each not been there."""
        from ..kernels.products.numba_rows import Polynomials, run  # not before: Numba takes half a second to import
        from ..spline.solvers.lapack_numba import Routines
        from .fused_numba import fit_cells

        solution = self.centers.new_empty(self.centers.shape[:2])
        jitter = self.centers.new_empty(len(self.cell))
        judged = judges.place.where(judges.asked, -1)
        unseen = self.x.new_full((*judged.shape, 4), torch.nan)
        ties = vars(self.ties).values()
        parts = (self.x, self.normals, self.counts, self.centers, self.columns, *ties, judged)
        kernel, polynomials = problem.kernel, Polynomials.of(problem.kernel, torch.float64)
        run(
            fit_cells, len(self.cell), *(part.numpy() for part in parts), float(smoothing.regularization),
            float(smoothing.normal_weight), smoothing.robust_passes, ROBUST_CUTOFF, BAND, JITTER[torch.float64],
            *polynomials.all, kernel.homogeneity, *Routines.found(), solution.numpy(), jitter.numpy(),
            unseen.numpy(),
        )  # fmt: skip
        return solution, jitter, unseen
