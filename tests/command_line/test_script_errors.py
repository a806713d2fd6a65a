"""The scripts where something is wrong or missing: one line and no file; and what a run need not import."""

import subprocess
import sys

import pytest
from scripts import ROOT, complaints, run, write_cloud
from shapes import sphere


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["auto", 0, 16], "NUM_NYSTROM_SAMPLES"),
        ([-1, 10, 16], "EPS"),
        (["nan", 10, 16], "EPS"),
        (["auto", 10, 1], "GRID_SIZE"),
        (["auto", "x", 16], "NUM_NYSTROM_SAMPLES"),
        (["auto", 10, 16, "--seed", -1], "--seed"),
        (["auto", 10, 16, "--scale", 0.5], "--margin"),
        (["auto", 10, 16, "--kernel", "rbf"], "--kernel"),
        (["auto", 10, 16, "--device", "tpu"], "--device"),
        (["auto", 10, 16, "--device", "cuda:99"], "cuda"),
        (["auto", 10, 16, "--out", "/nonexistent/out.ply"], "no folder"),
        (["auto", 10], "GRID_SIZE"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_code_2(tmp_path, args, message):
    cloud = write_cloud(tmp_path / "cloud.ply", sphere(100))
    if "--out" not in args:
        args = [*args, "--out", tmp_path / "out.ply"]
    outcome = run("fit.py", cloud, *args)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["cloud.ply"]


@pytest.mark.parametrize(
    ("script", "args", "message"),
    [
        ("fit.py", [0.1, 100, 2, "--scale", 3], "no surface crosses the lattice; raise GRID_SIZE or --margin"),
        ("fit-grid.py", [0.1, 100, 2, 2, "--scale", 3], "no surface crosses the lattice; raise GRID_SIZE or --margin"),
        ("fit.py", ["auto", 100, 16, "--trim", 1e-6], "trimming leaves no face; use a larger --trim"),
        ("fit-grid.py", ["auto", "auto", 16, "auto", "--trim", 1e-6], "trimming leaves no face; use a larger --trim"),
    ],
)
def test_a_result_without_a_face_is_one_line_and_no_file(tmp_path, script, args, message):
    """A sphere between the points of the lattice; a mesh of which nothing is near enough."""
    cloud = write_cloud(tmp_path / "cloud.ply", sphere(200))
    outcome = run(script, cloud, *args, "--seed", 0, "--out", tmp_path / "out.ply")
    assert outcome.code == 2
    assert outcome.err.startswith(f"{script}: error: {message}")
    assert outcome.err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["cloud.ply"]


def test_help_is_fast_and_imports_nothing_heavy():
    for script in ("fit.py", "fit-grid.py", "trim-surface.py"):
        code = [
            "import contextlib, runpy, sys",
            f"sys.argv = ['x', '--help']; sys.path.insert(0, {str(ROOT)!r})",
            f"with contextlib.suppress(SystemExit): runpy.run_path({str(ROOT / script)!r}, run_name='__main__')",
            "print([m for m in ('torch', 'numpy', 'numba', 'scipy', 'triton', 'pykeops') if m in sys.modules])",
        ]
        result = subprocess.run([sys.executable, "-c", "\n".join(code)], capture_output=True, text=True, check=True)
        assert result.stdout.splitlines()[-1] == "[]"
        assert "INPUT_POINT_CLOUD" in result.stdout


@pytest.mark.processes
@pytest.mark.parametrize("broken", ["import", "compiler"])
def test_keops_that_cannot_be_used_is_one_line(tmp_path, broken):
    """A module that raises on import; no C++ compiler, which shows at the first product."""
    if broken == "import":
        (tmp_path / "pykeops.py").write_text("raise RuntimeError('broken on purpose')")
        reason = "broken on purpose"
    else:
        pytest.importorskip("pykeops")
        reason = "needs a C++ compiler"
    cloud, out = write_cloud(tmp_path / "cloud.ply", sphere(200)), tmp_path / "o.ply"
    command = [sys.executable, ROOT / "fit.py", cloud, "auto", "100", "12", "--backend", "keops", "--device", "cpu"]
    result = subprocess.run(
        [*map(str, command), "--seed", "0", "--out", str(out)],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": "/nonexistent", "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = complaints(result.stderr)
    assert reason in line
    assert not out.exists()
