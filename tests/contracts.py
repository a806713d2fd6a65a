"""Read by mypy, never run: every implementation satisfies its Protocol, and callers get the types that they gave."""

from __future__ import annotations

from typing import assert_type

import numpy as np
import torch

import neural_splines as ns
from neural_splines.cells.blending import BlendedField
from neural_splines.creases.field import SharpField
from neural_splines.files.work_directory import WorkDirectory
from neural_splines.kernels.products.contract import Products
from neural_splines.kernels.products.keops import KeOps
from neural_splines.kernels.products.numba_cpu import NumbaLoops
from neural_splines.kernels.products.sharded import Sharded
from neural_splines.kernels.products.torch_blocks import TorchBlocks
from neural_splines.kernels.products.triton_cuda import TritonKernels
from neural_splines.run.normals import Scan
from neural_splines.run.orientation import EstimatedNormals, GivenNormals
from neural_splines.run.partition import StoredPoints
from neural_splines.run.plan import OneCloud, Source
from neural_splines.run.store import MemoryStore, Store
from neural_splines.run.workers import Cluster, Here, Processes, Workers
from neural_splines.runtime.monitor import Monitor, PhaseTimer, Silent
from neural_splines.runtime.progress import Progress
from neural_splines.spline.contract import Field, Replicas
from neural_splines.spline.solvers.contract import Solver
from neural_splines.spline.solvers.falkon import Falkon
from neural_splines.spline.solvers.falkon_library import FalkonLibrary
from neural_splines.spline.spline import NeuralSpline


def products(backend: Products) -> list[Products]:
    sharded = Sharded(backend, [torch.device("cuda", 0), torch.device("cuda", 1)])
    return [TorchBlocks(), NumbaLoops(), TritonKernels(), KeOps(), sharded]


def fields(spline: NeuralSpline, blend: BlendedField, sharp: SharpField) -> list[Field]:
    return [spline, blend, sharp, Replicas(blend, [torch.device("cpu")])]


def solvers() -> list[Solver]:
    return [Falkon(1e-7, 20, 1e-5), FalkonLibrary(1e-7, 20, 1e-5)]


def monitors() -> list[Monitor]:
    return [Silent(), PhaseTimer(Progress()), Progress()]


def stores() -> list[Store]:
    return [MemoryStore(), WorkDirectory("work")]


def sources(cloud: OneCloud, given: GivenNormals, estimated: EstimatedNormals) -> list[Source]:
    return [cloud, given, estimated]


def scans(stored: StoredPoints) -> Scan:
    return stored


def workers() -> list[Workers]:
    return [Here(), Processes(2), Cluster("tcp://there:1", "1")]


def users(points: np.ndarray, normals: np.ndarray, tensor: torch.Tensor) -> None:
    """What a type checker tells a user of the package."""
    field = ns.fit_cells(points, normals, ns.Settings(grid_size=64), monitor=Silent())
    assert_type(field.evaluate(points), np.ndarray)
    assert_type(field.evaluate(tensor), torch.Tensor)
    assert_type(field.gradient(tensor), tuple[torch.Tensor, torch.Tensor])
    result = ns.reconstruct(points, normals)
    assert_type(result.field, Field)
    ns.save_mesh("mesh.ply", result)
    ns.save_mesh("mesh.ply", ns.extract_mesh(field), voxel_size=0.01)
    assert_type(ns.load("field.npz"), Field)
