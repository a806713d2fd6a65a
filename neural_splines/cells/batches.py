"""Batches of cells: equal-sized dense systems, the same code on CPU and GPU."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..spline.nystrom import choose_centers
from ..spline.solvers import direct
from .problem import LARGEST_EPS, FitProblem
from .ties import TieRows

NOISY = 1e-7  # the least ridge that suits noisy points
ROBUST_CUTOFF = 1.5  # in standard deviations of the surface residuals


@dataclass(frozen=True)
class Smoothing:
    """How closely a cell follows its points.

    regularization: lambda of the ridge. offset_weight: weight of the constraints off the surface against 1
    for those on it. robust_passes: how often points are reweighted by min(1, 1.5 sigma / |residual|).
    gradient_length: where positive, h in units of a padded cell's side; then the normals enter as slopes,
    h grad f(x_i) = h n_i, in the place of constraints off the surface.
    """

    regularization: float
    offset_weight: float = 1.0
    robust_passes: int = 0
    gradient_length: float = 0.0

    @property
    def gradients(self) -> bool:
        return self.gradient_length > 0.0

    @property
    def normal_weight(self) -> float:
        """Of the rows that know the normals, against 1 for f(x_i) = 0."""
        return self.gradient_length**2 if self.gradients else self.offset_weight

    @property
    def for_noise(self) -> bool:
        return self.regularization >= NOISY

    def __str__(self) -> str:
        normals = (
            f"gradient length {self.gradient_length:g}" if self.gradients else f"offset weight {self.offset_weight:g}"
        )
        passes = f"{self.robust_passes} robust pass{'' if self.robust_passes == 1 else 'es'}"
        return f"regularization {self.regularization:.0e}, {normals}, {passes}"


@dataclass(frozen=True)
class Constraints:
    """The tripled points of b cells: positions x [b, r, 3], values y [b, r], and how many rows [b] are true.

    Rows run point by point: surface, outside, inside; those past the true number are zero.
    normals [b, r / 3, 3]: of the points, zero past the true number.
    """

    x: Tensor
    y: Tensor
    normals: Tensor
    rows: Tensor

    @classmethod
    def of(cls, problem: FitProblem, cell: Tensor) -> Constraints:
        cells, members, place = problem.cells, problem.members, problem.compute.place
        count = members.counts[cell]
        most = int(count.max())
        rank = torch.arange(most, device=cell.device)
        valid = rank < count[:, None]
        index = members.point[(members.starts[cell, None] + rank).clamp_max(len(members.point) - 1)]
        scale = cells.scales[cell]
        points = (problem.cloud.points[index] - cells.centers[cell, None]) * scale[:, None, None]
        eps = (problem.eps * scale).clamp_max(LARGEST_EPS)[:, None, None]
        normals = problem.cloud.normals[index] * valid[:, :, None]
        x = torch.stack([points, points + eps * normals, points - eps * normals], 2) * valid[:, :, None, None]
        sides = torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64, device=cell.device)
        y = sides * eps * valid[:, :, None]
        x, y = x.reshape(len(cell), 3 * most, 3), y.reshape(len(cell), 3 * most)
        return cls(place(x), place(y), place(normals), 3 * count)

    def system(self, problem: FitProblem, centers: Tensor) -> tuple[Tensor, Tensor]:
        """K [b, k r / 3, m] and its right-hand side: of values at x, k = 3 rows a point; or of value and slopes, 4."""
        products, kernel = problem.compute.products, problem.kernel
        if not problem.gradients:
            return products.dense(kernel, self.x, centers), self.y
        b, n = self.normals.shape[:2]
        K = products.dense_gradient(kernel, self.x[:, ::3].contiguous(), centers)
        y = torch.cat([self.normals.new_zeros(b, n, 1), self.normals], 2)
        return K.reshape(b, 4 * n, -1), y.reshape(b, 4 * n)

    def choose_centers(self, problem: FitProblem, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Centres [b, m, 3] and how many of them [b] are true.

        random: without replacement. blue-noise: one from each of m equal runs of the rows, by `draws` [b, m]; points
        come in the order of a space-filling curve, so this spreads the centres evenly at the cost of one
        multiplication. k-means: Lloyd's means.
        """
        columns = self.rows.clamp_max(problem.centers.count)
        chosen = self._choose(problem, columns, draws)
        centers = self.x.gather(1, chosen[:, :, None].expand(-1, -1, 3)).contiguous()
        if problem.centers.mode == "k-means":
            for b, (r, m) in enumerate(zip(self.rows.tolist(), columns.tolist(), strict=True)):
                means = choose_centers(self.x[b, :r].double(), m, "k-means", problem.generator)
                centers[b, :m] = problem.compute.place(means)
        return centers, columns

    def _choose(self, problem: FitProblem, columns: Tensor, draws: Tensor) -> Tensor:
        """Rows [b, m] to be centres."""
        x, rows, m = self.x, self.rows, int(columns.max())
        k = torch.arange(m, device=x.device)
        if problem.centers.mode == "random":
            keys = torch.rand(x.shape[:2], generator=problem.generator, dtype=torch.float64).to(x.device)
            keys.masked_fill_(torch.arange(x.shape[1], device=x.device) >= rows[:, None], 2.0)
            return keys.argsort(1)[:, :m]
        stride = (rows / columns)[:, None]
        chosen = ((k + draws[:, :m]) * stride).floor().long()
        return torch.where((rows == columns)[:, None], k, chosen).clamp_max(x.shape[1] - 1)


