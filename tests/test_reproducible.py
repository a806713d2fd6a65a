"""The same seed, the same bytes: whatever the number of threads, of CPUs that may be used, and the run before."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from scripts import ROOT, write_cloud
from shapes import sphere, torus

# Threads of PyTorch and of Numba, and how many CPUs a process may use.
CONDITIONS = {"one": (1, 1, None), "four": (4, 2, None), "one CPU": (None, None, 1), "Numba's": (1, 2, None)}


def mesh(script: str, args: list, cloud, out, condition: str) -> bytes:
    torch_threads, numba_threads, cpus = CONDITIONS[condition]
    names = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    if torch_threads:
        environment |= {"OMP_NUM_THREADS": str(torch_threads), "NUMBA_NUM_THREADS": str(numba_threads)}
    command = [sys.executable, ROOT / script, cloud, *args, "--seed", 0, "--device", "cpu", "--out", out]
    some = sorted(os.sched_getaffinity(0))[:cpus] if cpus else None
    subprocess.run(
        [str(word) for word in command],
        env={**environment, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True, timeout=300,
        preexec_fn=(lambda: os.sched_setaffinity(0, some)) if some else None,
    )  # fmt: skip
    return out.read_bytes()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="CPUs cannot be chosen here")
@pytest.mark.parametrize(
    ("shape", "args"),
    [(sphere(300), ["auto", "auto", 24, "auto"]), (torus(2500), ["auto", 60, 24, 3])],
    ids=["one batch of cells", "several"],
)
def test_cells_are_the_same_bytes_with_any_number_of_threads(shape, args, tmp_path):
    cloud = write_cloud(tmp_path / "cloud.ply", shape)
    conditions = ("one", "four", "one CPU")
    first, *others = (mesh("fit-grid.py", args, cloud, tmp_path / "mesh.ply", condition) for condition in conditions)
    assert len(first) > 1000
    assert all(other == first for other in others)


def test_one_spline_is_the_same_bytes_with_any_number_of_threads_of_numba(tmp_path):
    """PyTorch's matrix products of one large system are another matter: docs/input.md."""
    cloud = write_cloud(tmp_path / "cloud.ply", sphere(300))
    args = ["auto", 200, 24]
    one, other = (mesh("fit.py", args, cloud, tmp_path / "mesh.ply", condition) for condition in ("one", "Numba's"))
    assert one == other
