"""From a cloud to a blended field: cells, the smoothing that suits them, their splines, a background."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .cell_fitting import CellModels, FitProblem, Members, Smoothing, fit_cells
from .cells import BlendedField, Cells, adaptive_cells, uniform_cells
from .clouds import OrientedCloud
from .geometry import Box, morton_order
from .kernels import Kernel
from .monitor import Monitor
from .products import Compute
from .settings import CellSettings, Settings
from .smoothing import choose_smoothing
from .spline import NeuralSpline, fit_spline

AUTO_CENTERS = 300  # of a cell; 500 gain 3 % in accuracy for twice the time
BACKGROUND_WEIGHT = 1e-3
BACKGROUND_POINTS, BACKGROUND_CENTERS, BACKGROUND_REGULARIZATION = 20_000, 2000, 1e-7
BACKGROUND_EPS = 0.004  # of the cloud's diagonal


@dataclass(frozen=True)
class CellsFit:
    """A blended field and how its cells were solved."""

    field: BlendedField
    cells: Cells
    models: CellModels
    smoothing: Smoothing
    chosen: str
    warnings: list[str]

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
    options = settings.cells
    order = morton_order(box, cloud.points.to(compute.device))
    cloud = OrientedCloud(cloud.points.to(compute.device)[order], cloud.normals.to(compute.device)[order])
    cells = _make_cells(box, cloud, options)
    asked = settings.num_nystrom_samples
    most = 3 * len(cloud) if asked is not None and asked < 0 else asked or AUTO_CENTERS
    members = Members.of(cells, cloud.points)
    most = min(most, 3 * int(members.counts.max()))
    offsets = cells.padding + eps  # constraints lie up to eps outside the padding
    kernel = kernel.covering(cells.model_radius(cells.reach.maximum(offsets)), cells.model_radius(offsets))
    problem = FitProblem(cloud, cells, members, kernel, compute, eps, most, settings.nystrom_mode, generator)

    if settings.regularization is None:
        monitor.phase("smoothing")
        choice = choose_smoothing(problem, generator)
        smoothing, chosen = choice.smoothing, choice.summary()
    else:
        smoothing = Smoothing(settings.regularization, settings.offset_weight or 1.0, settings.robust_passes or 0)
        chosen = ""
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
    warnings = [
        f"cell {c} at {tuple(round(v, 6) for v in cells.centers[c].tolist())} has no model: {reason}"
        for c, reason in models.failed
    ]
    return CellsFit(field, cells, models, smoothing, chosen, warnings)


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


def _make_cells(box: Box, cloud: OrientedCloud, options: CellSettings) -> Cells:
    make, size = (
        (adaptive_cells, options.points_per_cell)
        if options.cells_per_axis is None
        else (uniform_cells, options.cells_per_axis)
    )
    blend = options.weight_type == "trilinear"
    return make(box, cloud.points, size, options.overlap, options.min_pts_per_cell, blend)
