"""An option either acts or is refused with a reason."""

import re

import numpy as np
import pytest
from scripts import run, write_cloud
from shapes import sphere

from neural_splines.settings import CellSettings, Settings

GRID = "fit-grid.py"


@pytest.fixture
def cloud(tmp_path):
    return write_cloud(tmp_path / "cloud.ply", sphere(200))


def refused(tmp_path, script, cloud, *args) -> str:
    """The one line of a run that is refused before any work, and leaves no file."""
    before = sorted(p.name for p in tmp_path.iterdir())
    if "--out" not in args:
        args = [*args, "--out", tmp_path / "mesh.ply"]
    outcome = run(script, cloud, *args)
    assert outcome.code == 2, outcome.out
    assert outcome.err.startswith(f"{script}: error: ")
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    return outcome.err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([1, "--gradient-length", 0.2], "--gradient-length needs cells, but this run fits one spline; drop"),
        (["auto", "--gradient-length", 0.2], "--gradient-length is chosen with the regularization where that is auto"),
        (
            [2, "--gradient-length", 0.2],
            "--gradient-length needs a kernel without a kink: use --kernel neural-spline --outer-layer-variance 0",
        ),
        (
            ["auto", "--regularization", 1e-6, "--gradient-length", 0.2, "--offset-weight", 0.5],
            "--offset-weight weighs constraints that --gradient-length replaces",
        ),
        ([1, "--robust-passes", 2], "--robust-passes needs cells, but this run fits one spline; drop it"),
        ([1, "--offset-weight", 0.5], "--offset-weight needs cells, but this run fits one spline; drop it"),
        ([1, "--fill-holes"], "--fill-holes is for many cells"),
        ([1, "--min-pts-per-cell", 201], "no cell holds enough points; lower --min-pts-per-cell"),
        (["auto", "--offset-weight", 0.5], "--offset-weight is chosen with the regularization where that is auto"),
        (["auto", "--robust-passes", 0], "--robust-passes is chosen with the regularization where that is auto"),
        ([2, "--regularization", "auto", "--offset-weight", 1], "--offset-weight is chosen with the regularization"),
        ([2, "--points-per-cell", 50], "--points-per-cell sets the size of adaptive cells; use CELLS_PER_AXIS auto"),
        (["auto", "--solver", "falkon"], "--solver falkon fits one spline, and cells are solved directly"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_what_could_not_act_is_refused(tmp_path, cloud, args, message):
    assert message in refused(tmp_path, GRID, cloud, "auto", 100, 12, *args)


@pytest.mark.parametrize("args", [["--min-pts-per-cell", 200], ["--overlap", 0.5]])
def test_one_cell_takes_what_it_can_do(tmp_path, cloud, args):
    assert run(GRID, cloud, "auto", 100, 12, 1, *args, "--seed", 0, "--out", tmp_path / "mesh.ply").code == 0


@pytest.mark.parametrize("args", [["--offset-weight", 0.2], ["--robust-passes", 2], ["--regularization", 1e-3]])
def test_smoothing_options_act_on_cells(tmp_path, cloud, args):
    """Another mesh than without them."""
    common = [cloud, "auto", 60, 12, 2, "--seed", 0, "--out"]
    assert run(GRID, *common, tmp_path / "a.ply").code == 0
    assert run(GRID, *common, tmp_path / "b.ply", *args).code == 0
    assert (tmp_path / "a.ply").read_bytes() != (tmp_path / "b.ply").read_bytes()


def test_zero_keeps_every_component_also_where_holes_are_filled():
    filled = CellSettings(fill_holes=True)
    assert Settings(cells=filled, min_component=0).min_component == 0
    assert Settings(cells=filled, min_component=0.0).min_component == 0.0
    assert Settings(cells=filled).min_component == "auto"
    assert Settings(cells=None).min_component == 0.0
    assert Settings().min_component == "auto"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trim", "banana"), ("trim", 0), ("trim", -1.0), ("trim", True), ("trim", [1]), ("trim", np.inf),
        ("eps", "banana"), ("eps", float("nan")), ("eps", 0), ("num_nystrom_samples", 0),
        ("num_nystrom_samples", 1.5), ("num_nystrom_samples", "many"), ("grid_size", 1), ("grid_size", 64.0),
        ("grid_size", "64"), ("grid_size", True), ("scale", 0.9), ("scale", "1"), ("regularization", "none"),
        ("regularization", -1e-7), ("offset_weight", 0.0), ("robust_passes", 11), ("nystrom_mode", "poisson"),
        ("voxel_downsample_threshold", 0), ("kernel", "rbf"), ("kernel", 3), ("outer_layer_variance", -1),
        ("outer_layer_variance", "auto"), ("seed", -1), ("seed", 1.0), ("cg_max_iters", 0), ("cg_stop_thresh", -1),
        ("solver", "lu"), ("dtype", "float16"), ("device", 0), ("backend", "cuda"), ("dense", 1),
        ("refine_vertices", "yes"), ("min_component", 1.5), ("min_component", "none"), ("cells", "auto"),
        ("remove_outliers", "yes"), ("gradient_length", -0.1),
    ],
)  # fmt: skip
def test_every_setting_is_checked(name, value):
    """One line that names the option and what was given; a ValueError, never a TypeError from within."""
    with pytest.raises(ValueError, match="must be") as caught:
        Settings(**{"cells": CellSettings(cells_per_axis=2), name: value})
    assert type(caught.value).__name__ == "SettingsError"
    words = str(caught.value).lower().replace("-", "_")
    assert name in words or (name == "refine_vertices" and "no_refine_vertices" in words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("cells_per_axis", 0), ("cells_per_axis", "many"), ("cells_per_axis", 2.0), ("overlap", 1.1), ("overlap", "auto"),
     ("weight_type", "linear"), ("min_pts_per_cell", -1), ("points_per_cell", 7),
     ("fill_holes", 0.0), ("fill_holes", "yes")],
)  # fmt: skip
def test_every_setting_of_cells_is_checked(name, value):
    with pytest.raises(ValueError, match="must be") as caught:
        CellSettings(**{name: value})
    assert name in str(caught.value).lower().replace("-", "_")


