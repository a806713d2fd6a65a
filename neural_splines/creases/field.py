"""A field with sharp edges: the sides of the surface near creases, and a smooth field everywhere else."""

from __future__ import annotations

from dataclasses import dataclass, fields
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..cells.blending import BlendedField
from ..files import stored
from ..files.arrays import save_arrays
from ..files.stored import State
from ..geometry import Box
from ..kernels.products import Compute
from ..runtime.arrays import Array, as_rows
from ..runtime.devices import map_in_halves, pieces
from ..spline.calls import values_at
from .sides import Sides

STEP = 1e-4  # spacings: of differences
SHAPES = {"points": (3,), "normals": (3,), "reach": (2,), "weights": (), "frames": (3, 3), "coefficients": (6,)}


@dataclass(frozen=True)
class SharpField:
    """F(x) = (1 - s) f(x) + s g(x): f smooth; g the minimum or maximum of the sides at x, s their share, 0 away from
    creases, where F is f to the bit.
    """

    smooth: BlendedField
    sides: Sides
    box: Box

    kind = "sharp"

    def __repr__(self) -> str:
        return f"SharpField({self.smooth!r}, {len(self.sides)} points near creases)"

    @property
    def compute(self) -> Compute:
        return self.smooth.compute

    @property
    def background(self) -> Any:
        return self.smooth.background

    def on(self, device: torch.device) -> SharpField:
        """The same field; the sides are evaluated on the CPU."""
        return SharpField(self.smooth.on(device), self.sides, self.box)

    def evaluate(self, points: Array) -> Array:
        """Values [n], float64, world units, at points [n, 3], world units: numpy or torch, as the points are."""
        x, back = as_rows(points)
        return back(torch.cat(map_in_halves(self._value, pieces(x))))

    def gradient(self, points: Array) -> tuple[Array, Array]:
        """Values [n] and gradients [n, 3], float64, at points [n, 3]: numpy or torch, as the points are."""
        x, back = as_rows(points)
        values, slopes = zip(*map_in_halves(self._slope, pieces(x)), strict=True)
        return back(torch.cat(values)), back(torch.cat(slopes))

    def hessian(self, points: Array) -> Array:
        """Second derivatives [n, 3, 3], as `evaluate`: those of the smooth field, and near creases differences of the
        gradient. SettingsError where the kernel has none.
        """
        x, back = as_rows(points)
        found = torch.as_tensor(self.smooth.hessian(x))
        near = torch.from_numpy(self.shares(x.detach().cpu().numpy()) > 0.0).nonzero()[:, 0].to(x.device)
        step = STEP * float(np.median(self.sides.reach[:, 1]))
        for axis in range(3):
            apart = torch.zeros(3, dtype=torch.float64, device=x.device)
            apart[axis] = step
            above, below = (torch.as_tensor(self.gradient(x[near].double() + e)[1]) for e in (apart, -apart))
            found[near, axis] = ((above - below) / (2.0 * step)).to(found)
        found[near] = 0.5 * (found[near] + found[near].mT)
        return back(found)

    def uncertainty(self, points: Array) -> Array:
        """The standard deviation [n] of the smooth field, as `BlendedField.uncertainty`."""
        return self.smooth.uncertainty(points)

    def __call__(self, points: Array) -> Array:
        """Values [n], as `evaluate`; of torch points that require a gradient they have one, the analytic one."""
        return values_at(self, points)

    def _value(self, x: Tensor) -> Tensor:
        value, _, share, _ = self._of_sides(x)
        rows = (share < 1.0).nonzero()[:, 0]
        f, share = self.smooth.evaluate(x[rows]), share[rows]
        value[rows] = torch.where(share > 0.0, f + share * (value[rows] - f), f)
        return value

    def _slope(self, x: Tensor) -> tuple[Tensor, Tensor]:
        value, slope, share, rise = self._of_sides(x)
        rows = (share < 1.0).nonzero()[:, 0]
        f, lean = self.smooth.gradient(x[rows])
        share, apart = share[rows], value[rows] - f
        found = lean + share[:, None] * (slope[rows] - lean) + apart[:, None] * rise[rows]
        value[rows] = torch.where(share > 0.0, f + share * apart, f)
        slope[rows] = torch.where(share[:, None] > 0.0, found, lean)
        return value, slope

    def _of_sides(self, x: Tensor) -> list[Tensor]:
        found = self.sides.values(x.detach().cpu().numpy())[:4]
        return [torch.from_numpy(part).to(self.compute.device) for part in found]

    def shares(self, x: np.ndarray) -> np.ndarray:
        """The share [q] of the sides in the field at places [q, 3]."""
        return self.sides.values(x)[2]

    def meet(self, x: np.ndarray, within: float) -> tuple[np.ndarray, np.ndarray]:
        """Places [q, 3] near those given where sides meet that pass within a distance of them, and how many [q] do."""
        return self.sides.meet(x, within)

    def world_centers(self) -> Tensor:
        """The Nyström centres [m, 3] of all cells in world units."""
        return self.smooth.world_centers()

    def state(self) -> dict[str, Any]:
        """What `from_state` makes the same field of: arrays, numbers and text by name."""
        sides = {f"sides.{f.name}": getattr(self.sides, f.name) for f in fields(Sides)}
        return {**self.smooth.state(), "kind": self.kind, "box": torch.stack([self.box.lower, self.box.upper]), **sides}

    @classmethod
    def from_state(cls, state: State, compute: Compute) -> SharpField:
        """The field of a `state`, evaluated as `compute` says. KeyError and ValueError where it is none."""
        smooth = BlendedField.from_state(state, compute)
        count = len(stored.array(state, "sides.points", -1, 3))
        found = {name: stored.array(state, f"sides.{name}", count, *shape).numpy() for name, shape in SHAPES.items()}
        near = stored.array(state, "sides.near", count, -1, types=("int64",)).numpy()
        links = stored.array(state, "sides.links", *near.shape, types=("int64",)).numpy()
        if not count or min(near.min(initial=0), links.min(initial=0)) < -1:
            raise ValueError("it has no sides")
        if max(near.max(initial=-1), links.max(initial=-1)) >= count:
            raise ValueError("it has links beyond its sides")
        if not (found["reach"] > 0.0).all():
            raise ValueError("sides.reach has values that are not above 0")
        return cls(smooth, Sides(**found, near=near, links=links), smooth.box)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the field to one .npz file, which `neural_splines.load` reads."""
        save_arrays(path, **self.state())
