"""Fitting the splines of all cells: batches of equal-sized dense systems, the same code on CPU and GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .cells import Cells
from .clouds import OrientedCloud
from .devices import halving, moved, spread
from .kernels import Kernel
from .nystrom import choose_centers
from .products import Compute
from .solvers import direct

logger = logging.getLogger(__name__)

CPU_BATCH_BYTES = 48 << 20  # of K_nm: a few cells, so that a batch's matrices stay near the caches
GPU_BATCH_BYTES = 4 << 30
GPU_SHARE = 12  # of the GPU's memory: a batch takes several times the bytes of its K_nm
LARGEST_EPS = 0.25  # of a padded cell's side: farther off, the constraints would say nothing about the surface
ROBUST_CUTOFF = 1.5  # in standard deviations of the surface residuals
COARSER = (1.0, 1e2, 1e4)  # factors on the regularization, tried in turn where a cell cannot be solved


@dataclass(frozen=True)
class Smoothing:
    """How closely a cell follows its points.

    regularization: lambda of the ridge. offset_weight: weight of the constraints off the surface against 1
    for those on it. robust_passes: how often points are reweighted by min(1, 1.5 sigma / |residual|).
    """

    regularization: float
    offset_weight: float = 1.0
    robust_passes: int = 0

    def __str__(self) -> str:
        return (
            f"regularization {self.regularization:.0e}, offset weight {self.offset_weight:g}, "
            f"{self.robust_passes} robust passes"
        )


@dataclass(frozen=True)
class CellModels:
    """Centres [k, 3] (model space of their cell) and coefficients [k] of all cells; cell c owns offsets[c:c + 2].

    failed: (cell, reason) of those that could not be solved; they have no centres. retried: how many
    needed more regularization than asked for. largest_jitter: relative, over all cells.
    """

    centers: Tensor
    coefficients: Tensor
    offsets: Tensor
    failed: list[tuple[int, str]]
    retried: int
    largest_jitter: float


@dataclass(frozen=True)
class Members:
    """The points within the padding of every cell, in one list: point[starts[c]:starts[c] + counts[c]]."""

    point: Tensor
    starts: Tensor
    counts: Tensor

    @classmethod
    def of(cls, cells: Cells, points: Tensor) -> Members:
        point, cell = cells.members(points)
        return cls.grouped(point, cell, len(cells))

    @classmethod
    def grouped(cls, point: Tensor, cell: Tensor, cells: int) -> Members:
        order = cell.argsort(stable=True)
        counts = torch.bincount(cell, minlength=cells)
        return cls(point[order], counts.cumsum(0) - counts, counts)


@dataclass(frozen=True)
class FitProblem:
    """What the systems of all cells are made from; `eps` in world units, less in tiny cells, `max_centers` a cell."""

    cloud: OrientedCloud
    cells: Cells
    members: Members
    kernel: Kernel
    compute: Compute
    eps: float
    max_centers: int
    nystrom_mode: str
    generator: torch.Generator

    def on(self, device: torch.device) -> FitProblem:
        """The same with everything on that device."""
        return replace(
            self,
            cloud=moved(self.cloud, device),
            cells=moved(self.cells, device),
            members=moved(self.members, device),
            compute=self.compute.on(device),
        )

    def each_batch(self, work: Callable[[Batch], None]) -> None:
        """work(batch) for all cells, in batches of similar size: the largest system of a batch sets its padding.

        Several devices take the batches in turn. One that does not fit into a GPU's memory is made and worked
        on in halves.
        """
        jitter = torch.rand(len(self.cells), self.max_centers, generator=self.generator, dtype=torch.float64)
        # where every batch draws random numbers, they must do so in order
        devices = self.compute.devices if self.nystrom_mode == "blue-noise" else self.compute.devices[:1]
        problems = {device: self.on(device) if len(devices) > 1 else self for device in devices}

        def work_on(device: torch.device, cell: Tensor) -> None:
            halving(lambda half: work(Batch.make(problems[device], half, jitter)), [cell.to(device)])

        spread(devices, work_on, self._parts())

    def _parts(self) -> Iterator[Tensor]:
        """The cells [b] of every batch, by their counts of points."""
        counts = self.members.counts
        order = counts.argsort(stable=True)
        sizes = counts[order].tolist()
        budget = CPU_BATCH_BYTES
        if self.compute.device.type == "cuda":
            total = torch.cuda.get_device_properties(self.compute.device).total_memory
            budget = min(GPU_BATCH_BYTES, total // GPU_SHARE)
        start = 0
        while start < len(sizes):
            stop = start + 1
            while stop < len(sizes) and (stop + 1 - start) * self._bytes(sizes[stop]) <= budget:
                stop += 1
            yield order[start:stop]
            start = stop

    def _bytes(self, count: int) -> int:
        return 3 * count * (min(3 * count, self.max_centers) + 8) * self.compute.dtype.itemsize


@dataclass(frozen=True)
class Batch:
    """Systems of b cells with up to r constraints and m centres; padding has weight and columns zero.

    K [b, r, m], gram_centers [b, m, m], target y [b, r]; rows run point by point: surface, outside, inside.
    """

    cell: Tensor
    rows: Tensor  # [b], true number of constraints
    columns: Tensor  # [b], true number of centres
    centers: Tensor
    K: Tensor
    gram_centers: Tensor
    y: Tensor

    @classmethod
    def make(cls, problem: FitProblem, cell: Tensor, jitter: Tensor) -> Batch:
        cells, members, place = problem.cells, problem.members, problem.compute.place
        count = members.counts[cell]
        most = int(count.max())
        rank = torch.arange(most, device=cell.device)
        valid = rank < count[:, None]
        index = members.point[(members.starts[cell, None] + rank).clamp_max(len(members.point) - 1)]
        scale = cells.scales[cell]
        points = (problem.cloud.points[index] - cells.centers[cell, None]) * scale[:, None, None]
        eps = (problem.eps * scale).clamp_max(LARGEST_EPS)[:, None, None]
        normals = problem.cloud.normals[index]
        x = torch.stack([points, points + eps * normals, points - eps * normals], 2) * valid[:, :, None, None]
        x = place(x.reshape(len(cell), 3 * most, 3))
        sides = torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64, device=cell.device)
        y = place((sides * eps * valid[:, :, None]).reshape(len(cell), 3 * most))

        rows = 3 * count
        columns = rows.clamp_max(problem.max_centers)
        chosen = _choose(problem, x, rows, columns, jitter[cell.cpu()].to(cell.device))
        centers = x.gather(1, chosen[:, :, None].expand(-1, -1, 3)).contiguous()
        if problem.nystrom_mode == "k-means":
            for b, (r, m) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
                centers[b, :m] = place(choose_centers(x[b, :r].double(), m, "k-means", problem.generator))
        products, kernel = problem.compute.products, problem.kernel
        K, gram = products.dense(kernel, x, centers), products.dense(kernel, centers, centers)
        dead = torch.arange(centers.shape[1], device=cell.device) >= columns[:, None]
        if bool(dead.any()):
            K.masked_fill_(dead[:, None, :], 0.0)
            gram.masked_fill_(dead[:, None, :] | dead[:, :, None], 0.0)
            gram.diagonal(dim1=-2, dim2=-1).masked_fill_(dead, 1.0)
        return cls(cell, rows, columns, centers, K, gram, y)

    def base_weights(self, offset_weight: float) -> Tensor:
        """Row weights [b, r] over the number of constraints: 1 on the surface, `offset_weight` off it."""
        pattern = torch.tensor([1.0, offset_weight, offset_weight], dtype=self.K.dtype, device=self.K.device)
        weights = pattern.repeat(self.K.shape[1] // 3) / self.rows[:, None]
        return weights * (torch.arange(self.K.shape[1], device=self.K.device) < self.rows[:, None])

    def solve(self, smoothing: Smoothing, grams: Grams | None = None) -> tuple[Tensor, Tensor]:
        """(coefficients [b, m], relative jitter [b], NaN where a system cannot be solved).

        `grams` saves the first product where one batch is solved with many smoothings.
        """
        base = weights = self.base_weights(smoothing.offset_weight)
        for remaining in range(smoothing.robust_passes, -1, -1):
            A = grams.of(smoothing.offset_weight) if grams and weights is base else direct.gram(self.K, weights)
            A += smoothing.regularization * self.gram_centers
            rhs = ((weights * self.y)[:, None, :] @ self.K)[:, 0]
            solution, jitter = direct.solve_spd(A, rhs)
            if remaining:
                weights = base * self._robust(solution)
        return solution, jitter

    def _robust(self, solution: Tensor) -> Tensor:
        """min(1, cutoff sigma / |residual|) [b, r], sigma from the median residual of the surface rows."""
        residual = ((self.K @ solution[:, :, None])[:, :, 0] - self.y).abs()
        surface = residual[:, ::3].clone()
        surface[3 * torch.arange(surface.shape[1], device=surface.device) >= self.rows[:, None]] = torch.nan
        sigma = surface.nanmedian(1, keepdim=True).values / 0.6745
        return (ROBUST_CUTOFF * sigma / residual.clamp_min(1e-300)).clamp_max(1.0)


class Grams:
    """K' W K of a batch for any weight of the offsets: it is linear in that weight."""

    def __init__(self, batch: Batch):
        self._surface = direct.gram(batch.K, batch.base_weights(0.0))
        self._offsets = direct.gram(batch.K, batch.base_weights(1.0)) - self._surface

    def of(self, offset_weight: float) -> Tensor:
        return self._surface + offset_weight * self._offsets


