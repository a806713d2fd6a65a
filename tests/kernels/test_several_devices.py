"""More than one device: the work is dealt out, each has its copy, and nothing of it shows in the result.

Two handles of the CPU, cpu and cpu:0, stand for two GPUs: they are different devices to all code that deals out work.
"""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch
from shapes import torus

from neural_splines.cells.batches import Smoothing
from neural_splines.cells.members import Members
from neural_splines.cells.models import fit_cells
from neural_splines.cells.partition import adaptive_cells
from neural_splines.cells.problem import FitProblem
from neural_splines.geometry import Box
from neural_splines.kernels.kernels import make_kernel
from neural_splines.kernels.products import resolve, sharded
from neural_splines.run import plan, whole
from neural_splines.runtime import threads
from neural_splines.runtime.devices import map_on_devices
from neural_splines.runtime.monitor import Silent
from neural_splines.settings import CellSettings, Settings
from neural_splines.spline.contract import Replicas
from neural_splines.spline.fitting import Centers

ONE, OTHER, META = torch.device("cpu"), torch.device("cpu", 0), torch.device("meta")
CPU = resolve("cpu")


class Told(Silent):
    """A monitor that two threads must not tell something at once."""

    def __init__(self):
        self.done, self.inside = [], threading.Lock()

    def progress(self, done, total, note=""):
        assert self.inside.acquire(blocking=False), "two threads report at once"
        threading.Event().wait(0.001)
        self.done.append(done)
        self.inside.release()


def problem_on(devices, mode="blue-noise") -> FitProblem:
    cloud = torus(600)
    cells = adaptive_cells(cloud.box.scaled(1.1), cloud.sampling, 60, 0.25, 0)
    kernel = make_kernel("neural-spline", 1.0).covering(1.6, 1.6)
    members, generator = Members.of(cells, cloud.points), torch.Generator().manual_seed(0)
    compute = replace(CPU, devices=tuple(devices))
    return FitProblem(cloud, cells, members, kernel, compute, 0.02, Centers(40, mode), generator)


@pytest.mark.parametrize("devices", [(ONE,), (ONE, OTHER), (OTHER, ONE, OTHER)])
def test_item_k_is_worked_on_on_device_k_modulo_their_number(devices):
    def work(device, item):
        return device, item, threading.get_ident()

    results = map_on_devices(devices, work, range(7))
    assert [(device, item) for device, item, _ in results] == [(devices[k % len(devices)], k) for k in range(7)]
    assert len({device for device, *_ in results}) == len(set(devices))


def test_devices_work_at_the_same_time():
    """Each waits for the other in the middle of its first item: one after the other would wait for ever."""
    barrier = threading.Barrier(2)
    assert len(map_on_devices((ONE, OTHER), lambda device, item: barrier.wait(timeout=30), range(2))) == 2


@pytest.mark.parametrize("devices", [(ONE, OTHER), (ONE, OTHER, ONE, OTHER)])
def test_cells_are_dealt_out_to_devices_that_have_the_problem(devices, monkeypatch):
    monkeypatch.setattr("neural_splines.cells.problem.CPU_BATCH_BYTES", 1)  # a batch a cell
    seen = []

    def work(part, cell, draws):
        assert part.compute.devices == (part.compute.device,)
        assert draws.shape == (len(problem.cells), 40)
        seen.append((part.compute.device, cell.tolist()))

    problem = problem_on(devices)
    problem.map_batches(work)
    assert sorted(c for _, cells in seen for c in cells) == list(range(len(problem.cells)))
    assert {device for device, _ in seen} == set(devices)
    counts = [sum(device == d for d, _ in seen) for device in dict.fromkeys(devices)]
    assert max(counts) - min(counts) <= len(devices)


def test_what_draws_random_numbers_in_turn_stays_on_one_device():
    seen = []
    problem_on((ONE, OTHER), "random").map_batches(lambda part, cell, draws: seen.append(part))
    assert all(part is seen[0] for part in seen)


