"""Shared fixtures and the table of tolerances.

| what is compared | tolerance |
|---|---|
| the same sums in another order, float64 | 1e-12 of the largest value |
| another backend or device, float64 / float32 | 1e-12 / 1e-4 |
| finite differences | 1e-6 |
| conjugate gradients | 10 x the requested residual |
| geometry | fractions of a voxel |
"""

import os

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
