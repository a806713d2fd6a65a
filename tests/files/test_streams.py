"""Streams that are closed or full, folders that are full, and Python without a path: what a command then says."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from unittest import mock

import pytest
from scripts import ROOT, complaints, write_cloud
from shapes import sphere

from neural_splines.command_line import fit
from neural_splines.runtime import streams

SCRIPTS = {"fit.py": [], "fit-grid.py": [2]}
FULL = "standard output cannot be written (No space left on device)"
full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    return write_cloud(tmp_path_factory.mktemp("cloud") / "cloud.ply", sphere(200))


def shell(redirection: str, *command, **environment) -> subprocess.CompletedProcess:
    """The command in a shell, its streams redirected; standard output holds its exit code, as a last line."""
    words = " ".join(f"'{word}'" for word in [sys.executable, *command])
    return subprocess.run(
        ["bash", "-c", f"exec 3>&1; {words} {redirection}; echo rc ${{PIPESTATUS[0]}} >&3"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "", **environment},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def code(result: subprocess.CompletedProcess) -> int:
    return int(result.stdout.split("rc ")[-1])


def arguments(script: str, cloud, out) -> list:
    return [ROOT / script, cloud, "auto", 50, 12, *SCRIPTS[script], "--seed", 0, "--device", "cpu", "--out", out]


@pytest.mark.parametrize(
    ("script", "redirection", "said"),
    [  # what both scripts do of it is in one place, so that each is tried with half of them
        pytest.param("fit.py", "| true", "", marks=pytest.mark.processes),
        pytest.param("fit-grid.py", ">&-", "", marks=pytest.mark.processes),
        pytest.param("fit-grid.py", "2>&-", "", marks=pytest.mark.processes),
        pytest.param("fit.py", "<&- >&- 2>&-", "", marks=pytest.mark.processes),
        pytest.param("fit.py", "2>/dev/full", "", marks=[full, pytest.mark.processes]),
        pytest.param("fit-grid.py", ">/dev/full", FULL, marks=[full, pytest.mark.processes]),
    ],
)
def test_a_stream_that_is_gone_costs_what_would_be_read_there(script, redirection, said, cloud, tmp_path):
    out = tmp_path / "mesh.ply"
    result = shell(redirection, *arguments(script, cloud, out))
    assert code(result) == 0, result.stderr
    assert said in result.stderr
    assert len(complaints(result.stderr)) == bool(said)
    assert out.read_bytes().startswith(b"ply\n")  # not what a library said into the descriptor of a closed stream
    assert len(list(tmp_path.iterdir())) == 1


@full
@pytest.mark.parametrize(("name", "number"), [("stdout", 1), ("stderr", 2)])
def test_a_full_stream_costs_what_would_be_read_there(name, number, cloud, tmp_path):
    """As above in this process, with much to say: the mesh is there, and nothing is left for the end of Python."""
    out, kept, other = tmp_path / "mesh.ply", os.dup(number), io.StringIO()
    with open("/dev/full", "w") as stream:
        os.dup2(stream.fileno(), number)
    try:
        with (
            open(number, "w", closefd=False) as terminal,
            mock.patch.object(sys, "stderr" if name == "stdout" else "stdout", other),
            mock.patch.object(sys, name, terminal),
        ):
            fit.main([*map(str, arguments("fit.py", cloud, out)[1:]), "--verbose"])
            streams.flush()
    finally:
        os.dup2(kept, number)
        os.close(kept)
    assert (FULL in other.getvalue()) == (name == "stdout")
    assert out.read_bytes().startswith(b"ply\n")


@pytest.mark.parametrize("redirection", ["2>&-", pytest.param("2>/dev/full", marks=full), "<&- >&- 2>&-"])
@pytest.mark.parametrize("wrong", ["x", "0"])
def test_wrong_arguments_are_exit_code_2_where_nobody_can_be_told(redirection, wrong, cloud, tmp_path):
    result = shell(redirection, ROOT / "fit.py", cloud, "auto", wrong, 12, "--out", tmp_path / "mesh.ply")
    assert (code(result), result.stderr) == (2, "")
    result = shell(redirection, "-m", "neural_splines", "fit", cloud, "auto", wrong, 12)
    assert (code(result), result.stderr) == (2, "")
    result = shell(redirection, "-m", "neural_splines", "no-such-command")
    assert (code(result), result.stderr) == (2, "")


@pytest.mark.parametrize("redirection", ["| true", ">&-", pytest.param(">/dev/full", marks=full)])
def test_help_that_nobody_reads_is_no_failure(redirection):
    for command in ([ROOT / "fit.py"], [ROOT / "trim-surface.py"], ["-m", "neural_splines"]):
        result = shell(redirection, *command, "--help")
        assert (code(result), result.stderr) == (0, "")


@pytest.mark.parametrize("script", ["fit.py", "fit-grid.py", "trim-surface.py"])
@pytest.mark.parametrize(("option", "variable"), [("-I", "X"), ("-P", "X"), ("-B", "PYTHONSAFEPATH")])
def test_scripts_find_their_own_folder(script, option, variable, tmp_path):
    """-I and PYTHONSAFEPATH leave the folder of a script out of the path; a link to a script has another folder."""
    if option == "-P" and sys.version_info < (3, 11):
        pytest.skip("new in Python 3.11")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    (tmp_path / script).symlink_to(ROOT / script)
    for path in (ROOT / script, tmp_path / script):
        result = subprocess.run(
            [sys.executable, option, path, "--help"],
            env={**environment, variable: "1"}, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        assert "INPUT_POINT_CLOUD" in result.stdout


# The trouble is that of one loop: where all had it, each test would compile them all.
ELSEWHERE = """
import errno, os
import numba.core.caching as caching
loaded, stored = caching.IndexDataCacheFile.__init__, os.environ["STORED"]
def elsewhere(self, cache_path, filename_base, source_stamp):
    loaded(self, stored if filename_base.startswith("farthest.sample") else cache_path, filename_base, source_stamp)
