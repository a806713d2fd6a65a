"""Names are anything: of files, of columns, of arrays. What is printed can be read, and a terminal obeys none of it."""

from __future__ import annotations

import importlib
import io
import os
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from unittest import mock

import numpy as np
import pytest
from run_page import working_in
from scripts import ROOT, captured, run, write_cloud
from shapes import sphere

from neural_splines.command_line import show
from neural_splines.errors import CloudError
from neural_splines.files import meshes, ply
from neural_splines.files.point_clouds import load_scanned_cloud
from neural_splines.pictures.preview import preview
from neural_splines.runtime import streams
from neural_splines.settings import MESH_FORMATS

ARGS = ["auto", 50, 8, "--seed", 0, "--device", "cpu"]
ODD = "caf\udce9 \x1b[31mred\x07\n\u202e\N{EURO SIGN}"  # not UTF-8, colours, a bell, a line end, right to left
any_name = pytest.mark.skipif(sys.platform != "linux", reason="file systems that refuse such names")


def readable(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


@any_name
@pytest.mark.parametrize("many", [False, True])
def test_a_file_of_any_name_is_read_and_written(tmp_path, many):
    """With a report, pictures and a link, which all say names; one input or many of which one fails."""
    cloud = write_cloud(tmp_path / f"{ODD}.ply", sphere(60))
    (tmp_path / ODD).mkdir()
    (tmp_path / f"{ODD}.bad.ply").write_text("ply")
    (tmp_path / f"{ODD}.mesh.ply").symlink_to("elsewhere.ply")
    one = ["--out", f"{ODD}.mesh.ply", "--html", f"{ODD}.html", "--save-points", "--verbose"]
    several = ["--out-dir", ODD, "--preview", "{}.png"]
    given = [cloud, *([tmp_path / f"{ODD}.bad.ply"] if many else []), *ARGS, *(several if many else one)]
    with working_in(str(tmp_path)), mock.patch.object(show, "preview", partial(preview, size=32)):
        outcome = run("fit.py", *given, "--report", f"{ODD}.json")
        assert outcome.code == (5 if many else 0), outcome.err
        assert readable(outcome.out + outcome.err)
        assert "\\x1b[31mred" in outcome.out
        assert len(outcome.out.splitlines()) == (1 if many else 9)
        assert os.path.getsize(f"{ODD}.json") > 1000
        assert os.path.getsize(f"{ODD}/{ODD}.ply" if many else "elsewhere.ply") > 1000


@any_name
@pytest.mark.parametrize("suffix", MESH_FORMATS)
def test_every_format_is_written_under_any_name(tmp_path, suffix):
    path = os.path.join(tmp_path, ODD + suffix)
    meshes.save_mesh(path, np.eye(3), None, [[0, 1, 2], [2, 1, 0]])
    if suffix in (".ply", ".obj", ".stl"):
        refused = pytest.raises(CloudError, match="name that is not UTF-8") if suffix == ".stl" else nullcontext()
        with refused:
            assert len(meshes.load_mesh(path)[1]) == 2


@pytest.mark.parametrize("kind", [".npz", ".csv", ".ply"])
def test_names_of_columns_are_not_obeyed(tmp_path, kind):
    """In the line of an error, and in that of attributes that there are."""
    path, name = tmp_path / f"cloud{kind}", "\x1b[2J\x9b31m"
    if kind == ".npz":
        np.savez(path, **{name: np.zeros(3), "points\u202e": np.zeros((3, 3))})
    elif kind == ".csv":
        path.write_text(f"{name},b,c\n1,2,3\n4,5,6\n", encoding="utf-8")
    else:
        path.write_bytes(f"ply\nformat ascii 1.0\nelement vertex 1\nproperty float {name}\nend_header\n1\n".encode())
    for attributes in ([], ["--attributes", name]):
        outcome = run("fit.py", path, *ARGS, *attributes, "--out", tmp_path / "mesh.ply")
        assert outcome.code == 2
        assert outcome.err.count("\n") == 1
        assert readable(outcome.err)


def test_attributes_of_any_name_are_one_word_of_a_header(tmp_path):
    """A name with a blank or a line end made a PLY file that nobody could read; one of ours stood there twice."""
    names = ["a b", "a\nb", "", "nx", "Höhe", "\udce9"]
    scalars = {name: np.arange(3.0) + k for k, name in enumerate(names)}
    meshes.save_mesh(tmp_path / "m.ply", np.eye(3), np.eye(3), [[0, 1, 2]], scalars=scalars)
    header = ply.parse_header((tmp_path / "m.ply").read_bytes())
    found = [p.name for p in header.find("vertex").properties]
    assert found[:6] == ["x", "y", "z", "nx", "ny", "nz"]
    assert found[6:] == ["a_b", "a_b_", "_", "nx_", "H_he", "__"]
    loaded = load_scanned_cloud(tmp_path / "m.ply", ["all"])
    assert [list(values) for values in loaded.scalars.values()] == [list(values) for values in scalars.values()]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_of_few_characters_is_told_all(tmp_path, encoding):
    cloud, stream = write_cloud(tmp_path / "Höhe \N{EURO SIGN}.ply", sphere(60)), io.BytesIO()
    terminal = io.TextIOWrapper(stream, encoding, errors="strict")
    with mock.patch.object(sys, "stdout", terminal):
        importlib.import_module("neural_splines.command_line.fit").main(
            [str(word) for word in (cloud, *ARGS, "--out", tmp_path / "Höhe \N{EURO SIGN}.obj", "--verbose")]
        )
    assert "mesh: " in stream.getvalue().decode(encoding)


@pytest.mark.parametrize("command", ["fit", "fit_grid", "trim", "normals", "check", "doctor"])
def test_help_is_printed_in_ascii(command):
    terminal = io.TextIOWrapper(io.BytesIO(), "ascii", errors="strict")
    main = importlib.import_module(f"neural_splines.command_line.{command}").main
    with mock.patch.object(sys, "stdout", terminal), pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert not stop.value.code


def test_a_log_record_is_one_line(tmp_path):
    """Of a library, whatever it holds."""
    from neural_splines.command_line import console

    def main(_):
        import logging

        with console.exit_policy("x", verbose=True):
            logging.getLogger("neural_splines.test").warning("a\nb\x1b[2J")

    assert captured(main).err == "x: a b\\x1b[2J\n"


LATE = """
import logging, sys
from neural_splines.runtime import streams
streams.ensure()
logging.basicConfig(stream=sys.stderr)
logging.raiseExceptions = False
logging.warning("the last words of a library")
print("and ours")
"""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize(
    "redirection", ["2>/dev/full", ">/dev/full", ">/dev/full 2>&1", "2>&1 | true", "2>&1 >&- | true"]
)
def test_what_a_stream_still_holds_at_the_end_is_no_failure(redirection):
    """Python's own end is exit code 120 there: of slow runs, which have something to say."""
    words = f"{sys.executable} -c '{LATE}' {redirection}"
    script = f"{words}; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(
        ["bash", "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}, check=False
    )
    assert result.returncode == 0


def test_lines_are_lines(tmp_path):
    with open(tmp_path / "out", "w", encoding="utf-8") as stream:
        streams.write(stream, "a\tb\r\nc  d", "\N{EURO SIGN}\udcff", "")
    assert (tmp_path / "out").read_text(encoding="utf-8") == "a\\tb c  d\n\N{EURO SIGN}\\udcff\n\n"


def test_a_line_keeps_its_indent_and_nothing_else_of_several():
    assert streams.printable("  keops   broken\n   in two lines\n") == "  keops   broken in two lines"
