"""--merge: one mesh of several files, each with its own viewpoints, colours and numbers."""

import json
from dataclasses import replace

import numpy as np
import pytest
from format_bytes import pcd, text
from scripts import run
from shapes import sphere

from neural_splines.files.merging import joined
from neural_splines.files.scans import ScannedCloud
from neural_splines.normals.orient import orient
from neural_splines.settings import NormalSettings

CLOUD = sphere(600)
P, N = CLOUD.points.numpy(), CLOUD.normals.numpy()
HALF = P[:, 0] > 0
ARGS = ["auto", 60, 12, "--seed", 0]
RGB = np.random.default_rng(0).integers(0, 256, (600, 3)).astype(np.uint8)


def halves(normals=None, colours=None):
    """Two scans, of both sides of the ball; the arrays [600, 3] are shared out."""
    arrays = (P, normals, colours)
    parts = [[None if values is None else values[rows] for values in arrays] for rows in (HALF, ~HALF)]
    return [ScannedCloud(points, own, colours=tints) for points, own, tints in parts]


def test_a_cloud_in_two_files_is_the_cloud():
    """Normals, colours and numbers too; names without regard to case; what only one has is left out, with a line."""
    one, two = halves(normals=N, colours=RGB)
    heat = np.arange(600.0)
    one = replace(one, scalars={"Heat": heat[HALF], "only": heat[HALF]})
    two = replace(two, scalars={"heat": heat[~HALF]})
    order = np.concatenate([np.nonzero(HALF)[0], np.nonzero(~HALF)[0]])
    found, lines = joined([one, two], ["a", "b"])
    assert lines == []
    assert found.parts == (("a", int(HALF.sum())), ("b", int((~HALF).sum())))
    for values, whole in ((found.points, P), (found.normals, N), (found.colours, RGB), (found.scalars["Heat"], heat)):
        assert np.array_equal(values, whole[order])
    assert list(found.scalars) == ["Heat"]
    found, lines = joined([one, replace(two, normals=None, colours=None)], ["a", "b"])
    assert found.normals is None
    assert found.colours is None
    assert lines == [
        "b: no normals, as other files have: normals are estimated for all points",
        "b: no colours, as other files have: none are carried",
    ]
    assert joined([one], ["a"])[0] is one


def test_viewpoints_stay_with_their_files():
    """Of files without any the rows are NaN; what a laser tells counts where all do."""
    one, two = halves()
    seen = replace(one, viewpoints=np.full((len(one.points), 3), 5.0), laser={"returns": np.ones(len(one.points))})
    found, _ = joined([seen, two], ["a", "b"])
    count = len(one.points)
    assert (found.viewpoints[:count] == 5.0).all()
    assert np.isnan(found.viewpoints[count:]).all()
    assert found.laser == {}
    assert joined([one, two], ["a", "b"])[0].viewpoints is None


@pytest.mark.parametrize("sign", [1, -1])
def test_each_file_has_its_own_sensor_position(sign):
    """Two stations, one on each side of a wall that both measured through: each turns the points of its own file.

    Two parallel sheets a spacing apart: from one station alone all normals would be on one side.
    """
    grid = np.stack(np.meshgrid(*[np.arange(16.0)] * 2), -1).reshape(-1, 2)
    sheets = [np.column_stack([grid + shift, np.full(len(grid), z)]) for z, shift in ((0.0, 0.0), (4.0, 0.5))]
    places = ((8.0, 8.0, sign * 30.0), (8.0, 8.0, -sign * 30.0))
    cloud, _ = joined([ScannedCloud(sheet, None) for sheet in sheets], ["a", "b"], places)
    found = orient(cloud, NormalSettings(sensor_positions=places, device="cpu"), "two sheets")
    z = found.cloud.points[:, 2].numpy()
    up = found.cloud.normals[:, 2].numpy()
    assert (sign * up[z == 0.0] > 0.9).all()
    assert (sign * up[z == 4.0] < -0.9).all()


def test_one_mesh_and_what_is_said_of_it(tmp_path):
    """A PCD and a table; the repeat line writes the same bytes; a folder is its files."""
    folder = tmp_path / "scans"
    folder.mkdir()
    names = ("x", "y", "z", "normal_x", "normal_y", "normal_z")
    columns = dict(zip(names, np.hstack([P, N])[HALF].T.astype("<f8"), strict=True))
    (folder / "a.pcd").write_bytes(pcd("binary", columns))
    (folder / "b.xyz").write_bytes(text([P[~HALF], N[~HALF]]))
    out, report = tmp_path / "m.ply", tmp_path / "r.json"
    inputs = [folder / "a.pcd", folder / "b.xyz"]
    more = ["--merge", "--out", out, "--report", report]
    outcome = run("fit.py", *inputs, *ARGS, *more, "--verbose", "--html", tmp_path / "p.html")
    assert outcome.code == 0, outcome.err
    counts = int(HALF.sum()), int((~HALF).sum())
    assert f"\nmerged:   {counts[0]} of {inputs[0]}, {counts[1]} of {inputs[1]}\n" in outcome.out
    again = outcome.out.splitlines()[-1].split()
    assert again[2:4] == [str(path) for path in inputs]
    assert "--merge" in again
    first = out.read_bytes()
    (entry,) = json.loads(report.read_text())["runs"]
    assert entry["merged"] == [{"input": str(p), "points": n} for p, n in zip(inputs, counts, strict=True)]
    assert "a.pcd and 1 more" in (tmp_path / "p.html").read_text(encoding="utf-8")
    assert run("fit.py", folder, *ARGS, *more).code == 0
    assert out.read_bytes() == first


WRONG = {
    "no merge": ([], "or --merge for one mesh of all"),
    "a mesh of each": (["--merge", "--out-dir", "."], "--merge makes one mesh and --out-dir one for each"),
    "in parts": (["--merge", "--max-memory", "1GB", "--normals", "file"], "error: a.csv: the points have no normals"),
    "sensors": (["--merge", *["--sensor-position", 0, 0, 9] * 3], "3 times --sensor-position and 2 inputs to merge"),
    "attributes": (["--merge", "--attributes", "heat"], "b.xyz: has no attribute 'heat'"),
    "normals": (["--merge", "--normals", "file"], "error: a.csv: the points have no normals"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_merged_is_one_line(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    options, line = WRONG[name]
    (tmp_path / "a.csv").write_bytes(text([P[HALF], P[HALF][:, 0]], ",", header="x,y,z,heat\n"))
    (tmp_path / "b.xyz").write_bytes(text([P[~HALF]]))
    outcome = run("fit-grid.py", "a.csv", "b.xyz", *ARGS[:3], "auto", *options)
    assert outcome.code == 2
    assert line in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "recon.ply").exists()


def test_a_file_that_is_not_there_is_named(tmp_path):
    (tmp_path / "a.xyz").write_bytes(text([P]))
    outcome = run("fit.py", tmp_path / "a.xyz", tmp_path / "b.xyz", *ARGS, "--merge", "--out", tmp_path / "m.ply")
    assert outcome.code == 2
    assert f"error: {tmp_path / 'b.xyz'}: cannot be read" in outcome.err
