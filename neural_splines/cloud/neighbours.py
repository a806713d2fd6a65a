"""Exact nearest neighbours in a cloud: a k-d tree on the CPU, a grid of buckets on a GPU.

The tree is scipy's: 1.8 s for the 7th neighbours of 200,000 points on two cores, where the buckets take 14 s. The
buckets are our own, because no wheel has a tree for a GPU; they keep the points there.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from ..geometry import Box, linear_ids, ranks
from ..runtime.threads import limit

QUERIES_AT_ONCE = 1 << 20
PAIRS_AT_ONCE = 1 << 24  # distances computed at a time, more where one query alone needs them
MOST, MORE = 0.9, 8  # of the points: a part with so many is searched in the structure of all; neighbours beside
GRIDS = 4  # of buckets that are kept, 8 bytes a point each for their keys and for their order
SPREAD = 1.5  # a bucket's side, in mean distances of points spread over the faces of their box:
DOUBLINGS = 3  # of a side for the neighbours of all points: what is sparser still is looked for by itself
TYPICAL = 7  # on a surface so many points are nearer, on average
Select = Callable[[int, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


SPACING_RANK = 6  # the local spacing of a cloud is the distance to this neighbour, about 1.4 / sqrt(density)


class Neighbours:
    """The points [n, 3] of a cloud, to be asked for the k-th nearest to other points."""

    _buckets: _Buckets | None = None

    def __init__(self, points: Tensor):
        self.points = points
        self._query: Callable[[Tensor, int, float], tuple[Tensor, Tensor]]
        self._nearest: Callable[[Tensor, int], tuple[Tensor, Tensor]]
        if points.is_cuda:
            self._buckets = _Buckets(points)
            self._query, self._nearest = self._buckets.query, self._buckets.nearest
        else:
            from scipy.spatial import cKDTree

            self.tree = cKDTree(points.numpy())
            self._query, self._nearest = self._query_tree, self._nearest_in_tree

    def query(self, x: Tensor, k: int = 1, within: float = math.inf) -> tuple[Tensor, Tensor]:
        """Distances [q] from x [q, 3] to its k-th nearest point (the last, if there are fewer), and its index [q].

        Where that is farther than `within`, the distance is infinite and the index means nothing.
        """
        return self._query(x, k, within)

    def nearest(self, x: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Distances [q, c] from x [q, 3] to its nearest points, ascending, and their indices [q, c]; c = min(count, n).

        One search for all, where `query` needs one for each.
        """
        return self._nearest(x, count)

    def six(self) -> tuple[Tensor, Tensor] | None:
        """The distance [n] of every point from its 6th neighbour, and the six [n, 6], int32, from near to far, without
        the point itself: where a GPU finds them for all points at once. None elsewhere, and where there are no six.
        """
        alone = self._buckets is None or len(self.points) <= SPACING_RANK or importlib.util.find_spec("triton") is None
        return None if alone or self._buckets is None else self._buckets.six()

    def part(self, rows: Tensor) -> Neighbours:
        """Of the points with these distinct rows [m] alone, in that order; its indices count them."""
        if len(rows) < MOST * len(self.points):
            return Neighbours(self.points[rows])
        return _Part(self, rows)

    def _query_tree(self, x: Tensor, k: int, within: float) -> tuple[Tensor, Tensor]:
        k = min(k, len(self.points))
        bound = math.nextafter(within, math.inf)  # of what is strictly nearer
        distance, index = self.tree.query(x.numpy(), k=[k], distance_upper_bound=bound, workers=limit())
        index = torch.from_numpy(index[:, 0])
        return torch.from_numpy(distance[:, 0]), index.masked_fill_(index == len(self.points), 0)

    def _nearest_in_tree(self, x: Tensor, count: int) -> tuple[Tensor, Tensor]:
        distance, index = self.tree.query(
            x.numpy(), k=list(range(1, min(count, len(self.points)) + 1)), workers=limit()
        )
        return torch.from_numpy(distance), torch.from_numpy(index)


