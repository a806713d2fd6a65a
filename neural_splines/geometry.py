"""Boxes, the similarity between world and model space, and lifted points."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

SPREADS = (
    (32, 0x1F00000000FFFF),
    (16, 0x1F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)
STRAYS = 100  # one of so many points, at either end of an axis, may be a stray
MORTON_BITS = 20  # levels of an octree at most; 3 * 20 bits fit into an int64


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
        low, high = points.kthvalue(rank, 0).values, points.kthvalue(len(points) + 1 - rank, 0).values
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


def bounding_cube(box: Box) -> tuple[Tensor, float]:
    """Origin and side of the cube around a box, a hair larger."""
    side = float(box.sides.max()) * (1.0 + 1e-9)
    return box.center - 0.5 * side, side


def morton_codes(box: Box, points: Tensor, deeper: bool = False) -> Tensor:
    """Codes [n] of points [n, 3] along a space-filling curve: the interleaved bits of their octree cells.

    Points outside of the box have those of the nearest cells in it. deeper: within these cells, as many levels on.
    """
    cells = 2 ** (2 * MORTON_BITS if deeper else MORTON_BITS)
    origin, side = bounding_cube(box)
    index = ((points - origin.to(points.device)) * (cells / side)).floor().clamp(0, cells - 1).long()
    index &= 2**MORTON_BITS - 1
    x, y, z = (_spread_bits(index[:, axis]) for axis in range(3))
    return x | y << 1 | z << 2


def _spread_bits(number: Tensor) -> Tensor:
    """Bit k of numbers below 2^21 at place 3 k."""
    for shift, mask in SPREADS:
        number = (number | number << shift) & mask
    return number


def morton_coordinates(code: Tensor) -> Tensor:
    """The octree cells [n, 3] of Morton codes [n]."""
    index = torch.zeros(len(code), 3, dtype=torch.int64, device=code.device)
    for bit in range(MORTON_BITS):
        for axis in range(3):
            index[:, axis] |= (code >> 3 * bit + axis & 1) << bit
    return index


def morton_order(box: Box, points: Tensor) -> Tensor:
    """The order of points [n, 3] along the curve: neighbours in it are neighbours in space."""
    return morton_codes(box, points).argsort(stable=True)


def runs(*keys: Tensor) -> tuple[Tensor, Tensor]:
    """Where runs of equal keys [n] begin [k], n > 0, and how long they are [k]: the cubes of one level of an octree, in
    points along the curve.
    """
    fresh = torch.stack([key.diff() != 0 for key in keys]).any(0)
    starts = torch.nn.functional.pad(fresh.nonzero()[:, 0] + 1, (1, 0))
    return starts, torch.nn.functional.pad(starts, (0, 1), value=len(keys[0])).diff()


def linear_ids(index: Tensor, shape: Tensor) -> Tensor:
    """Ids [n] of the cells [n, 3] of a grid, in the order of its memory."""
    return (index[:, 0] * shape[1] + index[:, 1]) * shape[2] + index[:, 2]


def ranks(counts: Tensor) -> Tensor:
    """0..counts[0]-1, 0..counts[1]-1, ... one after another."""
    ends = counts.cumsum(0)
    total = int(ends[-1]) if len(counts) else 0
    return torch.arange(total, device=counts.device) - torch.repeat_interleave(ends - counts, counts)
