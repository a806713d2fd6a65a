"""How much to smooth and how large the cells are, chosen from the data by points that the fit has not seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from ..field import judge
from .batches import Smoothing
from .dependence import follows_noise
from .held_out import HeldOut, LeftOut
from .partition import Cells
from .problem import FitProblem

HELD_OUT = 0.2  # of the points in the regions that are looked at
FEW, MANY = 3000, 12000  # points of these regions: to find who may win, and who wins
REGION_POINTS = 1200  # of a region at most: the cells around it are fitted too, so that a few large ones cost less
# From closely to loosely: the weight of slopes against values, and the ridge. Measured on 20 clouds: constraints off
# the surface are never better by more than 3 % where the kernel is smooth enough to have slopes.
SLOPES = (
    *(Smoothing(x, gradient_length=0.02) for x in (1e-9, 1e-7)),
    *(Smoothing(x, gradient_length=0.05) for x in (1e-9, 1e-7, 1e-6)),
    *(Smoothing(x, gradient_length=0.2) for x in (1e-9, 1e-7)),
    Smoothing(1e-6, gradient_length=0.2),
    *(Smoothing(x, gradient_length=0.8) for x in (1e-7, 1e-6, 1e-5)),
)
# For normals that err as the points do: they tell the sides apart, and little more.
FAINT_SLOPES = (
    *(Smoothing(x, gradient_length=0.02) for x in (1e-9, 1e-7, 1e-6)),
    *(Smoothing(x, gradient_length=0.05) for x in (1e-9, 1e-7, 1e-6, 1e-5)),
)
OFFSETS = (  # for kernels with a kink at their centre
    *(Smoothing(x, 1.0) for x in (1e-9, 1e-8)),
    Smoothing(1e-7, 0.3),
    *(Smoothing(x, 0.1, 2) for x in (1e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3)),
)
SIZES = (100, 300, 800, 1600, 3200)  # points of a cell at most
FIRST_SIZES = 2  # that are tried on every cloud; the next where the largest is the best
FIRST = (0, 3, 6, 9)  # smoothings that are tried at every size; then the neighbours of the best
SURVIVE, SURVIVORS, AS_GOOD = 1.15, 4, 1.003
ROBUST_FROM = 1e-7  # the ridge of noisy points, where the best is also tried with robust passes
PATCHES_SEE = 2.0  # times the points where patches judge: a third as many of their points do
WINDOW = 5.0  # times the held-out points' distance from a first surface
PILOT = Smoothing(1e-6, gradient_length=0.2), Smoothing(1e-6, 0.1)


@dataclass(frozen=True)
class Choice:
    """The best smoothing and size of cells (points), and the errors of all that were compared at last."""

    points_per_cell: int
    smoothing: Smoothing
    errors: dict[tuple[int, Smoothing], float]
    distance: float
    dependent: bool

    def summary(self) -> str:
        made = "; the normals follow the noise of the points" if self.dependent else ""
        return f"{self.smoothing} (held-out points at {self.distance:.3g}{made})"


class Race:
    """Candidates (size of cells, smoothing), few held-out points for all of them, many for those that may win."""

    def __init__(self, problem_of: Callable[[int], FitProblem], generator: torch.Generator):
        self._problem_of, self._generator = problem_of, generator
        self._window = math.nan
        self._found: dict[tuple[int, Smoothing], judge.Residuals] = {}

    def run(self, sizes: Sequence[int], regions: Cells) -> Choice:
        """The best of all smoothings at these sizes, of which larger ones are tried as long as they seem to help."""
        first = self._problem_of(sizes[0])
        cloud, generator = first.cloud, self._generator
        dependent = follows_noise(cloud, generator)
        smoothings = ladder(first, dependent)
        if dependent:
            self._left = LeftOut.patches(cloud.points, generator)
        else:
            self._left = LeftOut.single(len(cloud), HELD_OUT, generator, cloud.points.device)
        order = torch.randperm(len(regions), generator=generator).to(cloud.points.device)
        shares = (share * PATCHES_SEE if dependent else share for share in (FEW / len(cloud), MANY / len(cloud)))
        few, many = (regions.subset(order[: math.ceil(s * len(regions))].sort().values) for s in shares)
        for size in sizes[:FIRST_SIZES]:
            self._climb(size, smoothings, few)
        for size in sizes[FIRST_SIZES:]:
            errors = self._errors()
            largest = max(s for s, _ in errors)
            if min(e for (s, _), e in errors.items() if s == largest) > min(errors.values()):
                break
            self._climb(size, smoothings, few)
        errors = self._errors()
        if len(many) > len(few):
            ranked = sorted(errors, key=errors.__getitem__)
            survivors = [c for c in ranked if errors[c] <= SURVIVE * errors[ranked[0]]][:SURVIVORS]
            size, smoothing = ranked[0]
            if smoothing.gradients and smoothing.regularization >= ROBUST_FROM:
                survivors.append((size, replace(smoothing, robust_passes=2)))
            if len(survivors) > 1:
                self._found.clear()
                for size in sizes:
                    mine = [smoothing for s, smoothing in survivors if s == size]
                    if mine:
                        self._judge(self._trial(size, mine[0], many), size, mine)
                errors = self._errors()
        # of what is as good, small cells: they are fitted sooner
        best = min((c for c in errors if errors[c] <= AS_GOOD * min(errors.values())), key=lambda c: (c[0], errors[c]))
        return Choice(*best, errors, judge.percentile(self._found[best].distance), dependent)

    def _climb(self, size: int, smoothings: Sequence[Smoothing], regions: Cells) -> None:
        """Try a few of the smoothings, which run from closely to loosely, and the neighbours of the best of them."""
        trial = self._trial(size, smoothings[0], regions)
        todo = [smoothings[k] for k in FIRST if k < len(smoothings)]
        while todo:
            self._judge(trial, size, todo)
            mine = {s: e for (at, s), e in self._errors().items() if at == size}
            best = smoothings.index(min(mine, key=mine.__getitem__))
            todo = [s for s in smoothings[max(0, best - 1) : best + 2] if s not in mine]

    def _trial(self, size: int, like: Smoothing, regions: Cells) -> HeldOut:
        trial = HeldOut(replace(self._problem_of(size), gradients=like.gradients), regions, self._left)
        if math.isnan(self._window):
            self._window = WINDOW * trial.scale(PILOT[0 if like.gradients else 1])
        return trial

    def _judge(self, trial: HeldOut, size: int, smoothings: Sequence[Smoothing]) -> None:
        for smoothing in smoothings:
            self._found[size, smoothing] = trial.residuals(smoothing, self._window)

    def _errors(self) -> dict[tuple[int, Smoothing], float]:
        return dict(zip(self._found, judge.errors(list(self._found.values())), strict=True))


def ladder(problem: FitProblem, dependent: bool) -> tuple[Smoothing, ...]:
    """The smoothings that suit the kernel, and normals that depend on the points or not."""
    if not problem.kernel.is_smooth:
        return OFFSETS
    return FAINT_SLOPES if dependent else SLOPES
