"""Vertices moved along their lattice edges onto the field's zero set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..runtime.devices import map_on_devices, slices
from .marching_cubes import Crossings
from .mesh import Mesh, face_average_normals

CLOSE = 1e-3  # of a voxel: a step that is shorter ends where it ends, and its end has the slope of its start


class Sloped(Protocol):
    """A field with its gradient."""

    def evaluate(self, points: Tensor) -> Tensor:
        """Values [n] at points [n, 3]."""
        ...

    def gradient(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Values [n] and gradients [n, 3]."""
        ...


def refine(mesh: Mesh, crossings: Crossings, field: Sloped, steps: int, devices: Sequence[torch.device] = ()) -> Mesh:
    """Move vertices along their lattice edges onto the field's zero set; normals are its gradient there.

    A vertex goes to the root of the parabola through the values at both ends of its edge and where linear
    interpolation puts it; then, by at most so many `steps`, to that of the parabola through the value and slope where
    it is and the value at the end of the bracket beyond the zero, which grazing edges need. A step shorter than CLOSE
    is the last, so that most vertices need one value and one slope. None leaves its bracket: a vertex stays on its
    edge, and the mesh cannot fold. With 0 steps only the normals are computed.
    """
    vertices, normals = torch.empty_like(mesh.vertices), torch.empty_like(mesh.vertices)

    def move(device: torch.device, chunk: slice) -> None:
        position, slope = _on_zero_set(crossings.part(chunk, device), field, steps)
        vertices[chunk], normals[chunk] = position, slope / slope.norm(dim=1, keepdim=True)

    map_on_devices(devices or (vertices.device,), move, slices(len(vertices), vertices.device))
    mesh = Mesh(vertices, normals, mesh.faces, mesh.ends)
    defined = normals.isfinite().all(1, keepdim=True)  # not where a blend of cells ends inside a voxel
    if not bool(defined.all()):
        torch.where(defined, normals, face_average_normals(mesh), out=normals)
    return mesh


def _on_zero_set(crossings: Crossings, field: Sloped, steps: int) -> tuple[Tensor, Tensor]:
    """Positions [v, 3] on the edges, and the field's gradients there [v, 3], or less than CLOSE away."""
    brackets, t = Brackets.of(crossings), crossings.low / (crossings.low - crossings.high)
    if steps:
        value = field.evaluate(crossings.positions(t))
        before, after = (value - crossings.low) / t, (crossings.high - value) / (1.0 - t)
        t += brackets.step(t, value, before + (after - before) * t)
    value, slope = field.gradient(crossings.positions(t))
    slopes, left, moving = slope, torch.arange(len(t), device=t.device), crossings
    for _ in range(steps):
        step = brackets.step(t[left], value, slope.gather(1, moving.axis[:, None])[:, 0] * moving.lattice.voxel_size)
        t[left] += step
        far = step.abs() > CLOSE
        if not bool(far.any()):
            break
        left, moving, brackets = left[far], moving.part(far, t.device), brackets.part(far)
        value, slope = field.gradient(moving.positions(t[left]))
        slopes[left] = slope
    return crossings.positions(t), slopes


@dataclass
class Brackets:
    """Where on each edge [v] the zero lies: between `left` and `right`, fractions of the edge; the values there."""

    left: Tensor
    right: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, crossings: Crossings) -> Brackets:
        return cls(torch.zeros_like(crossings.low), torch.ones_like(crossings.high), crossings.low, crossings.high)

    def part(self, rows: Tensor) -> Brackets:
        return Brackets(self.left[rows], self.right[rows], self.low[rows], self.high[rows])

    def step(self, t: Tensor, value: Tensor, slope: Tensor) -> Tensor:
        """The way [v] from t to the zero, by the value and the slope there, which narrow the bracket."""
        before = (value < 0) == (self.low < 0)  # the zero lies to the right of t
        self.left, self.low = torch.where(before, t, self.left), torch.where(before, value, self.low)
        self.right, self.high = torch.where(before, self.right, t), torch.where(before, self.high, value)
        reach = torch.where(before, self.right, self.left) - t
        return _parabola_root(value, slope, reach, torch.where(before, self.high, self.low))


def _parabola_root(value: Tensor, slope: Tensor, reach: Tensor, end_value: Tensor) -> Tensor:
    """The root between 0 and `reach` of the parabola with this value and slope at 0 and end_value at reach.

    The values have opposite signs, so there is exactly one; 0 where the value is 0 or undefined.
    """
    curvature = (end_value - value - slope * reach) / reach.square()
    root = (slope.square() - 4.0 * curvature * value).clamp_min(0.0).sqrt()
    # Of the roots -2 value / (slope +- root), the one on the side of `reach`: there the denominator has
    # the sign of -value * reach.
    step = -2.0 * value / (slope - torch.sign(value * reach) * root)
    step = torch.where(step.isfinite(), step, torch.zeros_like(step))
    return torch.where(reach < 0, step.clamp(max=0.0).maximum(reach), step.clamp(min=0.0).minimum(reach))
