"""Kernel-vector products: one class a backend in a file of its own, one contract, chosen once.

`contract.py` says what a backend does; `resolve` chooses devices and backend for a run.
"""

from __future__ import annotations

import importlib
import logging
import re

import torch

from ...errors import BackendError, SettingsError, first_line
from .compute import Compute
from .contract import Products, Segments

__all__ = ["BACKENDS", "Compute", "Products", "Segments", "load", "resolve"]

logger = logging.getLogger(__name__)

# The file and the class of each backend; only the chosen one is imported.
BACKENDS = {
    "torch": ("torch_blocks", "TorchBlocks"),
    "numba": ("numba_cpu", "NumbaLoops"),
    "triton": ("triton_cuda", "TritonKernels"),
    "keops": ("keops", "KeOps"),
}


def resolve(device: str = "auto", backend: str = "auto", dtype: torch.dtype = torch.float64) -> Compute:
    """Choose devices and backend: one GPU and Triton where they are, else the CPU and Numba.

    device: auto, cpu, cuda (all GPUs that are visible), or names of GPUs with commas between.
    Raises BackendError where what was asked for is missing; `auto` never picks KeOps.
    """
    devices = _devices(device)
    kind = devices[0].type
    if kind == "cuda" and torch.cuda._is_in_bad_fork():
        raise BackendError(
            "a forked process cannot use the GPU that its parent has used; start it by multiprocessing's spawn, or use "
            "--device cpu"
        )
    if backend == "auto":
        return Compute(devices, dtype, _fastest(kind))
    if backend == "numba" and kind != "cpu":
        raise SettingsError(f"--backend numba runs on the CPU, not on {kind}; use --device cpu or --backend triton")
    if backend == "triton" and kind != "cuda":
        raise SettingsError(f"--backend triton needs a CUDA device, not {kind}; use --backend numba or torch")
    return Compute(devices, dtype, load(backend))


def load(backend: str) -> Products:
    """The backend of that name. Raises BackendError where what it needs is missing or broken."""
    module, name = BACKENDS[backend]
    try:
        return getattr(importlib.import_module(f".{module}", __package__), name)()
    except Exception as error:  # a broken optional package may raise anything on import
        raise BackendError(
            f"--backend {backend} cannot be used here: {first_line(error)}; try --backend auto"
        ) from error


def _fastest(kind: str) -> Products:
    """Triton on CUDA, Numba on the CPU; plain torch, slower, where that is missing, too old or broken."""
    backend = "triton" if kind == "cuda" else "numba"
    try:
        return load(backend)
    except BackendError as error:
        logger.warning(
            "the slower torch backend is used: %s cannot be imported: %s", backend, first_line(error.__cause__ or error)
        )
        return load("torch")


def _devices(names: str) -> tuple[torch.device, ...]:
    if names == "auto":
        return (torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu"),)
    if not re.fullmatch(r"cpu|cuda|cuda:\d+(,cuda:\d+)*", names):
        raise SettingsError(f"--device must be auto, cpu, cuda, or cuda:N with commas between several, got {names!r}")
    if names == "cpu":
        return (torch.device("cpu"),)
    if not torch.cuda.is_available():
        raise BackendError(f"--device {names}: PyTorch sees no CUDA device here; use --device cpu")
    count = torch.cuda.device_count()
    if names == "cuda":
        return tuple(torch.device("cuda", index) for index in range(count))
    devices = tuple(dict.fromkeys(torch.device(name) for name in names.split(",")))
    if any(device.index >= count for device in devices):
        raise BackendError(f"--device {names}: there are {count} CUDA devices, cuda:0 to cuda:{count - 1}")
    return devices
