"""What a process does before its work: it imports, and loads compiled loops."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from neural_splines.runtime.imports import uncollected

ROOT = Path(__file__).resolve().parents[2]
# pairs of points and boxes, a loop of the package in float64 and then in float32, which is another signature
LOOKUP = """
import sys, torch
from neural_splines.cells.lookup_numba import _weigh
import numpy as np

def called(dtype):
    rng = np.random.default_rng(0)
    points, lower = rng.random((50, 3)).astype(dtype), rng.random((4, 3)).astype(dtype) - 0.5
    which, margin = np.arange(50) % 4, np.full(4, 0.3, dtype)
    weight = np.empty(50)
    yields = np.arange(4) == 1
    _weigh(points, np.arange(50), which, lower, lower + 1, margin, margin, yields, 0.25, 1e-4, 0.5, weight)
    return weight.tobytes().hex()

one = called(np.float64)
print("numba.np.linalg" in sys.modules, one)
if len(sys.argv) > 1:
    other = called(np.float32)
    print("numba.np.linalg" in sys.modules, other)
"""


def looked_up(cache: Path, *args: str) -> list[tuple[str, str]]:
    """Whether Numba was prepared to compile, and what the loop gave, of a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LOOKUP, *args],
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [tuple(line.split()) for line in done.stdout.splitlines()]


@pytest.mark.processes
def test_a_loop_from_the_cache_needs_nothing_of_the_compiler(tmp_path):
    """The same bits without it; and what is not in the cache is compiled after all."""
    ((prepared, compiled),) = looked_up(tmp_path)
    assert prepared == "True"
    (loaded, again), (prepared, other) = looked_up(tmp_path, "another signature")
    assert loaded == "False"
    assert again == compiled
    assert prepared == "True"
    assert other != compiled


def test_imports_are_not_collected_and_what_comes_after_is(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch")
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    gc.unfreeze()
    with pytest.raises(ImportError), uncollected():
        raise ImportError
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_a_program_that_has_torch_collects_as_it_did():
    with uncollected():
        assert gc.isenabled()
    assert gc.get_freeze_count() == 0
