"""Many inputs in one command: a mesh and a line each, failures at the end; and what --quiet leaves."""

import errno
import json
import re

import jsonschema
import pytest
import torch
from scripts import ROOT, run, write_cloud
from shapes import sphere

from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.command_line.codes import MEANINGS, code_of, of_many
from neural_splines.command_line.console import explained
from neural_splines.errors import (
    CloudError,
    DiskFullError,
    LargeCloudError,
    OutOfMemoryBudgetError,
    OutputError,
    SettingsError,
)
from neural_splines.files.atomic import unwritable

SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
ARGS = ["auto", 60, 12, "--seed", 0]


@pytest.fixture
def folder(tmp_path):
    """Five clouds, two of them broken, and a file that is none."""
    clouds, out = tmp_path / "clouds", tmp_path / "out"
    clouds.mkdir()
    out.mkdir()
    for name in ("a", "c", "e"):
        write_cloud(clouds / f"{name}.ply", sphere(200))
    (clouds / "b.ply").write_text("not a cloud")
    (clouds / "d.obj").write_text("")
    (clouds / "notes.md").write_text("measured on Tuesday")
    return clouds


def test_a_folder_of_clouds(tmp_path, folder):
    """Whatever is broken, the others are written; the same bytes as one by one."""
    outcome = run("fit.py", folder, *ARGS, "--out-dir", tmp_path / "out")
    assert outcome.code == 5
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.ply", "c.ply", "e.ply"]
    lines = outcome.out.splitlines()
    assert [
        re.match(r".*/(\w\.ply): 200 points -> .*: [\d,]+ vertices, [\d,]+ faces, [\d.]+ s$", x)[1] for x in lines
    ] == [
        "a.ply",
        "c.ply",
        "e.ply",
    ]
    failed = outcome.err.splitlines()
    assert failed[0] == "fit.py: 2 of 5 inputs failed:"
    assert [re.match(r"fit.py: error: .*/(\w\.\w+): ", line)[1] for line in failed[1:]] == ["b.ply", "d.obj"]
    assert run("fit.py", folder / "c.ply", *ARGS, "--out", tmp_path / "c.ply").code == 0
    assert (tmp_path / "c.ply").read_bytes() == (tmp_path / "out" / "c.ply").read_bytes()


def test_a_folder_of_clouds_in_parts(tmp_path, folder):
    """The same, and each goes on in its own work directory."""
    work, args = tmp_path / "work", [*ARGS[:3], "auto", *ARGS[3:], "--regularization", 1e-7]
    args += ["--out-dir", tmp_path / "out", "--work-dir", work, "--report", tmp_path / "report.json"]
    first = run("fit-grid.py", folder, *args)
    assert first.code == 5
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.ply", "c.ply", "e.ply"]
    assert {"a.ply", "c.ply", "e.ply"} <= {path.name for path in work.iterdir()}
    assert [line.split(":")[0] for line in first.err.splitlines()] == 3 * ["fit-grid.py"]
    again = run("fit-grid.py", folder, *args)
    entries = json.loads((tmp_path / "report.json").read_text())["runs"]
    assert again.code == 5
    assert [bool(entry.get("parts", {}).get("resumed")) for entry in entries] == [True, False, True, False, True]
    seconds = re.compile(r"[\d.]+ s")
    assert seconds.sub("", again.out) == seconds.sub("", first.out)


