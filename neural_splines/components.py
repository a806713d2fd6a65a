"""Connected components: scipy's on the CPU; pointer jumping, our own, on a GPU, for which scipy has none."""

from __future__ import annotations

import torch
from torch import Tensor


def components(edges: Tensor, count: int) -> Tensor:
    """A label [n] of each vertex' connected component, the same for all of it, for edges [e, 2] between `count`."""
    if not len(edges):
        return torch.arange(count, device=edges.device)
    return _jump(edges, count) if edges.is_cuda else _search(edges, count)


def _search(edges: Tensor, count: int) -> Tensor:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = torch.ones(len(edges), dtype=torch.int8)
    graph = coo_array((ones.numpy(), tuple(edges.t().numpy())), shape=(count, count))
    return torch.from_numpy(connected_components(graph, directed=False)[1]).long()


def _jump(edges: Tensor, count: int) -> Tensor:
    """The smallest vertex of each component.

    Roots of trees are hooked to smaller ones over the edges and the trees flattened, until no edge joins two
    (Shiloach and Vishkin, J. Algorithms 3, 1982).
    """
    root = torch.arange(count, device=edges.device)
    while True:
        ends = root[edges]
        low, high = ends.amin(1), ends.amax(1)
        joins = low != high
        if not bool(joins.any()):
            return root
        edges = edges[joins]
        root.scatter_reduce_(0, high[joins], low[joins], "amin")
        while not torch.equal(root, flat := root[root]):
            root = flat
