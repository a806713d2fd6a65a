"""The command neural-splines: some of its commands are the scripts; what it says of itself."""

import re
import shlex
import subprocess
import sys

import pytest
from scripts import ROOT, captured, run, write_cloud
from shapes import sphere
from test_packaging import PROJECT

import neural_splines as ns
from neural_splines.command_line.main import COMMANDS, main


@pytest.fixture
def cloud(tmp_path):
    return write_cloud(tmp_path / "cloud.ply", sphere(300))


def test_the_commands_write_what_the_scripts_write(tmp_path, cloud, capsys):
    mesh = tmp_path / "fit.py.ply"
    for command, script, args in (
        ("fit", "fit.py", [cloud, "auto", 60, 16, "--seed", 0]),
        ("fit-grid", "fit-grid.py", [cloud, "auto", 60, 16, 2, "--seed", 0]),
        ("trim", "trim-surface.py", [cloud, mesh, 16, 0.9]),
    ):
        ours, theirs = tmp_path / f"{command}.ply", tmp_path / f"{script}.ply"
        assert run(script, *args, "--out", theirs).code == 0
        assert main([command, *map(str, args), "--out", str(ours)]) == 0
        assert str(ours) in capsys.readouterr().out
        assert ours.read_bytes() == theirs.read_bytes()


def test_reconstruct_needs_one_argument(tmp_path, cloud, monkeypatch):
    """All sizes are auto; the last line says how to look at what was written."""
    monkeypatch.chdir(tmp_path)
    done = captured(main, "reconstruct", "cloud.ply")
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1].startswith("look:     open recon.ply in MeshLab or Blender; --html")
    (seed,) = re.findall(r"^seed: +(\d+)$", done.out, re.MULTILINE)
    assert run("fit-grid.py", "cloud.ply", *["auto"] * 4, "--seed", seed, "--out", "theirs.ply").code == 0
    assert (tmp_path / "recon.ply").read_bytes() == (tmp_path / "theirs.ply").read_bytes()


def test_reconstruct_has_the_sizes_as_options(tmp_path, cloud, monkeypatch):
    """The same mesh as by position, and from the command that --verbose names."""
    monkeypatch.chdir(tmp_path)
    sizes = ["--eps", 0.05, "--num-nystrom-samples", 60, "--grid-size", 16, "--cells-per-axis", 2]
    done = captured(main, "reconstruct", "cloud.ply", *sizes, "--seed", 0, "--html", "a.html", "--verbose")
    assert done.code == 0, done.err
    assert done.out.splitlines()[-2] == "look:     open a.html in a browser"
    ours = (tmp_path / "recon.ply").read_bytes()
    assert run("fit-grid.py", "cloud.ply", 0.05, 60, 16, 2, "--seed", 0, "--out", "theirs.ply").code == 0
    assert (tmp_path / "theirs.ply").read_bytes() == ours
    words = re.fullmatch(r"repeat: +neural-splines (fit-grid .*)", done.out.splitlines()[-1])[1]
    assert captured(main, *shlex.split(words)).code == 0
    assert (tmp_path / "recon.ply").read_bytes() == ours


@pytest.mark.parametrize("words", [["auto", "auto", "192"], ["0.05"], ["-1"]])
def test_reconstruct_says_where_sizes_belong(cloud, tmp_path, words):
    done = captured(main, "reconstruct", cloud, *words, "--out", tmp_path / "mesh.ply")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert f"there is no file {words[0]!r}; sizes are options here, as --grid-size 192" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["cloud.ply"]


def test_a_file_that_is_called_like_a_size_is_a_file(tmp_path, cloud, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "192").write_bytes(cloud.read_bytes())
    done = captured(main, "reconstruct", "cloud.ply", "192", "--out", "mesh.ply")
    assert "2 inputs and one output" in done.err


@pytest.mark.parametrize("command", [*COMMANDS, ""])
def test_help_says_how(command, capsys):
    if command:
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: neural-splines {command} ")
    else:
        assert main(["--help"]) == main(["-h"]) == 0
        shown = capsys.readouterr().out
        for name in COMMANDS:
            assert re.search(rf"^  {name} ", shown, re.MULTILINE)


@pytest.mark.parametrize("args", [[], ["fit-all"], ["--fit"], [""]])
def test_no_such_command_is_one_line(args, capsys):
    assert main(args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "use one of reconstruct, fit, fit-grid, normals, trim, check, views, tiles, doctor" in err


def test_errors_name_the_command(tmp_path, cloud, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["fit", str(tmp_path / "missing.ply"), "auto", "60", "16", "--out", str(tmp_path / "out.ply")])
    assert stop.value.code == 2
    assert re.fullmatch(r"neural-splines fit: error: .*missing\.ply: cannot be read.*\n", capsys.readouterr().err)


def python_m(*args):
    command = [sys.executable, "-m", "neural_splines", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_python_m_is_the_command(cloud):
    version = python_m("--version")
    assert (version.returncode, version.stdout, version.stderr) == (0, f"neural-splines {ns.__version__}\n", "")
    wrong = python_m("fit", cloud, "auto", 0, 12)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert python_m().returncode == 2


def test_the_installed_command_is_this_function_and_versions_agree():
    assert PROJECT["scripts"] == {"neural-splines": "neural_splines.command_line.main:main"}
    assert PROJECT["dynamic"] == ["version"]  # of neural_splines/__init__.py
    for name, line in (("CITATION.cff", f"version: {ns.__version__}"), ("CHANGELOG.md", f"## {ns.__version__}")):
        assert line in (ROOT / name).read_text(encoding="utf-8").splitlines(), name