def test_every_word_of_the_command_line_is_a_value_from_python():
    """auto and none, wherever a command takes them, and what they are resolved to where nothing is said."""
    adaptive = Settings(
        eps="auto", num_nystrom_samples="auto", regularization="auto", offset_weight="auto", robust_passes="auto",
        trim="auto", device="auto", backend="auto", min_component="auto", remove_outliers="auto",
        gradient_length="auto", cells=CellSettings(cells_per_axis="auto", points_per_cell="auto"),
    )  # fmt: skip
    assert adaptive == Settings()
    one = Settings(cells=None, trim="none", regularization=1e-7, outer_layer_variance=1.0, min_component=0.0)
    assert one == Settings(cells=None)
    assert Settings(trim=2).trim == 2


@pytest.mark.parametrize("name", ["mesh.jpg", "mesh.ply.gz", "mesh", "mesh.PLY.txt"])
@pytest.mark.parametrize("script", ["fit.py", GRID])
def test_an_extension_that_cannot_be_written_is_refused_with_the_list(tmp_path, cloud, name, script):
    args = ["auto", 50, 12, *([2] if script == GRID else [])]
    said = refused(tmp_path, script, cloud, *args, "--out", tmp_path / name)
    assert re.search(r"cannot write (\.\w+|files without extension); use .*\.ply", said)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([12, 0.1, "--use-abs-units"], "GRID_SIZE has no effect with --use-abs-units; drop one of them"),
        ([0.1], "DISTANCE is in voxel diagonals: give GRID_SIZE before it, or --use-abs-units"),
    ],
)
def test_trimming_takes_a_grid_size_where_it_says_something(tmp_path, cloud, args, message):
    assert message in refused(tmp_path, "trim-surface.py", cloud, cloud, *args)
