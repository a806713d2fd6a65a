"""Boxes, the similarity between world and model space, and lifted points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Box:
    """An axis-aligned box in world units; `lower` and `upper` are float64 tensors [3]."""

    lower: Tensor
    upper: Tensor

    @classmethod
    def around(cls, points: Tensor) -> Box:
        return cls(points.amin(0).double().cpu(), points.amax(0).double().cpu())

    @property
    def center(self) -> Tensor:
        return 0.5 * (self.lower + self.upper)

    @property
    def sides(self) -> Tensor:
        return self.upper - self.lower

    @property
    def diagonal(self) -> float:
        return float(self.sides.norm())

    def scaled(self, factor: float) -> Box:
        """The box with the same centre and a diameter `factor` times as long."""
        half = 0.5 * factor * self.sides
        return Box(self.center - half, self.center + half)


@dataclass(frozen=True)
class Similarity:
    """x -> scale * (x - center): world to model space, for points and for lengths.

    The difference is taken in float64, so a cloud far from the origin keeps its precision; only
    then are coordinates rounded to the working dtype.
    """

    center: Tensor  # [3], float64
    scale: float

    @classmethod
    def to_unit_box(cls, box: Box) -> Similarity:
        """The longest side of `box` becomes 1 and its centre 0."""
        return cls(box.center, 1.0 / float(box.sides.max()))

    def points(self, world: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
        center = self.center.to(world.device)
        return (self.scale * (world.double() - center)).to(dtype)

    def lengths(self, world):
        return self.scale * world

    def world_points(self, model: Tensor) -> Tensor:
        return model.double() / self.scale + self.center.to(model.device)

    def world_lengths(self, model):
        return model / self.scale


def lift(x: Tensor) -> tuple[Tensor, Tensor]:
    """Half unit vectors and norms of the homogeneous points (x, 1) in R^4.

    x [..., 3] -> half [..., 4] with |half| = 1/2, norm [...]. Half vectors make the squared
    half-chord z = |u - v|^2 / 4 of two unit vectors a plain squared distance |half_u - half_v|^2.
    """
    norm = (x.square().sum(-1) + 1.0).sqrt()
    half = torch.cat([x, torch.ones_like(x[..., :1])], dim=-1) * (0.5 / norm)[..., None]
    return half, norm


def offset_triples(points: Tensor, normals: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Finite-difference constraints: x -> 0, x + eps n -> eps, x - eps n -> -eps.

    points, normals [n, 3] -> positions [3n, 3] and values [3n], in the order surface, outside, inside.
    """
    positions = torch.cat([points, points + eps * normals, points - eps * normals])
    values = points.new_zeros(3, len(points))
    values[1], values[2] = eps, -eps
    return positions, values.reshape(-1)
