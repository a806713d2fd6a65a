"""One level of the descent from coarse to fine: every stride-th lattice point, and values at some of them."""

from __future__ import annotations

import torch
from torch import Tensor

from ..runtime.arrays import distinct
from ..runtime.sorted_sets import places
from .cubes import CORNERS
from .dense import Evaluate
from .lattice import Grid, Lattice

EVALUATED_AT_ONCE = 1 << 20  # points: enough for many threads


class Level:
    """The lattice points at every stride-th index along each axis, a grid with ids of its own; values at some.

    What the level `coarser`, of twice the stride, knows is not evaluated again on a CPU.
    """

    def __init__(
        self, evaluate: Evaluate, lattice: Lattice, stride: int, device: torch.device, coarser: Level | None = None
    ):
        self.evaluate, self.lattice, self.stride, self.coarser = evaluate, lattice, stride, coarser
        # the last cells may stick out of the lattice
        nx, ny, nz = (-(-(n - 1) // stride) + 1 for n in lattice.shape)
        self.grid = Grid((nx, ny, nz))
        self.last = torch.tensor(self.grid.shape, device=device) - 2  # indices of the last cell
        self.ids = torch.empty(0, dtype=torch.int64, device=device)
        self.values = torch.empty(0, dtype=torch.float64, device=device)
        self.evaluations = 0

    def all_cells(self) -> Tensor:
        axes = (torch.arange(n - 1, device=self.ids.device) for n in self.grid.shape)
        return self.grid.ids(torch.cartesian_prod(*axes))

    def cells_of(self, points: Tensor) -> Tensor:
        """The cells with any of the points [n, 3], sorted."""
        index = (self.lattice.coordinates(points) / self.stride).floor().long()
        return distinct(self.grid.ids(index.clamp_min(0).minimum(self.last)))

    def sample(self, ids: Tensor) -> None:
        """Evaluate the field at those of the points [p], sorted and distinct, where it is not known yet."""
        self._take(ids)
        missing = ids[~member(ids, self.ids)]
        if len(missing):
            index = map(self.grid.indices, missing.split(EVALUATED_AT_ONCE))
            self.add(missing, torch.cat([self.evaluate(self.lattice.positions(i * self.stride)) for i in index]))
            self.evaluations += len(missing)

    def _take(self, ids: Tensor) -> None:
        """Take in values of the coarser level at those of the points that are not known here."""
        if self.coarser is None or ids.is_cuda:  # there they are evaluated sooner than found
            return
        index = self.grid.indices(ids)
        shared = (index % 2 == 0).all(1)
        ids, theirs = ids[shared], self.coarser.grid.ids(index[shared] // 2)
        new = member(theirs, self.coarser.ids) & ~member(ids, self.ids)
        self.add(ids[new], self.coarser.at(theirs[new]))

    def add(self, ids: Tensor, values: Tensor) -> None:
        """Take in values at points that are not known yet, sorted and distinct."""
        old, self.ids = merged(self.ids, ids)
        self.values = torch.empty_like(self.ids, dtype=values.dtype).masked_scatter_(old, self.values)
        self.values.masked_scatter_(~old, values)

    def at(self, ids: Tensor) -> Tensor:
        """The values at points that are known [q] or [q, k], sorted along the first axis."""
        return self.values[places(ids, self.ids)]

    def corners(self, cells: Tensor) -> Tensor:
        """The values [c, 8] at the corners of cells [c], sorted."""
        return self.at(cells[:, None] + self.grid.ids(CORNERS.to(cells.device)))

    def cubes(self, index: Tensor) -> Tensor:
        """The ids of those cells, given by indices [c, 3], that exist."""
        return self.grid.ids(index[((index >= 0) & (index <= self.last)).all(1)])


def member(ids: Tensor, sorted_set: Tensor) -> Tensor:
    """Which of some sorted ids are in a set."""
    if not len(sorted_set):
        return torch.zeros_like(ids, dtype=torch.bool)
    place = places(ids, sorted_set).clamp_max_(len(sorted_set) - 1)
    return sorted_set[place] == ids


def merged(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Where the first of two disjoint sorted sets went in their union, as a mask, and the union, sorted."""
    first = torch.ones(len(one) + len(other), dtype=torch.bool, device=one.device)
    first[places(other, one) + torch.arange(len(other), device=one.device)] = False
    union = one.new_empty(len(first)).masked_scatter_(first, one)
    return first, union.masked_scatter_(~first, other)
