"""One neural spline: a kernel expansion fitted to offset constraints, evaluated in world units."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from . import advice
from .clouds import OrientedCloud
from .devices import halving, moved, pieces
from .geometry import Box, Similarity, offset_triples
from .kernels import Kernel
from .nystrom import choose_centers
from .products import Compute
from .solvers import falkon

logger = logging.getLogger(__name__)

LARGE_JITTER = {torch.float64: 5e-10, torch.float32: 5e-5}  # relative: more than rounding asks for


class Field(Protocol):
    """What sampling and meshing see of a fitted model."""

    def evaluate(self, points: Tensor) -> Tensor:
        """Values [n] in world units at points [n, 3] in world units; NaN where the field is undefined."""

    def gradient(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Values [n] and gradients [n, 3]."""

    def on(self, device: torch.device) -> Field:
        """The same field, evaluated on that device."""


class Replicas:
    """A field with a copy on each of several devices: points are evaluated where they lie."""

    def __init__(self, field: Field, devices: Sequence[torch.device]):
        self._copies = {device: field.on(device) for device in devices}

    def evaluate(self, points: Tensor) -> Tensor:
        return self._copies[points.device].evaluate(points)

    def gradient(self, points: Tensor) -> tuple[Tensor, Tensor]:
        return self._copies[points.device].gradient(points)


@dataclass(frozen=True)
class NeuralSpline:
    """f(x) = sum_j k(x, c_j) a_j, negative inside. Centres [m, 3] and coefficients [m] are in model space."""

    kernel: Kernel
    similarity: Similarity
    centers: Tensor
    coefficients: Tensor
    compute: Compute

    def on(self, device: torch.device) -> NeuralSpline:
        """The same field, evaluated on that device."""
        return moved(self, device, compute=self.compute.on(device))

    def evaluate(self, points: Tensor) -> Tensor:
        def values(chunk: Tensor) -> Tensor:
            x = self._model(chunk)
            values = self.compute.products.apply(self._kernel_for(x), x, self.centers, self.coefficients)
            return self.similarity.world_lengths(values.double())

        return torch.cat(halving(values, pieces(points.to(self.compute.device))))

    def gradient(self, points: Tensor) -> tuple[Tensor, Tensor]:
        def both(chunk: Tensor) -> tuple[Tensor, Tensor]:
            x = self._model(chunk)
            value, slope = self.compute.products.gradient(self._kernel_for(x), x, self.centers, self.coefficients)
            return self.similarity.world_lengths(value.double()), slope.double()

        values, slopes = zip(*halving(both, pieces(points.to(self.compute.device))), strict=True)
        return torch.cat(values), torch.cat(slopes)

    def _model(self, points: Tensor) -> Tensor:
        return self.similarity.points(points.to(self.compute.device), self.compute.dtype)

    def _kernel_for(self, x: Tensor) -> Kernel:
        return self.kernel.covering(_radius(x), _radius(self.centers))


@dataclass(frozen=True)
class SplineFit:
    """A spline with what it was fitted to: positions [3n, 3] and values [3n] in world units."""

    field: NeuralSpline
    solution: falkon.Solution
    positions: Tensor
    values: Tensor
    warnings: list[str]

    def summary(self) -> str:
        return f"{len(self.field.centers)} centres, {self.solution.summary()}"

    def world_centers(self) -> Tensor:
        return self.field.similarity.world_points(self.field.centers)


def fit_spline(
    cloud: OrientedCloud,
    kernel: Kernel,
    compute: Compute,
    generator: torch.Generator,
    *,
    eps: float,
    num_centers: int,
    nystrom_mode: str,
    regularization: float,
    max_iterations: int,
    tolerance: float,
    solve: Callable[..., falkon.Solution] = falkon.solve,
    notes: Sequence[str] = (),
    on_phase: Callable[[str], None] = lambda name: None,
    on_iteration: Callable[[int, float], None] | None = None,
) -> SplineFit:
    """Fit one spline to x -> 0, x +- eps n -> +-eps (world units) with `num_centers` Nyström centres.

    Model space is the unit box of the tripled cloud, so units and position of the cloud cancel.
    """
    positions, values = offset_triples(cloud.points, cloud.normals, eps)
    similarity = Similarity.to_unit_box(Box.around(positions))
    model = similarity.points(positions)
    on_phase("nystrom")
    centers = compute.place(choose_centers(model, num_centers, nystrom_mode, generator))
    x, y = compute.place(model), compute.place(similarity.lengths(values))
    kernel = kernel.covering(_radius(x), _radius(x))
    solution = solve(
        compute.products,
        kernel,
        x,
        y,
        centers,
        regularization=regularization,
        max_iterations=max_iterations,
        tolerance=tolerance,
        on_phase=on_phase,
        on_iteration=on_iteration,
    )
    spline = NeuralSpline(kernel, similarity, centers, solution.coefficients, compute)
    diagonal = float(kernel(centers[:, None], centers[:, None]).mean())
    warnings = [*notes, *_convergence_warnings(solution, tolerance, compute.dtype)]
    warnings += advice.jitter_lines(
        solution.jitter / diagonal,
        LARGE_JITTER[compute.dtype],
        f"the Gram matrix of the {len(centers)} centres",
        "use fewer NUM_NYSTROM_SAMPLES, a larger EPS or --dtype float64",
    )
    return SplineFit(spline, solution, positions, values, warnings)


def _convergence_warnings(solution: falkon.Solution, tolerance: float, dtype: torch.dtype) -> list[str]:
    cg = solution.cg
    if not cg.converged:
        return [
            f"conjugate gradients ended by {cg.reason} after {cg.iterations} iterations at residual "
            f"{cg.relative_residual:.1e}, above {tolerance:.0e}; raise --cg-max-iters or --regularization"
        ]
    if cg.relative_residual > 10 * tolerance:
        return [
            f"the true residual {cg.relative_residual:.1e} stayed above {tolerance:.0e}: {str(dtype)[6:]} has no more "
            "digits here; use --dtype float64 or a larger --regularization"
        ]
    return []


def _radius(x: Tensor) -> float:
    return float(x.square().sum(-1).amax()) ** 0.5 if len(x) else 0.0
