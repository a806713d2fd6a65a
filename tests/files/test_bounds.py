"""--bounds: only the points in a box, of every format, whole and in pieces."""

import numpy as np
import pytest
from parts import tiny
from parts_table import INPUTS, N, P
from pieces import in_pieces, same
from scripts import captured, run

import neural_splines as ns
from neural_splines.command_line.main import main
from neural_splines.errors import CloudError, SettingsError
from neural_splines.files.bounds import OutsideError, inside
from neural_splines.files.point_clouds import load_scanned_cloud
from neural_splines.files.streams import ReadOptions
from neural_splines.run import in_parts

BOX, FLAT = (-2.0, -2.0, 0.0, 0.0, 2.0, 2.0), (-2.0, -2.0, 0.0, 2.0)
FAR = (50.0, 50.0, 60.0, 60.0)
ARGS = ["auto", 60, 12, "--seed", 0]


def written(folder, suffix):
    if suffix in (".las", ".laz"):
        pytest.importorskip("laspy")
    if suffix == ".e57":
        pytest.importorskip("pye57")
    path = folder / f"a{suffix}"
    path.write_bytes(INPUTS[suffix]())
    return path


@pytest.mark.parametrize("suffix", INPUTS)
def test_the_points_within_of_every_format(tmp_path, suffix):
    path = written(tmp_path, suffix)
    everything = load_scanned_cloud(path)
    for box in (BOX, FLAT):
        found = load_scanned_cloud(path, bounds=box)
        keep = inside(everything.points, box)
        assert 0 < keep.sum() < len(keep)
        assert np.array_equal(found.points, everything.points[keep])
        if everything.normals is not None:
            assert np.array_equal(found.normals, everything.normals[keep])
        assert same(in_pieces(path, ReadOptions(bounds=box)), found)
    for read in (load_scanned_cloud, lambda path, bounds: in_pieces(path, ReadOptions(bounds=bounds))):
        with pytest.raises(OutsideError, match=f"a{suffix}: has no point within --bounds 50 50 60 60; its points lie"):
            read(path, bounds=FAR)


def test_a_point_on_a_face_lies_within_and_one_that_is_not_finite_does_not():
    points = np.array([[0.0, 0, 9], [1, 1, -9], [1.0000001, 1, 0], [np.nan, 0.5, 0.5]])
    assert inside(points, (0, 0, 1, 1)).tolist() == [True, True, False, False]
    assert inside(points, (0, 0, 0, 1, 1, 1)).tolist() == [False] * 4


def table(path, points, normals, codes=None):
    np.savetxt(path, np.column_stack([points, normals] + ([] if codes is None else [codes])))
    return path


def test_classes_are_looked_for_within(tmp_path):
    codes = np.where(P[:, 0] > 0, 6, 2)
    path = tmp_path / "a.csv"
    np.savetxt(path, np.column_stack([P, N, codes]), delimiter=",", header="x,y,z,nx,ny,nz,class", comments="")
    found = load_scanned_cloud(path, classes=(2,), bounds=FLAT)
    assert found.classes == {2: int((P[:, 0] <= 0).sum())}
    for read in (
        lambda: load_scanned_cloud(path, classes=(6,), bounds=FLAT),
        lambda: in_pieces(path, ReadOptions(classes=(6,), bounds=FLAT)),
    ):
        with pytest.raises(CloudError, match=r"no points of class 6 \(classes: 2: "):
            read()


