"""Vertices moved along their lattice edges onto the field's zero set."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..runtime.devices import map_on_devices, slices
from .marching_cubes import Crossings
from .mesh import Mesh, face_average_normals

Gradient = Callable[[Tensor], tuple[Tensor, Tensor]]


def refine(
    mesh: Mesh, crossings: Crossings, gradient: Gradient, steps: int, devices: Sequence[torch.device] = ()
) -> Mesh:
    """Move vertices along their lattice edges onto the field's zero set; normals are its gradient there.

    A step goes to the root of the parabola through the value and slope at the vertex and the value at
    the end of the bracket beyond the zero, which grazing edges need. It cannot leave the bracket, so a
    vertex stays on its edge and the mesh cannot fold. With 0 steps only the normals are computed.
    """
    vertices, normals = torch.empty_like(mesh.vertices), torch.empty_like(mesh.vertices)

    def move(device: torch.device, chunk: slice) -> None:
        position, slope = _on_zero_set(crossings.part(chunk, device), gradient, steps)
        vertices[chunk], normals[chunk] = position, slope / slope.norm(dim=1, keepdim=True)

    map_on_devices(devices or (vertices.device,), move, slices(len(vertices), vertices.device))
    mesh = Mesh(vertices, normals, mesh.faces, mesh.ends)
    defined = normals.isfinite().all(1, keepdim=True)  # not where a blend of cells ends inside a voxel
    if not bool(defined.all()):
        torch.where(defined, normals, face_average_normals(mesh), out=normals)
    return mesh


def _on_zero_set(crossings: Crossings, gradient: Gradient, steps: int) -> tuple[Tensor, Tensor]:
    """Positions [v, 3] on the edges, and the field's gradients there [v, 3]."""
    low, high = crossings.low, crossings.high
    left, right = torch.zeros_like(low), torch.ones_like(high)
    t = low / (low - high)
    vertices = crossings.positions(t)
    value, slope = gradient(vertices)
    for _ in range(steps):
        before = (value < 0) == (crossings.low < 0)  # the zero lies to the right of t
        left, low = torch.where(before, t, left), torch.where(before, value, low)
        right, high = torch.where(before, right, t), torch.where(before, high, value)
        along = slope.gather(1, crossings.axis[:, None])[:, 0] * crossings.lattice.voxel_size
        t = t + _parabola_root(value, along, torch.where(before, right, left) - t, torch.where(before, high, low))
        vertices = crossings.positions(t)
        value, slope = gradient(vertices)
    return vertices, slope


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
