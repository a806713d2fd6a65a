"""Farthest-point sampling on a GPU: one kernel for each chosen point, launched from graphs.

Every step must know the one before, so what bounds it is the time of a launch and of one pass over the points in the
GPU's second-level cache, some 7 microseconds together for half a million points. Launched one by one from Python a step
would take four times as long.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

STEPS = 64  # of a graph
PROGRAMS = 256  # each looks after a run of the points; all read the farthest of every run
BLOCK = 512  # points at a time
NOWHERE = tl.constexpr(2**62)


@triton.jit
def _step(points, nearest, best, where, chosen, count, offset, n, run, BLOCK: tl.constexpr, PROGRAMS: tl.constexpr):
    """Choose the farthest point, as the step before left it in half of `best`, and leave the next in the other half."""
    p = tl.program_id(0)
    lanes = tl.arange(0, PROGRAMS)
    old, new = (offset % 2) * PROGRAMS, (1 - offset % 2) * PROGRAMS
    tops = tl.load(best + old + lanes)
    current = tl.min(tl.where(tops == tl.max(tops, 0), tl.load(where + old + lanes), NOWHERE), 0)
    if p == 0:
        tl.store(chosen + tl.load(count) + offset, current)
    x = tl.load(points + 3 * current)
    y = tl.load(points + 3 * current + 1)
    z = tl.load(points + 3 * current + 2)
    lane = tl.arange(0, BLOCK)
    tops = tl.full([BLOCK], -1.0, tl.float64)
    places = tl.full([BLOCK], NOWHERE, tl.int64)
    for start in range(0, run, BLOCK):
        i = p.to(tl.int64) * run + start + lane
        inside = (start + lane < run) & (i < n)
        dx = tl.load(points + 3 * i, inside, other=0.0) - x
        dy = tl.load(points + 3 * i + 1, inside, other=0.0) - y
        dz = tl.load(points + 3 * i + 2, inside, other=0.0) - z
        far = tl.minimum(tl.load(nearest + i, inside, other=-1.0), dx * dx + dy * dy + dz * dz)
        tl.store(nearest + i, far, inside)
        higher = inside & (far > tops)
        tops = tl.where(higher, far, tops)
        places = tl.where(higher, i, places)
    top = tl.max(tops, 0)
    tl.store(best + new + p, top)
    tl.store(where + new + p, tl.min(tl.where(tops == top, places, NOWHERE), 0))


def sample(points: Tensor, count: int, first: int) -> Tensor:
    """Indices [count] of points [n, 3], float64 on a GPU; ties take the lowest."""
    n, device = len(points), points.device
    points = points.contiguous()
    nearest = torch.full((n,), torch.inf, dtype=torch.float64, device=device)
    best = torch.full((2 * PROGRAMS,), -1.0, dtype=torch.float64, device=device)
    where = torch.full((2 * PROGRAMS,), 2**62 - 1, dtype=torch.int64, device=device)
    best[0], where[0] = torch.inf, first
    done = torch.zeros(1, dtype=torch.int64, device=device)
    chosen = torch.empty(count + STEPS, dtype=torch.int64, device=device)
    run = -(-n // PROGRAMS)

    def steps() -> None:
        for offset in range(STEPS):
            _step[(PROGRAMS,)](points, nearest, best, where, chosen, done, offset, n, run, BLOCK, PROGRAMS)
        done.add_(STEPS)

    if not points.is_cuda:  # Triton's interpreter, in the tests
        while int(done) < count:
            steps()
        return chosen[:count]
    with torch.cuda.device(device):
        steps()  # compiles
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            steps()
        for _ in range(-(-count // STEPS) - 1):
            graph.replay()
    return chosen[:count]
