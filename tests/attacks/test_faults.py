"""A few of the faults of tests/faults.py: the first, a middle and the last of each kind."""

from __future__ import annotations

import os

import pytest
import torch
from faults import FAULTS, attempt


@pytest.fixture(autouse=True)
def one_thread():
    """What is counted happens in this thread; and a fork has no others."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("script", ["fit.py", pytest.param("fit-grid.py", marks=pytest.mark.processes)])
def test_a_fault_is_one_line_and_leaves_what_was_there(kind, script):
    calls, problem = attempt(kind, script, None)
    assert problem is None
    assert calls >= 2
    for failing in sorted({0, calls // 2, calls - 1}):
        assert attempt(kind, script, failing)[1] is None
