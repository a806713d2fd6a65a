"""From a cloud to a blended field: cells, the smoothing that suits them, their splines, a background."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from . import advice, memory
from .cell_fitting import COARSER, LARGEST_EPS, CellModels, FitProblem, Members, Smoothing, fit_cells
from .cells import BlendedField, Cells, adaptive_cells, uniform_cells
from .clouds import OrientedCloud
from .geometry import Box, morton_order, offset_triples
from .kernels import Kernel
from .monitor import Monitor
from .products import Compute
from .settings import CellSettings, Settings
from .smoothing import choose_smoothing
from .spline import NeuralSpline, fit_spline

SMALL_CELLS, LARGE_CELLS = 200, 400  # points of an adaptive cell at most, for clean and for noisy clouds
AUTO_CENTERS = 300  # of a cell; 500 gain 3 % in accuracy for twice the time
BACKGROUND_WEIGHT = 1e-3
BACKGROUND_POINTS, BACKGROUND_CENTERS, BACKGROUND_REGULARIZATION = 20_000, 2000, 1e-7
BACKGROUND_EPS = 0.004  # of the cloud's diagonal
LARGE_JITTER = {torch.float64: 5e-11, torch.float32: 5e-5}  # relative: more than rounding asks for


@dataclass(frozen=True)
class CellsFit:
    """A blended field, its constraints (positions [3n, 3], values [3n], world units), and how its cells were solved."""

    field: BlendedField
    positions: Tensor
    values: Tensor
    cells: Cells
    models: CellModels
    smoothing: Smoothing
    chosen: str
    warnings: list[str]

    def world_centers(self) -> Tensor:
        cell = torch.repeat_interleave(self.models.offsets.diff())
        return self.models.centers.double() / self.cells.scales[cell, None] + self.cells.centers[cell]

    def summary(self) -> str:
        parts = [f"{len(self.cells)} cells, {len(self.models.centers)} centres, {self.chosen or self.smoothing}"]
        if self.models.largest_jitter:
            parts.append(f"jitter up to {self.models.largest_jitter:.0e}")
        if self.models.retried:
            parts.append(f"{self.models.retried} cells fitted with more regularization")
        if self.models.failed:
            parts.append(f"{len(self.models.failed)} cells failed")
        return ", ".join(parts)


def fit_blend(
    cloud: OrientedCloud,
    box: Box,
    kernel: Kernel,
    eps: float,
    settings: Settings,
    compute: Compute,
    generator: torch.Generator,
    monitor: Monitor,
) -> CellsFit:
    """Share the points out to cells of the box, fit each, and blend."""
    monitor.phase("cells")
    order = morton_order(box, cloud.points.to(compute.device))
    cloud = OrientedCloud(cloud.points.to(compute.device)[order], cloud.normals.to(compute.device)[order])
    options = settings.cells
    problem = _problem(cloud, box, kernel, eps, settings, options, compute, generator)
    if settings.regularization is None:
        monitor.phase("smoothing")
        choice = choose_smoothing(problem, generator)
        if options.cells_per_axis is None and options.points_per_cell is None and choice.is_strong:
            # Noise averages out over more points; clean detail never asks for larger cells.
            larger = replace(options, points_per_cell=LARGE_CELLS)
            other = _problem(cloud, box, kernel, eps, settings, larger, compute, generator)
            other_choice = choose_smoothing(other, generator)
            if other_choice.score < choice.score:
                problem, choice = other, other_choice
        smoothing, chosen = choice.smoothing, choice.summary()
    else:
        smoothing = Smoothing(settings.regularization, settings.offset_weight or 1.0, settings.robust_passes or 0)
        chosen = ""
    cells, kernel = problem.cells, problem.kernel
    monitor.phase("fit")
    models = fit_cells(problem, smoothing, monitor.progress)
    background = None
    if options.fill_holes:
        monitor.phase("background")
        background = fit_background(cloud, kernel, compute, generator)
    field = BlendedField(
        cells,
        kernel,
        models.centers,
        models.coefficients,
        models.offsets,
        compute,
        background=background,
        background_weight=BACKGROUND_WEIGHT,
    )
    warnings = _retry_warnings(models, len(cells))
    warnings += advice.jitter_lines(
        models.largest_jitter,
        LARGE_JITTER[compute.dtype],
        "the system of a cell",
        "raise --regularization, or use fewer NUM_NYSTROM_SAMPLES or --dtype float64",
    )
    if settings.eps is not None:
        warnings += advice.eps_lines(eps, cells, LARGEST_EPS)
    warnings += [
        f"cell {c} at {tuple(round(v, 6) for v in cells.centers[c].tolist())} has no model: {reason}"
        for c, reason in models.failed
    ]
    return CellsFit(
        field, *offset_triples(cloud.points, cloud.normals, eps), cells, models, smoothing, chosen, warnings
    )


def _retry_warnings(models: CellModels, cells: int) -> list[str]:
    if not models.retried:
        return []
    return [
        f"{models.retried} of {cells} cells could not be solved as asked and got up to {COARSER[-1]:.0e} times the "
        "regularization; raise --regularization or use --dtype float64"
    ]


def fit_background(cloud: OrientedCloud, kernel: Kernel, compute: Compute, generator: torch.Generator) -> NeuralSpline:
    """A coarse spline of the whole cloud, which closes the surface where no cell is."""
    pick = torch.randperm(len(cloud), generator=generator)[:BACKGROUND_POINTS].to(cloud.points.device)
    return fit_spline(
        OrientedCloud(cloud.points[pick], cloud.normals[pick]),
        kernel,
        compute,
        generator,
        eps=BACKGROUND_EPS * cloud.box.diagonal,
        num_centers=BACKGROUND_CENTERS,
        nystrom_mode="blue-noise",
        regularization=BACKGROUND_REGULARIZATION,
        max_iterations=20,
        tolerance=1e-4,
    ).field


def _problem(
    cloud: OrientedCloud,
    box: Box,
    kernel: Kernel,
    eps: float,
    settings: Settings,
    options: CellSettings,
    compute: Compute,
    generator: torch.Generator,
) -> FitProblem:
    """The cells and what each is fitted to."""
    blend = options.weight_type == "trilinear"
    make, size = (
        (adaptive_cells, options.points_per_cell or SMALL_CELLS)
        if options.cells_per_axis is None
        else (uniform_cells, options.cells_per_axis)
    )
    cells = make(box, cloud.points, size, options.overlap, options.min_pts_per_cell, blend)
    members = Members.of(cells, cloud.points)
    asked = settings.num_nystrom_samples
    most = 3 * int(members.counts.max())
    if asked is None or asked > 0:
        most = min(most, asked or AUTO_CENTERS)
    memory.check_cells(3 * int(members.counts.max()), most, len(cells), compute)
    offsets = cells.padding + (LARGEST_EPS / cells.scales).clamp_max(eps)  # so far outside constraints may lie
    kernel = kernel.covering(cells.model_radius(cells.reach.maximum(offsets)), cells.model_radius(offsets))
    return FitProblem(cloud, cells, members, kernel, compute, eps, most, settings.nystrom_mode, generator)
