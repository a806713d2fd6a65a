"""Products on several GPUs: each takes a share of the longer side. The same contract as a backend's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..kernels import Kernel
from .contract import Products, Segments

SMALLEST_SHARE = 1 << 27  # kernel evaluations for which another device pays: about 0.25 ms on an H200


@dataclass(frozen=True)
class Sharded(Products):
    """Points are dealt out in equal runs, the rest goes to all devices, results to the first of them.

    Nothing waits: copies and kernels are ordered by the devices' streams.
    """

    backend: Products
    devices: Sequence[torch.device]

    @property
    def name(self) -> str:
        return self.backend.name

    @property
    def storing_pays(self) -> bool:
        return self.backend.storing_pays

    def dense(self, kernel: Kernel, x: Tensor, y: Tensor) -> Tensor:
        return self.backend.dense(kernel, x, y)

    def dense_gradient(self, kernel: Kernel, x: Tensor, y: Tensor) -> Tensor:
        return self.backend.dense_gradient(kernel, x, y)

    def shares(self, x: Tensor) -> list[Tensor]:
        """The rows of x, dealt out to the devices."""
        parts = zip(self.devices, x.tensor_split(len(self.devices)), strict=True)
        return [part.to(device, non_blocking=True) for device, part in parts]

    def apply(self, kernel: Kernel, x: Tensor, y: Tensor, w: Tensor, segments: Segments | None = None) -> Tensor:
        if segments is not None:
            return self.backend.apply(kernel, x, y, w, segments)
        if len(y) > len(x):  # a long sum: each device adds up a part of it
            return _sum(self._deal((y, w), (x,), lambda y, w, x: self.backend.apply(kernel, x, y, w)))
        return torch.cat(self._deal((x,), (y, w), lambda x, y, w: self.backend.apply(kernel, x, y, w)))

    def gradient(
        self, kernel: Kernel, x: Tensor, y: Tensor, w: Tensor, segments: Segments | None = None
    ) -> tuple[Tensor, Tensor]:
        return self.backend.gradient(kernel, x, y, w, segments)

    def normal(self, kernel: Kernel, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        return _sum(self._deal((x,), (y, w), lambda x, y, w: self.backend.normal(kernel, x, y, w)))

    def _deal(self, dealt: tuple[Tensor, ...], copied: tuple[Tensor, ...], work: Callable[..., Tensor]) -> list[Tensor]:
        """work(*runs of `dealt`, *`copied`) on each device."""
        count = max(1, min(len(self.devices), len(dealt[0]) * len(copied[0]) // SMALLEST_SHARE))
        runs = zip(self.devices, *(tensor.tensor_split(count) for tensor in dealt), strict=False)
        placed = [[t.to(device, non_blocking=True) for t in (*run, *copied)] for device, *run in runs]
        results = [work(*tensors) for tensors in placed]
        return [result.to(self.devices[0], non_blocking=True) for result in results]


def _sum(parts: list[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
