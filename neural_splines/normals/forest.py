"""Kruskal's forest of trees of bounded size, many edges at a time: for a GPU, runs on any device.

An edge that is the surest of all that may still be taken at either of its trees is taken by Kruskal's algorithm too,
since both trees grow along such edges alone; so all of them are taken at once, as in Boruvka's algorithm, round by
round. The trees are Kruskal's, whatever their bound. (F. Manne, R. Bisseling, A Parallel Approximation Algorithm for
the Weighted Maximum Matching Problem, PPAM 2007, for such locally dominant edges.)
"""

from __future__ import annotations

import torch
from torch import Tensor

ROWS_AT_ONCE = 1 << 19
MIXER = 0x9E3779B1  # odd: edges that are equally sure come in the order of their numbers times this, modulo 2^32


def sure_edges(neighbours: Tensor, coupling: Tensor, sure: float, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """The edges (p, q) [e] to neighbours [n, k] whose coupling [n, k] is at least `sure` in absolute value, the surest
    first, and whether each couples to the same sign.

    In so many steps of certainty, and at random within one: in the order of the points, whose neighbours follow one
    another, edges of a flat surface would be taken one in a round.
    """
    found = []
    for rows in torch.arange(len(neighbours), device=neighbours.device).split(ROWS_AT_ONCE):
        near = neighbours[rows].long()
        twice = (near < rows[:, None]) & (neighbours[near] == rows[:, None, None]).any(2)  # of two that have each other
        row, column = ((coupling[rows].abs() >= sure) & ~twice).nonzero().T
        found.append(torch.stack([rows[row], near[row, column], column]))
    p, q, column = torch.cat(found, 1)
    value = coupling[p, column]
    unsure = ((1.0 - value.abs()) * (steps / (1.0 - sure))).clamp_(0, steps).long()
    number = torch.arange(len(p), device=p.device)
    order = (unsure << 32 | number * MIXER & 0xFFFFFFFF).argsort()
    return p[order], q[order], value[order] > 0.0


def bounded_forest(points: int, p: Tensor, q: Tensor, same: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Trees [n], numbered in the order of their first points, and the sign [n], 1 or -1 as int8, of each point to that.

    Edges (p, q) [e], in the order in which Kruskal's algorithm asks them, join two trees of at most `most` points
    together; `same` [e]: their ends have one sign.
    """
    device = p.device
    tree, sign = torch.arange(points, device=device), torch.ones(points, dtype=torch.int8, device=device)
    size = torch.ones(points, dtype=torch.int64, device=device)
    a, b, turn = p, q, same.to(torch.int8) * 2 - 1  # edges between trees, with the signs of their roots to each other
    rank = torch.arange(len(p), device=device)
    while True:
        open_ = ((a != b) & (size[a] + size[b] <= most)).nonzero()[:, 0]  # what is closed stays so
        if not len(open_):
            break
        a, b, turn, rank = a[open_], b[open_], turn[open_], rank[open_]
        first = torch.full((points,), torch.iinfo(torch.int64).max, device=device)
        for end in (a, b):
            first.scatter_reduce_(0, end, rank, "amin")
        taken = ((first[a] == rank) & (first[b] == rank)).nonzero()[:, 0]
        root, other = torch.minimum(a[taken], b[taken]), torch.maximum(a[taken], b[taken])
        above, flip = torch.arange(points, device=device), torch.ones_like(sign)
        above[other], flip[other] = root, turn[taken]
        size[root] += size[other]
        sign *= flip[tree]
        tree = above[tree]
        turn = turn * flip[a] * flip[b]
        a, b = above[a], above[b]
    number = (tree == torch.arange(points, device=device)).cumsum(0) - 1
    return number[tree], sign
