"""Shared fixtures and the table of tolerances.

| what is compared | tolerance |
|---|---|
| the same sums in another order, float64 | 1e-12 of the largest value |
| another backend or device, float64 / float32 | 1e-12 / 1e-4 |
| finite differences | 1e-6 |
| conjugate gradients | 10 x the requested residual |
| geometry | fractions of a voxel |
"""

import contextlib
import os
import zlib

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch: workers that each start a thread for every core wait for them
    os.environ.setdefault("OMP_NUM_THREADS", "1")

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each process that a test starts compiles the package anew

import torch

if not torch.cuda.is_available():  # must be set before Triton is imported: its kernels then run on the CPU
    os.environ.setdefault("TRITON_INTERPRET", "1")

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4}


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory):
    """Of workers that need the same loop, one compiles it; the others wait, and load it from Numba's cache."""
    if "PYTEST_XDIST_WORKER" not in os.environ or os.name == "nt":
        yield
        return
    import fcntl

    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.dispatcher import Dispatcher

    from neural_splines.runtime.compiled import _Cache

    compile_ = Dispatcher.compile
    with open(tmp_path_factory.getbasetemp().parent / "compiling", "a+b") as file:  # which all workers have

        @contextlib.contextmanager
        def turn(loop):
            """The byte of a loop: a lock of this process, so that loops that call others hold several."""
            place = zlib.crc32(f"{loop.__module__}.{loop.__qualname__}".encode())
            fcntl.lockf(file, fcntl.LOCK_EX, 1, place)
            try:
                yield
            finally:
                fcntl.lockf(file, fcntl.LOCK_UN, 1, place)

        def in_turn(self, signature):
            if not isinstance(self._cache, _Cache):
                return compile_(self, signature)
            with global_compiler_lock, turn(self.py_func):
                return compile_(self, signature)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Dispatcher, "compile", in_turn)
            yield
