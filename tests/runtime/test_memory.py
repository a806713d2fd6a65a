"""Too little memory: refused with numbers before the work, or one line, or smaller blocks; never a traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import weakref

import pytest
import torch
from scripts import ROOT, complaints, run, write_cloud
from shapes import sphere, torus
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from neural_splines.cells import batches
from neural_splines.errors import OutOfMemoryBudgetError
from neural_splines.files.meshes import load_mesh
from neural_splines.kernels.kernels import make_kernel
from neural_splines.kernels.products import resolve
from neural_splines.kernels.products.torch_blocks import TorchBlocks
from neural_splines.run import blocks, cells, spline
from neural_splines.runtime import budget, memory
from neural_splines.runtime.monitor import Silent
from neural_splines.spline.solvers import falkon

CPU = resolve("cpu")
GB = 10**9


@pytest.fixture
def free(monkeypatch):
    def set_to(amount: int) -> None:
        monkeypatch.setattr(memory, "available", lambda device: amount)

    return set_to


def test_available_memory_is_what_the_system_says():
    assert 2**27 < memory.available(torch.device("cpu")) < 2**50


@pytest.mark.parametrize(
    ("script", "args", "message"),
    [
        ("fit.py", ["auto", -1, 16], "use at most 6887 NUM_NYSTROM_SAMPLES or --dtype float32 or fit-grid.py"),
        ("fit.py", ["auto", -1, 16, "--dtype", "float32"], "use at most 10117 NUM_NYSTROM_SAMPLES or fit-grid.py"),
        ("fit.py", ["auto", 100, 1024, "--dense"], "use a GRID_SIZE of at most 708, or drop --dense and --save-grid"),
        ("fit.py", ["auto", 100, 8192], "use a GRID_SIZE of at most [1-7]\\d\\d\\d"),
        ("fit-grid.py", ["auto", 100, 8192, "auto"], "use a GRID_SIZE of at most [1-7]\\d\\d\\d"),
        ("fit-grid.py", ["auto", 100, 1024, 2, "--save-grid"], "drop --dense and --save-grid"),
        ("fit-grid.py", ["auto", -1, 16, 2], "use fewer NUM_NYSTROM_SAMPLES, more CELLS_PER_AXIS"),
    ],
)
def test_what_cannot_fit_is_refused_with_numbers(script, args, message, free, tmp_path, monkeypatch):
    """Before any work."""
    free(GB)
    cloud = write_cloud(tmp_path / "cloud.ply", torus(20_000))
    for module, name in ((spline, "fit_spline"), (cells, "fit_cells"), (blocks, "extract")):
        monkeypatch.setattr(module, name, lambda *_, name=name: pytest.fail(f"{name} was begun"))
    outcome = run(script, cloud, *args, "--device", "cpu", "--out", tmp_path / "mesh.ply")
    assert outcome.code == 2
    assert re.search(rf"takes [\d.e+]+ GB, and 1 GB are free on cpu; .*{message}", outcome.err), outcome.err
    assert outcome.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["cloud.ply"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("amount", [GB // 10, GB, 50 * GB])
def test_the_suggestion_is_the_largest_that_fits(dtype, amount, free):
    free(amount)
    with pytest.raises(OutOfMemoryBudgetError) as caught:
        budget.check_spline(10**6, 10_000, dtype, memory.CPU)
    most = int(re.search(r"at most (\d+)", str(caught.value))[1])
    budget.check_spline(most, 10_000, dtype, memory.CPU)
    with pytest.raises(OutOfMemoryBudgetError):
        budget.check_spline(most + 2, 10_000, dtype, memory.CPU)


@pytest.mark.parametrize(
    ("on_gpu", "on_cpu", "where"),
    [(8 * GB, 1, "cuda"), (GB, 8 * GB, "cpu"), (8 * GB, 8 * GB, "cuda"), (None, 1, "cuda"), (GB, None, "cpu")],
)
def test_the_factors_move_to_the_cpu_where_the_gpu_is_too_small(on_gpu, on_cpu, where, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda device: {"cuda": on_gpu, "cpu": on_cpu}[device.type])
    assert budget.factor_device(20_000, 10_000, torch.float64, torch.device("cuda")).type == where
    budget.check_spline(20_000, 10_000, torch.float64, torch.device("cuda"))


@pytest.mark.parametrize(("on_gpu", "on_cpu", "roomier"), [(2 * GB, GB, "cuda"), (GB, 2 * GB, "cpu")])
def test_the_suggestion_is_what_fits_on_the_roomier_device(on_gpu, on_cpu, roomier, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda device: {"cuda": on_gpu, "cpu": on_cpu}[device.type])
    dtype, device = torch.float64, torch.device("cuda")
    with pytest.raises(OutOfMemoryBudgetError, match=f"2 GB are free on {roomier}") as caught:
        budget.check_spline(10**6, 10_000, dtype, device)
    most = int(re.search(r"at most (\d+)", str(caught.value))[1])
    budget.check_spline(most, 10_000, dtype, device)
    with pytest.raises(OutOfMemoryBudgetError):
        budget.check_spline(most + 2, 10_000, dtype, device)


class Live(TorchDispatchMode):
    """The most bytes of tensors that were alive at once while it was on, beside those that were there before."""

    def __init__(self):
        super().__init__()
        self.bytes = self.peak = 0
        self.known = weakref.WeakSet()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            storage = tensor.untyped_storage() if isinstance(tensor, torch.Tensor) else None
            if storage is not None and storage not in self.known and storage.nbytes():
                self.known.add(storage)
                self.bytes += storage.nbytes()
                self.peak = max(self.peak, self.bytes)
                weakref.finalize(storage, self._freed, storage.nbytes())
        return out

    def _freed(self, size):
        self.bytes -= size


@pytest.mark.parametrize("m", [600, 2500])
def test_the_estimate_of_a_spline_is_an_upper_bound(m, generator):
    """All tensors that factoring and iterating hold at a time are at most the estimate, and not much less."""
    x = torch.rand(m, 3, generator=generator, dtype=torch.float64) - 0.5
    solver, kernel = falkon.Falkon(1e-4, 2, 1e-3), make_kernel("neural-spline", 1.0).covering(1.0, 1.0)
    with Live() as live:
        solver.solve(CPU.products, kernel, x, x[:, 0].contiguous(), x, Silent())
    assert live.peak >= 2 * 8 * m * m
    assert 0.3 * budget.spline_bytes(m, m, torch.float64) < live.peak <= budget.spline_bytes(m, m, torch.float64)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 8.00 GiB for an array with shape (1073741824,) and data type float64"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you "
                     "tried to allocate 800000000000 bytes. Error code 12 (Cannot allocate memory)\nmore lines"),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 8.00 GiB."),
    ],
)  # fmt: skip
def test_running_out_of_memory_is_one_line(error, tmp_path, monkeypatch):
    def failing(*args):
        raise error

    monkeypatch.setattr(blocks, "extract", failing)
    cloud = write_cloud(tmp_path / "cloud.ply", sphere(100))
    outcome = run("fit.py", cloud, "auto", 100, 16, "--seed", 0, "--out", tmp_path / "mesh.ply")
    assert outcome.code == 4
    assert re.fullmatch(
        r"fit.py: error: .*memory.*; use fewer centres, a smaller grid or --dtype float32\n", outcome.err
    )


def test_other_errors_are_bugs_and_keep_their_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "extract", lambda *args: torch.ones(2) + torch.ones(3))
    cloud = write_cloud(tmp_path / "cloud.ply", sphere(100))
    with pytest.raises(RuntimeError, match="size of tensor"):
        run("fit.py", cloud, "auto", 100, 16, "--seed", 0, "--out", tmp_path / "mesh.ply")


@pytest.fixture
def small_gpu(monkeypatch):
    """small_gpu(owner, name, most, sizes): a function that runs out of a GPU's memory above sizes(*args) > most."""

    def limit(owner, name: str, most: int, size) -> list[int]:
        work, sizes = getattr(owner, name), []

        def limited(*args, **kwargs):
            sizes.append(size(*args))
            if sizes[-1] > most:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 8.00 GiB.")
            return work(*args, **kwargs)

        monkeypatch.setattr(owner, name, limited)
        return sizes

    return limit