def test_several_files_another_format_and_a_report(tmp_path, folder):
    """Options may stand between inputs and the other arguments."""
    report = tmp_path / "report.json"
    inputs = [folder / "a.ply", folder / "b.ply", folder / "e.ply"]
    outcome = run(
        "fit.py", *inputs, "--out-dir", tmp_path / "out", "--format", "stl", *ARGS, "--report", report, "--quiet"
    )
    assert (outcome.code, outcome.out) == (5, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.stl", "e.stl"]
    entries = json.loads(report.read_text())["runs"]
    assert [entry["error"] is None for entry in entries] == [True, False, True]
    assert len(entries[2]["phases"]) == len(entries[0]["phases"])


def test_warnings_name_their_input(tmp_path, folder):
    outcome = run("fit.py", folder / "a.ply", "auto", 10**6, 12, "--strict", "--out-dir", tmp_path / "out")
    assert outcome.code == 3
    assert re.search(r"fit.py: warning: \S*/a.ply: 1000000 centres asked for", outcome.err)
    assert outcome.out.rstrip().endswith(", 1 warning")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["a.ply", "c.ply"], "2 inputs and one output; give a folder with --out-dir"),
        (["."], "is a directory; give a file in it, or a folder for all with --out-dir"),
        (["a.ply", "--format", "obj"], "--format is only for --out-dir"),
        (["a.ply", "--out-dir", "../out", "--out", "x.ply"], "drop one of them"),
        (["a.ply", "--out-dir", "a.ply/in/it"], "cannot be a folder (is a file); choose another --out-dir"),
        (["a.ply", "--out-dir", "../new/one", "--preview", "a.png"], "--preview needs a name for each mesh"),
        (["a.ply", "--out-dir", "."], "is the input, which --out-dir of a.ply would overwrite"),
        (
            ["a.ply", "../clouds/a.ply", "--out-dir", "../out"],
            "would be written by --out-dir of a.ply and by --out-dir of ../clouds/a.ply",
        ),
        (["../out", "--out-dir", "../out"], "holds no cloud (.ply, "),
    ],
)
def test_what_cannot_be_meant_is_refused_before_the_work(tmp_path, folder, args, message, monkeypatch):
    monkeypatch.chdir(folder)
    outcome = run("fit.py", *args, *ARGS)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not list((tmp_path / "out").iterdir())


def test_quiet_leaves_warnings_and_errors(tmp_path, folder):
    outcome = run("fit.py", folder / "a.ply", *ARGS, "--out", tmp_path / "a.ply", "--quiet")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    outcome = run("fit.py", folder / "b.ply", *ARGS, "--out", tmp_path / "b.ply", "--quiet")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)


def test_a_bug_in_one_run_does_not_stop_the_others(tmp_path, folder, monkeypatch):
    from neural_splines.command_line import whole

    mesh_cloud = whole.mesh_cloud
    calls = []

    def broken(*args):
        calls.append(args)
        if len(calls) == 1:
            raise ZeroDivisionError("on purpose")
        return mesh_cloud(*args)

    monkeypatch.setattr(whole, "mesh_cloud", broken)
    outcome = run("fit.py", folder / "a.ply", folder / "c.ply", *ARGS, "--out-dir", tmp_path / "out")
    assert outcome.code == 1
    assert "Traceback" in outcome.err
    assert "a bug, ZeroDivisionError: on purpose; please report it" in outcome.err.splitlines()[-1]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["c.ply"]


def test_the_folder_of_outputs_is_made_and_goes_where_nothing_was_written(tmp_path, folder):
    deep = tmp_path / "not" / "there"
    outcome = run("fit.py", folder / "a.ply", *ARGS, "--out-dir", deep, "--report", deep / "run.json")
    assert outcome.code == 0
    assert sorted(path.name for path in deep.iterdir()) == ["a.ply", "run.json"]
    outcome = run("fit.py", folder / "b.ply", folder / "d.obj", *ARGS, "--out-dir", tmp_path / "new" / "one")
    assert outcome.code == 2  # every input failed
    assert outcome.err.splitlines()[0] == "fit.py: 2 of 2 inputs failed:"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("parts", [[], ["--max-memory", "4GB"]], ids=["whole", "in parts"])
@pytest.mark.parametrize("name", ["b.ply", "missing.ply"])
def test_the_report_says_how_the_only_input_failed(tmp_path, folder, name, parts):
    report, out = tmp_path / "run.json", tmp_path / "mesh.ply"
    args = [folder / name, *ARGS[:3], "auto", *ARGS[3:], *parts, "--out", out, "--report", report]
    outcome = run("fit-grid.py", *args)
    assert outcome.code == 2
    assert not out.exists()
    found = json.loads(report.read_text())
    jsonschema.validate(found, SCHEMA)
    (entry,) = found["runs"]
    assert outcome.err == f"fit-grid.py: error: {entry['error']}\n"
    assert (entry["input"], entry["output"], entry["exit_code"]) == (str(folder / name), str(out), 2)
    if name == "missing.ply":
        assert "missing.ply: cannot be read (No such file or directory)" in entry["error"]


