"""The nearest neighbours of all points of an octree, exact, by whole leaves at a time: for a GPU, runs on any device.

The nearest of the points beside a point along the Morton curve bound the distance to its neighbours; all leaves
that reach so far are looked through.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ..geometry import ranks
from .octree import LEAF, Octree

BESIDE = 96  # points on either side along the curve
DISTANCES_AT_ONCE = 1 << 25


def nearest(x: Tensor, tree: Octree, count: int, rank: int) -> tuple[Tensor, np.ndarray]:
    """The `count` nearest to each of x [n, 3] as int32 [n, count], and the distance [n] of the one of that rank."""
    first, last = (torch.from_numpy(part[tree.leaves]).long().to(x.device) for part in (tree.first, tree.last))
    sizes, bound = last - first, _bounds(x, count)
    reach = torch.segment_reduce(bound, "max", lengths=sizes, unsafe=True)
    leaf, other = leaves_within(tree, reach * (1.0 + 1e-12))
    room = torch.zeros_like(first).index_add_(0, leaf, sizes[other])  # points to look through
    ends = torch.searchsorted(leaf, torch.arange(len(first) + 1, device=x.device))
    neighbours, distance = torch.empty(len(x), count, dtype=torch.int32, device=x.device), torch.empty_like(bound)
    for leaves in _batches(room):
        runs, rows = ends[leaves + 1] - ends[leaves], torch.arange(len(leaves), device=x.device)
        pair = torch.repeat_interleave(ends[leaves], runs) + ranks(runs)
        candidates = torch.full((len(leaves), int(room[leaves].max())), -1, device=x.device)
        candidates[torch.repeat_interleave(rows, room[leaves]), ranks(room[leaves])] = _points(
            first, sizes, other[pair]
        )
        query, row = _points(first, sizes, leaves), torch.repeat_interleave(rows, sizes[leaves])
        for part in torch.arange(len(query), device=x.device).split(max(1, DISTANCES_AT_ONCE // candidates.shape[1])):
            found, own = candidates[row[part]], query[part]
            square = _squares(x, own, found).masked_fill_((found < 0) | (found == own[:, None]), torch.inf)
            least, place = square.topk(count, largest=False)
            neighbours[own] = found.gather(1, place).int()
            distance[own] = least[:, rank - 1].sqrt()
    return neighbours, distance.cpu().numpy()


def _bounds(x: Tensor, count: int) -> Tensor:
    """Upper bounds [n] of the distance to the neighbour of rank `count`."""
    n, width = len(x), min(2 * max(BESIDE, count) + 1, len(x))
    out, steps = torch.empty_like(x[:, 0]), torch.arange(width, device=x.device)
    for query in torch.arange(n, device=x.device).split(max(1, DISTANCES_AT_ONCE // width)):
        begin = (query - width // 2).clamp(0, n - width)
        square = _squares(x, query, begin[:, None] + steps).float()
        out[query] = square.topk(count + 1, largest=False).values[:, -1].double().sqrt_()  # the first is itself
    return out * (1.0 + 1e-6)  # float32


def _squares(x: Tensor, query: Tensor, others: Tensor) -> Tensor:
    """Squared distances [q, k] of x[query] to x[others]."""
    out = x.new_zeros(others.shape)
    for axis in x.unbind(1):
        out += (axis[others] - axis[query, None]).square_()
    return out


def leaves_within(tree: Octree, reach: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs of leaves, by number, ascending in the first, of which the second is within the reach [l] of the first."""
    device = reach.device
    centers, radius = torch.from_numpy(tree.centers).to(device), torch.from_numpy(tree.radius).to(device)
    ends, nodes = (torch.from_numpy(part).to(device) for part in tree.children())
    number = torch.full((len(tree),), -1, device=device)
    leaves = torch.from_numpy(tree.leaves).to(device)
    number[leaves] = torch.arange(len(leaves), device=device)
    leaf, node, found = torch.arange(len(leaves), device=device), torch.zeros_like(leaves), []
    while len(leaf):
        far = (centers[node] - centers[leaves[leaf]]).square().sum(1).sqrt_()
        near = far <= (reach + radius[leaves])[leaf] + radius[node] * (1.0 + 1e-12)
        leaf, node = leaf[near], node[near]
        ended = number[node] >= 0
        found.append(torch.stack([leaf[ended], number[node[ended]]]))
        leaf, node = leaf[~ended], node[~ended]
        counts = ends[node + 1] - ends[node]
        node = nodes[torch.repeat_interleave(ends[node], counts) + ranks(counts)]
        leaf = torch.repeat_interleave(leaf, counts)
    leaf, other = torch.cat(found, 1)
    order = leaf.argsort(stable=True)
    return leaf[order], other[order]


def _points(first: Tensor, sizes: Tensor, leaves: Tensor) -> Tensor:
    """The points of leaves, one after another."""
    return torch.repeat_interleave(first[leaves], sizes[leaves]) + ranks(sizes[leaves])


def _batches(room: Tensor) -> Iterator[Tensor]:
    """The leaves in parts of about the same room, of which each has about DISTANCES_AT_ONCE."""
    power = (2 * room - 1).double().log2().long()
    for exponent in power.unique().tolist():
        yield from (power == exponent).nonzero()[:, 0].split(max(1, DISTANCES_AT_ONCE // (LEAF << exponent)))
