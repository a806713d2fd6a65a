"""Many inputs in one command: a mesh and a line each, failures at the end; and what --quiet leaves."""

import json
import re

import pytest
from scripts import run, write_cloud
from shapes import sphere

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
    assert outcome.code == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.ply", "c.ply", "e.ply"]
    lines = outcome.out.splitlines()
    assert [re.match(r".*/(\w\.ply): 200 points -> .*: \d+ vertices, \d+ faces, [\d.]+ s$", x)[1] for x in lines] == [
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
    assert first.code == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.ply", "c.ply", "e.ply"]
    assert {"a.ply", "c.ply", "e.ply"} <= {path.name for path in work.iterdir()}
    assert [line.split(":")[0] for line in first.err.splitlines()] == 3 * ["fit-grid.py"]
    again = run("fit-grid.py", folder, *args)
    entries = json.loads((tmp_path / "report.json").read_text())["runs"]
    assert again.code == 2
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
    assert (outcome.code, outcome.out) == (2, "")
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
        (["a.ply", "--out-dir", "../nowhere"], "there is no such folder; create it first"),
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
