"""The same seed, the same bytes: whatever the number of threads, of CPUs that may be used, and the run before."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from scripts import ROOT, write_cloud
from shapes import sphere, torus

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