def test_a_bug_in_the_only_run_is_in_the_report_and_raised(tmp_path, folder, monkeypatch):
    from neural_splines.command_line import whole

    monkeypatch.setattr(whole, "mesh_cloud", lambda *_: 1 / 0)
    report = tmp_path / "run.json"
    with pytest.raises(ZeroDivisionError):
        run("fit.py", folder / "a.ply", *ARGS, "--out", tmp_path / "a.ply", "--report", report)
    (entry,) = json.loads(report.read_text())["runs"]
    assert entry["exit_code"] == 1
    assert entry["error"].startswith("a bug, ZeroDivisionError")


def test_a_report_that_cannot_be_written_hides_no_error(tmp_path, folder, monkeypatch):
    from neural_splines.command_line import report

    def full(*_):
        raise DiskFullError("run.json: cannot be written (No space left on device)")

    monkeypatch.setattr(report, "save", full)
    outcome = run("fit.py", folder / "b.ply", *ARGS, "--out", tmp_path / "b.ply", "--report", tmp_path / "run.json")
    assert outcome.code == 2
    warning, error = outcome.err.splitlines()
    assert warning == "fit.py: warning: no report: run.json: cannot be written (No space left on device)"
    assert error.startswith("fit.py: error: ")


def test_a_failed_input_leaves_no_work_directory_that_refuses_the_next(tmp_path, folder):
    """Its mistakes show when its points are read, in a folder that is marked as its own by then."""
    none = write_cloud(tmp_path / "none.ply", OrientedCloud(*torch.full((2, 50, 3), torch.nan, dtype=torch.float64)))
    work, out = tmp_path / "work", tmp_path / "mesh.ply"
    args = [*ARGS[:3], "auto", *ARGS[3:], "--regularization", 1e-7, "--work-dir", work, "--out", out]
    assert run("fit-grid.py", none, *args).code == 2
    assert not work.exists()
    work.mkdir()  # of its owner, who keeps it
    assert run("fit-grid.py", none, *args).code == 2
    assert not list(work.iterdir())
    assert run("fit-grid.py", folder / "a.ply", *args).code == 0
    kept = {path.name for path in work.iterdir()}
    assert run("fit-grid.py", none, *args).code == 2  # another run is there, whose results are not touched
    assert {path.name for path in work.iterdir()} == kept


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CloudError("x"), 2),
        (SettingsError("x"), 2),
        (OutputError("x"), 2),
        (ImportError("no such library"), 2),
        (PermissionError(errno.EACCES, "no"), 2),
        (OutOfMemoryBudgetError("x"), 2),
        (LargeCloudError("x"), 2),
        (DiskFullError("x"), 4),
        (unwritable("x", OSError(errno.EDQUOT, "quota")), 4),
        (OSError(errno.ENOSPC, "full"), 4),
        (ImportError("libtorch.so: failed to map segment from shared object"), 4),
        (MemoryError(), 4),
        (torch.cuda.OutOfMemoryError("CUDA out of memory"), 4),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 4),
        (RuntimeError("shapes do not match"), 1),
        (ZeroDivisionError(), 1),
    ],
    ids=repr,
)
def test_an_error_has_its_exit_code(error, code):
    assert code_of(error) == code
    assert code in MEANINGS
    assert (explained(error) is None) == (code == 1)


@pytest.mark.parametrize(
    ("codes", "inputs", "code"),
    [([2], 3, 5), ([4, 2], 3, 5), ([1, 2], 3, 1), ([2, 2], 2, 2), ([4, 4], 2, 4), ([4, 2], 2, 2)],
)
def test_the_exit_code_of_many(codes, inputs, code):
    assert of_many(codes, inputs) == code
