"""What everything after fitting sees of a fitted model, wherever it came from."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Protocol

import torch
from torch import Tensor

from ..geometry import Box
from ..kernels.products import Compute
from ..runtime.arrays import Array
from .calls import values_at


class Field(Protocol):
    """A function R^3 -> R in world units, negative inside; the surface is its zero set."""

    @property
    def box(self) -> Box:
        """The bounding box of the cloud that it was fitted to."""
        ...

    @property
    def compute(self) -> Compute:
        """Where and how it is evaluated."""
        ...

    def evaluate(self, points: Array) -> Array:
        """Values [n], float64, at points [n, 3]; NaN where the field is undefined.

        numpy in gives numpy out; torch in gives torch out, on its device.
        """
        ...

    def gradient(self, points: Array) -> tuple[Array, Array]:
        """Values [n] and gradients [n, 3], as `evaluate`."""
        ...

    def hessian(self, points: Array) -> Array:
        """Second derivatives [n, 3, 3], as `evaluate`. SettingsError where the kernel has none."""
        ...

    def __call__(self, points: Array) -> Array:
        """As `evaluate`; where autograd follows the points it has their gradient."""
        ...

    def world_centers(self) -> Tensor:
        """The Nyström centres [m, 3], which lie on the surface or within EPS of it."""
        ...

    def on(self, device: torch.device) -> Field:
        """The same field, evaluated on that device."""
        ...

    def save(self, path: str | PathLike[str]) -> None:
        """Write the field to one .npz file, which `neural_splines.load` reads."""
        ...


class Replicas:
    """A field with a copy on each of several devices: points are evaluated where they lie."""

    def __init__(self, field: Field, devices: Sequence[torch.device]):
        self.original = field
        self._copies = {device: field.on(device) for device in devices}

    @property
    def box(self) -> Box:
        return self.original.box

    @property
    def compute(self) -> Compute:
        return self.original.compute

    def evaluate(self, points: Array) -> Array:
        return self._nearest(points).evaluate(points)

    def gradient(self, points: Array) -> tuple[Array, Array]:
        return self._nearest(points).gradient(points)

    def hessian(self, points: Array) -> Array:
        return self._nearest(points).hessian(points)

    def __call__(self, points: Array) -> Array:
        return values_at(self, points)

    def _nearest(self, points: Array) -> Field:
        """The copy where the points lie; the original for numpy, and for a device without one."""
        return self._copies.get(points.device, self.original) if isinstance(points, Tensor) else self.original

    def world_centers(self) -> Tensor:
        return self.original.world_centers()

    def on(self, device: torch.device) -> Field:
        return self._copies.get(device) or self.original.on(device)

    def save(self, path: str | PathLike[str]) -> None:
        self.original.save(path)
