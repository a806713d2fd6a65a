"""One neural spline: a kernel expansion, evaluated in world units."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from ..files import stored
from ..files.arrays import save_arrays
from ..files.stored import State
from ..geometry import Box, Similarity
from ..kernels.kernels import Kernel, kernel_from, kernel_state
from ..kernels.products import Compute
from ..kernels.second import hessian
from ..runtime.arrays import Array, as_rows
from ..runtime.devices import map_in_halves, pieces, to_device
from .calls import values_at

TINY = 1e-300  # a scale that has an inverse


@dataclass(frozen=True)
class NeuralSpline:
    """f(x) = sum_j k(x, c_j) a_j, negative inside. Centres [m, 3] and coefficients [m] are in model space."""

    kernel: Kernel
    similarity: Similarity
    centers: Tensor
    coefficients: Tensor
    compute: Compute
    box: Box

    kind = "spline"

    def __repr__(self) -> str:
        return f"NeuralSpline({len(self.centers)} centres, {self.kernel.name}, {self.compute.summary})"

    def on(self, device: torch.device) -> NeuralSpline:
        """The same field, evaluated on that device."""
        return to_device(self, device, compute=self.compute.on(device))

    def evaluate(self, points: Array) -> Array:
        """Values [n], float64, world units, at points [n, 3], world units: numpy or torch, as the points are."""
        x, back = as_rows(points)

        def values(chunk: Tensor) -> Tensor:
            x = self._model(chunk)
            value = torch.empty_like(x[:, 0])
            for kernel, rows in self._serving(x):
                value[rows] = self.compute.products.apply(kernel, x[rows], self.centers, self.coefficients)
            return self.similarity.world_lengths(value.double())

        return back(torch.cat(map_in_halves(values, pieces(x.to(self.compute.device)))))

    def gradient(self, points: Array) -> tuple[Array, Array]:
        """Values [n] and gradients [n, 3], float64, at points [n, 3]: numpy or torch, as the points are."""
        x, back = as_rows(points)

        def both(chunk: Tensor) -> tuple[Tensor, Tensor]:
            x = self._model(chunk)
            value, slope = torch.empty_like(x[:, 0]), torch.empty_like(x)
            for kernel, rows in self._serving(x):
                found = self.compute.products.gradient(kernel, x[rows], self.centers, self.coefficients)
                value[rows], slope[rows] = found
            return self.similarity.world_lengths(value.double()), slope.double()

        values, slopes = zip(*map_in_halves(both, pieces(x.to(self.compute.device))), strict=True)
        return back(torch.cat(values)), back(torch.cat(slopes))

    def hessian(self, points: Array) -> Array:
        """Second derivatives [n, 3, 3], float64, at points [n, 3]. SettingsError where the kernel has none."""
        x, back = as_rows(points)
        return back(self.similarity.scale * hessian(self.kernel, self._model(x), self.centers, self.coefficients))

    def __call__(self, points: Array) -> Array:
        """Values [n], as `evaluate`; of torch points that require a gradient they have one, the analytic one."""
        return values_at(self, points)

    def world_centers(self) -> Tensor:
        """The Nyström centres [m, 3] in world units."""
        return self.similarity.world_points(self.centers)

    def state(self) -> dict[str, Any]:
        """What `from_state` makes the same field of: arrays, numbers and text by name."""
        return {
            "kind": self.kind,
            **kernel_state(self.kernel),
            "center": self.similarity.center,
            "scale": self.similarity.scale,
            "centers": self.centers,
            "coefficients": self.coefficients,
            "box": torch.stack([self.box.lower, self.box.upper]),
        }

    @classmethod
    def from_state(cls, state: State, compute: Compute) -> NeuralSpline:
        """The field of a `state`, evaluated as `compute` says. KeyError and ValueError where it is none."""
        centers = stored.array(state, "centers", -1, 3, types=stored.FLOATS)
        coefficients = stored.array(state, "coefficients", len(centers), types=(state["centers"].dtype.name,))
        return cls(
            kernel_from(state),
            Similarity(stored.array(state, "center", 3), stored.number(state, "scale", TINY)),
            compute.place(centers),
            compute.place(coefficients),
            compute,
            Box(*stored.corners(state, "box")),
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write the field to one .npz file, which `neural_splines.load` reads."""
        save_arrays(path, **self.state())

    def _model(self, points: Tensor) -> Tensor:
        return self.similarity.points(points.to(self.compute.device), self.compute.dtype)

    def _serving(self, x: Tensor) -> list[tuple[Kernel, Tensor | slice]]:
        return self.kernel.serving(x.square().sum(-1).nan_to_num(0.0), radius(self.centers))


def radius(x: Tensor) -> float:
    """The largest distance of points [n, 3] from the origin; NaN, where a field is NaN too, counts for none."""
    return float(x.square().sum(-1).nan_to_num(0.0).amax()) ** 0.5 if len(x) else 0.0
