"""Boxes, the similarity between world and model space, and lifted points."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

STRAYS = 100  # one of so many points, at either end of an axis, may be a stray


def kth(values: Tensor, k: int) -> Tensor:
    """The k-th smallest, from 1, of each column of values [n] or [n, c].

    On a GPU by a sort: PyTorch selects in one block of threads a column, which takes a second where all take 20 ms.
    """
    if not values.is_cuda:
        return values.kthvalue(k, 0).values
    columns = values[:, None] if values.ndim == 1 else values
    found = torch.stack([column.sort().values[k - 1] for column in columns.unbind(1)])
    return found[0] if values.ndim == 1 else found


def median(values: Tensor) -> Tensor:
    """The lower median of each column of values [n] or [n, c], n > 0."""
    return kth(values, (len(values) + 1) // 2)


@dataclass(frozen=True)
class Box:
    """An axis-aligned box in world units; `lower` and `upper` are float64 tensors [3]."""

    lower: Tensor
    upper: Tensor

    @classmethod
    def around(cls, points: Tensor) -> Box:
        return cls(points.amin(0).double().cpu(), points.amax(0).double().cpu())

    @classmethod
    def around_most(cls, points: Tensor) -> Box:
        """The box around points [n, 3] but for a few strays far from the others.

        Those are up to a hundredth beyond either end of an axis, and half a box away from all others.
        """
        rank = len(points) // STRAYS + 1
        low, high = kth(points, rank), kth(points, len(points) + 1 - rank)
        room = 0.5 * (high - low).max()
        if not float(room):
            return cls.around(points)
        return cls.around(points[((points >= low - room) & (points <= high + room)).all(1)])

    @property
    def center(self) -> Tensor:
        return 0.5 * (self.lower + self.upper)

    @property
    def sides(self) -> Tensor:
        return self.upper - self.lower

    @property
    def diagonal(self) -> float:
        return float(self.sides.norm())

    def contains(self, points: Tensor) -> Tensor:
        """Mask [n] of the points [n, 3] in the box, walls included."""
        return ((points >= self.lower) & (points <= self.upper)).all(1)

    def scaled(self, factor: float) -> Box:
        """The box with the same centre and a diameter `factor` times as long."""
        half = 0.5 * factor * self.sides
        return Box(self.center - half, self.center + half)


def place(point: Iterable[float], size: float) -> str:
    """A point in words, to a thousandth of the size of the things around it, however far from the origin it is."""
    values = [float(value) for value in point]
    ratio = max(map(abs, values)) / size if size > 0.0 else 1.0
    digits = min(17, max(4, 4 + math.ceil(math.log10(max(ratio, 1.0)))))
    return f"({', '.join(f'{value:.{digits}g}' for value in values)})"


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

    def lengths(self, world: Tensor) -> Tensor:
        return self.scale * world

    def world_points(self, model: Tensor) -> Tensor:
        return model.double() / self.scale + self.center.to(model.device)

    def world_lengths(self, model: Tensor) -> Tensor:
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


def principal_axes(points: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of squared distances [..., 3] of points [..., k, 3] from their mean, ascending, along orthonormal axes
    [..., 3, 3], its columns; the first is the normal of their least-squares plane.
    """
    centred = points - points.mean(-2, keepdim=True)
    squares, axes = torch.linalg.eigh(centred.mT @ centred)
    return squares.clamp_min(0.0), axes


def linear_ids(index: Tensor, shape: Tensor) -> Tensor:
    """Ids [n] of the cells [n, 3] of a grid, in the order of its memory."""
    return (index[:, 0] * shape[1] + index[:, 1]) * shape[2] + index[:, 2]


def ranks(counts: Tensor) -> Tensor:
    """0..counts[0]-1, 0..counts[1]-1, ... one after another."""
    ends = counts.cumsum(0)
    total = int(ends[-1]) if len(counts) else 0
    return torch.arange(total, device=counts.device) - torch.repeat_interleave(ends - counts, counts)
