"""The compiled blend beside the tensor expressions that serve on a GPU."""

from dataclasses import replace

import pytest
import torch
from test_blending import CLOUD, field_of

from neural_splines.cells.blending import BlendedField
from neural_splines.geometry import Similarity
from neural_splines.kernels.kernels import KERNELS, make_kernel
from neural_splines.kernels.products import resolve
from neural_splines.spline.spline import NeuralSpline

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4}
EVERY_KIND = pytest.mark.parametrize("kind", ["adaptive", "smooth", "hard"])


def field(kind, kernel="neural-spline", dtype=torch.float64, background=False) -> BlendedField:
    made, compute = field_of(kind), resolve("cpu", dtype=dtype)
    kernel = make_kernel(kernel, 1.0).covering(1.6, 1.6)
    centers, coefficients = compute.place(made.centers), compute.place(made.coefficients)
    far = None
    if background:
        far = NeuralSpline(kernel, Similarity(made.box.center, 0.2), centers[:9], coefficients[:9], compute, made.box)
    return replace(
        made, kernel=kernel, centers=centers, coefficients=coefficients, compute=compute, background=far,
        background_weight=1e-3,
    )  # fmt: skip


def places(field) -> torch.Tensor:
    """Points in the cells, on their walls, on those of their reach, far away, and none."""
    generator, cells = torch.Generator().manual_seed(1), field.cells
    near = CLOUD.points[:200] + 0.1 * torch.randn(200, 3, generator=generator, dtype=torch.float64)
    walls = [cells.lower, cells.upper, cells.outer_lower, cells.outer_upper, 0.5 * (cells.lower + cells.upper)]
    odd = torch.tensor([[9.0, 0.0, 0.0], [torch.nan, 0.0, 0.0], [-1e9, 1e9, 0.0]], dtype=torch.float64)
    return torch.cat([near, *walls, odd])


def close(found, expected, tolerance) -> bool:
    scale = float(expected.nan_to_num(0.0).abs().max())
    return torch.allclose(found, expected, rtol=0.0, atol=tolerance * scale, equal_nan=True)


@EVERY_KIND
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("background", [False, True])
def test_the_loop_and_the_tensors_agree(kind, kernel, dtype, background):
    f = field(kind, kernel, dtype, background)
    points = places(f)
    expected, found = f.by_tensors(points, True), f.gradient(points)
    assert bool(expected[0][:-3].isfinite().any())
    assert bool(expected[0].isnan().any())
    assert close(found[0], expected[0], TOLERANCE[dtype])
    assert close(f.evaluate(points), expected[0], TOLERANCE[dtype])
    assert close(found[1], expected[1], 100 * TOLERANCE[dtype])


def test_the_loop_is_what_evaluates(monkeypatch):
    f = field("adaptive")
    monkeypatch.delattr(BlendedField, "by_tensors")
    assert bool(f.evaluate(places(f)).isfinite().any())
    with pytest.raises(AttributeError):
        replace(f, compute=resolve("cpu", "torch")).evaluate(places(f))


@EVERY_KIND
def test_the_value_at_a_point_depends_on_that_point_alone(kind):
    """To the bit: so the mesh does not depend on how points are grouped."""
    f = field(kind)
    points = places(f)
    alone = torch.cat([f.evaluate(point[None]) for point in points])
    assert torch.equal(alone.nan_to_num(7.0), f.evaluate(points).nan_to_num(7.0))


def test_a_box_uses_the_spline_that_is_named():
    """Two boxes may share a spline, which then has one centre and scale."""
    from neural_splines.cells import blending_numba as loop

    f = field("adaptive")
    model = torch.arange(len(f.cells)) // 2 * 2
    boxes = loop.boxes_of(f.cells)
    space = f.cells.centers, f.cells.scales
    splines = loop.splines_of(f.kernel, f.centers, f.coefficients, f.offsets, model, space)
    points, none = f.cells.centers[1::2][:1], (torch.empty(0), torch.empty(0, 3))
    found, _ = loop.blend(points, boxes, splines, f.kernel, none, 0.0, False)
    one, cell = f.cells.containing(points)
    weight = f.cells.weights(points[one], cell)
    keep = weight > 1e-4 * weight.sum()
    cell, weight, expected = cell[keep], weight[keep], 0.0
    for c, w in zip(cell.tolist(), weight.tolist(), strict=True):
        m = c // 2 * 2
        x, own = f.cells.scales[m] * (points - f.cells.centers[m]), slice(int(f.offsets[m]), int(f.offsets[m + 1]))
        expected += w * float(f.kernel(x, f.centers[own]) @ f.coefficients[own]) / float(f.cells.scales[m])
    assert float(found) == pytest.approx(expected / float(weight.sum()), rel=1e-10)
