"""Signs of the nodes of a graph with signed weights: the sum of w s_p s_q over its edges should be large.

Greedy additive edge contraction: of all edges the one with the largest |w| decides the signs of its ends to each
other; they become one node, and edges to a third add up. Then nodes are flipped one by one as long as that gains.
(M. Keuper et al., Efficient Decomposition of Image and Mesh Graphs by Lifted Multicuts, ICCV 2015, for multicuts;
E. Levinkov et al., A Comparative Study of Local Search Algorithms for Correlation Clustering, GCPR 2017.)
"""

from __future__ import annotations

import heapq

import numpy as np

from ..runtime.compiled import compiled

_jit = compiled(nogil=True, error_model="numpy")
SWEEPS = 50


def best_signs(nodes: int, p: np.ndarray, q: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Signs [nodes], +1 or -1 as float64, for edges (p, q) of weights [e]; pairs may repeat."""
    ends, weight = np.stack([p, q]).astype(np.int64), weight.astype(np.float64)
    lists = (np.full(nodes, -1), np.full(nodes, -1), np.full(2 * len(p), -1))
    forest = (np.arange(nodes), np.ones(nodes), np.full(nodes, -1))
    signs = _contract(ends.copy(), weight.copy(), np.ones(len(p), np.bool_), *lists, *forest)
    _descend(signs, *_adjacency(nodes, *ends, weight))
    return signs


@_jit
def _adjacency(nodes, p, q, weight):
    """The edges of node k, from both ends: entries starts[k] to starts[k + 1] of the other ends and of the weights."""
    starts = np.zeros(nodes + 2, np.int64)
    for e in range(len(p)):
        starts[p[e] + 2] += 1
        starts[q[e] + 2] += 1
    for k in range(nodes):
        starts[k + 2] += starts[k + 1]
    others, weights = np.empty(2 * len(p), np.int64), np.empty(2 * len(p))
    for e in range(len(p)):
        for here, there in ((p[e], q[e]), (q[e], p[e])):
            others[starts[here + 1]], weights[starts[here + 1]] = there, weight[e]
            starts[here + 1] += 1
    return starts[: nodes + 1], others, weights


@_jit
def _contract(ends, w, alive, head, tail, link, root, sign, mark):
    """Signs of nodes by edges with these `ends` [2, e] and weights `w` [e], all of which change.

    The edges of a node are a list through `link`, two entries for each edge, from its `head` to its `tail`.
    """
    nodes, count = len(root), len(w)
    for e in range(count):
        for side in range(2):
            node, entry = ends[side, e], 2 * e + side
            if head[node] < 0:
                head[node] = entry
            else:
                link[tail[node]] = entry
            tail[node] = entry
    degree = np.zeros(nodes, np.int64)
    for e in range(count):
        degree[ends[0, e]] += 1
        degree[ends[1, e]] += 1
    heap = [(-abs(w[e]), e) for e in range(count)]
    heapq.heapify(heap)
    while len(heap):
        size, e = heapq.heappop(heap)
        if not alive[e] or -size != abs(w[e]):
            continue
        if size == 0.0:
            break
        a, b = ends[0, e], ends[1, e]
        if degree[a] < degree[b]:
            a, b = b, a
        flip = 1.0 if w[e] > 0.0 else -1.0
        root[b], sign[b], alive[e] = a, flip, False
        degree[a] -= 1
        around = 0  # entries to look through for the edges of a to the neighbours of b
        entry = head[b]
        while entry >= 0:
            if alive[entry // 2]:
                around += degree[ends[1 - entry % 2, entry // 2]]
            entry = link[entry]
        marked = degree[a] <= around  # or a has edges to all the world
        if marked:
            tail[a], degree[a] = _living(head, link, alive, a)
            entry = head[a]
            while entry >= 0:
                mark[ends[1 - entry % 2, entry // 2]] = entry // 2
                entry = link[entry]
        entry = head[b]
        while entry >= 0:
            following, f = link[entry], entry // 2
            if alive[f]:
                other = ends[1 - entry % 2, f]
                if other == a:
                    alive[f] = False
                    entry = following
                    continue
                kept = mark[other] if marked else _edge(head, link, alive, ends, other, a)
                if kept >= 0:
                    w[kept] += flip * w[f]
                    alive[f] = False
                    degree[other] -= 1
                    heapq.heappush(heap, (-abs(w[kept]), kept))
                else:
                    w[f] *= flip
                    ends[entry % 2, f] = a
                    link[entry] = -1
                    if tail[a] < 0:
                        head[a] = entry
                    else:
                        link[tail[a]] = entry
                    tail[a] = entry
                    degree[a] += 1
                    if marked:
                        mark[other] = f
            entry = following
        entry = head[a] if marked else -1
        while entry >= 0:
            mark[ends[1 - entry % 2, entry // 2]] = -1
            entry = link[entry]
    result = np.empty(nodes)
    for node in range(nodes):
        total, at = 1.0, node
        while root[at] != at:
            total *= sign[at]
            at = root[at]
        result[node] = total
    return result


@_jit
def _living(head, link, alive, node):
    """Drop the dead entries of a node's list; its last entry, or -1, and their number."""
    entry, last, count = head[node], -1, 0
    while entry >= 0:
        if alive[entry // 2]:
            if last < 0:
                head[node] = entry
            else:
                link[last] = entry
            last = entry
            count += 1
        entry = link[entry]
    if last < 0:
        head[node] = -1
    else:
        link[last] = -1
    return last, count


@_jit
def _edge(head, link, alive, ends, node, other):
    """The living edge between two nodes, or -1."""
    entry = head[node]
    while entry >= 0:
        if alive[entry // 2] and ends[1 - entry % 2, entry // 2] == other:
            return entry // 2
        entry = link[entry]
    return -1


@_jit
def _descend(signs, starts, others, weight):
    for _ in range(SWEEPS):
        flips = 0
        for node in range(len(signs)):
            gain = 0.0
            for e in range(starts[node], starts[node + 1]):
                gain -= weight[e] * signs[others[e]]
            if gain * signs[node] > 1e-12:
                signs[node] = -signs[node]
                flips += 1
        if not flips:
            break
