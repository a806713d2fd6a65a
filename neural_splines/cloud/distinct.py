"""Which points of a cloud are distinct: not repeated, and not nearly, as in two exports of a scan that were merged."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..runtime.devices import slices
from ..runtime.threads import parallel_map
from .neighbours import Neighbours
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
    distinct = torch.ones(len(points), dtype=torch.bool, device=points.device)
    suspects = (_alike_on_gpu if points.is_cuda else _alike)(points)
    if len(suspects):
        rows = lexicographic(points, suspects)
        same = (points[rows[1:]] == points[rows[:-1]]).all(1)
        distinct[rows[1:][same]] = False
    return distinct


def _alike(points: Tensor) -> Tensor:
    """The rows, ascending, whose hash occurs more than once."""
    keys = np.empty(len(points), np.int64)

    def hash_rows(chunk: slice) -> None:
        keys[chunk] = _hashes(points[chunk]).numpy()

    parallel_map(hash_rows, slices(len(points), points.device))
    ordered = np.sort(keys)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(repeated):
        return torch.empty(0, dtype=torch.int64)
    marked = np.zeros(LAST_BITS + 1, bool)  # most rows are told apart by a look at a table
    marked[repeated & LAST_BITS] = True
    found = marked[keys & LAST_BITS].nonzero()[0]
    return torch.from_numpy(found[np.isin(keys[found], repeated)])


def _alike_on_gpu(points: Tensor) -> Tensor:
    """As `_alike`, by PyTorch, where a sort of keys with their rows costs less than a way to the CPU."""
    ordered, rows = torch.cat([_hashes(points[chunk]) for chunk in slices(len(points), points.device)]).sort()
    same = (ordered[1:] == ordered[:-1]).nonzero()[:, 0]
    return torch.cat([rows[same], rows[same + 1]]).unique()


def _hashes(points: Tensor) -> Tensor:
    """Integers [n] that are the same for equal points [n, 3]: multiplications that wrap, and shifts that mix."""
    bits = (points + 0.0).view(torch.int64)  # -0 equals 0
    key = torch.zeros_like(bits[:, 0])
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
    # on a surface the k-th neighbour is sqrt(k) times as far
    close = NEARLY * float(np.median(far.cpu().numpy())) / math.sqrt(rank)
    if not 0.0 < close < math.inf:
        return 0.0
    pairs = _count_within(sampling, close) / len(points)  # more than copies make are a dense part of the cloud
    return close if BY_CHANCE < pairs < 0.5 * COPIES else 0.0


def separate_points(sampling: Sampling, close: float, normals: Tensor | None = None) -> Tensor:
    """Mask [n] of distinct points without all but one, the first by x, y, z, of each group within `close`.

    Points whose normals [n, 3] point to opposite sides are no copies: they are two sheets.
    A group that is longer than a few of these distances, or has many points, stays: it is a dense part of the cloud.
    """
    keep = torch.ones(len(sampling.points), dtype=torch.bool, device=sampling.points.device)
    if not close:
        return keep
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = _pairs_within(sampling, close)
    if normals is not None:
        one, other = normals.cpu().numpy()[pairs.T]
        pairs = pairs[(one * other).sum(1) > 0.0]
    near, place = np.unique(pairs, return_inverse=True)
    first, other = place.reshape(-1, 2).T
    links = coo_array((np.ones(len(first)), (first, other)), shape=(len(near), len(near)))
    label = connected_components(links, directed=False)[1]
    x = sampling.points.cpu().numpy()[near]
    order = np.lexsort((x[:, 2], x[:, 1], x[:, 0], label))
    _, starts, counts = np.unique(label[order], return_index=True, return_counts=True)
    ends = (np.maximum.reduceat(x[order], starts), np.minimum.reduceat(x[order], starts))
    compact = (np.linalg.norm(ends[0] - ends[1], axis=1) <= COMPACT * close) & (counts <= COPIES)
    copy = compact[label]
    copy[order[starts]] = False
    keep[torch.from_numpy(near[copy]).to(keep.device)] = False
    return keep


def _count_within(sampling: Sampling, close: float) -> float:
    """The number of pairs of points that are not farther from each other."""
    if sampling.points.is_cuda and (pairs := pairs_of_neighbours(sampling, close)) is not None:
        return len(pairs)
    tree = _tree(sampling)
    return 0.5 * (tree.count_neighbors(tree, close) - len(sampling.points))


def _pairs_within(sampling: Sampling, close: float) -> np.ndarray:
    """These pairs [k, 2]."""
    if sampling.points.is_cuda and (pairs := pairs_of_neighbours(sampling, close)) is not None:
        return pairs.cpu().numpy()
    found: np.ndarray = _tree(sampling).query_pairs(close, output_type="ndarray")
    return found


def pairs_of_neighbours(sampling: Sampling, close: float) -> Tensor | None:
    """These pairs [k, 2], the lower first, of neighbours that are known on a GPU; None where there may be more."""
    points = sampling.points
    if bool((sampling.spacing <= close).any()):
        return None
    nearest, rows = sampling.neighbours[:, 0], []
    for chunk in slices(len(points), points.device):  # few have one so near
        distance = (points[nearest[chunk].long()] - points[chunk]).square_().sum(1).sqrt_()
        rows.append((distance <= close).nonzero()[:, 0] + chunk.start)
    row = torch.cat(rows)
    others = sampling.neighbours[row].long()
    distance = (points[others] - points[row, None]).square_().sum(2).sqrt_()
    place, column = ((distance <= close) & (others > row[:, None])).nonzero().T
    return torch.stack([row[place], others[place, column]], 1)


def _tree(sampling: Sampling) -> Any:
    """A tree of the points on the CPU."""
    near = sampling.near
    return near.tree if not sampling.points.is_cuda else Neighbours(sampling.points.cpu()).tree
