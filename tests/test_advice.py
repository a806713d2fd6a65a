"""Warnings about results: they come where they should, with a number and a remedy, and not otherwise."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from scripts import run, write_cloud
from shapes import hemisphere, knot, sphere, torus

from neural_splines.cells import batches
from neural_splines.spline.solvers import falkon


@pytest.fixture
def warned(tmp_path):
    """warned(cloud, script, args...) -> standard error of a run that ends well."""

    def call(cloud, script, *args):
        path = write_cloud(tmp_path / "cloud.ply", cloud)
        outcome = run(script, path, *args, "--seed", 0, "--cg-max-iters", 100, "--out", tmp_path / "mesh.ply")
        assert outcome.code == 0, outcome.err
        return outcome.err

    return call


SPLINE, CELLS = ["fit.py", "auto", 180, 24], ["fit-grid.py", "auto", "auto", 32, "auto"]


@pytest.mark.parametrize(
    ("cloud", "args"),
    [(sphere(60), SPLINE), (knot(3000), SPLINE), (sphere(60), CELLS), (sphere(2000), CELLS), (torus(1500), CELLS)],
    ids=["60, one spline", "knot, one spline", "60", "2000", "torus"],
)
def test_a_closed_object_is_no_reason_to_warn(cloud, args, warned):
    assert warned(cloud, *args) == ""


def test_sheets_far_from_the_points_are_a_warning_until_they_are_trimmed(warned):
    """One spline closes a hemisphere with a sheet through its middle, up to a radius from the rim."""
    args = [hemisphere(1000), "fit.py", "auto", 500, 32, "--margin", 1.7]
    said = warned(*args)
    match = re.fullmatch(r"fit.py: warning: (\d+)% of the faces are more than ([\d.]+) from .*--trim auto\n", said)
    assert 1 < int(match[1]) < 30
    assert 0.2 < float(match[2]) < 0.5
    assert warned(*args, "--trim", "auto") == ""
    assert "smaller --trim" in warned(*args, "--trim", 100)
    assert warned(hemisphere(1000), "fit-grid.py", "auto", "auto", 32, "auto") == ""
    assert warned(hemisphere(1000), "fit-grid.py", "auto", "auto", 32, "auto", "--margin", 2.6, "--fill-holes") == ""


@pytest.mark.parametrize(("relative", "warns"), [(1e-12, False), (1e-9, True)])
def test_jitter_beyond_rounding_is_a_warning(relative, warns, warned, monkeypatch):
    solve, solve_cells = falkon.Falkon.solve, batches.Batch.solved

    def jittered(*args):
        return replace(solve(*args), relative_jitter=relative)

    def jittered_cells(*args):
        found = solve_cells(*args)
        return replace(found, jitter=found.jitter + relative)

    monkeypatch.setattr(falkon.Falkon, "solve", jittered)
    monkeypatch.setattr(batches.Batch, "solved", jittered_cells)
    for script, cells, what in (("fit.py", [], "matrix of the 100 centres"), ("fit-grid.py", [2], "system of a cell")):
        said = warned(sphere(300), script, "auto", 100, 12, *cells)
        assert bool(re.search(f"{what} is so close to singular that 1e-09 of its.*--dtype float64", said)) == warns
        assert (said == "") != warns


def test_an_eps_that_is_cut_in_small_cells_is_a_warning(warned):
    args = ["fit-grid.py", 0.5, 100, 24, "auto", "--points-per-cell", 50]
    said = warned(sphere(1000), *args)
    match = re.search(r"EPS 0.5 is too long for (\d+) of (\d+) cells .* at most ([\d.]+),", said)
    assert 0 < int(match[1]) <= int(match[2])
    assert warned(sphere(1000), args[0], 0.99 * float(match[3]), *args[2:]) == ""
    assert warned(sphere(1000), args[0], "auto", *args[2:]) == ""
