"""How much to smooth, chosen from the data: the setting whose surface passes closest to points it has not seen."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..field.products import Segments
from .batches import Batch, Grams, Smoothing
from .members import Members
from .problem import FitProblem

SAMPLE_CELLS = 40
HELD_OUT = 0.15
TRIMMED = 0.1  # the share of the largest distances that the mean leaves out
# From little smoothing to much. The distance falls and rises along it, so a few levels find the minimum.
LADDER = (
    *(Smoothing(x) for x in (1e-9, 1e-8)),
    Smoothing(1e-7, 0.3),
    *(Smoothing(x, 0.1, 2) for x in (3e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3)),
)
AS_GOOD = 0.02  # distances this close do not differ: of two such levels the smoother one is chosen
FIRST = (1, 4, 7)  # the levels measured first; then the neighbours of the best until it is a minimum


@dataclass(frozen=True)
class Choice:
    """The best smoothing, and the trimmed mean distance of held-out points (world units) for each level tried."""

    smoothing: Smoothing
    scores: dict[Smoothing, float]

    @property
    def score(self) -> float:
        return self.scores[self.smoothing]

    @property
    def is_strong(self) -> bool:
        """Whether the points ask for more smoothing than clean ones do."""
        return self.smoothing.robust_passes > 0

    def summary(self) -> str:
        return f"{self.smoothing} (held-out points at {self.score:.3g})"


def choose_smoothing(problem: FitProblem, generator: torch.Generator) -> Choice:
    """Fit a sample of cells without 15 % of their own points and measure |f| / |grad f| at those.

    |f| alone would reward smoothing, which shrinks it; over the gradient's length it is the distance
    to the surface to first order.
    """
    cells = problem.cells
    device = cells.lower.device
    pick = torch.randperm(len(cells), generator=generator)[:SAMPLE_CELLS].sort().values.to(device)
    sample = cells.subset(pick)
    point, cell = sample.members(problem.cloud.points)
    x = problem.cloud.points[point]
    own = ((x >= sample.lower[cell]) & (x < sample.upper[cell])).all(1)
    held = own & (torch.rand(len(point), generator=generator, dtype=torch.float64).to(device) < HELD_OUT)
    training = Members.grouped(point[~held], cell[~held], len(sample))
    judges = Members.grouped(point[held], cell[held], len(sample))
    small = replace(problem, cells=sample, members=training, compute=problem.compute.on(device), generator=generator)

    batches: list[tuple[Batch, Grams]] = []

    def make(part: FitProblem, cell: Tensor, draws: Tensor) -> None:
        batch = Batch.make(part, cell, draws)
        batches.append((batch, Grams(batch)))

    small.spread(make)

    def score(level: int) -> float:
        distances = []
        for batch, grams in batches:
            solution, jitter = batch.solve(LADDER[level], grams)
            solved = ~jitter.isnan()
            distances.append(_held_out_distances(small, batch, solution, judges, solved))
        return _trimmed_mean(torch.cat(distances))

    scores = {level: score(level) for level in FIRST}
    while True:
        least = min(scores.values())
        best = max(level for level in scores if scores[level] <= (1.0 + AS_GOOD) * least)
        ahead = [level for level in (best - 1, best + 1) if 0 <= level < len(LADDER) and level not in scores]
        if not ahead:
            return Choice(LADDER[best], {LADDER[level]: scores[level] for level in sorted(scores)})
        scores |= {level: score(level) for level in ahead}


def _held_out_distances(problem: FitProblem, batch: Batch, solution: Tensor, judges: Members, solved: Tensor) -> Tensor:
    cells, device = problem.cells, batch.cell.device
    counts = judges.counts[batch.cell] * solved
    rank = torch.arange(int(counts.max()) if len(counts) else 0, device=device)
    live = rank < counts[:, None]
    index = judges.point[(judges.starts[batch.cell, None] + rank).clamp_max(max(len(judges.point) - 1, 0))[live]]
    owner = batch.cell[:, None].expand_as(live)[live]
    scale = cells.scales[owner]
    x = problem.compute.place((problem.cloud.points[index] - cells.centers[owner]) * scale[:, None])
    b, m = solution.shape
    rows = torch.zeros(b + 1, dtype=torch.int64, device=device)
    rows[1:] = counts.cumsum(0)
    columns = torch.arange(b + 1, device=device) * m
    value, slope = problem.compute.products.gradient(
        problem.kernel, x, batch.centers.reshape(-1, 3), solution.reshape(-1), Segments(rows, columns)
    )
    return (value.abs() / slope.norm(dim=1).clamp_min(1e-12)).double() / scale


def _trimmed_mean(values: Tensor) -> float:
    keep = max(1, int((1.0 - TRIMMED) * len(values)))
    return float(values.sort().values[:keep].mean()) if len(values) else float("inf")
