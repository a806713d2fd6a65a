"""The splines of all cells, fitted batch by batch."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..runtime.devices import to_device
from ..runtime.monitor import Monitor
from .batches import Batch, Smoothing
from .fused import Systems, applies
from .left_out import Judges, LeftOut
from .problem import FitProblem

logger = logging.getLogger(__name__)

BACK_OFF = (1e2, 1e4)  # factors on the regularization, tried in turn where a cell cannot be solved
LEAST = 1e-9  # that they are applied to: the least that the automatic choice tries, and a multiple of 0 is no more


@dataclass(frozen=True)
class CellModels:
    """Centres [k, 3] (model space of their cell) and coefficients [k] of all cells; cell c owns offsets[c:c + 2].

    failed: (cell, reason) of those that could not be solved; they have no centres. retried: how many
    needed more regularization than asked for. jitters [c]: relative, NaN of those that failed. attempts [c]: how often
    the regularization was raised.
    """

    centers: Tensor
    coefficients: Tensor
    offsets: Tensor
    failed: list[tuple[int, str]]
    retried: int
    jitters: Tensor
    attempts: Tensor

    @classmethod
    def of(
        cls, centers: Tensor, coefficients: Tensor, offsets: Tensor, jitters: Tensor, attempts: Tensor,
        smoothing: Smoothing,
    ) -> CellModels:  # fmt: skip
        """Those of cells that were fitted with a smoothing."""
        reason = f"not positive definite even with regularization {raised(smoothing, BACK_OFF[-1]).regularization:.0e}"
        failed = [(int(c), reason) for c in jitters.isnan().nonzero()[:, 0]]
        retried = int(((attempts > 0) & ~jitters.isnan()).sum())
        return cls(centers, coefficients, offsets, failed, retried, jitters, attempts)

    @classmethod
    def joined(cls, parts: Sequence[CellModels], smoothing: Smoothing) -> CellModels:
        """Those of several fits, one after another."""
        counts = torch.cat([part.offsets.diff() for part in parts])
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        centers, coefficients, jitters, attempts = (
            torch.cat([getattr(part, name) for part in parts])
            for name in ("centers", "coefficients", "jitters", "attempts")
        )
        return cls.of(centers, coefficients, offsets, jitters, attempts, smoothing)

    def subset(self, keep: Tensor, smoothing: Smoothing) -> CellModels:
        """Those under a mask [c]."""
        count = self.offsets.diff()
        rows, ends = torch.repeat_interleave(keep, count), count[keep].cumsum(0)
        offsets, here = torch.cat([ends.new_zeros(1), ends]), keep.to(self.jitters.device)
        return CellModels.of(
            self.centers[rows], self.coefficients[rows], offsets, self.jitters[here], self.attempts[keep], smoothing
        )

    @property
    def solved(self) -> Tensor:
        """Which cells [c] have a model."""
        return ~self.jitters.isnan().to(self.offsets.device)

    @property
    def largest_jitter(self) -> float:
        return float(self.jitters.nan_to_num(nan=0.0).max()) if len(self.jitters) else 0.0


def fit_cells(problem: FitProblem, smoothing: Smoothing, monitor: Monitor) -> CellModels:
    """Fit every cell; one that cannot be solved is retried with more regularization, then reported."""
    return fit_and_judge(problem, smoothing, monitor)[0]


def fit_and_judge(problem: FitProblem, smoothing: Smoothing, monitor: Monitor) -> tuple[CellModels, LeftOut | None]:
    """The same, and what the cells predict at the judges of the problem, where it has some."""
    store, found = ModelStore(problem, monitor), []

    def fit(part: FitProblem, cell: Tensor, draws: Tensor) -> None:
        batch = Batch.make(part, cell, draws)
        solved = batch.solved(smoothing)
        attempts = _retried(
            lambda bad, more: [x[bad] for x in batch.solve(more)], smoothing, solved.solution, solved.jitter
        )
        store.put(batch, solved.solution, solved.jitter, attempts)
        if part.judges is not None:
            found.append(LeftOut.of(part, batch, solved))

    def fit_fused(part: FitProblem, cell: Tensor, draws: Tensor) -> None:
        systems, judges = Systems.of(part, cell, draws), Judges.of(part, cell)
        solution, jitter, unseen = systems.solve_and_judge(part, smoothing, judges)
        if part.judges is not None:
            found.append(LeftOut.by_slopes(part, cell, judges, unseen))
        attempts = _retried(lambda bad, more: systems.subset(bad).solve(part, more), smoothing, solution, jitter)
        store.put(systems, solution, jitter, attempts)

    if applies(problem):
        problem.map_batches(fit_fused, stored=False)
    else:
        problem.map_batches(fit)
    logger.debug("cells fitted: %d, with up to %d centres each", store.total, problem.centers.count)
    home = problem.cloud.points.device
    left = LeftOut.joined([to_device(part, home) for part in found]) if found else None
    return store.models(smoothing), left


def raised(smoothing: Smoothing, factor: float) -> Smoothing:
    """With so many times the regularization."""
    return replace(smoothing, regularization=factor * max(smoothing.regularization, LEAST))


def _retried(
    again: Callable[[Tensor, Smoothing], Sequence[Tensor]], smoothing: Smoothing, solution: Tensor, jitter: Tensor
) -> Tensor:
    """How often [b] the regularization was raised for cells without a solution, whose rows are replaced.

    again(cells [k], smoothing): their solutions and jitter with another.
    """
    attempts = torch.zeros_like(jitter, dtype=torch.int64)
    for attempt, factor in enumerate(BACK_OFF, 1):
        bad = jitter.isnan().nonzero()[:, 0]
        if not len(bad):
            break
        solution[bad], jitter[bad] = again(bad, raised(smoothing, factor))
        attempts[bad] = attempt
    return attempts


class ModelStore:
    """The models of all cells while they are being fitted, by threads of several devices."""

    def __init__(self, problem: FitProblem, monitor: Monitor):
        self.total, self.monitor = len(problem.cells), monitor
        device, dtype = problem.compute.device, problem.compute.dtype
        columns = (3 * problem.members.counts).clamp_max(problem.centers.count)
        self.offsets = torch.zeros(self.total + 1, dtype=torch.int64, device=device)
        self.offsets[1:] = columns.cumsum(0)
        self.centers = torch.zeros(int(self.offsets[-1]), 3, dtype=dtype, device=device)
        self.coefficients = torch.zeros(len(self.centers), dtype=dtype, device=device)
        self.jitters = torch.full((self.total,), torch.nan, device=device)
        self.attempts = torch.zeros(self.total, dtype=torch.int64, device=device)
        self.done, self.lock = 0, threading.Lock()

    def put(self, batch: Batch | Systems, solution: Tensor, jitter: Tensor, attempts: Tensor) -> None:
        """Take in the models of a batch, which own places that no other batch writes to."""
        device = self.offsets.device
        slot = torch.arange(batch.centers.shape[1], device=device)
        live = slot.to(jitter.device) < batch.columns[:, None]
        cell = batch.cell.to(device)
        where = (self.offsets[cell, None] + slot)[live.to(device)]
        self.centers[where], self.coefficients[where] = batch.centers[live].to(device), solution[live].to(device)
        self.jitters[cell], self.attempts[cell] = jitter.to(self.jitters), attempts.to(device)
        with self.lock:
            self.done += len(cell)
            self.monitor.progress(self.done, self.total)

    def models(self, smoothing: Smoothing) -> CellModels:
        """All of them, when every batch was put."""
        return CellModels.of(self.centers, self.coefficients, self.offsets, self.jitters, self.attempts, smoothing)
