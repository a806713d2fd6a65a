"""field(points) is field.evaluate(points), and autograd's derivative of it is the field's own gradient."""

import numpy as np
import pytest
import torch
from shapes import sphere

import neural_splines as ns
from neural_splines.spline.contract import Replicas

CLOUD = sphere(200)
PLACES = torch.tensor([(0.9, 0.1, 0.2), (-0.3, 0.8, -0.6), (0.1, -0.2, 1.05)], dtype=torch.float64)
KINDS = {
    "spline": (ns.fit, ns.Settings(cells=None, num_nystrom_samples=40, cg_max_iters=100, device="cpu")),
    "blend": (ns.fit_cells, ns.Settings(grid_size=16, cells=ns.CellSettings(cells_per_axis=2), device="cpu")),
    "single": (ns.fit, ns.Settings(cells=None, num_nystrom_samples=40, dtype="float32", cg_stop_thresh=1e-3)),
}


@pytest.fixture(scope="module")
def fields():
    found = {kind: fit(CLOUD.points, CLOUD.normals, settings) for kind, (fit, settings) in KINDS.items()}
    return found | {"replicas": Replicas(found["blend"], [torch.device("cpu")])}


@pytest.mark.parametrize("kind", ["spline", "blend", "replicas"])
def test_derivatives_are_those_of_finite_differences(fields, kind):
    assert torch.autograd.gradcheck(fields[kind], PLACES.clone().requires_grad_())


@pytest.mark.parametrize("kind", ["spline", "blend", "single"])
def test_values_and_gradients_are_the_fields_own(fields, kind):
    field, points = fields[kind], PLACES.float().requires_grad_()
    values = field(points)
    (values * torch.tensor([1.0, 2.0, 0.0])).sum().backward()
    slopes = field.gradient(points.detach())[1]
    assert values.dtype == torch.float64
    assert torch.allclose(values, field.evaluate(points.detach()), rtol=0.0, atol=1e-5 if kind == "single" else 1e-12)
    assert points.grad.dtype == torch.float32
    assert torch.equal(points.grad, slopes.float() * torch.tensor([[1.0], [2.0], [0.0]]))


def test_nothing_is_differentiated_that_nobody_asked_for(fields, monkeypatch):
    """Arrays, points without a gradient, and all points under no_grad are evaluated alone."""
    field = fields["spline"]
    monkeypatch.setattr(type(field), "gradient", None)
    assert np.array_equal(field(PLACES.numpy()), field.evaluate(PLACES).numpy())
    assert not field(PLACES).requires_grad
    with torch.no_grad():
        assert not field(PLACES.clone().requires_grad_()).requires_grad


def test_places_that_a_loss_leaves_out_have_no_gradient(fields):
    """Where no cell is a blend is NaN, and so is its gradient; a sum of the other values does not see that."""
    points = torch.cat([PLACES, PLACES[:1] + 50.0]).requires_grad_()
    values = fields["blend"](points)
    assert values.isnan().tolist() == [False, False, False, True]
    values[values.isfinite()].sum().backward()
    assert (points.grad[3] == 0.0).all()
    assert (points.grad[:3].norm(dim=1) > 0.1).all()


def test_points_walk_onto_the_surface(fields):
    """What gradients are for: an optimiser that has the field alone."""
    points = (1.3 * PLACES).requires_grad_()
    optimiser = torch.optim.SGD([points], lr=0.3)
    for _ in range(40):
        optimiser.zero_grad()
        fields["spline"](points).square().sum().backward()
        optimiser.step()
    assert float(fields["spline"](points).detach().abs().max()) < 1e-3


def test_a_second_derivative_is_refused(fields):
    points = PLACES.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(fields["spline"](points).sum(), points, create_graph=True)
    with pytest.raises(RuntimeError, match=r"once_differentiable|does not require grad"):
        slopes.sum().backward()