class _Part(Neighbours):
    """Most points of a cloud, or all in another order, searched in the structure of all.

    A few more are asked for than are wanted, as some may be of the rest. Where that leaves too few, so that many of the
    rest lie there, a structure of the part alone is made.
    """

    def __init__(self, whole: Neighbours, rows: Tensor):
        self.points, self._whole, self._rows = whole.points[rows], whole, rows
        self._more = MORE if len(rows) < len(whole.points) else 0
        self._place = torch.full((len(whole.points),), -1, dtype=torch.int32, device=rows.device)
        self._place[rows] = torch.arange(len(rows), dtype=torch.int32, device=rows.device)
        self._query, self._nearest = self._query_whole, self._nearest_in_whole

    @cached_property
    def _alone(self) -> Neighbours:
        return Neighbours(self.points)

    def part(self, rows: Tensor) -> Neighbours:
        return self._whole.part(self._rows[rows])

    def _query_whole(self, x: Tensor, k: int, within: float) -> tuple[Tensor, Tensor]:
        distance, index = self._whole.query(x, 1, within)
        index, near = self._place[index].long(), distance.isfinite()
        unsure = (near if k > 1 else near & (index < 0)).nonzero()[:, 0]
        if len(unsure):
            far, others = (found[:, -1] for found in self._nearest_in_whole(x[unsure], k))
            distance[unsure], index[unsure] = far.masked_fill(far > within, math.inf), others
        return distance, index.clamp_min_(0)

    def _nearest_in_whole(self, x: Tensor, count: int) -> tuple[Tensor, Tensor]:
        count = min(count, len(self.points))
        distance, index = self._whole.nearest(x, count + self._more)
        index = self._place[index].long()
        if not self._more:
            return distance, index
        order = (index < 0).byte().argsort(stable=True, dim=1)[:, :count]
        distance, index = distance.gather(1, order), index.gather(1, order)
        left = (index[:, -1] < 0).nonzero()[:, 0]
        if len(left):
            distance[left], index[left] = self._alone.nearest(x[left], count)
        return distance, index


