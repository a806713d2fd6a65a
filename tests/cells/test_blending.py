"""The blend of cells against a slow twin: every cell at every point, in loops."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from references import kernel_matrix
from shapes import torus

from neural_splines.cells.blending import BlendedField
from neural_splines.cells.partition import REACH_WEIGHT, adaptive_cells, uniform_cells
from neural_splines.cells.splines import Splines
from neural_splines.kernels.kernels import make_kernel
from neural_splines.kernels.products import resolve

CLOUD, CENTERS = torus(500), 5


def field_of(kind) -> BlendedField:
    """Cells whose splines disagree wildly: what each has to say shows."""
    box = CLOUD.box.scaled(1.1)
    if kind == "adaptive":
        cells = adaptive_cells(box, CLOUD.sampling, 60, 0.5, 0)
    else:
        cells = uniform_cells(box, CLOUD.sampling, 3, 0.5, 0, blend=kind == "smooth")
    generator = torch.Generator().manual_seed(0)
    centers = torch.rand(CENTERS * len(cells), 3, generator=generator, dtype=torch.float64) - 0.5
    coefficients = torch.randn(len(centers), generator=generator, dtype=torch.float64)
    offsets, kernel = CENTERS * torch.arange(len(cells) + 1), make_kernel("neural-spline", 1.0).covering(1.6, 1.6)
    splines = Splines(cells.centers, cells.scales, centers, coefficients, offsets)
    return BlendedField(cells, torch.arange(len(cells)), splines, kernel, resolve("cpu"), CLOUD.box)


def bump(x, lower, upper, margin) -> float:
    """The product over the axes of a smooth step from 0 at `margin` outside the box to 1 at `margin` inside it."""
    product = 1.0
    for axis in range(3):
        depth = min(x[axis] - (lower[axis] - margin), (upper[axis] + margin) - x[axis])
        t = min(max(depth / (2 * margin), 0.0), 1.0) if margin > 0 else float(depth > 0)
        product *= t * t * (3 - 2 * t)
    return product


def blended(field: BlendedField, x: np.ndarray) -> float:
    c, total, weights = field.cells, 0.0, 0.0
    for cell in range(len(c)):
        lower, upper = c.lower[cell].numpy(), c.upper[cell].numpy()
        weight = bump(x, lower, upper, float(c.ramp[cell])) + REACH_WEIGHT * bump(x, lower, upper, float(c.reach[cell]))
        if weight == 0.0:
            continue
        s, m = field.splines, int(field.model[cell])
        own, scale = slice(CENTERS * m, CENTERS * m + CENTERS), float(s.scale[m])
        model = scale * (x - s.origin[m].numpy())
        value = kernel_matrix("neural-spline", model[None], s.centers[own].numpy()) @ s.coefficients[own].numpy()
        total, weights = total + weight * value[0] / scale, weights + weight
    return total / weights if weights else np.nan


@pytest.mark.parametrize("kind", ["adaptive", "smooth", "hard"])
@pytest.mark.parametrize("shared", [False, True])
def test_the_blend_is_the_weighted_mean_of_all_cells(kind, shared):
    """But for shares below 1e-4, which are left out. Two cells may have one spline."""
    field, generator = field_of(kind), torch.Generator().manual_seed(1)
    if shared:
        field = replace(field, model=field.model // 2 * 2)
    near = CLOUD.points[:60] + 0.1 * torch.randn(60, 3, generator=generator, dtype=torch.float64)
    points = torch.cat([near, torch.tensor([[9.0, 0.0, 0.0]], dtype=torch.float64)])
    expected = np.array([blended(field, x) for x in points.numpy()])
    found = field.evaluate(points).numpy()
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    assert np.isnan(found).any()
    known = ~np.isnan(expected)
    assert np.abs(found - expected)[known].max() < 2e-3 * np.abs(expected[known]).max()
    assert np.median(np.abs(found - expected)[known]) < 1e-4 * np.abs(expected[known]).max()
