"""The compiled blend beside the tensor expressions that serve on a GPU."""

from dataclasses import replace

import pytest
import torch
from test_blending import CLOUD, field_of

from neural_splines.cells.blending import BlendedField
from neural_splines.cells.weights import CellWeights
from neural_splines.geometry import Similarity
from neural_splines.kernels.kernels import KERNELS, make_kernel
from neural_splines.kernels.products import resolve
from neural_splines.spline.spline import NeuralSpline

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4}
EVERY_KIND = pytest.mark.parametrize("kind", ["adaptive", "smooth", "hard", "yielding"])


def field(kind, kernel="neural-spline", dtype=torch.float64) -> BlendedField:
    made, compute = field_of("adaptive" if kind == "yielding" else kind), resolve("cpu", dtype=dtype)
    if kind == "yielding":
        made = replace(made, cells=replace(made.cells, yields=torch.arange(len(made.cells)) % 3 == 0))
    kernel, splines = make_kernel(kernel, 1.0).covering(1.6, 1.6), made.splines
    centers, coefficients = compute.place(splines.centers), compute.place(splines.coefficients)
    splines = replace(splines, centers=centers, coefficients=coefficients)
    return replace(made, kernel=kernel, splines=splines, compute=compute)


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
@pytest.mark.parametrize(
    ("kernel", "dtype"), [*((kernel, torch.float64) for kernel in KERNELS), ("neural-spline", torch.float32)]
)
def test_the_loop_and_the_tensors_agree(kind, kernel, dtype):
    f = field(kind, kernel, dtype)
    points = places(f)
    expected, found = f.by_tensors(points, True), f.gradient(points)
    assert bool(expected[0][:-3].isfinite().any())
    assert bool(expected[0].isnan().any())
    assert close(found[0], expected[0], TOLERANCE[dtype])
    assert close(f.evaluate(points), expected[0], TOLERANCE[dtype])
    assert close(found[1], expected[1], 100 * TOLERANCE[dtype])


def test_the_slope_where_boxes_yield_is_that_of_the_values():
    """By differences, at places where a box gives way in part."""
    f, step = field("yielding"), 1e-6
    x = places(f)[:-3]
    weights = CellWeights.by_tensors(f.cells, x)
    raw = f.cells.weights(x[weights.point], weights.cell)
    share = weights.weight / raw
    x = x[weights.point[(share > 0.01) & (share < 0.9)]]
    assert len(x) > 10
    ends = [x + sign * step * axis for axis in torch.eye(3, dtype=torch.float64) for sign in (1.0, -1.0)]
    above, below = torch.stack([f.evaluate(end) for end in ends], 1).unflatten(1, (3, 2)).unbind(2)
    error = ((above - below) / (2.0 * step) - f.gradient(x)[1]).abs()
    assert float(error.quantile(0.9)) < 1e-5  # a difference may cross a place where a share becomes negligible


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
    """Two boxes may share a spline, which then has one origin and scale."""
    f = field("adaptive")
    f = replace(f, model=f.model // 2 * 2)
    points = places(f)[:300]
    expected, found = f.by_tensors(points, True), f.gradient(points)
    assert close(found[0], expected[0], 1e-12)
    assert close(found[1], expected[1], 1e-10)


def test_where_no_cell_is_there_is_the_background():
    f = field("adaptive")
    far = NeuralSpline(
        f.kernel, Similarity(f.box.center, 0.2), f.splines.centers[:9], f.splines.coefficients[:9], f.compute, f.box
    )
    points = places(f)[:-3]
    value, slope = f.gradient(points)
    both = replace(f, background=far).gradient(points)
    none = value.isnan()
    assert 0 < int(none.sum()) < len(points)
    expected = far.gradient(points)
    assert torch.equal(both[0], torch.where(none, expected[0], value))
    assert torch.equal(both[1], torch.where(none[:, None], expected[1], slope))
