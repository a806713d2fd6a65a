"""The narrow band: the cubes that the surface passes, found without visiting the others.

Everything here is sorted ids and values, a few for every cube that the surface passes; what is made of
them on the way is made for a bounded number of cubes at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .devices import pieces, spread
from .lattice import CORNERS, EDGES, FACES, Cubes, Evaluate, Lattice, corner_points, is_crossing

COARSEST = 48  # cells along the longest side at the first level
GAMMA = 0.5  # a coarse cell is kept if min |f| <= GAMMA (max f - min f): a neighbour of every visible crossing too


def sample_band(
    evaluate: Evaluate,
    lattice: Lattice,
    points: Tensor,
    on_progress: Callable[[int, None], None] | None = None,
    devices: Sequence[torch.device] = (),
) -> Cubes:
    """The crossing cubes of the field, from coarse to fine and then along the surface.

    Coarse cells are kept where their corner values may hide a crossing, where the field is only partly
    defined, or where they contain input points [n, 3]; they are halved down to cells of two voxels. From
    the crossings of these cells' edges, and from all cubes of cells that may hide one, the surface is
    followed through the faces of crossing cubes until nothing new appears: a sheet that was found anywhere
    is found whole. Costs O(G^2) evaluations.

    Several devices share the lattice as slabs of about as many points each; where the surface leaves one,
    the next goes on. The field is evaluated at points on each of them.
    """
    devices = devices or (points.device,)
    home = devices[0]
    stride = 1 << max(0, math.ceil(math.log2(max(lattice.shape) / COARSEST)))
    axis = max(range(3), key=lambda k: lattice.shape[k])
    walls = _walls(lattice, points, stride, axis, len(devices))
    slabs = [
        _Slab(_Level(evaluate, lattice, stride, device), axis, first, last, on_progress)
        for device, first, last in zip(devices, walls[:-1], walls[1:], strict=True)
    ]
    leaving = spread(devices, lambda device, slab: slab.descend(points.to(device)), slabs)
    while sum(map(len, leaving)):
        entered = torch.cat([ids.to(home) for ids in leaving])
        leaving = spread(devices, lambda device, slab, ids=entered: slab.enter(ids.to(device)), slabs)
    ids, point_ids, values = (
        torch.cat([part.to(home) for part in parts]) for parts in zip(*(slab.result() for slab in slabs), strict=True)
    )
    if len(slabs) > 1:
        ids = ids.sort().values
        point_ids, order = point_ids.sort(stable=True)
        fresh = torch.ones_like(order, dtype=torch.bool)  # neighbouring slabs share a layer of points
        fresh[1:] = point_ids[1:] != point_ids[:-1]
        point_ids, values = point_ids[fresh], values[order[fresh]]
    return Cubes(lattice, ids, point_ids, values, sum(slab.evaluations for slab in slabs))


def _walls(lattice: Lattice, points: Tensor, stride: int, axis: int, parts: int) -> list[int]:
    """Indices of cubes, multiples of the stride, that part the lattice into slabs of about as many points each."""
    position = lattice.coordinates(points)[:, axis].sort().values
    inner = [round(float(position[len(position) * k // parts]) / stride) * stride for k in range(1, parts)]
    end = lattice.shape[axis] - 1
    return [0, *(min(max(wall, 0), end) for wall in inner), end]


class _Slab:
    """The cubes with first <= index < last along an axis: from coarse to fine, and along the surface."""

    def __init__(self, level: _Level, axis: int, first: int, last: int, on_progress: Callable | None):
        self.level, self.axis, self.first, self.last = level, axis, first, last
        self.on_progress = on_progress or (lambda done, total: None)
        self.evaluations = 0
        self.visited = self.found = level.ids

    def descend(self, points: Tensor) -> Tensor:
        """Find where the surface is in this slab and follow it; returns the cubes where it goes on outside."""
        level = self.level
        cells = self._inside(level, level.all_cells())[0]
        while level.stride > 1:
            level.sample(corner_points(level.grid, cells))
            finer = _Level(level.evaluate, level.lattice, level.stride // 2, points.device)
            halved = _halved if level.stride > 2 else _seeds
            occupied = level.cells_of(points)
            cells = torch.unique(torch.cat([halved(level, finer, part, occupied) for part in pieces(cells)]))
            self._count(level)
            level = finer
        self.level = level
        inside, outside = self._inside(level, cells)
        return torch.cat([outside, self._follow(inside)])

    def enter(self, cubes: Tensor) -> Tensor:
        """Follow the surface from those of some cubes that lie inside and are new; returns as `descend`."""
        cubes = torch.unique(self._inside(self.level, cubes)[0])
        return self._follow(cubes[~_member(cubes, self.visited)])

    def result(self) -> tuple[Tensor, Tensor, Tensor]:
        """The crossing cubes, and ids and values of their corners."""
        points = corner_points(self.level.grid, self.found)
        return self.found, points, self.level.at(points)

    def _follow(self, fresh: Tensor) -> Tensor:
        leaving = [fresh[:0]]
        while len(fresh):
            self.visited = _merged(self.visited, fresh)[1]
            self.level.sample(corner_points(self.level.grid, fresh))
            crossing, entered = _crossing(self.level, fresh)
            self.found = _merged(self.found, crossing)[1]
            self._count(self.level)
            fresh, outside = self._inside(self.level, entered)
            fresh = fresh[~_member(fresh, self.visited)]
            leaving.append(outside)
        return torch.cat(leaving)

    def _inside(self, level: _Level, cells: Tensor) -> tuple[Tensor, Tensor]:
        index = level.grid.indices(cells)[:, self.axis] * level.stride
        inside = (index >= self.first) & (index < self.last)
        return cells[inside], cells[~inside]

    def _count(self, level: _Level) -> None:
        self.evaluations, level.evaluations = self.evaluations + level.evaluations, 0
        self.on_progress(self.evaluations, None)


class _Level:
    """The lattice points at every stride-th index along each axis, a grid with ids of its own; values at some."""

    def __init__(self, evaluate: Evaluate, lattice: Lattice, stride: int, device: torch.device):
        self.evaluate, self.lattice, self.stride = evaluate, lattice, stride
        # the last cells may stick out of the lattice
        self.grid = Lattice(lattice.origin, lattice.voxel_size, tuple(-(-(n - 1) // stride) + 1 for n in lattice.shape))
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
        return torch.unique(self.grid.ids(index.clamp_min(0).minimum(self.last)))

    def sample(self, ids: Tensor) -> None:
        """Evaluate the field at those of the points [p], sorted and distinct, where it is not known yet."""
        missing = ids[~_member(ids, self.ids)]
        if len(missing):
            index = map(self.grid.indices, pieces(missing))
            self.add(missing, torch.cat([self.evaluate(self.lattice.positions(i * self.stride)) for i in index]))
            self.evaluations += len(missing)

    def add(self, ids: Tensor, values: Tensor) -> None:
        """Take in values at points that are not known yet, sorted and distinct."""
        old, self.ids = _merged(self.ids, ids)
        self.values = torch.empty_like(self.ids, dtype=values.dtype).masked_scatter_(old, self.values)
        self.values.masked_scatter_(~old, values)

    def at(self, ids: Tensor) -> Tensor:
        return self.values[torch.searchsorted(self.ids, ids)]

    def corners(self, cells: Tensor) -> Tensor:
        """The values [c, 8] at the corners of cells [c]."""
        return self.at(cells[:, None] + self.grid.ids(CORNERS.to(cells.device)))

    def cubes(self, index: Tensor) -> Tensor:
        """The ids of those cells, given by indices [c, 3], that exist."""
        return self.grid.ids(index[((index >= 0) & (index <= self.last)).all(1)])


def _halved(level: _Level, finer: _Level, cells: Tensor, occupied: Tensor) -> Tensor:
    """The cells of the finer level in those of `cells` that may be crossed."""
    keep = _may_cross(level.corners(cells)) | _member(cells, occupied)
    return finer.cubes((2 * level.grid.indices(cells[keep])[:, None] + CORNERS.to(cells.device)).reshape(-1, 3))


def _seeds(level: _Level, finer: _Level, cells: Tensor, occupied: Tensor) -> Tensor:
    """Cubes to follow the surface from, out of `cells` of two voxels.

    Where a cell is crossed, those around the crossings of its edges will do: a value in the middle of such
    an edge tells which half is crossed. Of cells that are occupied, or crossed but partly undefined, all eight.
    """
    corners = level.corners(cells)
    crossing = is_crossing(corners)
    both_signs = (corners < 0).any(1) & (corners >= 0).any(1)
    hides = ~crossing & (both_signs | _member(cells, occupied))
    offsets = CORNERS.to(cells.device)
    index = 2 * level.grid.indices(cells)
    found = [finer.cubes((index[hides][:, None] + offsets).reshape(-1, 3))]
    index, inside = index[crossing], corners[crossing] < 0
    ends, axes = torch.tensor(EDGES, device=cells.device), torch.eye(3, dtype=torch.int64, device=cells.device)
    cell, edge = (inside[:, ends[:, 0]] != inside[:, ends[:, 1]]).nonzero(as_tuple=True)
    start, along = index[cell] + 2 * offsets[ends[edge, 0]], axes[edge // 4]
    exists = (start + along <= finer.last + 1).all(1)
    start, along, low = start[exists], along[exists], inside[cell, ends[edge, 0]][exists]
    middle = finer.grid.ids(start + along)
    finer.sample(torch.unique(middle))
    start += along * ((finer.at(middle) < 0) == low)[:, None]  # the upper half
    for corner in offsets:  # twice the same where the corner lies along the edge
        found.append(finer.cubes(start - corner * (1 - along)))
    return torch.cat(found)


def _crossing(level: _Level, fresh: Tensor) -> tuple[Tensor, Tensor]:
    """Those of some cubes that the surface passes, and the cubes that it enters from them, sorted."""
    found, entered = [], []
    outwards = torch.cat([-torch.eye(3), torch.eye(3)]).reshape(2, 3, 3).transpose(0, 1).reshape(6, 3).long()
    outwards = outwards.to(fresh.device)
    for cubes in pieces(fresh):
        corners = level.corners(cubes)
        crossing = is_crossing(corners)
        cubes, inside = cubes[crossing], corners[crossing] < 0
        found.append(cubes)
        index = level.grid.indices(cubes)
        faces = inside[:, torch.tensor(FACES, device=inside.device)]
        cube, face = (faces.any(2) & ~faces.all(2)).nonzero(as_tuple=True)
        entered.append(level.cubes(index[cube] + outwards[face]))
    return torch.cat(found), torch.unique(torch.cat(entered))


def _may_cross(corners: Tensor) -> Tensor:
    """Where a field that varies about linearly may cross zero, or is defined at some corners alone."""
    undefined = corners.isnan()
    low, high = corners.nan_to_num(nan=math.inf).amin(-1), corners.nan_to_num(nan=-math.inf).amax(-1)
    near = corners.abs().nan_to_num(nan=math.inf).amin(-1) <= GAMMA * (high - low)
    partly = undefined.any(-1) & ~undefined.all(-1)
    return near | ((low < 0) & (high >= 0)) | partly


def _member(ids: Tensor, sorted_set: Tensor) -> Tensor:
    if not len(sorted_set):
        return torch.zeros_like(ids, dtype=torch.bool)
    place = torch.searchsorted(sorted_set, ids).clamp_max_(len(sorted_set) - 1)
    return sorted_set[place] == ids


def _merged(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Where the first of two disjoint sorted sets went in their union, as a mask, and the union, sorted."""
    first = torch.ones(len(one) + len(other), dtype=torch.bool, device=one.device)
    first[torch.searchsorted(one, other) + torch.arange(len(other), device=one.device)] = False
    union = one.new_empty(len(first)).masked_scatter_(first, one)
    return first, union.masked_scatter_(~first, other)