def meshes_agree(one, other) -> None:
    (vertices, faces), (others, other_faces) = load_mesh(one), load_mesh(other)
    assert torch.equal(faces, other_faces)
    assert (vertices - others).abs().max() < 1e-6


@pytest.mark.parametrize("regularization", [1e-6, "auto"])
def test_a_batch_too_large_for_the_gpu_is_halved(regularization, tmp_path, small_gpu):
    """Batches of more than two cells fail: the mesh is that of smaller batches."""
    cloud = write_cloud(tmp_path / "cloud.ply", torus(1000))
    args = [cloud, "auto", 60, 24, 3, "--seed", 0, "--regularization", regularization, "--verbose", "--out"]
    assert run("fit-grid.py", *args, tmp_path / "a.ply").code == 0
    sizes = small_gpu(batches.Batch, "make", 2, lambda problem, cell, jitter: len(cell))
    outcome = run("fit-grid.py", *args, tmp_path / "b.ply")
    assert outcome.code == 0, outcome.err
    assert max(sizes) > 2
    assert "halved" in outcome.err
    meshes_agree(tmp_path / "a.ply", tmp_path / "b.ply")


@pytest.mark.parametrize(("script", "extra"), [("fit.py", []), ("fit-grid.py", [3])])
@pytest.mark.parametrize("product", ["apply", "gradient"])
def test_an_evaluation_too_large_for_the_gpu_is_halved(script, extra, product, tmp_path, small_gpu):
    cloud = write_cloud(tmp_path / "cloud.ply", torus(500))
    args = [cloud, "auto", 100, 24, *extra, "--seed", 0, "--device", "cpu", "--backend", "torch", "--out"]
    assert run(script, *args, tmp_path / "a.ply").code == 0
    sizes = small_gpu(TorchBlocks, product, 700, lambda self, kernel, x, *rest: len(x))
    outcome = run(script, *args, tmp_path / "b.ply")
    assert outcome.code == 0, outcome.err
    assert max(sizes) > 700
    meshes_agree(tmp_path / "a.ply", tmp_path / "b.ply")