def _choose(problem: FitProblem, x: Tensor, rows: Tensor, columns: Tensor, u: Tensor) -> Tensor:
    """Rows [b, m] to be centres. `u` [b, max_centers] is uniform on [0, 1).

    random: without replacement. Otherwise one from each of m equal runs of the rows: points come in the
    order of a space-filling curve, so this spreads the centres evenly at the cost of one multiplication.
    """
    m = int(columns.max())
    k = torch.arange(m, device=x.device)
    if problem.nystrom_mode == "random":
        keys = torch.rand(x.shape[:2], generator=problem.generator, dtype=torch.float64).to(x.device)
        keys.masked_fill_(torch.arange(x.shape[1], device=x.device) >= rows[:, None], 2.0)
        return keys.argsort(1)[:, :m]
    stride = (rows / columns)[:, None]
    chosen = ((k + u[:, :m]) * stride).floor().long()
    return torch.where((rows == columns)[:, None], k, chosen).clamp_max(x.shape[1] - 1)


def fit_cells(
    problem: FitProblem, smoothing: Smoothing, on_cell: Callable[[int, int], None] = lambda done, total: None
) -> CellModels:
    """Fit every cell; one that cannot be solved is retried with more regularization, then reported."""
    total = len(problem.cells)
    device, dtype = problem.compute.device, problem.compute.dtype
    columns = (3 * problem.members.counts).clamp_max(problem.max_centers)
    offsets = torch.zeros(total + 1, dtype=torch.int64, device=device)
    offsets[1:] = columns.cumsum(0)
    centers = torch.zeros(int(offsets[-1]), 3, dtype=dtype, device=device)
    coefficients = torch.zeros(len(centers), dtype=dtype, device=device)
    jitters, attempts = torch.full((total,), torch.nan, device=device), torch.zeros(total, device=device)
    done = 0

    def fit(batch: Batch) -> None:
        nonlocal done
        solution, jitter = batch.solve(smoothing)
        for attempt, factor in enumerate(COARSER[1:], 1):
            bad = jitter.isnan()
            if not bool(bad.any()):
                break
            coarser = Smoothing(smoothing.regularization * factor, smoothing.offset_weight, smoothing.robust_passes)
            again, again_jitter = batch.solve(coarser)
            solution[bad], jitter[bad] = again[bad], again_jitter[bad]
            attempts[batch.cell[bad].to(device)] = attempt
        slot = torch.arange(batch.centers.shape[1], device=device)
        live = slot.to(bad.device) < batch.columns[:, None]
        cell = batch.cell.to(device)
        where = (offsets[cell, None] + slot)[live.to(device)]
        centers[where], coefficients[where] = batch.centers[live].to(device), solution[live].to(device)
        jitters[cell] = jitter.to(jitters)
        done += len(cell)
        on_cell(done, total)
        logger.debug(
            "cells %d of %d: batch of %d with up to %d constraints and %d centres",
            done, total, len(batch.cell), batch.K.shape[1], batch.K.shape[2],
        )  # fmt: skip

    problem.each_batch(fit)
    failed = [
        (int(c), f"not positive definite even with regularization {smoothing.regularization * COARSER[-1]:.0e}")
        for c in jitters.isnan().nonzero()[:, 0]
    ]
    retried = int(((attempts > 0) & ~jitters.isnan()).sum())
    largest = float(jitters.nan_to_num(nan=0.0).max()) if total else 0.0
    return CellModels(centers, coefficients, offsets, failed, retried, largest)
