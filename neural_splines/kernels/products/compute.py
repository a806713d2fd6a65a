"""Where and how to compute."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from .contract import Products
from .sharded import Sharded


@dataclass(frozen=True)
class Compute:
    """Where and how to compute: resolved once by `resolve`, then passed along.

    Everything lives on `device`; where there are more `devices`, these share the work.
    """

    devices: tuple[torch.device, ...]
    dtype: torch.dtype
    backend: Products

    @property
    def device(self) -> torch.device:
        return self.devices[0]

    @cached_property
    def products(self) -> Products:
        if len(self.devices) == 1:
            return self.backend
        return Sharded(self.backend, self.devices)

    def on(self, device: torch.device) -> Compute:
        """The same on one of the devices alone."""
        return replace(self, devices=(device,))

    @property
    def summary(self) -> str:
        where = str(self.device) if len(self.devices) == 1 else f"{len(self.devices)} x {self.device.type}"
        return f"{self.backend.name} on {where}, {str(self.dtype)[6:]}"

    def synchronize(self) -> None:
        """Wait for the device, so that a phase is charged with its own work."""
        for device in self.devices:
            if device.type == "cuda":
                torch.cuda.synchronize(device)

    def place(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, self.dtype)