caching.IndexDataCacheFile.__init__ = elsewhere
"""
CACHES = {
    "garbled": "",
    "full": """
def fail(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
caching.IndexDataCacheFile._save_data = fail
""",
    "nowhere": """
usual, locators = caching.FunctionCache.__init__, caching.FunctionCache._impl_class._locator_classes
def nowhere(self, function):
    caching.FunctionCache._impl_class._locator_classes = [] if function.__name__ == "sample" else locators
    usual(self, function)
caching.FunctionCache.__init__ = nowhere
""",
}


@pytest.mark.parametrize(
    "trouble", [pytest.param(name, marks=[] if name == "full" else pytest.mark.slow) for name in CACHES]
)
@pytest.mark.processes
def test_a_cache_of_compiled_loops_that_cannot_be_used_costs_time_alone(trouble, cloud, tmp_path):
    """One line says so, and the mesh is the same."""
    site, cache, out = tmp_path / "site", tmp_path / "cache", tmp_path / "mesh.ply"
    site.mkdir()
    cache.mkdir()
    (site / "sitecustomize.py").write_text(ELSEWHERE + CACHES[trouble])
    environment = {**os.environ, "PYTHONPATH": f"{site}:{ROOT}", "STORED": str(cache)}

    def run() -> subprocess.CompletedProcess:
        command = [sys.executable, *map(str, arguments("fit.py", cloud, out))]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)

    if trouble == "garbled":
        assert run().returncode == 0
        first = out.read_bytes()
        (index,) = cache.rglob("*.nbi")
        index.write_bytes(index.read_bytes()[:50])
    result = run()
    assert result.returncode == 0, result.stderr
    (line,) = complaints(result.stderr)
    assert line.startswith("fit.py: the cache of compiled loops cannot be used (")
    assert "set NUMBA_CACHE_DIR" in line
    if trouble == "garbled":
        assert out.read_bytes() == first


def test_errors_of_the_system_have_their_own_remedy(capsys):
    """Not the installation's, which is fine."""
    import errno

    from neural_splines.command_line.console import exit_policy

    for number, remedy, code in (
        (errno.ENOSPC, "make room there, or set TMPDIR", 4),
        (errno.EMFILE, "raise the limits", 2),
        (None, "check the installation with python -m neural_splines doctor", 2),
    ):
        error = OSError(number, os.strerror(number), "/some/file") if number else OSError("libx.so: cannot open")
        with pytest.raises(SystemExit) as stop, exit_policy("x", verbose=False):
            raise error
        assert stop.value.code == code
        said = capsys.readouterr().err
        assert remedy in said
        assert said.count("\n") == 1
