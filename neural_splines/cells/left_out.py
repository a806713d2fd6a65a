"""What cells predict at points that they have not seen, without another fit: leave-one-out by one factor.

A cell solves A a = K'W y with A = K'W K + lambda G. Without the rows B of one point, with residuals r = y_B - B a and
H = B A^-1 B' W_B, its residuals at that point would be (I - H)^-1 r (Woodbury; of a single row Allen's PRESS, 1974).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .partition import Cells
from .weights import sum_by

if TYPE_CHECKING:
    from .batches import Batch, Solved
    from .problem import FitProblem


@dataclass(frozen=True)
class LeftOut:
    """Pairs [k] of a cell and a point: the value (world units) and the slope [k, 3] there of the cell's spline, had it
    not been fitted to that point.
    """

    cell: Tensor
    point: Tensor
    value: Tensor
    slope: Tensor

    @classmethod
    def joined(cls, parts: list[LeftOut]) -> LeftOut:
        return cls(
            *(torch.cat([getattr(part, name) for part in parts]) for name in ("cell", "point", "value", "slope"))
        )

    @classmethod
    def of(cls, problem: FitProblem, batch: Batch, solved: Solved) -> LeftOut:
        """Of the points of a batch that are among the `judges` of the problem."""
        judges = Judges.of(problem, batch.cell)
        residual = _residuals(batch, solved, judges.place)
        if batch.width == 4:
            return cls.by_slopes(problem, batch.cell, judges, residual)
        # values at x, x + eps n and x - eps n
        eps = batch.y.gather(1, judges.place * batch.width + 1) if len(batch.cell) else residual[..., 0]
        along = 1.0 - (residual[..., 1] - residual[..., 2]) / (2.0 * eps.clamp_min(1e-300))
        slope = along[..., None] * problem.cloud.normals[judges.point]
        return cls._of(problem, batch.cell, judges, residual[..., 0], slope)

    @classmethod
    def by_slopes(cls, problem: FitProblem, cell: Tensor, judges: Judges, residual: Tensor) -> LeftOut:
        """Of residuals [b, s, 4] of values and slopes."""
        slope = problem.cloud.normals[judges.point] - residual[..., 1:]
        return cls._of(problem, cell, judges, residual[..., 0], slope)

    @classmethod
    def _of(cls, problem: FitProblem, cell: Tensor, judges: Judges, residual: Tensor, slope: Tensor) -> LeftOut:
        value = -residual / problem.cells.scales[cell][:, None]
        asked = judges.asked
        cell = cell[:, None].expand_as(asked)[asked]
        return cls(cell, judges.point[asked], value[asked].double(), slope[asked].double())


@dataclass(frozen=True)
class Judges:
    """Of each of b cells up to s points among the `judges` of a problem: which of the cell's points they are and which
    of the cloud's [b, s], and whether there is one.
    """

    place: Tensor
    point: Tensor
    asked: Tensor

    @classmethod
    def of(cls, problem: FitProblem, cell: Tensor) -> Judges:
        if problem.judges is None:
            return cls.none(len(cell), cell.device)
        members = problem.members
        count, first = members.counts[cell], members.starts[cell]
        rank = torch.arange(int(count.max()), device=first.device)
        point = members.point[(first[:, None] + rank).clamp_max(len(members.point) - 1)]
        asked = problem.judges[point] & (rank < count[:, None])
        most = max(1, int(asked.sum(1).max()))
        place = asked.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
        return cls(place, point.gather(1, place), asked.gather(1, place))

    @classmethod
    def none(cls, cells: int, device: torch.device) -> Judges:
        empty = torch.empty(cells, 0, dtype=torch.int64, device=device)
        return cls(empty, empty, empty.bool())


def _residuals(batch: Batch, solved: Solved, place: Tensor) -> Tensor:
    """Of the rows [b, s, width] of points [b, s], had each not been there."""
    b, s = place.shape
    width, K, A = batch.width, batch.K, solved.matrix
    jitter = solved.jitter.nan_to_num(nan=1.0) * A.diagonal(dim1=1, dim2=2).mean(1)
    A = A + jitter[:, None, None] * torch.eye(A.shape[1]).to(A)
    rows = (place[..., None] * width + torch.arange(width, device=place.device)).reshape(b, -1)
    B = K.gather(1, rows[:, :, None].expand(-1, -1, K.shape[2]))
    r = batch.y.gather(1, rows) - (B @ solved.solution[:, :, None])[:, :, 0]
    L, _ = torch.linalg.cholesky_ex(A)
    X = torch.linalg.solve_triangular(L, B.mT, upper=False).mT.reshape(b * s, width, -1)
    H = X @ X.mT * solved.weights.gather(1, rows).reshape(b * s, 1, width)
    found, _ = torch.linalg.solve_ex(torch.eye(width).to(H) - H, r.reshape(b * s, width, 1))
    return found.reshape(b, s, width)


def blended(left: LeftOut, cells: Cells, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The points [j] that some cells predict, in order, and the blend's value [j] and slope [j, 3] at each: no cell has
    seen that one point.
    """
    order = left.cell.argsort(stable=True)  # threads finish in any order, and sums depend on theirs
    order = order[left.point[order].argsort(stable=True)]
    cell, point = left.cell[order], left.point[order]
    weight = cells.weights(points[point], cell)
    which, group = point.unique_consecutive(return_inverse=True)
    total = sum_by(group, weight, len(which))
    value = sum_by(group, weight * left.value[order], len(which)) / total
    return which, value, sum_by(group, weight[:, None] * left.slope[order], len(which)) / total[:, None]
