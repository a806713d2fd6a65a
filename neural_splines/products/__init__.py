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
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor

from ..errors import BackendError, SettingsError, first_line

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
    """Where and how to compute: resolved once by `resolve`, then passed along."""

    device: torch.device
    dtype: torch.dtype
    products: ModuleType

    @property
    def name(self) -> str:
        return next(name for name, module in MODULES.items() if self.products.__name__.endswith(module))

    def synchronize(self) -> None:
        """Wait for the device, so that a phase is charged with its own work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def place(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, self.dtype)


def resolve(device: str = "auto", backend: str = "auto", dtype: torch.dtype = torch.float64) -> Compute:
    """Choose device and backend: CUDA and Triton where they are, else the CPU and Numba.

    Raises BackendError where what was asked for is missing; `auto` never picks KeOps.
    """
    place = _device(device)
    if backend == "auto":
        return Compute(place, dtype, _fastest(place))
    if backend == "numba" and place.type != "cpu":
        raise SettingsError(f"--backend numba runs on the CPU, not on {place}; use --device cpu or --backend triton")
    if backend == "triton" and place.type != "cuda":
        raise SettingsError(f"--backend triton needs a CUDA device, not {place}; use --backend numba or torch")
    return Compute(place, dtype, load(backend))


def load(backend: str) -> ModuleType:
    try:
        return importlib.import_module(f".{MODULES[backend]}", __package__)
    except Exception as error:  # a broken optional package may raise anything on import
        raise BackendError(
            f"--backend {backend} cannot be used here: {first_line(error)}; try --backend auto"
        ) from error


def _fastest(place: torch.device) -> ModuleType:
    """Triton on CUDA, Numba on the CPU; plain torch, slower, where that is missing, too old or broken."""
    backend = "triton" if place.type == "cuda" else "numba"
    try:
        return load(backend)
    except BackendError as error:
        logger.warning(
            "the slower torch backend is used: %s cannot be imported: %s", backend, first_line(error.__cause__)
        )
        return load("torch")


def _device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except RuntimeError:
        place = None
    if place is None or place.type not in ("cpu", "cuda"):
        raise SettingsError(f"--device must be auto, cpu, cuda or cuda:N, got {device!r}")
    if place.type == "cuda":
        if not torch.cuda.is_available():
            raise BackendError(f"--device {device}: PyTorch sees no CUDA device here; use --device cpu")
        if (place.index or 0) >= torch.cuda.device_count():
            raise BackendError(f"--device {device}: there are {torch.cuda.device_count()} CUDA devices")
    return place
