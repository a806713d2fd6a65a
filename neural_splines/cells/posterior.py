"""How far the splines of cells may be off, by the data that each was fitted to: its system, factored again.

The spline of a cell is linear in its data y: f(x) = k(x)' a with A a = K'W y, A = K'WK + lambda G, G the Gram matrix of
the centres. Take the true field for a draw of the Gaussian process with covariance s0^2 k(x, y), and the errors of the
points for independent: of values with variance s^2, of slopes with variance t^2. Then f differs from the truth by

    E(x) = k' A^-1 (K' W S W K + s0^2 lambda^2 G) A^-1 k  +  s0^2 (k(x, x) - k' G^-1 k),     S = diag(s^2, t^2),

in the mean square: what errors of the data do, what smoothing takes away, and what the centres cannot say. With the
variances that the penalty takes for granted, S = s^2 / (n W) and s0^2 = s^2 / (n lambda), the first term is
s^2 k' A^-1 k / n, and E the posterior variance of the process. Here a cell's own data say them: s^2 and t^2 are mean
squares of its residuals as points show them that it has not seen, sum r^2 / (n - tr H), H = K A^-1 K'W (generalised
cross-validation), t^2 times 1 + 2 sum of the correlations of residuals of neighbours, by which the variance of a mean
of errors is larger that they share: normals that were estimated are those of planes through the same points. And s0^2 =
a'Ga / tr H is the size of the fit itself by what the data determine of it.

All is computed in the basis in which G is the identity: with G = R R' and u = R^-1 k, K is K R^-T, and A is B +
lambda I, B = R^-1 K'WK R^-T. G itself is so near to singular that A^-1 has no digits left in some cells: there the
trace of H came out as anything, and s and s0 with it.

Sources: G. Wahba, Bayesian "confidence intervals" for the cross-validated smoothing spline, J. R. Stat. Soc. B 45,
1983; D. Nychka, JASA 83, 1988; D. MacKay, Bayesian interpolation, Neural Computation 4, 1992, for s0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..cloud.clouds import OrientedCloud
from ..kernels.kernels import Kernel
from ..kernels.products import Compute
from ..spline.fitting import Centers
from ..spline.solvers import direct
from .batches import Batch, Constraints, Smoothing
from .members import Members, capped
from .models import BACK_OFF, CellModels, raised
from .partition import Cells
from .problem import FitProblem
from .weights import CellWeights, sum_by

SMALL = 0.02  # shares of a blend below it say nothing of its errors that the others do not
PLACES = 1024  # of a cell at a time
LEAST_TOLD = 1.0  # numbers of a fit that its data determine
SHARED = 8  # points before and after one that may share its error
LEAST_LEFT = 0.01  # of the points: a fit through all of them says nothing of its errors


@dataclass(frozen=True)
class CellPosterior:
    """Fitted cells and what they were fitted to: a cloud in the order in which cells took their points, of each at most
    `most` [c].
    """

    cloud: OrientedCloud
    cells: Cells
    models: CellModels
    most: Tensor
    smoothing: Smoothing
    eps: float
    kernel: Kernel
    compute: Compute

    def variances(self, cell: Tensor, points: Tensor) -> Tensor:
        """E of the splines of cells [k] at points [k, 3], in squared world units [k]; NaN where there is no model."""
        found = torch.full((len(cell),), torch.nan, dtype=torch.float64, device=points.device)
        order = cell.argsort(stable=True)
        count = torch.bincount(cell, minlength=len(self.cells))[: len(self.cells)]
        which = ((count > 0) & self.models.solved).nonzero()[:, 0]
        if not len(which):
            return found
        first = (count.cumsum(0) - count)[which]
        problem, count = self._problem(which), count[which]

        def work(part: FitProblem, own: Tensor, _: Tensor) -> None:
            errors = _Errors.of(part, own, self.models, which[own.to(which.device)], self.smoothing)
            mine, home = own.to(which.device), part.cells.lower.device
            rank = torch.arange(int(count[mine].max()), device=which.device)
            for some in rank.split(PLACES):
                there = some < count[mine, None]
                row = order[(first[mine, None] + some).clamp_max(len(order) - 1)]
                value = errors.at(part, own, points[row].to(home))
                found[row[there]] = value.to(found.device)[there]

        problem.map_batches(work)
        return found

    def _problem(self, which: Tensor) -> FitProblem:
        """That of some cells, in double precision: what is left where large numbers cancel is asked for."""
        cells = self.cells.subset(which)
        members = capped(Members.of(cells, self.cloud.points), self.most[which])
        centers = Centers(int(self.models.offsets.diff().max()), "blue-noise")
        return FitProblem(
            self.cloud, cells, members, self.kernel, replace(self.compute, dtype=torch.float64), self.eps, centers,
            torch.Generator(), self.smoothing.gradients,
        )  # fmt: skip


@dataclass(frozen=True)
class Posterior:
    """That of a blend: of boxes that share out space, whose cells have the numbers `model` [b]; the number of all cells
    is that of the coarse one. full [b]: which boxes hold points.
    """

    boxes: Cells
    model: Tensor
    full: Tensor
    cells: CellPosterior
    coarse: CellPosterior | None = None

    def own_share(self, points: Tensor) -> Tensor:
        """The share [n] that boxes with points in them have in the blend at points [n, 3]; 0 where there is no box."""
        return share_of_full(self.boxes, self.full, points)

    def sums(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """sum w E and sum w [n] over the boxes within whose reach points [n, 3] lie: of several blends they add up.

        Errors of cells that overlap are alike, as their points are: their variances are averaged, not made less.
        """
        points = points.to(self.boxes.lower)
        places = CellWeights.of(self.boxes, points)
        total = sum_by(places.point, places.weight, places.count)
        places = places.part(places.weight > SMALL * total[places.point])
        cell, x, weight = self.model[places.cell], points[places.point], places.weight
        value = self.cells.variances(cell, x)
        if self.coarse is not None:
            far = cell == len(self.cells.cells)
            value[far] = self.coarse.variances(torch.zeros_like(cell[far]), x[far])
        weight = weight.where(value.isfinite(), 0.0)
        total = sum_by(places.point, weight * value.nan_to_num(), places.count)
        return total, sum_by(places.point, weight, places.count)

    def variance(self, points: Tensor) -> Tensor:
        """E [n] at points [n, 3]; where there is no box that of the coarse field, or NaN."""
        total, weight = self.sums(points)
        value = total / weight
        none = (weight == 0.0).nonzero()[:, 0]
        if self.coarse is not None and len(none):
            value[none] = self.coarse.variances(torch.zeros_like(none), points[none].to(value))
        return value


def share_of_full(boxes: Cells, full: Tensor, points: Tensor) -> Tensor:
    """The share [n] that full boxes (a mask [b]) have in the blend of all at points [n, 3]; 0 where there is no box."""
    places = CellWeights.of(boxes, points.to(boxes.lower))
    parts = (places.weight, places.weight * full[places.cell])
    total, own = (sum_by(places.point, part, places.count) for part in parts)
    return own / total.clamp_min(1e-300)


@dataclass(frozen=True)
class _Errors:
    """E of b cells: `known` [b, m, m], the factors R of G; `noise` [b, m, m], whose product with R^-1 k has the first
    term as its square; amplitude [b]: s0^2. live [b, m]: which of the centres [b, m, 3] are true.
    """

    centers: Tensor
    live: Tensor
    noise: Tensor
    known: Tensor
    amplitude: Tensor

    @classmethod
    def of(cls, problem: FitProblem, cell: Tensor, models: CellModels, number: Tensor, smoothing: Smoothing) -> _Errors:
        """Of cells [b] of a problem, whose models have these numbers [b]."""
        place = problem.compute.place
        count = models.offsets.diff()[number]
        slot = torch.arange(int(count.max()), device=number.device)
        live = slot < count[:, None]
        row = (models.offsets[number, None] + slot).clamp_max(len(models.centers) - 1)
        centers, a = place(models.centers[row]), place(models.coefficients[row] * live)
        live, count = live.to(cell.device), count.to(cell.device)
        batch = Batch.of(problem, cell, Constraints.of(problem, cell), centers, count)
        weights = batch.base_weights(smoothing.normal_weight)
        if smoothing.robust_passes:
            weights = weights * batch.robust(a)
        ridge, G = place(_ridges(models.attempts[number], smoothing))[:, None, None], batch.gram_centers
        known, one = direct.factor_spd(G), torch.eye(G.shape[1]).to(G)
        data = _Data.of(batch, known, weights, a, smoothing.normal_weight)
        inverse = torch.cholesky_inverse(direct.factor_spd(data.gram + ridge * one))
        size = (a * (G @ a[:, :, None])[:, :, 0]).sum(1)
        amplitude = size / (inverse * data.gram).sum((1, 2)).clamp_min(LEAST_TOLD)
        spread = data.spread(inverse) + (amplitude[:, None, None] * ridge.square()) * one
        return cls(centers, live, direct.factor_spd(spread).mT @ inverse, known, amplitude)

    def at(self, problem: FitProblem, cell: Tensor, points: Tensor) -> Tensor:
        """E [b, q] at points [b, q, 3] (world units)."""
        scale = problem.cells.scales[cell, None]
        x = problem.compute.place((points - problem.cells.centers[cell, None]) * scale[:, :, None]).contiguous()
        k = problem.compute.products.dense(problem.kernel, x, self.centers).masked_fill_(~self.live[:, None], 0.0).mT
        u = torch.linalg.solve_triangular(self.known, k, upper=False)
        first = (self.noise @ u).square().sum(1)
        rest = (problem.kernel.at_one_place(x) - u.square().sum(1)).clamp_min(0.0)
        return (first + self.amplitude[:, None] * rest) / scale.square()


@dataclass(frozen=True)
class _Data:
    """What the data of b cells say of their fits, with K R^-T for K. gram [b, m, m]: K'WK.

    errors: K'WSWK of errors of variance 1, of values and of slopes; squares [b]: the mean squares of the residuals of
    either; hats: whose product with A^-1 has the trace tr H / n of either.
    """

    gram: Tensor
    errors: tuple[Tensor, Tensor]
    squares: tuple[Tensor, Tensor]
    hats: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, batch: Batch, known: Tensor, weights: Tensor, a: Tensor, normal_weight: float) -> _Data:
        """known [b, m, m]: the factors R of the Gram matrices of the centres.

        Errors of a point are those of its value and of its three slopes; without slopes that of all its three values
        together, and one of those off the surface to either side.

        A point that counts for less, as robust weights have it, has errors that are larger by as much.
        """
        residual = ((batch.K @ a[:, :, None])[:, :, 0] - batch.y).unflatten(1, (-1, batch.width))
        whitened = torch.linalg.solve_triangular(known, batch.K.mT, upper=False).mT.contiguous()
        K, N = whitened.unflatten(1, (-1, batch.width)), batch.rows.to(batch.K)[:, None, None]
        n = N / batch.width
        trust = weights[:, :: batch.width] * N[:, :, 0]  # 1 of points that count in full, 0 of padding
        if batch.width == 4:
            value = direct.gram(K[:, :, 0].contiguous(), trust)
            slope = direct.gram(K[:, :, 1:].flatten(1, 2), trust.repeat_interleave(3, 1))
            errors, hats = (value, normal_weight**2 * slope), (value, normal_weight / 3.0 * slope)
            gram, off = value + normal_weight * slope, residual[:, :, 1:].square().mean(2)
        else:
            both, apart = normal_weight * (K[:, :, 1] + K[:, :, 2]), normal_weight * (K[:, :, 1] - K[:, :, 2])
            together, tilt = K[:, :, 0] + both, direct.gram(apart, trust)
            errors = direct.gram(together, trust), tilt
            hats = (K[:, :, 0] * trust[:, :, None]).mT @ together, tilt / (2.0 * normal_weight)
            gram, off = N * direct.gram(whitened, weights), (0.5 * (residual[:, :, 1] - residual[:, :, 2])).square()
        on = residual[:, :, 0].square()
        squares = (trust * on).sum(1) / n[:, 0, 0], (trust * off).sum(1) / n[:, 0, 0]
        if batch.width == 4:
            squares = squares[0], squares[1] * _shared(residual[:, :, 1:], trust)
        of_errors, of_hats = 1.0 / N**2, 1.0 / (N * n)
        return cls(
            gram / N, (errors[0] * of_errors, errors[1] * of_errors), squares, (hats[0] * of_hats, hats[1] * of_hats)
        )

    def spread(self, inverse: Tensor) -> Tensor:
        """K'WSWK [b, m, m], with A^-1 [b, m, m] to know the variances by."""
        total = torch.zeros_like(inverse)
        for error, square, hat in zip(self.errors, self.squares, self.hats, strict=True):
            left = (1.0 - (inverse * hat).sum((1, 2))).clamp_min(LEAST_LEFT)
            total += (square / left)[:, None, None] * error
        return total


def _shared(residual: Tensor, trust: Tensor) -> Tensor:
    """By how much errors that neighbours share make the variance of a mean larger [b]: 1 + 2 sum of the correlations of
    residuals [b, n, k] of points and those so many places further in the order of the octree; 1 at least.
    """
    r = residual * trust.sqrt()[:, :, None]
    own = r.square().sum((1, 2)).clamp_min(1e-300)
    lagged = [(r[:, lag:] * r[:, :-lag]).sum((1, 2)) / own for lag in range(1, min(SHARED, r.shape[1] - 1) + 1)]
    return (1.0 + 2.0 * torch.stack([torch.zeros_like(own), *lagged]).sum(0)).clamp_min(1.0)


def _ridges(attempts: Tensor, smoothing: Smoothing) -> Tensor:
    """lambda [b] of cells whose regularization was raised so often [b]."""
    tried = [smoothing, *(raised(smoothing, factor) for factor in BACK_OFF)]
    return torch.tensor([s.regularization for s in tried], dtype=torch.float64, device=attempts.device)[attempts]
