"""Cells that cannot be solved: absent from the blend, tried again with regularization that counts, told in one line."""

from dataclasses import replace

import pytest
import torch
from shapes import sphere
from test_cells import CPU, KERNEL, cells_of

from neural_splines.cells import problem
from neural_splines.cells.advice import failure_lines
from neural_splines.cells.batches import Batch, Smoothing
from neural_splines.cells.blending import BlendedField
from neural_splines.cells.members import Members
from neural_splines.cells.models import CellModels, fit_cells
from neural_splines.cells.partition import Cells, uniform_cells
from neural_splines.cells.problem import FitProblem
from neural_splines.cells.tally import Tally
from neural_splines.errors import NotPositiveDefiniteError
from neural_splines.run import whole
from neural_splines.runtime.monitor import Silent
from neural_splines.settings import Settings
from neural_splines.spline.fitting import Centers
from neural_splines.spline.solvers import direct

SMOOTHING = Smoothing(1e-7)


def fitted(cloud, cells: Cells, smoothing: Smoothing = SMOOTHING) -> tuple[BlendedField, CellModels]:
    centers, generator = Centers(100, "blue-noise"), torch.Generator().manual_seed(0)
    problem = FitProblem(cloud, cells, Members.of(cells, cloud.points), KERNEL, CPU, 0.02, centers, generator)
    models = fit_cells(problem, smoothing, Silent())
    return BlendedField.of(problem, models), models


def test_a_cell_that_cannot_be_solved_is_absent_and_the_others_live(monkeypatch):
    """Where another cell overlaps it there is a surface; only where it was alone there is none."""
    cloud = sphere(1500)
    cells, honest = cells_of(cloud, "adaptive"), direct.gram

    def sabotage(K, weights):
        A = honest(K, weights)
        A[0].fill_(float("nan"))
        return A

    monkeypatch.setattr(direct, "gram", sabotage)
    monkeypatch.setattr(problem, "CPU_BATCH_BYTES", 1 << 20)  # some batches, the first cell of each of which fails
    field, models = fitted(cloud, cells)
    assert 0 < len(models.failed) < len(cells)
    assert "not positive definite" in models.failed[0][1]
    good = ~models.jitters.isnan()
    held = torch.zeros(len(cloud), dtype=torch.bool)
    held[cells.subset(good.nonzero()[:, 0]).members(cloud.points)[0]] = True
    value, slope = field.gradient(cloud.points)
    assert not held.all()
    assert value[held].isfinite().all()
    assert slope[held].isfinite().all()
    assert value[held].abs().median() < 4e-3
    assert len(field.cells) == int(good.sum())


def test_one_line_counts_the_cells_that_failed():
    """However many they are, with the places of two."""
    cells, none = cells_of(sphere(1500), "adaptive"), torch.empty(0)
    models = CellModels(none, none, none, [(c, "why") for c in range(5)], 0, none, none)
    tally = Tally.of(models, cells, 0.0)
    (line,) = failure_lines(tally)
    assert line.startswith(f"5 of {len(cells)} cells have no model, why")
    places = [str(tuple(round(v, 6) for v in center)) in line for center in cells.centers[:3].tolist()]
    assert places == [True, True, False]
    assert failure_lines(tally + tally) == [line.replace(f"5 of {len(cells)}", f"10 of {2 * len(cells)}")]
    assert failure_lines(Tally.of(replace(models, failed=[]), cells, 0.0)) == []


@pytest.mark.parametrize("regularization", [0.0, 1e-300, 1e-7])
def test_a_cell_is_tried_again_with_regularization_that_counts(regularization, monkeypatch):
    """A multiple of none is some."""
    tried, solved = [], Batch.solved

    def failing(batch, smoothing, grams=None):
        tried.append(smoothing.regularization)
        found = solved(batch, smoothing, grams)
        return replace(found, jitter=torch.full_like(found.jitter, torch.nan))

    monkeypatch.setattr(Batch, "solved", failing)
    cloud = sphere(200)
    cells = uniform_cells(cloud.box.scaled(1.1), cloud.sampling, 1, 0.25, 0)
    _, models = fitted(cloud, cells, Smoothing(regularization))
    assert tried[0] == regularization
    assert tried[1] >= 1e-7
    assert tried[2] >= 1e-5
    assert f"{tried[2]:.0e}" in models.failed[0][1]


def test_where_no_cell_can_be_solved_the_reason_is_told(monkeypatch):
    """And not that no surface crosses the lattice."""
    solve = direct.solve_spd
    monkeypatch.setattr(direct, "solve_spd", lambda A, rhs: tuple(x * torch.nan for x in solve(A, rhs)))
    with pytest.raises(NotPositiveDefiniteError, match=r"no cell could be solved.*raise regularization"):
        whole.fit_cloud(sphere(300), Settings(grid_size=32, device="cpu", regularization=1e-7))


def test_a_choice_passes_over_what_cannot_be_solved(monkeypatch):
    """A smoothing whose systems all fail is the worst of all, and no error."""
    solve = Batch.solve

    def failing(batch, smoothing, grams=None):
        solution, jitter = solve(batch, smoothing, grams)
        return (solution, jitter) if smoothing.regularization >= 1e-7 else (solution, jitter * torch.nan)

    monkeypatch.setattr(Batch, "solve", failing)
    fit = whole.fit_cloud(sphere(300), Settings(grid_size=32, device="cpu"))
    assert fit.smoothing.regularization >= 1e-7
    assert not fit.models.failed
