"""A limit on the address space, as batch systems set it, is one line."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from scripts import ROOT, complaints, write_cloud
from shapes import torus

GB = 10**9

LIMITED = """
import resource, runpy, sys
extra, sys.argv = int(sys.argv[1]), sys.argv[2:]
if extra < 0:  # before PyTorch
    resource.setrlimit(resource.RLIMIT_AS, (-extra, -extra))
else:
    import numba, numpy, scipy.spatial, torch
    numpy.ones((300, 300)) @ numpy.ones((300, 300))  # OpenBLAS takes its buffers now, or ends the process itself
    numpy.linalg.eigh(numpy.ones((300, 300)))
    from neural_splines.runtime import memory
    from neural_splines.run import whole
    now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + extra, now + extra))
    if extra % 2:  # what the system says of the limit is not known
        memory.address_space = lambda: None
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="the address space is read from Linux' /proc")
@pytest.mark.processes
@pytest.mark.parametrize(
    ("extra", "message"),
    [(-GB // 2, "the libraries take about .* GB of address space, and ulimit -v leaves .*; raise that limit"),
     (-11 * GB // 10, "the libraries take about .* GB of address space, and ulimit -v leaves .*; raise that limit"),
     (100 * 10**6, r"takes .* GB, and .* GB are free on cpu; use"), (100 * 10**6 + 1, "memory"),
     pytest.param(50 * GB, None, marks=pytest.mark.slow)],
    ids=["PyTorch does not load", "OpenBLAS spins", "refused", "runs out", "enough"],
)  # fmt: skip
def test_a_limit_on_the_address_space_is_one_line(extra, message, tmp_path):
    """Two factors of 3000 centres take 144 MB."""
    cloud, out = write_cloud(tmp_path / "cloud.ply", torus(3000)), tmp_path / "mesh.ply"
    args = [ROOT / "fit.py", cloud, "auto", 3000, 16, "--seed", 0, "--out", out, "--device", "cpu"]
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, [extra, *args])],
        # OpenBLAS reserves memory for every thread, and malloc may reserve 64 MB for each
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "2", "MALLOC_ARENA_MAX": "1"},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert "Traceback" not in result.stderr
    assert out.exists() == (message is None)
    if message is None:
        assert result.returncode == 0, result.stderr
        return
    ran_out = message == "memory"  # what is refused by an estimate has 2
    assert result.returncode == (4 if ran_out else 2), result.stderr
    (line,) = complaints(result.stderr)
    assert re.fullmatch(rf"fit.py: error: .*{message}.*", line)
