"""Cells: boxes that share out the points, and smooth weights that share out space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..cloud.octree import leaves
from ..cloud.sampling import Sampling
from ..geometry import Box, linear_ids, ranks

MAX_BUCKETS_PER_SIDE, BUCKETS_PER_CELL = 128, 64
PADDING_HALVINGS = 3
REACH_WEIGHT = 1e-6
ENOUGH = 1.0  # of weight: as much have boxes together where they hold points on all sides
# Of the distance to the 6th neighbour: so far the surface is carried where no sample lies. Adaptive cells go farther,
# because what ends in the air is trimmed there.
REACH_SPACINGS, ADAPTIVE_REACH_SPACINGS = 1.5, 3.0
MAX_REACH = 1.0  # of the cell's side
ROUNDING = 1e-15  # of a coordinate: so far from its place may a wall lie, or the point that was found to lie within it


@dataclass(frozen=True)
class Cells:
    """Boxes [c, 3] that tile occupied space, with three margins [c] beyond their walls.

    padding: points so far outside take part in the cell's fit. ramp: the cell's weight rises from 0 to 1
    between so far outside and so far inside its walls, smoothly. reach: so far outside the cell's spline
    still takes part, with a tiny weight, where no other does: it carries the surface across a cell that it
    only clips, where no sample happens to lie. yields: boxes whose spline is a coarser one's; they have no weight
    where the others have together ENOUGH.
    """

    lower: Tensor
    upper: Tensor
    padding: Tensor
    ramp: Tensor
    reach: Tensor
    yields: Tensor

    def __len__(self) -> int:
        return len(self.lower)

    def subset(self, index: Tensor) -> Cells:
        return Cells(*(getattr(self, f.name)[index] for f in fields(self)))

    @property
    def outer_lower(self) -> Tensor:
        return self.lower - self.reach[:, None]

    @property
    def outer_upper(self) -> Tensor:
        return self.upper + self.reach[:, None]

    @cached_property
    def centers(self) -> Tensor:
        return 0.5 * (self.lower + self.upper)

    @cached_property
    def scales(self) -> Tensor:
        """World to model: the longest side of the padded box becomes 1, less where the reach needs it.

        Nothing within reach is then farther than 1 from the origin, so that the kernels' shortest
        polynomials serve.
        """
        reach = (self.upper - self.lower + 2.0 * self.reach[:, None]).norm(dim=1)
        return 1.0 / ((self.upper - self.lower).amax(1) + 2.0 * self.padding).maximum(0.5 * reach)

    def model_radius(self, margin: Tensor) -> float:
        """No point within these margins of a cell is farther from the origin of its model space."""
        diagonal = (self.upper - self.lower + 2.0 * margin[:, None]).norm(dim=1)
        return float((0.5 * diagonal * self.scales).max())

    @cached_property
    def buckets(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """A uniform grid of buckets, each with the list of outer boxes that touch it (compressed rows).

        The grid is that of most cells; what is far outside counts to its outermost buckets. One far cell would leave
        all others in one bucket.
        """
        low, high = self.outer_lower - self._hair, self.outer_upper + self._hair
        most = Box.around_most(torch.cat([low, high]))
        origin, span = most.lower.to(low), most.sides.to(low)
        enough = (float(span.prod()) / (BUCKETS_PER_CELL * len(self))) ** (1 / 3)  # few large cells fill many buckets
        side = max(float((high - low).amin()), float(span.max()) / MAX_BUCKETS_PER_SIDE, enough)
        shape = (span / side).floor().long() + 1
        first, last = (((corner - origin) / side).clamp_min(0).minimum(shape - 1).long() for corner in (low, high))
        counts = last - first + 1
        cell = torch.repeat_interleave(torch.arange(len(self), device=low.device), counts.prod(1))
        rank = ranks(counts.prod(1))
        c, f = counts[cell], first[cell]
        index = f + torch.stack([rank // (c[:, 1] * c[:, 2]), rank // c[:, 2] % c[:, 1], rank % c[:, 2]], 1)
        bucket, order = linear_ids(index, shape).sort(stable=True)
        starts = torch.searchsorted(bucket, torch.arange(int(shape.prod()) + 1, device=low.device))
        return origin, torch.tensor(side, dtype=low.dtype), shape, starts, cell[order]

    @property
    def _hair(self) -> Tensor:
        """What rounding may move a wall of each cell by [c, 1]."""
        return ROUNDING * self.lower.abs().maximum(self.upper.abs()).amax(1, keepdim=True)

    def containing(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """All pairs (point, cell) of points [n, 3] within reach, ordered by point, then cell."""
        return self._within(points, self.outer_lower, self.outer_upper)

    def members(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The pairs (point, cell) of points within the padding: what each cell is fitted to.

        Those on a wall belong to both cells, so that none is lost where there is no padding.
        """
        margin = self.padding[:, None] + self._hair
        return self._within(points, self.lower - margin, self.upper + margin)

    def _within(self, points: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """As `containing`, of boxes that lie within reach, or a hair beyond it; with their walls."""
        if not len(self):
            return (none := torch.empty(0, dtype=torch.int64, device=points.device)), none
        if points.device.type == "cpu":
            from . import lookup_numba  # not before: Numba takes half a second to import

            return lookup_numba.pairs(points, lower, upper, self.buckets)
        return self._within_by_tensors(points, lower, upper)

    def _within_by_tensors(self, points: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        origin, side, shape, starts, members = self.buckets
        index = ((points - origin) / side).nan_to_num(0.0).clamp_min(0).minimum(shape - 1).long()
        bucket = linear_ids(index, shape)
        counts = starts[bucket + 1] - starts[bucket]
        point = torch.repeat_interleave(torch.arange(len(points), device=points.device), counts)
        cell = members[starts[bucket[point]] + ranks(counts)]
        x = points[point]
        keep = ((x >= lower[cell]) & (x <= upper[cell])).all(1)
        return point[keep], cell[keep]

    def touching(self, boxes: Sequence[Box]) -> Tensor:
        """The cells [s] whose weight, but for its reach, is not zero everywhere in some boxes, which may be flat."""
        low, high = self.lower - self.ramp[:, None], self.upper + self.ramp[:, None]
        touch = torch.zeros(len(self), dtype=torch.bool, device=low.device)
        for box in boxes:
            touch |= ((low <= box.upper) & (high >= box.lower)).all(1)
        return touch.nonzero()[:, 0]

    def weights(self, points: Tensor, cell: Tensor) -> Tensor:
        """Unnormalised weights [k] of the cells [k] at points [k, 3] within their reach, as if none yielded."""
        return self._bump(points, cell, self.ramp)[0] + REACH_WEIGHT * self._bump(points, cell, self.reach)[0]

    @property
    def margins(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """What weights are made of."""
        return self.lower, self.upper, self.ramp, self.reach, self.yields

    def weight_slopes(self, points: Tensor, cell: Tensor) -> Tensor:
        """Gradients [k, 3] of the weights of the cells [k] at points [k, 3]."""
        near, far = (self._bump(points, cell, margin, slopes=True)[1] for margin in (self.ramp, self.reach))
        return near + REACH_WEIGHT * far

    def weight_curves(self, points: Tensor, cell: Tensor) -> Tensor:
        """Second derivatives [k, 3, 3] of the weights of the cells [k] at points [k, 3], which jump at the ends of the
        ramps, where a weight becomes 0 or 1.
        """
        total = points.new_zeros(len(points), 3, 3)
        for share, margin in ((1.0, self.ramp), (REACH_WEIGHT, self.reach)):
            depth, direction = self._depth(points, cell, margin)
            width = 2.0 * margin[cell, None].clamp_min(1e-300)
            t = (depth / width).clamp_(0.0, 1.0)
            step, slope = t * t * (3.0 - 2.0 * t), 6.0 * t * (1.0 - t) / width * direction
            bend = torch.where((t > 0.0) & (t < 1.0), (6.0 - 12.0 * t) / width.square(), 0.0)
            for i in range(3):
                for j in range(i, 3):
                    parts = [bend if i == j == a else slope if a in (i, j) else step for a in range(3)]
                    value = share * parts[0][:, 0] * parts[1][:, 1] * parts[2][:, 2]
                    total[:, i, j] += value
                    if i != j:
                        total[:, j, i] += value
        return total

    def _depth(self, points: Tensor, cell: Tensor, margin: Tensor) -> tuple[Tensor, Tensor]:
        """Per axis [k, 3]: how deep inside the box with this margin, and the direction in which that grows."""
        below = points - (self.lower - margin[:, None])[cell]
        above = (self.upper + margin[:, None])[cell] - points
        return below.minimum(above), torch.where(below <= above, 1.0, -1.0).to(points)

    def _bump(self, points: Tensor, cell: Tensor, margin: Tensor, slopes: bool = False) -> tuple[Tensor, Any]:
        """Product over the axes of smoothstep(depth / (2 margin)); steps at the walls where the margin is 0.

        With `slopes` also its gradient [k, 3], else None.
        """
        depth, direction = self._depth(points, cell, margin)
        width = 2.0 * margin[cell, None].clamp_min(1e-300)
        t = (depth / width).clamp_(0.0, 1.0)
        w0, w1, w2 = (t * t * (3.0 - 2.0 * t)).unbind(1)
        if not slopes:
            return w0 * w1 * w2, None
        slope = 6.0 * t * (1.0 - t) / width * direction
        return w0 * w1 * w2, slope * torch.stack([w1 * w2, w0 * w2, w0 * w1], 1)


@dataclass(frozen=True)
class Share:
    """Of a cloud in nodes, whose cells are wanted: the node [n] of every point, that one, and its octree level."""

    nodes: Tensor
    node: int
    level: int


def uniform_cells(
    box: Box, sampling: Sampling, per_axis: int, overlap: float, min_points: int, blend: bool = True,
    share: Share | None = None,
) -> Cells:  # fmt: skip
    """`per_axis`^3 equal cells of the box; those with fewer than max(1, min_points) points are left out.

    Neighbours overlap by `overlap` times the shortest side of a cell. share: a cell is of the first node that has
    points in it; all points in and around its cells are to be there.
    """
    points = sampling.points
    lower, size = box.lower.to(points.device), (box.sides / per_axis).to(points.device)
    index = ((points - lower) / size).floor().long().clamp(0, per_axis - 1)
    shape = torch.full((3,), per_axis, device=points.device)
    ids, cell, counts = torch.unique(linear_ids(index, shape), return_inverse=True, return_counts=True)
    wanted = counts >= max(1, min_points)
    if share is not None:
        owner = torch.full_like(ids, torch.iinfo(torch.int64).max).scatter_reduce_(0, cell, share.nodes, "amin")
        wanted &= owner == share.node
    ids = ids[wanted]
    index = torch.stack([ids // per_axis**2, ids // per_axis % per_axis, ids % per_axis], 1)
    corner = lower + index * size
    padding = torch.full((len(ids),), 0.5 * overlap * float(size.min()), dtype=torch.float64, device=points.device)
    return _with_margins(corner, corner + size, padding, sampling, blend, REACH_SPACINGS)


def adaptive_cells(
    box: Box,
    sampling: Sampling,
    max_points: int,
    overlap: float,
    min_points: int,
    blend: bool = True,
    share: Share | None = None,
) -> Cells:
    """Leaves of an octree over the cube around the box: nodes are split until they hold at most `max_points`.

    share: the leaves of one node of this octree are wanted; the other points are near it. Built from sorted Morton
    codes, level by level, without a loop over nodes. A leaf overlaps others by `overlap` times its side, less where
    that would take in more than `max_points` beside its own.
    """
    points = sampling.points
    own, level = (points, 0) if share is None else (points[share.nodes == share.node], share.level)
    lower, size = leaves(box, own, max_points, min_points, level)
    padding = padded(lower, size, points, max_points, overlap).padding
    return _with_margins(lower, lower + size[:, None], padding, sampling, blend, ADAPTIVE_REACH_SPACINGS)


def padded(lower: Tensor, side: Tensor, points: Tensor, max_points: int, overlap: float) -> Cells:
    """Cubes with lower corners [c, 3] and sides [c] whose margins are all alike: half of `overlap` times the side, less
    where that would take in more than `max_points` of the points [n, 3] beside as many of its own.
    """
    padding = 0.5 * overlap * side
    for _ in range(PADDING_HALVINGS):
        counts = torch.bincount(cells_with(lower, side, padding).members(points)[1], minlength=len(lower))
        padding = torch.where(counts > 2 * max_points, 0.5 * padding, padding)
    return cells_with(lower, side, padding)


def cells_with(lower: Tensor, side: Tensor, margin: Tensor) -> Cells:
    """Cubes with lower corners [c, 3] and sides [c] whose margins [c] are all alike."""
    return Cells(lower, lower + side[:, None], margin, margin, margin, torch.zeros_like(margin, dtype=torch.bool))


def _with_margins(
    lower: Tensor, upper: Tensor, padding: Tensor, sampling: Sampling, blend: bool, spacings: float
) -> Cells:
    if not len(lower):
        return Cells(lower, upper, padding, padding, padding, torch.zeros_like(padding, dtype=torch.bool))
    ramp = padding if blend else torch.zeros_like(padding)
    middle = sampling.near.query(0.5 * (lower + upper))[1]  # the point closest to the middle of each cell
    reach = (spacings * sampling.spacing[middle]).minimum(MAX_REACH * (upper - lower).amax(1))
    reach = reach.maximum(padding)
    return Cells(lower, upper, padding, ramp, reach, torch.zeros_like(ramp, dtype=torch.bool))
