"""How far a place is from a cloud, in spacings of the points around it; along and across the lines of a scanner."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..geometry import median
from ..quantities import plain
from ..runtime.devices import slices
from .neighbours import SPACING_RANK, Neighbours

ALONE = 2.0  # times the largest spacing of its neighbours: a point that is farther from them than that stands alone
COARSER = 2.0  # times the spacing of the nearest point: so much sparser points may reach farther than that does
LINE_NEIGHBOURS = 64  # of a point on a line: up to 30 times their distance finds the next one
STRAIGHT = 0.5  # of the distance to the 6th neighbour: how far the others lie beside a line through both, at most
BESIDE = 0.5  # sine of the angle to the line above which a point lies on another one
PARALLEL = 0.8  # cosine between the directions of neighbouring lines, at least
UNEVEN = 3.0  # times the nearer of the lines on both sides: the other is no farther, or the surface ends
SQUARE = math.sqrt(2.0)  # of the sides of a square grid: the distance to the 6th neighbour
LARGEST_RATIO = 16.0  # of distances across lines to those along them: lines 34 times as far apart as their points
QUERY, ENTRIES_AT_ONCE = 64, 1 << 22  # neighbours: how many more at a time, and in all
APART = 1.5  # distances to the 6th neighbour: lines that are closer are found by that neighbour

# Of the points: a cloud that has as many on lines was sampled in lines, if only in part: of nine that were not none has
# 1 %, and one of a line scanner whose passes overlap has 15 %.
IN_LINES = 0.1


@dataclass(frozen=True)
class Lines:
    """Lines that a cloud was sampled in: medians of the distances between points along them and across, world units,
    and the share of the points that lie on such.
    """

    along: float
    across: float
    share: float

    def summary(self) -> str:
        apart = f"{plain(self.along)} apart along them, {plain(self.across)} across"
        return f"{self.share:.0%} of the points lie in lines: {apart}"


def lines_of(along: Tensor, across: Tensor) -> Lines | None:
    """The lines that a notable share of points with these spacings [n] lies in. Neighbours in a line are half on either
    side."""
    lined = across > along
    share = float(lined.double().mean())
    if share < IN_LINES:
        return None
    along, across = median(along[lined]), median(across[lined])
    return Lines(float(along) / (SPACING_RANK / 2), float(across) / SQUARE, share)


class Metric:
    """The spacing at each point of a cloud [n, 3]: a number, and where points lie in lines two.

    cloud, index [n, 6]: its tree and the nearest of each point, where they are known.
    along [n]: the distance to the 6th neighbour, at most twice that of a neighbour. across [n]: the same for a square
    grid of points as far apart as the lines are; that of `along` where there are none. direction [n, 3] of the lines.
    """

    def __init__(self, points: Tensor, cloud: Neighbours | None = None, index: Tensor | None = None):
        self.cloud = cloud or Neighbours(points)
        self._known: dict[int, tuple[Tensor, Neighbours]] = {}
        if index is None:
            index = self.cloud.nearest(points, SPACING_RANK + 1)[1]
            index = index[:, min(1, index.shape[1] - 1) :]  # the first is the point itself
        spacing = (points[index[:, -1]] - points).norm(dim=1).clamp_min(1e-300)
        self.along = spacing.minimum(ALONE * spacing[index].amax(1))
        self.across = self.along.clone()
        self.direction, straight = self._directions(index, spacing)
        for chunk in slices(len(rows := straight.nonzero()[:, 0]), points.device):
            self._look_across(rows[chunk], straight, spacing)
        self._spread(index)

    def _directions(self, index: Tensor, spacing: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors [n, 3] to the farthest neighbours, and where all [n, k] lie in line, as around half of these."""
        points = self.cloud.points
        direction = (points[index[:, -1]] - points) / spacing[:, None]
        straight = torch.full_like(spacing, index.shape[1] == SPACING_RANK, dtype=torch.bool)
        for other in index[:, :-1].T:
            straight &= torch.linalg.cross(points[other] - points, direction).norm(dim=1) <= STRAIGHT * spacing
        return direction, straight & (straight[index].sum(1) >= SPACING_RANK // 2)  # else it is by chance

    def _look_across(self, rows: Tensor, straight: Tensor, spacing: Tensor) -> None:
        """The distance of points on lines from the next line, the farther where there is one on either side.

        The next line is where the nearest point beside theirs lies, if that is on one too, and parallel.
        """
        points, direction = self.cloud.points, self.direction
        distance, index = self.cloud.nearest(points[rows], LINE_NEIGHBOURS)
        beyond, usable = torch.zeros(2, *distance.shape, dtype=torch.bool, device=points.device)
        for column, other in enumerate(index.T):
            beside = torch.linalg.cross(points[other] - points[rows], direction[rows]).norm(dim=1)
            least = (BESIDE * distance[:, column]).maximum(STRAIGHT * spacing[rows])
            parallel = (direction[rows] * direction[other]).sum(1).abs() > PARALLEL
            beyond[:, column] = beside > least
            usable[:, column] = beyond[:, column] & parallel & straight[other]
        first, near = _first(usable, distance)
        near = _nearer(near, _first(beyond, distance)[1])
        way = points[index.gather(1, first)[:, 0]] - points[rows]
        opposite = torch.stack([((points[other] - points[rows]) * way).sum(1) < 0.0 for other in index.T], 1)
        far = _nearer(_first(usable & opposite, distance)[1], _first(beyond & opposite, distance)[1])
        found = near.isfinite() & (near > APART * spacing[rows])
        far = torch.where(far.isfinite(), far.minimum(UNEVEN * near), near)
        self.across[rows[found]] = SQUARE * far[found]

    def _spread(self, index: Tensor) -> None:
        """Points of which most neighbours [n, k] are on lines are too: as far across as in the median.

        And where few are a point is not: that a line lies beside it is by chance, and may be anywhere in the cloud.
        """
        lined = self.across > self.along
        if not bool(lined.any()):
            return
        lined &= lined[index].sum(1) >= SPACING_RANK // 2
        self.across = self.across.where(lined, self.along)
        rows = (lined[index].sum(1) > SPACING_RANK // 2).nonzero()[:, 0]
        around = self.across.where(lined, torch.nan)[index[rows]]
        across, place = around.nanmedian(1)
        self.across[rows], chosen = across.maximum(self.along[rows]), index[rows].gather(1, place[:, None])[:, 0]
        fresh = ~lined[rows]
        self.direction[rows[fresh]] = self.direction[chosen[fresh]]

    def lines(self) -> Lines | None:
        """The lines that a notable share of the points lies in."""
        return lines_of(self.along, self.across)

    def towards(self, index: Tensor, x: Tensor) -> Tensor:
        """The spacing [q] of points with that index [q] in the direction of places [q, 3]."""
        along, across = self.along[index], self.across[index]
        way = x - self.cloud.points[index]
        length = way.norm(dim=1)
        share = ((way * self.direction[index]).sum(1).abs() / length.clamp_min(1e-300)).square().clamp_max(1.0)
        ellipse = (share / along.square() + (1.0 - share) / across.square()).rsqrt()
        return torch.where(across > along, ellipse, along)

    def areas(self) -> Tensor:
        """The area [n] that each point stands for."""
        return math.pi / SPACING_RANK * self.along * self.across

    def stretch(self) -> Tensor:
        """Vectors s [n, 3] along the lines: |d|^2 + (d . s)^2 is a squared distance in which lines are no farther apart
        than the points on them; zero where there are none.
        """
        ratio = (self.across / self.along).clamp_max(LARGEST_RATIO)
        return self.direction * (ratio.square() - 1.0).clamp_min(0.0).sqrt()[:, None]

    def neighbours(self, rows: Tensor, count: int) -> Tensor:
        """Indices [r, count] of the points nearest to those of the rows [r] by the stretched distance, without them."""
        points, stretch, out = self.cloud.points, self.stretch(), rows.new_empty(len(rows), count)
        ratio = (self.across / self.along)[rows].clamp_max(LARGEST_RATIO)
        step = ((count + 1) * ratio / QUERY).ceil().long()  # as many lie in a disc as far as the ellipse reaches
        for size in step.unique().tolist():
            for part in (step == size).nonzero()[:, 0].split(max(1, ENTRIES_AT_ONCE // (QUERY * size))):
                at = rows[part]
                index = self.cloud.nearest(points[at], QUERY * size)[1]
                way = points[index] - points[at, None]
                square = way.square().sum(2) + (way * stretch[at, None]).sum(2).square()
                square[index == at[:, None]] = torch.inf
                nearest = square.topk(count, dim=1, largest=False).indices
                out[part] = index.gather(1, nearest)
        return out

    def nearest(self, x: Tensor, enough: float, most: float) -> tuple[Tensor, Tensor, Tensor]:
        """The distance [q] from places [q, 3] to a point, the spacing [q] there, and whether it is not the nearest [q].

        That is the nearest point, or, where this is more than `enough` of its spacings away, one that is much sparser
        and fewer of its own spacings away. Where no point can be within `most` of its spacings it is infinite.
        """
        distance, index = self.cloud.query(x, within=most * float(self.across.max()))
        spacing = self.towards(index, x)
        far = ((distance > enough * spacing) & distance.isfinite()).nonzero()[:, 0]
        sparser = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        for level in self._octaves.unique().tolist() if len(far) else []:
            asked = far[COARSER * self.across[index[far]] <= self._least * 2.0**level]
            if not len(asked):
                continue
            members, alike = self._alike(level)
            other, which = alike.query(x[asked], within=most * self._least * 2.0 ** (level + 1))
            there = self.towards(members[which], x[asked])
            nearer = other * spacing[asked] < distance[asked] * there
            asked = asked[nearer]
            distance[asked], spacing[asked], sparser[asked] = other[nearer], there[nearer], True
        return distance, spacing, sparser

    def reached(self, x: Tensor, radius: float, spacings: float) -> Tensor:
        """Which places [q, 3] have a point within radius + `spacings` times that point's spacing.

        Any point: the nearest may be dense and out of reach where a sparse one behind it is within its own.
        """
        most = float(self.across.max())
        distance, index = self.cloud.query(x, within=radius + spacings * most)
        found = distance <= radius + spacings * self.towards(index, x)
        for level in self._octaves.unique().tolist():
            asked = (~found).nonzero()[:, 0]
            if not len(asked):
                break
            members, alike = self._alike(level)
            other, which = alike.query(x[asked], within=radius + spacings * self._least * 2.0 ** (level + 1))
            found[asked] = other <= radius + spacings * self.towards(members[which], x[asked])
        return found

    @cached_property
    def _least(self) -> float:
        return float(self.across.min())

    @cached_property
    def _octaves(self) -> Tensor:
        """How many times [n] the least spacing doubles to that of each point, rounded down."""
        return (self.across / self._least).log2().long()

    def _alike(self, level: int) -> tuple[Tensor, Neighbours]:
        """The rows of the points of an octave, and these points."""
        if level not in self._known:
            members = (self._octaves == level).nonzero()[:, 0]
            self._known[level] = members, Neighbours(self.cloud.points[members])
        return self._known[level]


def _first(mask: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
    """The column [q, 1] of the first that holds in rows of a mask [q, k], and the distance [q] there, or infinity."""
    first = mask.long().argmax(1, keepdim=True)
    return first, distance.gather(1, first)[:, 0].masked_fill(~mask.any(1), math.inf)


def _nearer(line: Tensor, any_point: Tensor) -> Tensor:
    """How far the next line [q] is, where there is one: of the points of lines between, few may be known as such."""
    return torch.where(line.isfinite(), line.minimum(APART * any_point), line)
