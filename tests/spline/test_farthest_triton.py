"""The GPU's farthest-point sampling chooses what the CPU's does; in Triton's interpreter where there is no GPU."""

import pytest
import torch

pytest.importorskip("triton")
from neural_splines.spline import farthest, farthest_triton

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize(("n", "count"), [(40, 40), (300, 70), (500, 40)])
def test_the_same_points_are_chosen(n, count, generator, monkeypatch):
    if DEVICE == "cpu":
        for name, value in (("PROGRAMS", 4), ("BLOCK", 32), ("STEPS", 8)):  # the interpreter is slow
            monkeypatch.setattr(farthest_triton, name, value)
    points = torch.rand(n, 3, generator=generator, dtype=torch.float64)
    points = torch.round(points * 1024) / 1024  # distances are exact, so that no rounding decides
    found = farthest_triton.sample(points.to(DEVICE), count, 7)
    assert found.cpu().tolist() == farthest.sample(points.numpy(), count, 7).tolist()