def test_several_devices_fit_the_cells_that_one_fits(monkeypatch):
    monkeypatch.setattr("neural_splines.cells.problem.CPU_BATCH_BYTES", 1)
    told = Told()
    one = fit_cells(problem_on((ONE,)), Smoothing(1e-7), Silent())
    many = fit_cells(problem_on((ONE, OTHER, ONE, OTHER)), Smoothing(1e-7), told)
    assert torch.equal(one.centers, many.centers)
    assert torch.equal(one.coefficients, many.coefficients)
    assert told.done == sorted(told.done)
    assert told.done[-1] == len(problem_on((ONE,)).cells)


class Labelled:
    """A field that says on which device it is: its values are 0 on the original, else 1 on meta, 2 elsewhere."""

    box, compute = Box(torch.zeros(3), torch.ones(3)), CPU

    def __init__(self, label=0.0):
        self.label = label

    def evaluate(self, points):
        return torch.full((len(points),), self.label)

    def gradient(self, points):
        return self.evaluate(points), torch.full((len(points), 3), self.label)

    def world_centers(self):
        return torch.zeros(5, 3)

    def on(self, device):
        return Labelled(1.0 if device == META else 2.0)

    def save(self, path):
        self.saved = path


def test_replicas_evaluate_points_where_they_lie():
    original = Labelled()
    field = Replicas(original, (ONE, META))
    here, there = torch.zeros(3, 3), torch.zeros(3, 3, device=META)
    assert field.evaluate(here).tolist() == [2.0] * 3
    assert field.evaluate(there).tolist() == [1.0] * 3
    assert [part.unique().tolist() for part in field.gradient(there)] == [[1.0], [1.0]]
    assert field.evaluate(here.numpy()).tolist() == [0.0] * 3  # numpy lies nowhere
    assert field.on(META).label == 1.0
    assert (field.box, field.compute) == (original.box, original.compute)
    assert field.world_centers().shape == (5, 3)
    field.save("somewhere")
    assert original.saved == "somewhere"


@pytest.mark.parametrize("cells", [None, CellSettings(cells_per_axis=3), CellSettings()], ids=["spline", "3", "auto"])
def test_the_mesh_of_two_devices_is_that_of_one(cells, monkeypatch):
    monkeypatch.setattr(sharded, "SMALLEST_SHARE", 1)
    monkeypatch.setattr("neural_splines.cells.problem.CPU_BATCH_BYTES", 1 << 20)
    settings = Settings(num_nystrom_samples=100, grid_size=20, cells=cells, regularization=1e-6,
                        cg_max_iters=100, cg_stop_thresh=1e-12)  # fmt: skip
    meshes = []
    for devices in ((ONE,), (ONE, OTHER)):
        monkeypatch.setattr(plan, "resolve", lambda *_, d=devices: replace(CPU, devices=d))
        meshes.append(whole.mesh_cloud(torus(400), settings).mesh)
    assert torch.equal(meshes[0].faces, meshes[1].faces)
    # sums over the shares, amplified by condition numbers of some 1e8
    assert (meshes[0].vertices - meshes[1].vertices).abs().max() < 1e-6


@pytest.mark.parametrize("tasks", [0, 1, 3, 100])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_threads_share_out_every_task_once(tasks, count, monkeypatch):
    monkeypatch.setattr(threads, "limit", lambda: count)
    runs, lock = [], threading.Lock()

    def work(first, last, extra):
        with lock:
            runs.append((first, last, extra))

    threads.parallel(work, tasks, "extra")
    assert sorted(k for first, last, _ in runs for k in range(first, last)) == list(range(tasks))
    assert {extra for *_, extra in runs} == {"extra"}
    assert len(runs) == (1 if count == 1 or tasks <= 1 else min(tasks, threads.RUNS * count))


def test_an_error_in_a_loop_is_raised(monkeypatch):
    monkeypatch.setattr(threads, "limit", lambda: 2)
    with pytest.raises(ZeroDivisionError):
        threads.parallel(lambda first, last: 1 // first, 10)
