"""Threads: what a run leaves alone of the process that called it, and what it takes from it."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import scipy.spatial
import torch
from scripts import ROOT
from shapes import sphere

import neural_splines as ns
from neural_splines.cloud.neighbours import Neighbours
from neural_splines.errors import BackendError
from neural_splines.kernels.products import resolve
from neural_splines.runtime.devices import map_on_devices
from neural_splines.runtime.threads import parallel_map

SETTINGS = ns.Settings(grid_size=16, regularization=1e-8, num_nystrom_samples=60, device="cpu")
SPHERE = sphere(300)
FORKS = """
import os, signal, sys
import torch
from shapes import sphere
import neural_splines as ns
torch.set_num_threads(2)
cloud = sphere(800)
def run():
    settings = ns.Settings(grid_size=24, regularization=1e-8, num_nystrom_samples=60, device="cpu")
    return ns.reconstruct(cloud.points, cloud.normals, settings).mesh.vertices
def forked(before):
    here, child = before(), os.fork()
    if not child:
        signal.alarm(60)
        found = run()
        os._exit(0 if here is None or torch.equal(found, here) else 3)
    if os.waitpid(child, 0)[1]:
        sys.exit(str(before))
def by_torch_alone():
    torch.randn(5_000_000).exp().sum()
def by_a_field():
    cells = ns.Settings(grid_size=24, regularization=1e-8, num_nystrom_samples=60, device="cpu")
    field = ns.fit_cells(cloud.points, cloud.normals, cells)
    field(torch.randn(50_000, 3))
ns.reconstruct
for before in (by_torch_alone, by_a_field, run):
    forked(before)
"""


@pytest.fixture
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def in_a_new_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_threads_that_begin_during_shared_work_have_as_many_as_before(four_threads):
    begun = threading.Barrier(4)
    parallel_map(lambda _: begun.wait(10), range(4))  # the pool has
    found = parallel_map(lambda _: (torch.get_num_threads(), in_a_new_thread(torch.get_num_threads)), range(4))
    assert found == [(1, 4)] * 4
    assert torch.get_num_threads() == in_a_new_thread(torch.get_num_threads) == 4


def test_threads_of_several_devices_have_as_many_as_their_caller(four_threads):
    """Whatever was set last in another thread, or the bits of several devices are not those of one."""
    in_a_new_thread(lambda: torch.set_num_threads(3))
    devices = [torch.device("cpu"), torch.device("cpu:0")]
    assert map_on_devices(devices, lambda *_: torch.get_num_threads(), range(4)) == [4] * 4


def test_shared_work_within_shared_work_is_done(four_threads):
    assert parallel_map(lambda k: parallel_map(lambda j: 10 * k + j, range(3)), range(8)) == [
        [10 * k + j for j in range(3)] for k in range(8)
    ]


def test_no_piece_runs_on_when_one_has_failed(four_threads):
    ran = []

    def work(item):
        if item == 0:
            raise ZeroDivisionError
        time.sleep(0.02)
        ran.append(item)

    with pytest.raises(ZeroDivisionError):
        parallel_map(work, range(50))
    left = len(ran)
    time.sleep(0.05)
    assert len(ran) == left < 49


class OneAtATime:
    """A monitor that is called by one thread at a time."""

    def __init__(self):
        self.inside, self.overlaps, self.threads = 0, 0, set()

    def phase(self, name):
        self.progress(0, None)

    def progress(self, done, total, note=""):
        self.inside += 1
        self.overlaps += self.inside > 1
        self.threads.add(threading.get_ident())
        time.sleep(0.001)
        self.inside -= 1


def test_a_monitor_is_called_by_one_thread_at_a_time(four_threads):
    monitor = OneAtATime()
    result = ns.reconstruct(SPHERE.points, SPHERE.normals, SETTINGS, monitor=monitor)
    ns.extract_mesh(result.field, SETTINGS, monitor=monitor)
    assert len(monitor.threads) > 1
    assert not monitor.overlaps


def test_searches_take_as_many_threads_as_torch(monkeypatch):
    asked = []

    class Tree(scipy.spatial.cKDTree):
        def query(self, *args, workers=1, **kwargs):
            asked.append(workers)
            return super().query(*args, workers=workers, **kwargs)

    monkeypatch.setattr(scipy.spatial, "cKDTree", Tree)
    monkeypatch.setattr("neural_splines.runtime.threads.torch.get_num_threads", lambda: 3)
    near = Neighbours(SPHERE.points)
    near.query(SPHERE.points)
    near.nearest(SPHERE.points, 3)
    ns.carry(SPHERE.points, SPHERE.normals, SPHERE.points)
    ns.estimate_normals(SPHERE.points, device="cpu")
    ns.fit(SPHERE.points, SPHERE.normals, ns.Settings(cells=None, nystrom_mode="k-means", num_nystrom_samples=20))
    assert set(asked) == {3}
    assert len(asked) > 5


@pytest.mark.parametrize("backend", ["numba", "torch"])
@pytest.mark.parametrize("cells", [None, ns.CellSettings()])
def test_inference_mode_changes_nothing(backend, cells, four_threads, tmp_path):
    settings = ns.Settings(grid_size=12, regularization=1e-8, num_nystrom_samples=40, cells=cells, backend=backend,
                           device="cpu")  # fmt: skip
    fit = ns.fit_cells if cells else ns.fit
    expected = fit(SPHERE.points, SPHERE.normals, settings)
    with torch.inference_mode():
        points, normals = SPHERE.points + 0.0, SPHERE.normals + 0.0
        mesh = ns.reconstruct(points, normals, settings).mesh
        field = fit(points, normals, settings)
        field.save(tmp_path / "field.npz")
        pairs = [field.evaluate(points), *field.gradient(points)]
        loaded = ns.load(tmp_path / "field.npz", device="cpu", backend=backend).evaluate(points)
    assert torch.equal(mesh.faces, ns.reconstruct(SPHERE.points, SPHERE.normals, settings).mesh.faces)
    assert torch.equal(pairs[0], loaded)
    for found, value in zip(pairs, [expected.evaluate(SPHERE.points), *expected.gradient(SPHERE.points)], strict=True):
        assert torch.equal(found, value)
    assert torch.equal(field.evaluate(SPHERE.points), pairs[0])  # and what was made there serves elsewhere


@pytest.mark.processes
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_of_a_process_that_has_computed_computes_the_same():
    """Also one that has used PyTorch alone, or a field: none waits for threads that it does not have."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS], env=environment, check=False, timeout=100)
    assert found.returncode == 0


def test_a_fork_of_a_process_that_has_used_the_gpu_is_refused_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
    for device in ("auto", "cuda", "cuda:0"):
        with pytest.raises(BackendError, match="start it by multiprocessing's spawn"):
            resolve(device)
    assert resolve("cpu").device.type == "cpu"


def test_numbers_of_threads_change_no_bit(four_threads):
    points = np.random.default_rng(0).normal(size=(50, 3))
    field = ns.fit_cells(SPHERE.points, SPHERE.normals, SETTINGS)
    values = field.evaluate(points)
    torch.set_num_threads(1)
    assert np.array_equal(field.evaluate(points), values, equal_nan=True)
