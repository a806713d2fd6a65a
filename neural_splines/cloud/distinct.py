"""Which points of a cloud are distinct: not repeated, and not nearly, as in two exports of a scan that were merged."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..runtime.devices import slices
from ..runtime.threads import parallel_map
from .sampling import Sampling

HASH_FACTORS = (0x1E3779B97F4A7C15, 0x3F58476D1CE4E5B9, 0x14D049BB133111EB)  # odd, of splitmix64's making
LAST_BITS = (1 << 24) - 1
LARGEST_COORDINATE = 1e150  # squares must not overflow, nor underflow for the smallest extent
# Nearly equal is closer than so many spacings. Exports differ by rounding, 1e-12 to 1e-6 of a box of
# some 1000 spacings; of n points at random on a surface 5e-5 n pairs are as close, and stay.
NEARLY, BY_CHANCE = 1e-2, 5e-4
COPIES = 48  # of a point at most: the distance to so many neighbours says what the spacing is, whatever is repeated
SAMPLE = 2000  # points whose spacing is measured
COMPACT = 3.0  # such distances: what is longer is a dense part of the cloud, not one point


def distinct_points(points: Tensor) -> Tensor:
    """Mask [n] of the points that no earlier point equals.

    A hash of every row is sorted, by values alone, which is several times faster than to sort rows; only rows whose
    hash occurs more than once are compared.
    """
    keys = np.empty(len(points), np.int64)

    def hash_rows(chunk: slice) -> None:
        keys[chunk] = _hashes(points[chunk]).numpy()

    parallel_map(hash_rows, slices(len(points), points.device))
    ordered = np.sort(keys)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    distinct = torch.ones(len(points), dtype=torch.bool)
    if len(repeated):
        marked = np.zeros(LAST_BITS + 1, bool)  # most rows are told apart by a look at a table
        marked[repeated & LAST_BITS] = True
        found = marked[keys & LAST_BITS].nonzero()[0]
        found = found[np.isin(keys[found], repeated)]
        rows = lexicographic(points, torch.from_numpy(found))
        same = (points[rows[1:]] == points[rows[:-1]]).all(1)
        distinct[rows[1:][same]] = False
    return distinct


def _hashes(points: Tensor) -> Tensor:
    """Integers [n] that are the same for equal points [n, 3]: multiplications that wrap, and shifts that mix."""
    bits = (points + 0.0).view(torch.int64)  # -0 equals 0
    key = torch.zeros(len(points), dtype=torch.int64)
    for axis, odd in enumerate(HASH_FACTORS):
        key = (key ^ bits[:, axis]) * odd
        key = key ^ key >> 29
    return key


def lexicographic(points: Tensor, rows: Tensor) -> Tensor:
    """`rows` reordered by x, then y, then z of their points; equal points keep their order."""
    for axis in (2, 1, 0):
        rows = rows[points[rows, axis].sort(stable=True).indices]
    return rows


def merging_distance(sampling: Sampling) -> float:
    """How close distinct points must be to be copies of one; 0 where no more are than by chance, or all are."""
    points = sampling.points
    if len(points) < 3 or float(points.abs().max()) > LARGEST_COORDINATE:
        return 0.0
    rank = min(COPIES, len(points) - 1)
    far = sampling.near.query(points[:: -(-len(points) // SAMPLE)], rank + 1)[0]
    close = (
        NEARLY * float(np.median(far.numpy())) / math.sqrt(rank)
    )  # on a surface the k-th neighbour is sqrt(k) times as far
    if not 0.0 < close < math.inf:
        return 0.0
    tree = sampling.near.tree
    pairs = tree.count_neighbors(tree, close) / len(points) - 1.0  # more than copies make are a dense part of the cloud
    return close if 2.0 * BY_CHANCE < pairs < COPIES else 0.0


def separate_points(sampling: Sampling, close: float, normals: Tensor | None = None) -> Tensor:
    """Mask [n] of distinct points, on the CPU, without all but one, the first by x, y, z, of each group within `close`.

    Points whose normals [n, 3] point to opposite sides are no copies: they are two sheets.
    A group that is longer than a few of these distances, or has many points, stays: it is a dense part of the cloud.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    keep = torch.ones(len(sampling.points), dtype=torch.bool)
    if not close:
        return keep
    pairs = sampling.near.tree.query_pairs(close, output_type="ndarray")
    if normals is not None:
        one, other = normals.numpy()[pairs.T]
        pairs = pairs[(one * other).sum(1) > 0.0]
    near, place = np.unique(pairs, return_inverse=True)
    first, other = place.reshape(-1, 2).T
    links = coo_array((np.ones(len(first)), (first, other)), shape=(len(near), len(near)))
    label = connected_components(links, directed=False)[1]
    x = sampling.points.numpy()[near]
    order = np.lexsort((x[:, 2], x[:, 1], x[:, 0], label))
    _, starts, counts = np.unique(label[order], return_index=True, return_counts=True)
    ends = (np.maximum.reduceat(x[order], starts), np.minimum.reduceat(x[order], starts))
    compact = (np.linalg.norm(ends[0] - ends[1], axis=1) <= COMPACT * close) & (counts <= COPIES)
    copy = compact[label]
    copy[order[starts]] = False
    keep[torch.from_numpy(near[copy])] = False
    return keep
