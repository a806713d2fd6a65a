"""Fitting one spline: constraints, model space, Nyström centres, the solver."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..clouds import OrientedCloud
from ..geometry import Box, Similarity, offset_triples
from ..runtime.monitor import Monitor
from .advice import convergence_lines, jitter_lines
from .kernels import Kernel
from .nystrom import choose_centers
from .products import Compute
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
    """A spline with what it was fitted to: positions [3n, 3] and values [3n] in world units."""

    field: NeuralSpline
    solution: Solution
    positions: Tensor
    values: Tensor
    warnings: list[str]

    def __repr__(self) -> str:
        return f"SplineFit({self.summary()})"

    def summary(self) -> str:
        return f"{len(self.field.centers)} centres, {self.solution.summary()}"


def fit_spline(
    cloud: OrientedCloud,
    kernel: Kernel,
    eps: float,
    centers: Centers,
    solver: Solver,
    compute: Compute,
    generator: torch.Generator,
    monitor: Monitor,
) -> SplineFit:
    """Fit one spline to x -> 0, x +- eps n -> +-eps (world units).

    Model space is the unit box of the tripled cloud, so units and position of the cloud cancel.
    """
    positions, values = offset_triples(cloud.points, cloud.normals, eps)
    similarity = Similarity.to_unit_box(Box.around(positions))
    model = similarity.points(positions.to(compute.device))
    monitor.phase("nystrom")
    c = compute.place(choose_centers(model, centers.count, centers.mode, generator))
    x, y = compute.place(model), compute.place(similarity.lengths(values))
    kernel = kernel.covering(radius(x), radius(x))
    solution = solver.solve(compute.products, kernel, x, y, c, monitor)
    spline = NeuralSpline(kernel, similarity, c, solution.coefficients, compute, cloud.box)
    warnings = convergence_lines(solution, solver.tolerance, compute.dtype)
    warnings += jitter_lines(
        solution.relative_jitter,
        LARGE_JITTER[compute.dtype],
        f"the Gram matrix of the {len(c)} centres",
        "use fewer NUM_NYSTROM_SAMPLES, a larger EPS or --dtype float64",
    )
    return SplineFit(spline, solution, positions, values, warnings)
