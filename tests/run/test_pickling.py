"""What a worker process must receive can be pickled, and does there what it does here."""

import multiprocessing
import pickle
from dataclasses import fields, is_dataclass, replace

import pytest
import torch
from shapes import sphere

import neural_splines as ns
from neural_splines.cells.batches import Smoothing
from neural_splines.cells.fitting import BlendPlan
from neural_splines.cells.models import fit_cells
from neural_splines.errors import NeuralSplinesError
from neural_splines.kernels.kernels import KERNELS, make_kernel
from neural_splines.kernels.products import BACKENDS, Compute, load, resolve
from neural_splines.kernels.products.sharded import Sharded
from neural_splines.run import whole
from neural_splines.runtime.monitor import Silent
from neural_splines.spline.fitting import Centers, SplinePlan
from neural_splines.spline.solvers.falkon import Falkon
from neural_splines.surface.lattice import Lattice

CLOUD = sphere(300)
CPU, KERNEL = resolve("cpu"), make_kernel("neural-spline", 1.0)
SETTINGS = ns.Settings(cells=ns.CellSettings(cells_per_axis=2, fill_holes=True), num_nystrom_samples=40, grid_size=16,
                       cg_max_iters=200, device="cpu")  # fmt: skip


def plan() -> BlendPlan:
    lattice = Lattice.around(CLOUD.box, SETTINGS.scale, SETTINGS.grid_size)
    kernel, generator = make_kernel("neural-spline", 1.0), torch.Generator().manual_seed(0)
    return BlendPlan.of(CLOUD, lattice.box, kernel, 0.05, SETTINGS, CPU, generator)


@pytest.fixture(scope="module")
def things() -> dict[str, object]:
    made = {
        "cloud": CLOUD,
        "settings": SETTINGS,
        "lattice": Lattice.covering(CLOUD.box, 16),
        "centers": Centers(40, "blue-noise"),
        "solver": Falkon(1e-7, 20, 1e-5),
        "smoothing": Smoothing(1e-7),
        "spline plan": SplinePlan(KERNEL, 0.1, Centers(9, "random"), Falkon(1e-7, 9, 1e-5), CPU, torch.Generator()),
        "compute": CPU,
        "several devices": Compute((torch.device("cuda", 0), torch.device("cuda", 1)), torch.float32, CPU.backend),
        "sharded": Sharded(CPU.backend, (torch.device("cuda", 0), torch.device("cuda", 1))),
        "silent": Silent(),
        "plan": plan(),
        "problem": plan().problem(200),
        "models": fit_cells(plan().problem(200), Smoothing(1e-7), Silent()),
        "spline fit": whole.fit_cloud(CLOUD, replace(SETTINGS, cells=None)),
        "cells fit": whole.fit_cloud(CLOUD, SETTINGS),
        "reconstruction": whole.mesh_cloud(CLOUD, SETTINGS),
    }
    made |= {f"kernel {name}": make_kernel(name, 0.5).covering(1.5, 1.5) for name in KERNELS}
    return made


def same(one: object, other: object) -> bool:
    """The same types, numbers and bits all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one.nan_to_num(7.7), other.nan_to_num(7.7))
    if isinstance(one, torch.Generator):
        return torch.equal(one.get_state(), other.get_state())
    if is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if callable(one) or type(one).__module__.startswith("neural_splines"):
        return True  # by its class
    return one == other


def test_everything_comes_back_the_same(things):
    for name, thing in things.items():
        assert same(thing, pickle.loads(pickle.dumps(thing))), name


@pytest.mark.parametrize("name", BACKENDS)
def test_backends_come_back(name):
    pytest.importorskip({"triton": "triton", "keops": "pykeops"}.get(name, "torch"))
    backend = pickle.loads(pickle.dumps(load(name)))
    assert (type(backend), backend) == (type(load(name)), load(name))


@pytest.mark.parametrize("cls", [NeuralSplinesError, *NeuralSplinesError.__subclasses__()])
def test_errors_come_back_with_their_line(cls):
    error = pickle.loads(pickle.dumps(cls("one line; and a remedy")))
    assert (type(error), str(error)) == (cls, "one line; and a remedy")


def evaluated(field, points):
    return field.gradient(points)


def cells_fitted(problem, smoothing):
    models = fit_cells(problem, smoothing, Silent())
    return models.centers, models.coefficients


def test_another_process_computes_what_this_one_does(things):
    """A fresh interpreter gets a problem and gives models, gets a field and gives values: to the bit."""
    threads, x = torch.get_num_threads(), CLOUD.points * 1.01
    with multiprocessing.get_context("spawn").Pool(1, torch.set_num_threads, (threads,)) as pool:
        for name in ("spline fit", "cells fit"):
            found = pool.apply(evaluated, (things[name].field, x))
            assert all(map(torch.equal, found, things[name].field.gradient(x)))
        problem = plan().problem(200)
        found = pool.apply(cells_fitted, (problem, Smoothing(1e-7)))
    assert all(map(torch.equal, found, (things["models"].centers, things["models"].coefficients)))
