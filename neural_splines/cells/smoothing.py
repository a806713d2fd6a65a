"""How much to smooth and how large the cells are, chosen from the data by points that the fit has not seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from ..field import judge
from .batches import Smoothing
from .held_out import HeldOut
from .partition import Cells
from .problem import FitProblem

HELD_OUT = 0.2  # of the points in the regions that are looked at
FEW, MANY = 500, 2500  # held-out points: to find who may win, and who wins
REGION_POINTS = 300  # of a region at most: small enough to be many, large enough to have an inside
# From closely to loosely: the weight of slopes against values, and the ridge. Measured on 20 clouds: constraints off
# the surface are never better by more than 3 % where the kernel is smooth enough to have slopes.
SLOPES = (
    Smoothing(1e-9, gradient_length=0.02),
    *(Smoothing(x, gradient_length=0.05) for x in (1e-9, 1e-7, 1e-6)),
    Smoothing(1e-6, gradient_length=0.05, robust_passes=2),
    *(Smoothing(x, gradient_length=0.2) for x in (1e-9, 1e-7)),
    Smoothing(1e-6, gradient_length=0.2, robust_passes=2),
    *(Smoothing(x, gradient_length=0.8) for x in (1e-7, 1e-6, 1e-5)),
)
OFFSETS = (  # for kernels with a kink at their centre
    *(Smoothing(x, 1.0) for x in (1e-9, 1e-8)),
    Smoothing(1e-7, 0.3),
    *(Smoothing(x, 0.1, 2) for x in (1e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3)),
)
SIZES = (100, 300, 800, 1600)  # points of a cell at most
FIRST_SIZES = 2  # that are tried on every cloud; the next where the largest is about the best
ABOUT, SURVIVE, SURVIVORS = 1.02, 1.15, 6
WINDOW = 5.0  # times the held-out points' distance from a first surface
PILOT = Smoothing(1e-6, gradient_length=0.2), Smoothing(1e-6, 0.1)


@dataclass(frozen=True)
class Choice:
    """The best smoothing and size of cells (points), and the errors of all that were compared at last."""

    points_per_cell: int
    smoothing: Smoothing
    errors: dict[tuple[int, Smoothing], float]
    distance: float

    def summary(self) -> str:
        return f"{self.smoothing} (held-out points at {self.distance:.3g})"


class Race:
    """Candidates (size of cells, smoothing), few held-out points for all of them, many for those that may win."""

    def __init__(self, problem_of: Callable[[int], FitProblem], generator: torch.Generator):
        self._problem_of, self._generator = problem_of, generator
        self._window = math.nan
        self._found: dict[tuple[int, Smoothing], judge.Residuals] = {}

    def run(self, sizes: Sequence[int], regions: Cells) -> Choice:
        """The best of all smoothings at these sizes, of which larger ones are tried as long as they seem to help."""
        first = self._problem_of(sizes[0])
        n = len(first.cloud)
        self._held = (torch.rand(n, generator=self._generator, dtype=torch.float64) < HELD_OUT).to(
            first.cloud.points.device
        )
        order = torch.randperm(len(regions), generator=self._generator).to(self._held.device)
        few, many = (regions.subset(order[: self._count(regions, first, want)].sort().values) for want in (FEW, MANY))
        for size in sizes[:FIRST_SIZES]:
            self._try(size, ladder(first), few)
        for size in sizes[FIRST_SIZES:]:
            errors = self._errors()
            largest = max(s for s, _ in errors)
            if min(e for (s, _), e in errors.items() if s == largest) > ABOUT * min(errors.values()):
                break
            self._try(size, ladder(first), few)
        errors = self._errors()
        if len(many) > len(few):
            survivors = [
                c for c in sorted(errors, key=errors.__getitem__) if errors[c] <= SURVIVE * min(errors.values())
            ]
            self._found.clear()
            for size in sizes:
                self._try(size, [smoothing for s, smoothing in survivors[:SURVIVORS] if s == size], many)
            errors = self._errors()
        best = min(errors, key=errors.__getitem__)
        return Choice(*best, errors, judge.percentile(self._found[best].distance))

    def _try(self, size: int, smoothings: Sequence[Smoothing], regions: Cells) -> None:
        if not smoothings:
            return
        problem = replace(self._problem_of(size), gradients=smoothings[0].gradients)
        trial = HeldOut(problem, regions, self._held)
        if math.isnan(self._window):
            self._window = WINDOW * trial.scale(PILOT[0 if problem.gradients else 1])
        for smoothing in smoothings:
            self._found[size, smoothing] = trial.residuals(smoothing, self._window)

    def _errors(self) -> dict[tuple[int, Smoothing], float]:
        return dict(zip(self._found, judge.errors(list(self._found.values())), strict=True))

    def _count(self, regions: Cells, problem: FitProblem, want: int) -> int:
        """So many regions hold about that many held-out points."""
        return max(1, math.ceil(want / (HELD_OUT * len(problem.cloud) / len(regions))))


def ladder(problem: FitProblem) -> tuple[Smoothing, ...]:
    """The smoothings that suit the kernel."""
    return SLOPES if problem.kernel.is_smooth else OFFSETS