@dataclass(frozen=True)
class Solved:
    """The solution [b, m] of b systems, the relative jitter [b] that was added to the matrix [b, m, m], NaN where it
    could not be solved, and the weights [b, r] of the rows.
    """

    solution: Tensor
    jitter: Tensor
    matrix: Tensor
    weights: Tensor


@dataclass(frozen=True)
class Batch:
    """Systems of b cells with up to r rows, `width` a point, and m centres; rows and columns of padding are zero.

    K [b, r, m], gram_centers [b, m, m], target y [b, r].
    """

    cell: Tensor
    rows: Tensor  # [b], true number of rows
    columns: Tensor  # [b], true number of centres
    centers: Tensor
    K: Tensor
    gram_centers: Tensor
    y: Tensor
    width: int
    ties: TieRows | None = None

    @classmethod
    def make(cls, problem: FitProblem, cell: Tensor, draws: Tensor) -> Batch:
        """The systems of some cells [b]; `draws` [cells, centres] of all."""
        constraints = Constraints.of(problem, cell)
        centers, columns = constraints.choose_centers(problem, draws[cell.cpu()].to(cell.device))
        return cls.of(problem, cell, constraints, centers, columns)

    @classmethod
    def of(cls, problem: FitProblem, cell: Tensor, constraints: Constraints, centers: Tensor, columns: Tensor) -> Batch:
        """The systems of cells [b] with these centres [b, m, 3], of which so many [b] are true."""
        K, y = constraints.system(problem, centers)
        gram = problem.compute.products.dense(problem.kernel, centers, centers)
        width = 4 if problem.gradients else 3
        rows = constraints.rows // 3 * width
        unused = torch.arange(K.shape[1], device=cell.device) >= rows[:, None]
        if bool(unused.any()):
            K.masked_fill_(unused[:, :, None], 0.0)
        dead = torch.arange(centers.shape[1], device=cell.device) >= columns[:, None]
        if bool(dead.any()):
            K.masked_fill_(dead[:, None, :], 0.0)
            gram.masked_fill_(dead[:, None, :] | dead[:, :, None], 0.0)
            gram.diagonal(dim1=-2, dim2=-1).masked_fill_(dead, 1.0)
        ties = None
        if problem.ties is not None:
            points = constraints.x[:, ::3]
            ties = problem.ties.rows(problem, cell, points, constraints.rows // 3, centers)
        if ties is not None:
            ties.K.masked_fill_(dead[:, None, :], 0.0)
        return cls(cell, rows, columns, centers, K, gram, y, width, ties)

    def base_weights(self, normal_weight: float) -> Tensor:
        """Row weights [b, r] over the number of rows: 1 for f(x_i) = 0, `normal_weight` for the others of a point."""
        pattern = torch.full((self.width,), normal_weight, dtype=self.K.dtype, device=self.K.device)
        pattern[0] = 1.0
        weights = pattern.repeat(self.K.shape[1] // self.width) / self.rows[:, None]
        return weights * (torch.arange(self.K.shape[1], device=self.K.device) < self.rows[:, None])

    def solve(self, smoothing: Smoothing, grams: Grams | None = None) -> tuple[Tensor, Tensor]:
        """(coefficients [b, m], relative jitter [b], NaN where a system cannot be solved).

        `grams` saves the first products where one batch is solved with many smoothings; without robust passes they are
        all that is needed of K.
        """
        found = self.solved(smoothing, grams)
        return found.solution, found.jitter

    def solved(self, smoothing: Smoothing, grams: Grams | None = None) -> Solved:
        """As `solve`, with what it was solved by."""
        base = weights = self.base_weights(smoothing.normal_weight)
        for remaining in range(smoothing.robust_passes, -1, -1):
            if grams and weights is base:
                A, rhs = grams.weighted(smoothing.normal_weight)
            else:
                A, rhs = direct.gram(self.K, weights), ((weights * self.y)[:, None, :] @ self.K)[:, 0]
            A.add_(self.gram_centers, alpha=smoothing.regularization)
            A, solution, jitter = self._solved_with_ties(A, rhs)
            if remaining:
                weights = base * self.robust(solution)
        return Solved(solution, jitter, A, weights)

    def _solved_with_ties(self, A: Tensor, rhs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The matrix with ties, the solution and the relative jitter; ties that are broken are tightened once."""
        ties = self.ties
        if ties is None:
            return A, *direct.solve_spd(A, rhs)
        tied = A + ties.matrix
        solution, jitter = direct.solve_spd(tied, rhs + ties.right_hand_side)
        ties = ties.tightened(solution)
        if ties is not None:
            tied = A + ties.matrix
            solution, jitter = direct.solve_spd(tied, rhs + ties.right_hand_side)
        return tied, solution, jitter

    def without_rows(self) -> Batch:
        """The same without K, which takes most of the memory: what can be solved by its `Grams`."""
        return replace(self, K=self.K[:, :0].clone(), y=self.y[:, :0])

    def robust(self, solution: Tensor) -> Tensor:
        """min(1, cutoff sigma / |residual|) [b, r], sigma from the median residual of the surface rows.

        Slopes have a sigma of their own, and one weight for the three of a point.
        """
        residual = ((self.K @ solution[:, :, None])[:, :, 0] - self.y).unflatten(1, (-1, self.width)).abs()
        if self.width == 3:
            sigma = self._sigma(residual[:, :, 0])[:, :, None]
        else:
            slope = residual[:, :, 1:].norm(dim=2)
            residual[:, :, 1:] = slope[:, :, None]
            sigma = torch.stack([self._sigma(residual[:, :, 0]), *3 * [self._sigma(slope)]], 2)
        return (ROBUST_CUTOFF * sigma / residual.clamp_min(1e-300)).clamp_max(1.0).flatten(1)

    def _sigma(self, residual: Tensor) -> Tensor:
        """The standard deviation [b, 1] of residuals [b, n] of a point, from their median."""
        true = torch.arange(residual.shape[1], device=residual.device) * self.width < self.rows[:, None]
        return residual.masked_fill(~true, torch.nan).nanmedian(1, keepdim=True).values / 0.6745


@dataclass(frozen=True)
class Grams:
    """K' W K and K' W y of a batch for any weight of the rows that know the normals, in which they are linear.

    surface, normals [b, m, m]: the sums over the rows of either kind, over the number of rows. right [b, m]: K' y of
    the latter; y is zero in the others.
    """

    surface: Tensor
    normals: Tensor
    right: Tensor

    @classmethod
    def of(cls, batch: Batch) -> Grams:
        kinds = batch.K.unflatten(1, (-1, batch.width)).unbind(2)
        share = 1.0 / batch.rows.to(batch.K)[:, None, None]
        right = (batch.y[:, None, :] @ batch.K * share)[:, 0]
        return cls(direct.gram_of_rows(kinds[:1]).mul_(share), direct.gram_of_rows(kinds[1:]).mul_(share), right)

    def weighted(self, normal_weight: float) -> tuple[Tensor, Tensor]:
        return torch.add(self.surface, self.normals, alpha=normal_weight), self.right * normal_weight
