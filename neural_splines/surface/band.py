"""The narrow band: the cubes that the surface passes, found without visiting the others.

Everything here is sorted ids and values, a few for every cube that the surface passes; what is made of
them on the way is made for a bounded number of cubes at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from ..runtime.arrays import distinct
from ..runtime.devices import map_in_halves, map_on_devices, pieces
from ..runtime.monitor import Monitor, Silent
from .cubes import CORNERS, EDGES, FACES, Cubes, corner_points, is_crossing
from .dense import Evaluate
from .lattice import Lattice
from .levels import Level, member, merged

COARSEST = 48  # cells along the longest side at the first level
GAMMA = 0.5  # a coarse cell is kept if min |f| <= GAMMA (max f - min f): a neighbour of every visible crossing too
# Which of places [q, 3] have something within a radius around them that makes the surface there worth looking for.
Wanted = Callable[[Tensor, float], Tensor]


def sample_band(
    evaluate: Evaluate,
    lattice: Lattice,
    points: Tensor,
    monitor: Monitor | None = None,
    devices: Sequence[torch.device] = (),
    wanted: Wanted | None = None,
) -> Cubes:
    """The crossing cubes of the field, from coarse to fine and then along the surface.

    Coarse cells are kept where their corner values may hide a crossing, where the field is only partly
    defined, or where they contain input points [n, 3]; they are halved down to cells of two voxels. From
    the crossings of these cells' edges, and from all cubes of cells that may hide one, the surface is
    followed through the faces of crossing cubes until nothing new appears: a sheet that was found anywhere
    is found whole. Costs O(G^2) evaluations.

    Several devices share the lattice as slabs of about as many points each; where the surface leaves one,
    the next goes on. The field is evaluated at points on each of them. Coarse cells without a
    place where the surface is wanted are left out, all of them: it ends there.
    """
    devices = devices or (points.device,)
    home = devices[0]
    stride = 1 << max(0, math.ceil(math.log2(max(lattice.shape) / COARSEST)))
    axis = max(range(3), key=lambda k: lattice.shape[k])
    walls = _walls(lattice, points, stride, axis, len(devices))
    slabs = [
        _Slab(Level(evaluate, lattice, stride, device), axis, (first, last), wanted, home, monitor or Silent())
        for device, first, last in zip(devices, walls[:-1], walls[1:], strict=True)
    ]
    leaving = map_on_devices(devices, lambda device, slab: slab.descend(points.to(device)), slabs)
    while sum(map(len, leaving)):
        entered = torch.cat([ids.to(home) for ids in leaving])
        leaving = map_on_devices(devices, partial(_enter, entered), slabs)
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


class _Near:
    """Which cells of the coarsest level have a place where the surface is wanted: `home` is asked once about each."""

    def __init__(self, level: Level, wanted: Wanted, home: torch.device):
        self.level, self.wanted, self.home = level, wanted, home
        self.known, self.mask = torch.zeros(2, level.grid.size, dtype=torch.bool, device=level.ids.device)

    def __call__(self, cells: Tensor) -> Tensor:
        """A mask of some cells."""
        new = distinct(cells[~self.known[cells]])
        if len(new):
            lattice, stride = self.level.lattice, self.level.stride
            middle = lattice.positions((self.level.grid.indices(new) + 0.5) * stride).to(self.home)
            self.mask[new] = self.wanted(middle, 0.5 * stride * lattice.voxel_diagonal).to(new.device)
            self.known[new] = True
        return self.mask[cells]


def _enter(cubes: Tensor, device: torch.device, slab: _Slab) -> Tensor:
    return slab.enter(cubes.to(device))


def _walls(lattice: Lattice, points: Tensor, stride: int, axis: int, parts: int) -> list[int]:
    """Indices of cubes, multiples of the stride, that part the lattice into slabs of about as many points each."""
    position = lattice.coordinates(points)[:, axis].sort().values
    inner = [round(float(position[len(position) * k // parts]) / stride) * stride for k in range(1, parts)]
    end = lattice.shape[axis] - 1
    return [0, *(min(max(wall, 0), end) for wall in inner), end]


class _Slab:
    """The cubes with first <= index < last along an axis: from coarse to fine, and along the surface."""

    def __init__(
        self, level: Level, axis: int, walls: tuple[int, int], wanted: Wanted | None, home: torch.device,
        monitor: Monitor,
    ):  # fmt: skip
        self.level, self.axis, (self.first, self.last), self.monitor = level, axis, walls, monitor
        self.coarse, self.near = level, _Near(level, wanted, home) if wanted else None
        self.evaluations = 0
        self.visited = self.found = level.ids

    def descend(self, points: Tensor) -> Tensor:
        """Find where the surface is in this slab and follow it; returns the cubes where it goes on outside."""
        level = self.level
        cells = level.all_cells()
        cells = cells[self._own(level.grid.indices(cells) * level.stride)]
        while level.stride > 1:
            level.sample(corner_points(level.grid, cells))
            finer = Level(level.evaluate, level.lattice, level.stride // 2, points.device, level)
            level.coarser = None  # of no use any more
            find = _halved if level.stride > 2 else _seeds
            cells = find(level, finer, cells, level.cells_of(points))
            if level is self.coarse:
                cells = self._wanted(finer, cells)  # not before: most are left out by their values
            self._count(level)
            level = finer
        self.level = level
        inside, outside = self._inside(level, cells)
        return torch.cat([outside, self._follow(inside)])

    def enter(self, cubes: Tensor) -> Tensor:
        """Follow the surface from those of some cubes that lie inside and are new; returns as `descend`."""
        cubes = distinct(self._inside(self.level, cubes)[0])
        return self._follow(cubes[~member(cubes, self.visited)])

    def result(self) -> tuple[Tensor, Tensor, Tensor]:
        """The crossing cubes, and ids and values of their corners."""
        points = corner_points(self.level.grid, self.found)
        return self.found, points, self.level.at(points)

    def _follow(self, fresh: Tensor) -> Tensor:
        leaving = [fresh[:0]]
        while len(fresh):
            self.visited = merged(self.visited, fresh)[1]
            self.level.sample(corner_points(self.level.grid, fresh))
            crossing, entered = _crossing(self.level, fresh)
            self.found = merged(self.found, crossing)[1]
            self._count(self.level)
            fresh, outside = self._inside(self.level, entered)
            fresh = fresh[~member(fresh, self.visited)]
            leaving.append(outside)
        return torch.cat(leaving)

    def _inside(self, level: Level, cells: Tensor) -> tuple[Tensor, Tensor]:
        """The cells where the surface is wanted, in this slab and outside."""
        cells = self._wanted(level, cells)
        inside = self._own(level.grid.indices(cells) * level.stride)
        return cells[inside], cells[~inside]

    def _wanted(self, level: Level, cells: Tensor) -> Tensor:
        """The cells where the surface is wanted."""
        if self.near is None:
            return cells
        index = level.grid.indices(cells) * level.stride // self.coarse.stride
        return cells[self.near(self.coarse.grid.ids(index))]

    def _own(self, index: Tensor) -> Tensor:
        """Which of the cells with these first indices [n, 3] of the lattice are in this slab."""
        along = index[:, self.axis]
        return (along >= self.first) & (along < self.last)

    def _count(self, level: Level) -> None:
        self.evaluations, level.evaluations = self.evaluations + level.evaluations, 0
        self.monitor.progress(self.evaluations, None)


def _halved(level: Level, finer: Level, cells: Tensor, occupied: Tensor) -> Tensor:
    """The cells of the finer level in those of `cells` that may be crossed."""

    def halved(part: Tensor) -> Tensor:
        keep = _may_cross(level.corners(part)) | member(part, occupied)
        return _children(level, finer, part[keep])

    return distinct(torch.cat(map_in_halves(halved, pieces(cells))))


def _children(level: Level, finer: Level, cells: Tensor) -> Tensor:
    """The eight cells of the finer level in each of `cells`, as far as they exist."""
    return finer.cubes((2 * level.grid.indices(cells)[:, None] + CORNERS.to(cells.device)).reshape(-1, 3))


def _seeds(level: Level, finer: Level, cells: Tensor, occupied: Tensor) -> Tensor:
    """Cubes to follow the surface from, out of `cells` of two voxels.

    Where a cell is crossed, those around the crossings of its edges will do: a value in the middle of such
    an edge tells which half is crossed. Of cells that are occupied, or crossed but partly undefined, all eight.
    """

    def look(part: Tensor) -> tuple[Tensor, ...]:
        corners = level.corners(part)
        crossing, inside = is_crossing(corners), corners < 0
        hides = ~crossing & (inside.any(1) & (corners >= 0).any(1) | member(part, occupied))
        middles = _middles(level, finer, part[crossing], inside[crossing])
        return _children(level, finer, part[hides]), *middles

    hidden, *middles = (torch.cat(parts) for parts in zip(*map_in_halves(look, pieces(cells)), strict=True))
    found = [hidden]
    for middle, axis in zip(middles, torch.eye(3, dtype=torch.int64, device=cells.device), strict=True):
        middle = distinct(middle)
        finer.sample(middle)
        for part in pieces(middle):
            start = finer.grid.indices(part)
            low = level.at(level.grid.ids((start - axis) // 2)) < 0
            start -= axis * ((finer.at(part) < 0) != low)[:, None]  # the lower half, where that is crossed
            found += [
                finer.cubes(start - corner) for corner in CORNERS.to(cells.device) if not bool((corner & axis).any())
            ]
    return distinct(torch.cat(found))


def _middles(level: Level, finer: Level, cells: Tensor, inside: Tensor) -> list[Tensor]:
    """The points of the finer level in the middle of those edges of cells whose ends are not both `inside` [c, 8], by
    the edges' axis.
    """
    index, offsets, found = 2 * level.grid.indices(cells), CORNERS.to(cells.device), []
    for first in range(0, len(EDGES), 4):
        ends = torch.tensor(EDGES[first : first + 4], device=cells.device)
        cell, edge = (inside[:, ends[:, 0]] != inside[:, ends[:, 1]]).nonzero(as_tuple=True)
        middle = index[cell] + offsets[ends[edge]].sum(1)
        found.append(distinct(finer.grid.ids(middle[(middle <= finer.last + 1).all(1)])))
    return found


def _crossing(level: Level, fresh: Tensor) -> tuple[Tensor, Tensor]:
    """Those of some cubes that the surface passes, and the cubes that it enters from them, sorted."""
    outwards = torch.cat([-torch.eye(3), torch.eye(3)]).reshape(2, 3, 3).transpose(0, 1).reshape(6, 3).long()
    outwards = outwards.to(fresh.device)

    def look(cubes: Tensor) -> tuple[Tensor, Tensor]:
        corners = level.corners(cubes)
        crossing = is_crossing(corners)
        cubes, inside = cubes[crossing], corners[crossing] < 0
        index = level.grid.indices(cubes)
        faces = inside[:, torch.tensor(FACES, device=inside.device)]
        cube, face = (faces.any(2) & ~faces.all(2)).nonzero(as_tuple=True)
        return cubes, distinct(level.cubes(index[cube] + outwards[face]))

    found, entered = zip(*map_in_halves(look, pieces(fresh)), strict=True)
    return torch.cat(found), distinct(torch.cat(entered))


def _may_cross(corners: Tensor) -> Tensor:
    """Where a field that varies about linearly may cross zero, or is defined at some corners alone."""
    undefined = corners.isnan()
    low, high = corners.nan_to_num(nan=math.inf).amin(-1), corners.nan_to_num(nan=-math.inf).amax(-1)
    near = corners.abs().nan_to_num(nan=math.inf).amin(-1) <= GAMMA * (high - low)
    partly = undefined.any(-1) & ~undefined.all(-1)
    return near | ((low < 0) & (high >= 0)) | partly
