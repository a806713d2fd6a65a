"""How much to smooth and how large the cells are, chosen from the data by points that the fit has not seen."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch

from ..cells.batches import Smoothing
from ..cells.problem import FitProblem
from ..kernels.kernels import Kernel
from ..runtime.monitor import Monitor
from . import score
from .dependence import follows_noise
from .regions import Region
from .validation import LeftOut, ValidationFit

logger = logging.getLogger(__name__)

HELD_OUT = 0.2  # of the points in the regions that are looked at
FEW, MANY = 3000, 12000  # points of these regions: to find who may win, and who wins
REGION_POINTS = 600  # of a region at most: few large ones cost less, as cells around are fitted too; many see more
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
FIRST = (0, 3, 6, 9)  # smoothings that are tried at the first size; then the neighbours of the best
CLOSER = 3  # steps of the ladder: larger cells follow their points as loosely at a closer smoothing
SURVIVORS = 4  # of few points, that many judge
# Errors as good as the least. Without noise the errors are those of the fit, and small cells are fitted sooner; with it
# they are mostly those of the points, the fit's own differ by more, and large cells have them more seldom.
AS_GOOD, AS_GOOD_NOISY = 1.02, 1.005
NEGLIGIBLE = 2.0**-24  # of the longest side of the box: smaller errors are float32's, and as good as none
TYPICAL = 26.0  # of a search, in trials on few points: six at one size, four at the next, four on four times as many
PATCHES_SEE = 2.0  # times the points where patches judge: a third as many of their points do
PILOT = Smoothing(1e-6, gradient_length=0.2), Smoothing(1e-6, 0.1)  # suits most clouds, noisy or not
HOW = (
    "choosing cells and smoothing: some points are held out, trial fits of the others are measured at them, and those "
    "that come nearest are kept"
)


@dataclass(frozen=True)
class Choice:
    """Points of a cell at most, and smoothing. words: why, or nothing where both were asked for."""

    points_per_cell: int
    smoothing: Smoothing
    words: str = ""
    warnings: list[str] = field(default_factory=list)


def unjudged(points_per_cell: int, kernel: Kernel) -> Choice:
    """What is taken where no held-out point can score."""
    smoothing = pilot(kernel.is_smooth)
    line = (
        "smoothing could not be chosen from the points: too few points, or contradictory normals. Defaults are used "
        f"(up to {points_per_cell} points a cell, {smoothing}); check the cloud, or set --regularization"
    )
    return Choice(points_per_cell, smoothing, f"{smoothing} (default, not chosen from the points)", [line])


def pilot(slopes: bool) -> Smoothing:
    """The smoothing of a first surface."""
    return PILOT[0 if slopes else 1]


class SmoothingSearch:
    """Candidates (size of cells, smoothing), few held-out points for all of them, many for those that may win."""

    def __init__(self, problem_of: Callable[[int], FitProblem], generator: torch.Generator, monitor: Monitor):
        self._problem_of, self._generator, self._monitor = problem_of, generator, monitor
        self._work, self._unit = 0.0, 0  # done; points that judge the first trial
        self._window, self._noisy, self._negligible = math.nan, False, 0.0
        self._found: dict[tuple[int, Smoothing], score.Residuals] = {}

    def run(self, sizes: Sequence[int], regions: Sequence[Region]) -> Choice:
        """The best of all smoothings at these sizes, of which larger ones are tried as long as they seem to help.

        regions: parts of the cloud, some of which are looked at. Raises score.UnjudgedError where no point
        of these can score.
        """
        first = self._problem_of(sizes[0])
        cloud, generator = first.cloud, self._generator
        self._negligible = NEGLIGIBLE * float(cloud.box.sides.max())
        dependent = follows_noise(cloud, generator)
        smoothings = ladder(first, dependent)
        if dependent:
            self._left = LeftOut.patches(cloud.sampling, generator)
        else:
            self._left = LeftOut.single(len(cloud), HELD_OUT, generator, cloud.points.device)
        order = torch.randperm(len(regions), generator=generator)
        shares = (share * PATCHES_SEE if dependent else share for share in (FEW / len(cloud), MANY / len(cloud)))
        few, many = ([regions[k] for k in order[: math.ceil(s * len(regions))].tolist()] for s in shares)
        self._descend(sizes[0], smoothings, few)
        self._noisy = dependent or self._leader()[1].for_noise
        for size in sizes[2 if self._noisy else 1 :]:
            self._descend(size, smoothings, few)
            if self._leader()[0] != size:
                break
        if self._noisy and self._leader()[0] == sizes[0]:
            for size in sizes[1:2]:
                self._descend(size, smoothings, few)
        if self._noisy:
            self._judge_by_many(few, many)
        best = self._leader()
        made = "; the normals follow the noise of the points" if dependent else ""
        return Choice(*best, f"{best[1]} ({score.said(self._found[best].distance)} of the surface{made})")

    def _judge_by_many(self, few: Sequence[Region], many: Sequence[Region]) -> None:
        """The best of all sizes, whose errors differ by less than few points tell, and the best with robust passes."""
        errors = self._errors()
        size, smoothing = self._leader()
        survivors = sorted(errors, key=errors.__getitem__)[:SURVIVORS]
        if smoothing.gradients and smoothing.for_noise:
            survivors.append((size, replace(smoothing, robust_passes=2)))
        if len(many) > len(few) and len(survivors) > 1:
            self._found.clear()
            for size in sorted({at for at, _ in survivors}):
                self._judge(self._trial(size, smoothing, many), size, [s for at, s in survivors if at == size])

    def _leader(self) -> tuple[int, Smoothing]:
        """The best at the smallest size that is about as good as any, or the largest, where there is noise."""
        errors = self._errors()
        enough = (AS_GOOD_NOISY if self._noisy else AS_GOOD) * min(errors.values())
        size = (max if self._noisy else min)(size for (size, _), e in errors.items() if e <= enough)
        return min((c for c in errors if c[0] == size), key=errors.__getitem__)

    def _descend(self, size: int, smoothings: Sequence[Smoothing], regions: Sequence[Region]) -> None:
        """Try a few of the smoothings, which run from closely to loosely, and the neighbours of the best of them."""
        first: Sequence[int] = FIRST
        if self._found:
            best = smoothings.index(self._leader()[1])
            first = (max(0, best - CLOSER), best)
        trial = self._trial(size, smoothings[0], regions)

        def errors(levels: Sequence[int]) -> dict[int, float]:
            self._judge(trial, size, [smoothings[k] for k in levels])
            return {smoothings.index(s): error for (at, s), error in self._errors().items() if at == size}

        score.least(len(smoothings), first, errors)

    def _trial(self, size: int, like: Smoothing, regions: Sequence[Region]) -> ValidationFit:
        trial = ValidationFit(replace(self._problem_of(size), gradients=like.gradients), regions, self._left)
        if math.isnan(self._window):
            self._window = trial.window(pilot(like.gradients))
        return trial

    def _judge(self, trial: ValidationFit, size: int, smoothings: Sequence[Smoothing]) -> None:
        self._unit = self._unit or max(1, len(trial.points))
        for smoothing in smoothings:
            found = self._found[size, smoothing] = trial.residuals(smoothing, self._window)
            if logger.isEnabledFor(logging.DEBUG) and bool(found.distance.isfinite().any()):
                if not self._work:
                    logger.debug(HOW)
                logger.debug("tried up to %d points a cell, %s: %s", size, smoothing, score.said(found.distance))
            self._work += len(trial.points) / self._unit  # how much is to come depends on what is found
            self._monitor.progress(self._work, max(TYPICAL, self._work), f"{len(self._found)} tried")

    def _errors(self) -> dict[tuple[int, Smoothing], float]:
        """Of all that were tried; of those that are negligible the first is the best."""
        errors = score.errors(list(self._found.values()))
        return {tried: max(error, self._negligible) for tried, error in zip(self._found, errors, strict=True)}


def ladder(problem: FitProblem, dependent: bool) -> tuple[Smoothing, ...]:
    """The smoothings that suit the kernel, and normals that depend on the points or not."""
    if not problem.kernel.is_smooth:
        return OFFSETS
    return FAINT_SLOPES if dependent else SLOPES
