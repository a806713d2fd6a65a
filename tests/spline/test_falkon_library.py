"""The FalkonML library beside our solver and a dense direct solution. Skipped where it is not installed."""

import subprocess
import sys
import warnings

import pytest
import torch
from references import kernel_matrix, ridge_solution
from scripts import ROOT, complaints, run, write_cloud
from shapes import sphere, torus

from neural_splines.errors import BackendError
from neural_splines.files.meshes import load_mesh
from neural_splines.kernels.kernels import KERNELS, make_kernel
from neural_splines.kernels.products import load
from neural_splines.spline.solvers import falkon
from neural_splines.spline.solvers import load as load_solver


@pytest.fixture
def library():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what FalkonML warns of while it is imported
        pytest.importorskip("falkon", reason="FalkonML is not installed: requirements/requirements-falkon.txt")
    return load_solver("falkon")


def problem(n=200, m=60, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    x = torch.rand(n, 3, generator=g, dtype=torch.float64) - 0.5
    y = 1e-3 * (torch.sin(4 * x[:, 0]) * x[:, 1] + x[:, 2])  # offsets are small, and its constants absolute
    return x.to(dtype), y.to(dtype), x[torch.randperm(n, generator=g)[:m]].to(dtype)


@pytest.mark.parametrize("name", KERNELS)
def test_three_solvers_agree(library, name):
    x, y, centers = problem()
    kernel = make_kernel(name, 1.0).covering(1.0, 1.0)
    options = {"regularization": 1e-5, "max_iterations": 100, "tolerance": 1e-7}
    ours, theirs = (solve(load("numba"), kernel, x, y, centers, **options) for solve in (falkon.solve, library))
    K_nm, K_mm = kernel_matrix(name, x, centers), kernel_matrix(name, centers, centers)
    expected = torch.from_numpy(K_nm @ ridge_solution(K_nm, K_mm, y.numpy(), 1e-5))
    for found in (ours, theirs):
        assert found.cg.reason == "converged"
        assert found.cg.relative_residual <= 10 * 1e-7
        values = torch.from_numpy(K_nm) @ found.coefficients
        assert (values - expected).abs().max() < 1e-5 * expected.abs().max()
    assert abs(ours.cg.iterations - theirs.cg.iterations) <= 1


def test_after_as_many_iterations_both_are_equally_far(library):
    x, y, centers = problem()
    kernel = make_kernel("neural-spline", 1.0).covering(1.0, 1.0)
    options = {"regularization": 1e-7, "max_iterations": 5, "tolerance": 0.0}
    ours, theirs = (solve(load("numba"), kernel, x, y, centers, **options) for solve in (falkon.solve, library))
    assert ours.cg.iterations == theirs.cg.iterations == 5
    assert theirs.cg.reason == "iteration limit"
    assert theirs.cg.relative_residual == pytest.approx(ours.cg.relative_residual, rel=1e-3)


def test_float32_is_close(library):
    x, y, centers = problem(dtype=torch.float32)
    kernel = make_kernel("neural-spline", 1.0).covering(1.0, 1.0)
    options = {"regularization": 1e-4, "max_iterations": 20, "tolerance": 1e-3}
    ours, theirs = (solve(load("numba"), kernel, x, y, centers, **options) for solve in (falkon.solve, library))
    values = [kernel(x.double(), centers.double()) @ s.coefficients.double() for s in (ours, theirs)]
    assert theirs.coefficients.dtype == torch.float32
    assert (values[0] - values[1]).abs().max() < 0.02 * y.abs().max()  # its jitter in float32 is 1e-5 m


def test_nothing_to_fit_is_zero(library):
    x, y, centers = problem()
    found = library(
        load("torch"), make_kernel("linear-angle", 1.0), x, 0 * y, centers,
        regularization=1e-5, max_iterations=5, tolerance=1e-5,
    )  # fmt: skip
    assert found.cg.reason == "converged"
    assert not found.coefficients.any()


def test_equal_centres_are_repaired(library):
    x, y, centers = problem()
    kernel = make_kernel("neural-spline", 1.0).covering(1.0, 1.0)
    options = {"regularization": 1e-5, "max_iterations": 50, "tolerance": 1e-4}
    twice = library(load("numba"), kernel, x, y, torch.cat([centers, centers]), **options)
    assert twice.jitter > 0
    assert twice.cg.reason == "converged"


def test_the_meshes_agree(library, tmp_path):
    cloud = write_cloud(tmp_path / "cloud.ply", torus(1500))
    meshes = []
    for script, cells in (("fit.py", []), ("fit-grid.py", [1, "--overlap", 0])):
        for solver in ("builtin", "falkon"):
            args = ["auto", 600, 32, *cells, "--seed", 0, "--solver", solver, "--out", tmp_path / "o.ply"]
            outcome = run(script, cloud, *args)
            assert outcome.code == 0, outcome.err
            meshes.append(load_mesh(tmp_path / "o.ply"))
    voxel = 1.1 * 2.8 / 32
    for vertices, faces in meshes[1:]:
        assert torch.equal(faces, meshes[0][1])
        assert (vertices - meshes[0][0]).norm(dim=1).max() < 0.05 * voxel


def test_cells_are_refused(tmp_path):
    cloud = write_cloud(tmp_path / "cloud.ply", sphere(100))
    outcome = run("fit-grid.py", cloud, "auto", 50, 16, 2, "--solver", "falkon", "--out", tmp_path / "o.ply")
    assert outcome.code == 2
    assert "CELLS_PER_AXIS 1" in outcome.err


@pytest.mark.parametrize(
    "text", ["raise RuntimeError('broken\\nin two lines')", "raise ImportError('undefined symbol')"]
)
@pytest.mark.processes
def test_a_broken_library_is_one_line_that_says_how_to_install_it(tmp_path, text):
    (tmp_path / "falkon.py").write_text(text)
    cloud, out = write_cloud(tmp_path / "cloud.ply", sphere(100)), tmp_path / "o.ply"
    command = [sys.executable, ROOT / "fit.py", cloud, "auto", "50", "12", "--solver", "falkon", "--out", out]
    result = subprocess.run(
        [*map(str, command), "--device", "cpu"],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert len(complaints(result.stderr)) == 1
    assert "requirements/requirements-falkon.txt" in result.stderr
    assert not out.exists()


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "falkon", None)
    monkeypatch.delitem(sys.modules, "neural_splines.spline.solvers.falkon_library", raising=False)
    with pytest.raises(BackendError, match=r"requirements-falkon\.txt"):
        load_solver("falkon")