@pytest.mark.parametrize("parts", [False, True])
def test_files_without_a_point_within_take_no_part(tmp_path, monkeypatch, parts):
    """Nor do their normals, which are missing, count; the summary lists them with no points."""
    monkeypatch.setattr(in_parts, "sizes", tiny)
    left = P[:, 0] < 0
    names = [table(tmp_path / "one.xyz", P[left], N[left]), tmp_path / "two.xyz", tmp_path / "three.xyz"]
    np.savetxt(names[1], P[~left] + (50, 0, 0))
    table(names[2], P[~left], N[~left])
    box = ["--bounds", -9, -9, 9, "9"]
    share = ["--max-memory", "2GB"] if parts else []
    words = ["auto", 60, 20, "auto", "--seed", 0, "--merge", *share, "--out", tmp_path / "m.ply"]
    outcome = run("fit-grid.py", *names, *words, *box)
    assert (outcome.code, outcome.err) == (0, "")
    found = {"one": int(left.sum()), "two": 0, "three": int((~left).sum())}
    files = next(line for line in outcome.out.splitlines() if line.startswith("merged:"))
    assert all(f"{count} of {tmp_path}/{name}.xyz" in files for name, count in found.items()), files
    outcome = run("fit-grid.py", *names, *words, "--bounds", *FAR)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert "one.xyz: has no point within --bounds 50 50 60 60; its points lie within" in outcome.err


def test_the_repeat_line_asks_for_them_and_every_command_takes_them(tmp_path):
    cloud = table(tmp_path / "a.xyz", P, N)
    outcome = run("fit.py", cloud, *ARGS, "--bounds", *FLAT, "--verbose", "--out", tmp_path / "m.ply")
    assert outcome.code == 0, outcome.err
    kept = int(inside(P, FLAT).sum())
    assert f"points:   {kept} points read" in outcome.out
    assert " --bounds -2.0 -2.0 0.0 2.0 " in outcome.out.splitlines()[-1]
    for share in ([], ["--max-memory", "2GB"]):
        outcome = captured(main, "normals", cloud, tmp_path / "n.ply", "--normals", "file", "--bounds", *BOX, *share)
        assert outcome.code == 0, outcome.err
        assert len(load_scanned_cloud(tmp_path / "n.ply").points) == int(inside(P, BOX).sum())
    trimmed = tmp_path / "t.ply"
    words = ["trim-surface.py", cloud, tmp_path / "m.ply", "0.5", "--use-abs-units", "--out", trimmed]
    kept = [int(run(*words, "--bounds", *box).out.split(" faces, ")[1].split()[0]) for box in ((-2, -2, 2, 2), BOX)]
    assert kept[1] < kept[0]


def test_a_run_that_goes_on_must_have_the_same_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr(in_parts, "sizes", tiny)
    cloud = table(tmp_path / "a.xyz", P, N)
    words = ["auto", 40, 20, "auto", "--seed", 0, "--work-dir", tmp_path / "work", "--out", tmp_path / "m.ply"]
    assert run("fit-grid.py", cloud, *words, "--bounds", *FLAT).code == 0
    outcome = run("fit-grid.py", cloud, *words, "--bounds", *BOX)
    assert outcome.code == 2
    assert "holds another run, with bounds" in outcome.err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["1", "2", "3"], "must be four or six finite numbers"),
        (["1", "2", "3", "4", "5"], "must be four or six finite numbers"),
        (["0", "0", "nan", "1"], "must be four or six finite numbers"),
        (["a", "0", "1", "1"], "expected four or six numbers, got 'a 0 1 1'"),
        (["1", "0", "0", "1"], "X0 is 1 and X1 0; give the lower one first"),
        (["0", "0", "5", "1", "1", "-5"], "Z0 is 5 and Z1 -5; give the lower one first"),
    ],
)
def test_what_is_no_box_is_refused(words, line):
    outcome = run("fit.py", "a.csv", *ARGS, "--bounds", *words)
    assert outcome.code == 2
    assert f"error: argument --bounds: {line}" in outcome.err


def test_bounds_in_python(tmp_path):
    table(tmp_path / "a.xyz", P, N)
    points, _ = ns.load_point_cloud(tmp_path / "a.xyz", bounds=np.array(BOX))
    assert len(points) == inside(P, BOX).sum()
    for wrong in (3, (1, 2), ("a", 0, 1, 1), (1, 0, 0, 1)):
        with pytest.raises(SettingsError, match="bounds"):
            ns.load_point_cloud(tmp_path / "a.xyz", bounds=wrong)
