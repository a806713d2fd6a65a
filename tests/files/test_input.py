"""Bad input, end to end: a mesh, a mesh and a warning, or one line and nothing written."""

from __future__ import annotations

import re

import pytest
from cloud_bytes import sphere
from corpus import CORPUS
from input_table import END, PAGE, START, outcome, row
from scripts import run, write_cloud
from shapes import torus

from neural_splines.cloud.clouds import OrientedCloud


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_both_scripts_end_every_input_as_it_should(case, tmp_path):
    said = {}
    for script in ("fit.py", "fit-grid.py"):
        folder = tmp_path / script
        folder.mkdir()
        kind, text = outcome(case, script, folder)
        said[script] = re.sub(
            r" ?smoothing could not be chosen .* set --regularization", "", text
        )  # cells of two or three points
        kind = "mesh" if text and not said[script] else kind
        assert kind == case.outcome, said
        assert case.message in said[script]
        assert said[script].isprintable()
        assert kind == "mesh" or "; " in said[script], "no remedy"
        if script == "fit.py":
            assert row(case, kind, said[script]) in PAGE.read_text().splitlines(), (
                "run PYTHONPATH=. python tests/input_table.py"
            )
    # what fit-grid.py trims or leaves out by itself fit.py warns of
    one, other = (re.sub(r" \d+% of the faces are more .*", "", text) for text in said.values())
    one, other = (re.sub(r"points (lies? far|(was|were) ignored) .*", "points", text) for text in (one, other))
    assert one == other


def test_the_page_has_a_row_for_each_input_and_no_other():
    rows = PAGE.read_text().split(START)[1].split(END)[0].strip().splitlines()[2:]
    assert [line.split(" | ")[0] for line in rows] == [f"| `{case.name}{case.suffix}`" for case in CORPUS]
    assert len(CORPUS) >= 40


@pytest.mark.parametrize("script", ["fit.py", "fit-grid.py"])
def test_strict_turns_warnings_into_exit_code_3_after_writing(script, tmp_path):
    case = next(case for case in CORPUS if case.name == "nan_points_some")
    dirty, clean = case.file(tmp_path), write_cloud(tmp_path / "clean.ply", OrientedCloud(*map(_tensor, sphere())))
    args = ["auto", 100, 16, *(["auto"] if "grid" in script else []), "--seed", 0, "--strict"]
    outcome = run(script, clean, *args, "--out", tmp_path / "clean_mesh.ply")
    assert (outcome.code, outcome.err) == (0, "")
    outcome = run(script, dirty, *args, "--out", tmp_path / "mesh.ply")
    assert outcome.code == 3
    assert outcome.err.splitlines()[-1] == f"{script}: 1 warning under --strict; the outputs were written"
    assert (tmp_path / "mesh.ply").stat().st_size > 1000


def test_a_cell_without_a_model_is_a_warning(tmp_path, monkeypatch):
    from neural_splines.cells import batches

    solved = batches.Batch.solved

    def failing(self, *args):
        found = solved(self, *args)
        found.jitter[self.cell == 0] = float("nan")
        return found

    monkeypatch.setattr(batches.Batch, "solved", failing)
    cloud = write_cloud(tmp_path / "cloud.ply", torus(800))
    args = ["auto", 100, 16, 2, "--seed", 0, "--strict", "--out", tmp_path / "mesh.ply"]
    outcome = run("fit-grid.py", cloud, *args)
    assert outcome.code == 3
    assert re.search(r"warning: 1 of \d+ cells have no model, not positive definite.*first at \(.*\)", outcome.err)


@pytest.mark.parametrize("points", [20_000])
def test_cells_far_smaller_than_a_voxel_are_fitted(points, tmp_path):
    """The offset, half a voxel, is then many times longer than a cell; it is cut to a quarter of the cell."""
    cloud = write_cloud(tmp_path / "cloud.ply", torus(points))
    outcome = run("fit-grid.py", cloud, "auto", 30, 8, "auto", "--points-per-cell", 8, "--out", tmp_path / "mesh.ply")
    assert outcome.code == 0, outcome.err


def _tensor(array):
    import torch

    return torch.from_numpy(array)
