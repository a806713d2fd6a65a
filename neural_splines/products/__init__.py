"""Kernel-vector products: one file a backend, one contract, chosen once.

A backend is a module with four functions and a constant. Points are model-space tensors [n, 3] of the dtype and on
the device that the product is wanted in; `kernel` must cover them (`Kernel.covering`).

    apply(kernel, x, y, w, segments=None)     K w            [n]
    gradient(kernel, x, y, w, segments=None)  K w, grad_x    [n], [n, 3]
    normal(kernel, x, y, w)                   K' (K w)       [m], in one pass over K
    dense(kernel, x, y)                       K              [..., n, m], batched over leading dims
    STORING_PAYS                              whether K', K from memory give K' (K w) sooner than `normal` does

K' w needs no function of its own: kernels are symmetric, so it is apply(kernel, y, x, w).
With `segments`, x and y hold many small independent problems one after another, and the product is
block diagonal: rows of problem p meet only columns of problem p.
A backend knows devices and dtypes, and nothing of splines, cells or files.
"""

from __future__ import annotations

import importlib
import logging
import re
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import BackendError, SettingsError, first_line

if TYPE_CHECKING:
    from .sharded import Sharded

logger = logging.getLogger(__name__)

MODULES = {"torch": "torch_blocks", "numba": "numba_cpu", "triton": "triton_cuda", "keops": "keops"}


@dataclass(frozen=True)
class Segments:
    """Problem p owns rows x_offsets[p]:x_offsets[p + 1] and columns y_offsets[p]:y_offsets[p + 1].

    Both are int64 tensors [problems + 1], on the device of the points.
    """

    x_offsets: Tensor
    y_offsets: Tensor

    @classmethod
    def single(cls, x: Tensor, y: Tensor) -> Segments:
        return cls(torch.tensor([0, len(x)]), torch.tensor([0, len(y)]))


@dataclass(frozen=True)
class Compute:
    """Where and how to compute: resolved once by `resolve`, then passed along.

    Everything lives on `device`; where there are more `devices`, these share the work.
    """

    devices: tuple[torch.device, ...]
    dtype: torch.dtype
    backend: ModuleType

    @property
    def device(self) -> torch.device:
        return self.devices[0]

    @cached_property
    def products(self) -> ModuleType | Sharded:
        if len(self.devices) == 1:
            return self.backend
        from .sharded import Sharded

        return Sharded(self.backend, self.devices)

    def on(self, device: torch.device) -> Compute:
        """The same on one of the devices alone."""
        return replace(self, devices=(device,))

    @property
    def name(self) -> str:
        return next(name for name, module in MODULES.items() if self.backend.__name__.endswith(module))

    @property
    def summary(self) -> str:
        where = str(self.device) if len(self.devices) == 1 else f"{len(self.devices)} x {self.device.type}"
        return f"{self.name} on {where}, {str(self.dtype)[6:]}"

    def synchronize(self) -> None:
        """Wait for the device, so that a phase is charged with its own work."""
        for device in self.devices:
            if device.type == "cuda":
                torch.cuda.synchronize(device)

    def place(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, self.dtype)


def resolve(device: str = "auto", backend: str = "auto", dtype: torch.dtype = torch.float64) -> Compute:
    """Choose devices and backend: one GPU and Triton where they are, else the CPU and Numba.

    device: auto, cpu, cuda (all GPUs that are visible), or names of GPUs with commas between.
    Raises BackendError where what was asked for is missing; `auto` never picks KeOps.
    """
    devices = _devices(device)
    kind = devices[0].type
    if backend == "auto":
        return Compute(devices, dtype, _fastest(kind))
    if backend == "numba" and kind != "cpu":
        raise SettingsError(f"--backend numba runs on the CPU, not on {kind}; use --device cpu or --backend triton")
    if backend == "triton" and kind != "cuda":
        raise SettingsError(f"--backend triton needs a CUDA device, not {kind}; use --backend numba or torch")
    return Compute(devices, dtype, load(backend))


def load(backend: str) -> ModuleType:
    try:
        return importlib.import_module(f".{MODULES[backend]}", __package__)
    except Exception as error:  # a broken optional package may raise anything on import
        raise BackendError(
            f"--backend {backend} cannot be used here: {first_line(error)}; try --backend auto"
        ) from error


def _fastest(kind: str) -> ModuleType:
    """Triton on CUDA, Numba on the CPU; plain torch, slower, where that is missing, too old or broken."""
    backend = "triton" if kind == "cuda" else "numba"
    try:
        return load(backend)
    except BackendError as error:
        logger.warning(
            "the slower torch backend is used: %s cannot be imported: %s", backend, first_line(error.__cause__)
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