@pytest.mark.parametrize(("script", "extra"), [("fit.py", []), ("fit-grid.py", ["auto"])])
@pytest.mark.parametrize(("module", "stage"), [(cells, "fit"), (blocks, "extract")])
def test_what_does_not_fit_a_gpu_that_was_found_is_done_on_the_cpu(script, extra, module, stage, tmp_path, monkeypatch):
    cloud = write_cloud(tmp_path / "cloud.ply", torus(500))
    args = [cloud, "auto", 100, 16, *extra, "--seed", 0, "--out"]
    assert run(script, *args, tmp_path / "a.ply", "--device", "cpu").code == 0
    work, runs = getattr(module, stage), []

    def failing_once(*args):
        runs.append(args)
        if len(runs) == 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 8.00 GiB.")
        return work(*args)

    monkeypatch.setattr(module, stage, failing_once)
    outcome = run(script, *args, tmp_path / "b.ply", "--strict")
    assert outcome.code == 3, outcome.err
    assert "warning: the GPU's memory is too small for this run, which was done anew on the CPU; use" in outcome.err
    assert (tmp_path / "a.ply").read_bytes() == (tmp_path / "b.ply").read_bytes()
    runs.clear()
    outcome = run(script, *args, tmp_path / "c.ply", "--device", "cpu")  # as asked for
    assert outcome.code == 4
    assert re.fullmatch(r".*: error: CUDA out of memory.*; use .*\n", outcome.err)
    assert not (tmp_path / "c.ply").exists()


@pytest.mark.gpu
@pytest.mark.parametrize(("script", "extra"), [("fit.py", []), ("fit-grid.py", ["auto"])])
@pytest.mark.parametrize("device", ["auto", "cuda"])
@pytest.mark.parametrize("megabytes", [40, 150, 400, 1200, 3000])
def test_a_gpu_with_little_memory_is_no_traceback(script, extra, device, megabytes, tmp_path):
    """The GPU, or with a warning the CPU; for a GPU that was asked for, one line. In a process of its own: the limit
    stays."""
    cloud, out = write_cloud(tmp_path / "cloud.ply", torus(30_000)), tmp_path / "mesh.ply"
    code = (
        "import runpy, sys, torch\n"
        "total = torch.cuda.get_device_properties(0).total_memory\n"
        f"torch.cuda.set_per_process_memory_fraction({megabytes}e6 / total)\n"
        "sys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    )
    args = [cloud, "auto", 3000, 128, *extra, "--seed", 0, "--device", device, "--out", out]
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, [ROOT / script, *args])],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert "Traceback" not in result.stderr
    assert result.returncode in ((0,) if device == "auto" else (0, 4)), result.stderr
    assert out.exists() == (result.returncode == 0)
    if device == "auto":
        assert ("numba on cpu" in result.stdout) == ("done anew on the CPU" in result.stderr)
    if result.returncode == 4:
        (line,) = complaints(result.stderr)
        assert re.fullmatch(rf"{script}: error: .*memory.*", line)
