"""Octrees: the Morton curve through their cubes, the cubes of a level as runs of points along it, and leaves."""

from __future__ import annotations

import torch
from torch import Tensor

from ..geometry import Box

MORTON_BITS = 20  # levels of an octree at most; 3 * 20 bits fit into an int64
SPREADS = (
    (32, 0x1F00000000FFFF),
    (16, 0x1F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)


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


def leaves(box: Box, points: Tensor, max_points: int, min_points: int, first: int = 0) -> tuple[Tensor, Tensor]:
    """Lower corners [c, 3] and sides [c] of the leaves over the cube around a box, at the level `first` or deeper.

    Cubes are split, level by level, until they hold at most `max_points`; those with fewer than `min_points` are
    left out.
    """
    origin, side = bounding_cube(box)
    origin = origin.to(points.device)
    codes, order = morton_codes(box, points).sort()
    deeper = torch.zeros_like(codes)
    lowers, sizes = [], []
    for level in range(first, 2 * MORTON_BITS + 1):
        if level == MORTON_BITS + 1:  # what is left is tiny in the box, which a far point makes large
            deeper, by = morton_codes(box, points[order], deeper=True).sort(stable=True)
            codes, again = codes[by].sort(stable=True)
            deeper, order = deeper[again], order[by[again]]
        coarse, fine = codes >> 3 * max(0, MORTON_BITS - level), deeper >> 3 * min(MORTON_BITS, 2 * MORTON_BITS - level)
        starts, counts = runs(coarse, fine)
        leaf = counts <= max_points if level < 2 * MORTON_BITS else torch.ones_like(counts, dtype=torch.bool)
        size = side / 2**level
        kept = starts[leaf & (counts >= max(1, min_points))]
        corner = morton_coordinates(coarse[kept]).double() * 2 ** max(0, level - MORTON_BITS)
        lowers.append(origin + (corner + morton_coordinates(fine[kept]).double()) * size)
        sizes.append(torch.full((len(kept),), size, dtype=torch.float64, device=points.device))
        if bool(leaf.all()):
            break
        left = torch.repeat_interleave(~leaf, counts)
        codes, deeper, order = codes[left], deeper[left], order[left]
    return torch.cat(lowers), torch.cat(sizes)
