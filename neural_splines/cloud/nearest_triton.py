"""The six nearest to every point of a cloud on a GPU: each looks through the cubes around its own, in registers.

Points lie in the order of their cubes, so that lanes of a program read the same candidates, and the runs of cubes along
the last axis are found once for a cube.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

COUNT = 6
LANES = 64


@triton.jit
def _sorted_in(candidate, which, kept, place):
    """The nearer of two with its index, and the farther."""
    nearer = candidate < kept
    return (
        tl.where(nearer, candidate, kept),
        tl.where(nearer, which, place),
        tl.where(nearer, kept, candidate),
        tl.where(nearer, place, which),
    )


@triton.jit
def _look(points, rows, cube, first, last, distance, index, n, LANES: tl.constexpr):
    lane = tl.program_id(0).to(tl.int64) * LANES + tl.arange(0, LANES)
    inside = lane < n
    own = tl.load(rows + lane, inside, other=0)
    x = tl.load(points + 3 * own, inside, other=0.0)
    y = tl.load(points + 3 * own + 1, inside, other=0.0)
    z = tl.load(points + 3 * own + 2, inside, other=0.0)
    at = tl.load(cube + own, inside, other=0).to(tl.int64)
    far = tl.full([LANES], float("inf"), tl.float64)
    none = tl.full([LANES], 0, tl.int32)
    a, b, c, d, e, f = far, far, far, far, far, far
    i, j, k, l, m, o = none, none, none, none, none, none  # noqa: E741
    for run in range(9):
        start = tl.load(first + 9 * at + run, inside, other=0)
        size = tl.load(last + 9 * at + run, inside, other=0) - start
        for step in range(tl.max(size, 0)):
            other = start + step
            there = inside & (step < size) & (other != own)
            dx = tl.load(points + 3 * other, there, other=0.0) - x
            dy = tl.load(points + 3 * other + 1, there, other=0.0) - y
            dz = tl.load(points + 3 * other + 2, there, other=0.0) - z
            square = tl.where(there, dx * dx + dy * dy + dz * dz, float("inf"))
            which = other.to(tl.int32)
            a, i, square, which = _sorted_in(square, which, a, i)
            b, j, square, which = _sorted_in(square, which, b, j)
            c, k, square, which = _sorted_in(square, which, c, k)
            d, l, square, which = _sorted_in(square, which, d, l)  # noqa: E741
            e, m, square, which = _sorted_in(square, which, e, m)
            f, o, square, which = _sorted_in(square, which, f, o)
    tl.store(distance + lane, tl.sqrt(f), inside)
    tl.store(index + 6 * lane, i, inside)
    tl.store(index + 6 * lane + 1, j, inside)
    tl.store(index + 6 * lane + 2, k, inside)
    tl.store(index + 6 * lane + 3, l, inside)
    tl.store(index + 6 * lane + 4, m, inside)
    tl.store(index + 6 * lane + 5, o, inside)


def six_nearest(points: Tensor, key: Tensor, shape: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Distances [q] of points with these rows [q] to the sixth nearest other one, and the six [q, 6], int32, from near
    to far.

    points [n, 3]: in the order of their cubes, whose ids `key` [n] ascend in a grid of that `shape`, with an empty
    layer around. Exact where the distance is at most a cube's side; infinite where there are not six.
    """
    points = points.contiguous()
    cubes, cube = key.unique_consecutive(return_inverse=True)
    steps = torch.cartesian_prod(*[torch.arange(-1, 2, device=key.device)] * 2)
    middle = cubes[:, None] + (steps[:, 0] * shape[1] + steps[:, 1]) * shape[2]
    first = torch.searchsorted(key, middle - 1)
    last = torch.searchsorted(key, middle + 1, right=True)
    distance = points.new_empty(len(rows))
    index = torch.empty(len(rows), COUNT, dtype=torch.int32, device=points.device)
    with torch.cuda.device(points.device) if points.is_cuda else torch.no_grad():  # CPU: the interpreter, in tests
        _look[(triton.cdiv(len(rows), LANES),)](
            points, rows, cube, first, last, distance, index, len(rows), LANES, num_warps=2
        )
    return distance, index
