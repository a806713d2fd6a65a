"""Fitting one spline: constraints, model space, Nyström centres, the solver."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..cloud.clouds import OrientedCloud
from ..geometry import Box, Similarity, offset_triples
from ..kernels.kernels import Kernel
from ..kernels.products import Compute
from ..runtime.monitor import Monitor
from .advice import convergence_lines, jitter_lines
from .nystrom import choose_centers
from .solvers import Solution, Solver
from .spline import NeuralSpline, radius

LARGE_JITTER = {torch.float64: 5e-10, torch.float32: 5e-5}  # relative: more than rounding asks for


@dataclass(frozen=True)
class Centers:
    """How many Nyström centres a spline has and how they are chosen: random, blue-noise or k-means."""

    count: int
    mode: str


@dataclass(frozen=True)
class SplineFit:
    """A spline with what it was fitted to: positions [3n, 3] and values [3n] in world units.

    chosen: what was chosen by the data and why, in words, or nothing.
    """

    field: NeuralSpline
    solution: Solution
    positions: Tensor
    values: Tensor
    warnings: list[str]
    regularization: float
    chosen: str = ""

    def __repr__(self) -> str:
        return f"SplineFit({self.summary()})"

    def over(self, box: Box) -> SplineFit:
        """The same, whose field knows the box of the cloud before its points were averaged: that of its lattice."""
        return replace(self, field=replace(self.field, box=box))

    def summary(self) -> str:
        """One line."""
        return f"one spline of {len(self.field.centers)} centres"

    def details(self) -> str:
        """One line of numerical details: how the regularization was chosen, iterations, residual, jitter."""
        chosen = f"{self.chosen}, " if self.chosen else ""
        return f"{chosen}{self.solution.summary()}"

    def options(self) -> str:
        """The options of the command line that ask for what was chosen."""
        return f"--regularization {self.regularization!r}"


@dataclass(frozen=True)
class SplinePlan:
    """How a spline is to be made. eps: the offset of the constraints, world units."""

    kernel: Kernel
    eps: float
    centers: Centers
    solver: Solver
    compute: Compute
    generator: torch.Generator


def fit_spline(
    cloud: OrientedCloud, plan: SplinePlan, monitor: Monitor, more: tuple[Tensor, Tensor] | None = None
) -> SplineFit:
    """Fit one spline to x -> 0, x +- eps n -> +-eps (world units); more: positions [k, 3] and values [k], too.

    Model space is the unit box of the tripled cloud, so units and position of the cloud cancel.
    """
    place = plan.compute.place
    positions, values = offset_triples(cloud.points, cloud.normals, plan.eps)
    if more is not None:
        positions, values = (
            torch.cat([own, part.to(own)]) for own, part in zip((positions, values), more, strict=True)
        )
    similarity = Similarity.to_unit_box(Box.around(positions))
    model = similarity.points(positions.to(plan.compute.device))
    monitor.phase("nystrom")
    c = place(choose_centers(model, plan.centers.count, plan.centers.mode, plan.generator))
    x, y = place(model), place(similarity.lengths(values))
    kernel = plan.kernel.covering(radius(x), radius(x))
    solution = plan.solver.solve(plan.compute.products, kernel, x, y, c, monitor)
    spline = NeuralSpline(kernel, similarity, c, solution.coefficients, plan.compute, cloud.box)
    advice = _advice(solution, plan, len(c))
    return SplineFit(spline, solution, positions, values, advice, plan.solver.regularization)


def _advice(solution: Solution, plan: SplinePlan, centers: int) -> list[str]:
    """What a user should know of the solution."""
    dtype = plan.compute.dtype
    return convergence_lines(solution, plan.solver.tolerance, dtype) + jitter_lines(
        solution.relative_jitter,
        LARGE_JITTER[dtype],
        f"the Gram matrix of the {centers} centres",
        "use fewer NUM_NYSTROM_SAMPLES, a larger EPS or --dtype float64",
    )