class _Buckets:
    """Points sorted by the cube of a grid that they lie in; works on any device.

    The grid is that of most points: strays far outside count to its outermost cubes, which keeps all that are near each
    other in cubes side by side. One stray would leave the others in one cube.
    A query looks at the 27 cubes around its own. What it finds within a cube's side is exact; the others
    are asked again with cubes twice as large.
    """

    def __init__(self, points: Tensor):
        self.points = points
        box = Box.around_most(points)
        self.lower, self.upper = box.lower.to(points), box.upper.to(points)
        a, b, c = box.sides.tolist()
        self.side = SPREAD * math.sqrt(2 * (a * b + b * c + c * a) / len(points)) or max(a, b, c, 1e-300)
        self._grids: dict[float, tuple[Tensor, Tensor, Tensor]] = {}

    def query(self, x: Tensor, k: int, within: float = math.inf) -> tuple[Tensor, Tensor]:
        distance, index = self._widening(self._kth, x, min(k, len(self.points)), 1, within)
        return distance[:, 0], index[:, 0]

    def nearest(self, x: Tensor, count: int) -> tuple[Tensor, Tensor]:
        count = min(count, len(self.points))
        return self._widening(self._all, x, count, count, math.inf)

    def six(self) -> tuple[Tensor, Tensor]:
        """As `Neighbours.six`, of more than six points."""
        from .nearest_triton import COUNT, six_nearest

        spacing = torch.full_like(self.points[:, 0], math.inf)
        index = torch.empty(len(spacing), COUNT, dtype=torch.int32, device=spacing.device)
        left, side = torch.arange(len(spacing), device=spacing.device), self.side
        for _ in range(DOUBLINGS):
            key, order, shape = self._grid(side)
            place = torch.empty_like(order)
            place[order] = torch.arange(len(order), device=order.device)
            rows = place[left].sort().values
            found, others = six_nearest(self.points[order], key, shape, rows)
            own, sure = order[rows], (found <= side) | (shape == 5).all()  # 5: all points were looked at
            spacing[own[sure]], index[own[sure]] = found[sure], order[others[sure].long()].int()
            left, side = own[~sure], 2.0 * side
            if not len(left):
                return spacing, index
        for rows in left.split(QUERIES_AT_ONCE):
            distance, nearest = self._widening(self._all, self.points[rows], COUNT + 1, COUNT + 1, math.inf, side)
            spacing[rows], index[rows] = distance[:, -1], nearest[:, 1:].int()
        return spacing, index

    def _widening(
        self, select: Select, x: Tensor, k: int, columns: int, within: float, least: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Distances and indices [q, columns] of what is selected of the k nearest; least: side of the first cubes."""
        distance = x.new_full((len(x), columns), math.inf)
        index = torch.zeros(len(x), columns, dtype=torch.int64, device=x.device)
        side = max(self.side * max(1.0, math.sqrt(k / TYPICAL)), least)
        left, side = torch.arange(len(x), device=x.device), min(side, within)
        while len(left):
            unsure = []
            for chunk in left.split(QUERIES_AT_ONCE):
                found, index[chunk], sure = self._search(select, x[chunk], k, side)
                distance[chunk] = found.masked_fill(~sure[:, None] | (found > within), math.inf)
                unsure.append(chunk[~sure])
            if side == within:
                break
            left, side = torch.cat(unsure), min(2.0 * side, within)
        return distance, index

    def _search(self, select: Select, x: Tensor, k: int, side: float) -> tuple[Tensor, Tensor, Tensor]:
        """Distances and indices of what is selected in the cubes around x, and whether there can be none nearer."""
        key, order, shape = self._grid(side)
        at = (((x - self.lower) / side).floor() + 2).clamp_min(1).minimum(shape - 2).long()
        # cubes along the last axis follow one another in the sorted points
        steps = torch.cartesian_prod(*[torch.arange(-1, 2, device=x.device)] * 2)
        middle = linear_ids(at, shape)[:, None] + (steps[:, 0] * shape[1] + steps[:, 1]) * shape[2]
        first = torch.searchsorted(key, middle - 1)
        counts = torch.searchsorted(key, middle + 1, right=True) - first
        found = [
            select(k, counts[rows].sum(1), *self._pairs(x[rows], order, first[rows], counts[rows]))
            for rows in _budgeted(counts.sum(1))
        ]
        distance, index = (torch.cat(parts) for parts in zip(*found, strict=True))
        return distance, index, (distance[:, -1] <= side) | (shape == 5).all()  # 5: all points were looked at

    def _grid(self, side: float) -> tuple[Tensor, Tensor, Tensor]:
        """The points' cubes of that side, ascending, the points in that order, and the shape of the grid."""
        if known := self._grids.get(side):
            return known
        inside = self.points.clamp(self.lower, self.upper) - self.lower
        at = (inside / side).long() + 2  # two empty layers around the points
        shape = at.amax(0) + 3
        grid = (*linear_ids(at, shape).sort(), shape)
        if len(self._grids) == GRIDS:
            self._grids.clear()
        self._grids[side] = grid
        return grid

    def _pairs(self, x: Tensor, order: Tensor, first: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, point and squared distance of all pairs with the points in runs [q, 9] of the order."""
        run = torch.repeat_interleave(torch.arange(counts.numel(), device=x.device), counts.reshape(-1))
        point = order[first.reshape(-1)[run] + ranks(counts.reshape(-1))]
        query = run // counts.shape[1]
        return query, point, (x[query] - self.points[point]).square().sum(1)

    @staticmethod
    def _kth(k: int, counts: Tensor, query: Tensor, point: Tensor, square: Tensor) -> tuple[Tensor, Tensor]:
        """Distance and index [q, 1] of the k-th nearest in runs of `counts` [q] pairs; infinite without one."""
        pair = torch.arange(len(square), device=square.device)
        for left in range(k - 1, -1, -1):
            least = torch.segment_reduce(square, "min", lengths=counts, initial=math.inf, unsafe=True)
            hit = square == least[query]
            place = torch.full_like(least, len(square), dtype=torch.int64)  # the first pair that is as near
            place.scatter_reduce_(0, query[hit], pair[hit], "amin")
            if left:
                square[place[place < len(square)]] = math.inf
        return least.sqrt()[:, None], torch.cat([point, point.new_zeros(1)])[place][:, None]

    @staticmethod
    def _all(k: int, counts: Tensor, query: Tensor, point: Tensor, square: Tensor) -> tuple[Tensor, Tensor]:
        """As `_kth` of the first to the k-th [q, k]: by two sorts, where that goes through the pairs k times."""
        order = square.argsort(stable=True)
        order = order[query[order].argsort(stable=True)]
        column = torch.arange(k, device=square.device)
        place = (counts.cumsum(0) - counts)[:, None] + column
        place = torch.where(column < counts[:, None], place, len(order))
        square = torch.cat([square[order], square.new_full((1,), math.inf)])
        return square[place].sqrt(), torch.cat([point[order], point.new_zeros(1)])[place]


def _budgeted(sizes: Tensor) -> list[slice]:
    """Slices of queries whose sizes add up to about PAIRS_AT_ONCE."""
    ends = sizes.cumsum(0)
    limits = torch.arange(PAIRS_AT_ONCE, max(int(ends[-1]), 1) + PAIRS_AT_ONCE, PAIRS_AT_ONCE, device=sizes.device)
    bounds = torch.unique(torch.searchsorted(ends, limits, right=True)).tolist()
    bounds = [b for b in bounds if 0 < b < len(sizes)]
    return [slice(a, b) for a, b in zip([0, *bounds], [*bounds, len(sizes)], strict=True)]
