"""The same seed, the same bytes: whatever the number of threads, of CPUs that may be used, and the run before."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from scripts import ROOT, write_cloud
from shapes import sphere, torus

import neural_splines as ns
from neural_splines.runtime import devices
from neural_splines.surface.mesh import Mesh, face_average_normals

# Threads of PyTorch and of Numba, and how many CPUs a process may use.
CONDITIONS = {"one": (1, 1, None), "four": (4, 2, None), "one CPU": (None, None, 1), "Numba's": (1, 2, None)}
CELLS = {
    "one batch of cells": (sphere(300), ["auto", "auto", 24, "auto"]),
    "several": (torus(2500), ["auto", 60, 24, 3]),
}
SPLINE = {"one spline": (sphere(300), ["auto", 200, 24])}
RUNS = "import json, sys\nfrom scripts import run\nfor words in json.loads(sys.argv[1]): assert run(*words).code == 0"


def meshes(runs: dict, folder, condition: str) -> dict[str, bytes]:
    """Of these runs, one after another in a process of its own."""
    torch_threads, numba_threads, cpus = CONDITIONS[condition]
    names = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    if torch_threads:
        environment |= {"OMP_NUM_THREADS": str(torch_threads), "NUMBA_NUM_THREADS": str(numba_threads)}
    words = []
    for name, (shape, args) in runs.items():
        cloud, script = write_cloud(folder / f"{name}.ply", shape), "fit-grid.py" if name in CELLS else "fit.py"
        out = folder / f"{name}, {condition}.ply"
        words.append([script, str(cloud), *args, "--seed", 0, "--device", "cpu", "--out", str(out)])
    some = sorted(os.sched_getaffinity(0))[:cpus] if cpus else None
    subprocess.run(
        [sys.executable, "-c", RUNS, json.dumps(words)],
        env={**environment, "PYTHONPATH": f"{ROOT}:{ROOT}/tests"}, check=True, capture_output=True, timeout=300,
        preexec_fn=(lambda: os.sched_setaffinity(0, some)) if some else None,
    )  # fmt: skip
    return {name: (folder / f"{name}, {condition}.ply").read_bytes() for name in runs}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="CPUs cannot be chosen here")
@pytest.mark.processes
def test_the_bytes_are_the_same_with_any_number_of_threads(tmp_path):
    """Of cells; of one spline with Numba's alone: PyTorch's matrix products of one large system are another matter,
    docs/input.md."""
    first = meshes(CELLS | SPLINE, tmp_path, "one")
    assert all(len(mesh) > 1000 for mesh in first.values())
    for runs, condition in ((CELLS, "four"), (CELLS, "one CPU"), (SPLINE, "Numba's")):
        for name, mesh in meshes(runs, tmp_path, condition).items():
            assert mesh == first[name], f"{name}, {condition}"


# What adds up in no fixed order on a GPU, as far as the package has it, and why the bits are the same nevertheless.
UNORDERED = {"index_add", "index_add_", "index_put_", "scatter_add_", "scatter_reduce_", "atomic_add", "bincount"}
IN_NO_ORDER = {
    "cells/partition.py": "the least of whole numbers",
    "files/colmap.py": "NumPy, one after another",
    "spline/nystrom.py": "on the CPU for every device, one after another",
    "cloud/neighbours.py": "the least of whole numbers",
    "normals/consistency.py": "counts, in NumPy",
    "normals/forest.py": "the least of whole numbers",
    "normals/nearest.py": "whole numbers",
    "normals/parts.py": "NumPy, one after another",
    "files/openmvs.py": "NumPy, one after another",
    "normals/patches.py": "NumPy, one after another",
    "pictures/shading.py": "NumPy, one after another",
    "run/nodes.py": "whole numbers",
    "run/normals.py": "NumPy, one after another",
    "run/stitch.py": "whole numbers",
    "surface/checks.py": "NumPy, one after another",
    "surface/clustering.py": "NumPy, one after another",
    "components.py": "the least of whole numbers",
    "surface/features.py": "NumPy, one after another",
    "surface/marching_cubes.py": "one number for each place",
    "surface/pyramid.py": "NumPy, one after another",
    "surface/printing.py": "NumPy, one after another",
    "surface/support.py": "NumPy, one after another",
    "surface/tangents.py": "NumPy, one after another",
    "surface/trimming.py": "ones with signs, exact in any order",
}


def unordered(path: Path) -> bool:
    """Whether a module calls one of these; counts, which are whole numbers, are none."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    named = [(call, call.func.attr) for call in calls if isinstance(call.func, ast.Attribute)]
    return any(name in UNORDERED and (name != "bincount" or len(call.args) > 1) for call, name in named)


def test_no_other_sum_is_in_no_order():
    package = ROOT / "neural_splines"
    assert {str(path.relative_to(package)) for path in package.rglob("*.py") if unordered(path)} == set(IN_NO_ORDER)


@pytest.mark.parametrize("at_once", [7, 100])
def test_slopes_of_a_mesh_do_not_depend_on_what_is_taken_at_a_time(at_once, monkeypatch, generator):
    vertices = torch.rand(60, 3, dtype=torch.float64, generator=generator)
    mesh = Mesh(vertices, vertices, torch.randint(60, (300, 3), generator=generator))
    whole = face_average_normals(mesh)
    expected = torch.zeros_like(vertices)
    for a, b, c in mesh.faces.tolist():
        expected[[a, b, c]] += torch.linalg.cross(vertices[b] - vertices[a], vertices[c] - vertices[a])
    assert torch.allclose(whole, expected / expected.norm(dim=1, keepdim=True))
    monkeypatch.setitem(devices.AT_ONCE, "cpu", at_once)
    assert torch.equal(face_average_normals(mesh), whole)


@pytest.mark.filterwarnings("ignore:conjugate gradients reached")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_value_depends_on_its_point_alone(dtype, generator):
    """In boxes that need several polynomials too: neither on those asked for with it nor on their order."""
    cloud = sphere(60)
    settings = ns.Settings(cells=None, dtype=dtype, device="cpu", backend="numba")
    field = ns.fit(cloud.points, cloud.normals, settings)
    x = 6.0 * torch.rand(500, 3, dtype=torch.float64, generator=generator) - 3.0
    value, (same, slope) = field.evaluate(x), field.gradient(x)
    order = torch.randperm(len(x), generator=generator)
    for rows in (*order.split(25), order):
        assert torch.equal(field.evaluate(x[rows]), value[rows])
        assert all(torch.equal(a, b) for a, b in zip(field.gradient(x[rows]), (same[rows], slope[rows]), strict=True))
