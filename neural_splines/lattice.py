"""The voxel lattice and the cubes of it that the surface passes: all of them, or those of a narrow band."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .geometry import Box

MIN_VOXELS = 4  # a flat cloud still gets a lattice on both sides
DENSE_CHUNK = 1 << 20  # lattice points evaluated at a time
COARSEST = 48  # cells along the longest side at the band's first level
GAMMA = 0.5  # a coarse cell is kept if min |f| <= GAMMA (max f - min f): a neighbour of every visible crossing too

# Corner c of a cube is at offset (c & 1, c >> 1 & 1, c >> 2 & 1).
CORNERS = torch.tensor([[c & 1, c >> 1 & 1, c >> 2 & 1] for c in range(8)])


@dataclass(frozen=True)
class Lattice:
    """Value (i, j, k) lies at origin + (index + 0.5) * voxel_size; linear ids run with k fastest."""

    origin: Tensor  # [3], float64
    voxel_size: float
    shape: tuple[int, int, int]

    @classmethod
    def covering(cls, box: Box, grid_size: int) -> Lattice:
        """`grid_size` voxels along the longest side of the box, proportionally many along the others."""
        voxel_size = float(box.sides.max()) / grid_size
        counts = [max(MIN_VOXELS, math.ceil(side / voxel_size - 1e-6)) for side in box.sides.tolist()]
        origin = box.center - 0.5 * voxel_size * torch.tensor(counts, dtype=torch.float64)
        return cls(origin, voxel_size, tuple(counts))

    @property
    def voxel_diagonal(self) -> float:
        return math.sqrt(3.0) * self.voxel_size

    @property
    def box(self) -> Box:
        sides = self.voxel_size * torch.tensor(self.shape, dtype=torch.float64)
        return Box(self.origin, self.origin + sides)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def ids(self, index: Tensor) -> Tensor:
        return (index[..., 0] * self.shape[1] + index[..., 1]) * self.shape[2] + index[..., 2]

    def indices(self, ids: Tensor) -> Tensor:
        rest = ids // self.shape[2]
        return torch.stack([rest // self.shape[1], rest % self.shape[1], ids % self.shape[2]], dim=-1)

    def positions(self, index: Tensor) -> Tensor:
        return self.origin.to(index.device) + (index.double() + 0.5) * self.voxel_size

    def coordinates(self, points: Tensor) -> Tensor:
        """World points in units of the lattice: lattice point (i, j, k) has these coordinates."""
        return (points - self.origin.to(points.device)) / self.voxel_size - 0.5


@dataclass(frozen=True)
class Cubes:
    """Cubes of eight lattice points whose values are all defined and of both signs.

    ids: linear id of the lowest corner, sorted [c]. values [c, 8] in the order of CORNERS.
    evaluations: how many lattice points were evaluated to find them.
    """

    lattice: Lattice
    ids: Tensor
    values: Tensor
    evaluations: int

    def to(self, device: torch.device) -> Cubes:
        return replace(self, ids=self.ids.to(device), values=self.values.to(device))


Evaluate = Callable[[Tensor], Tensor]


def sample_dense(evaluate: Evaluate, lattice: Lattice, device: torch.device, on_progress=None) -> Tensor:
    """The field at every lattice point, [nx, ny, nz] in float64 on the CPU."""
    values = torch.empty(lattice.size, dtype=torch.float64)
    for start in range(0, lattice.size, DENSE_CHUNK):
        ids = torch.arange(start, min(start + DENSE_CHUNK, lattice.size), device=device)
        values[start : start + DENSE_CHUNK] = evaluate(lattice.positions(lattice.indices(ids))).cpu()
        if on_progress:
            on_progress(min(start + DENSE_CHUNK, lattice.size), lattice.size)
    return values.reshape(lattice.shape)


def crossing_cubes(values: Tensor, lattice: Lattice) -> Cubes:
    """The crossing cubes of a dense grid of values, found slab by slab."""
    found_ids, found_values = [], []
    slab = max(1, DENSE_CHUNK // (lattice.shape[1] * lattice.shape[2]))
    for start in range(0, lattice.shape[0] - 1, slab):
        block = values[start : start + slab + 1]
        nx, ny, nz = (s - 1 for s in block.shape)
        corners = torch.stack([block[i : i + nx, j : j + ny, k : k + nz] for i, j, k in CORNERS.tolist()], dim=-1)
        index = _crossing(corners).nonzero()
        found_values.append(corners[tuple(index.T)])
        index[:, 0] += start
        found_ids.append(lattice.ids(index))
    return Cubes(lattice, torch.cat(found_ids), torch.cat(found_values), lattice.size)


def sample_band(evaluate: Evaluate, lattice: Lattice, points: Tensor, on_progress=None) -> Cubes:
    """The crossing cubes of the field, from coarse to fine and then along the surface.

    Coarse cells are kept where their corner values may hide a crossing, where the field is only partly
    defined, or where they contain input points [n, 3]; they are halved down to single cubes. Last, the
    surface is followed through the faces of crossing cubes until nothing new appears, so a sheet that
    was found anywhere is found whole. Costs O(G^2) evaluations; nothing of size G^3 exists.
    """
    evaluations = 0
    device = points.device
    coordinates = lattice.coordinates(points)
    shape = torch.tensor(lattice.shape, device=device)
    stride = 1 << max(0, math.ceil(math.log2(max(lattice.shape) / COARSEST)))
    counts = [-(-(n - 1) // stride) for n in lattice.shape]
    cells = torch.cartesian_prod(*(torch.arange(n, device=device) for n in counts))

    while stride > 1:
        grid = Lattice(lattice.origin, lattice.voxel_size, tuple(-(-n // stride) + 1 for n in lattice.shape))
        ids, inverse = _corner_ids(grid, cells)
        values = evaluate(lattice.positions(grid.indices(ids) * stride))
        evaluations += len(ids)
        last = torch.tensor(grid.shape, device=device) - 2
        occupied = torch.unique(grid.ids((coordinates / stride).floor().long().clamp_min(0).minimum(last)))
        # Where cells of two voxels see no crossing, following the surface below finds the rest.
        hides = _may_cross(values[inverse], GAMMA) if stride > 2 else _crossing(values[inverse])
        keep = hides | _member(grid.ids(cells), occupied)
        cells = (2 * cells[keep][:, None, :] + CORNERS.to(device)).reshape(-1, 3)
        stride //= 2
        cells = cells[(cells * stride < shape - 1).all(1)]

    state = _Followed(evaluate, lattice, device)
    fresh = lattice.ids(cells)
    while len(fresh):
        fresh = state.visit(fresh)
        if on_progress:
            on_progress(state.evaluations, None)
    return state.cubes(evaluations)


class _Followed:
    """Cubes visited so far, with the values at their corners; grows along the surface."""

    def __init__(self, evaluate: Evaluate, lattice: Lattice, device: torch.device):
        self.evaluate, self.lattice = evaluate, lattice
        self.visited = torch.empty(0, dtype=torch.int64, device=device)
        self.point_ids = torch.empty(0, dtype=torch.int64, device=device)
        self.point_values = torch.empty(0, dtype=torch.float64, device=device)
        self.found: list[tuple[Tensor, Tensor]] = []
        self.evaluations = 0

    def visit(self, fresh: Tensor) -> Tensor:
        """Evaluate the corners of the cubes `fresh`; return the unvisited neighbours that the surface enters."""
        self.visited = torch.cat([self.visited, fresh]).sort().values
        index = self.lattice.indices(fresh)
        corner_ids, inverse = _corner_ids(self.lattice, index)
        values = self._values(corner_ids)[inverse]
        crossing = _crossing(values)
        self.found.append((fresh[crossing], values[crossing]))
        index, inside = index[crossing], values[crossing] < 0
        neighbours = []
        upper = torch.tensor(self.lattice.shape, device=index.device) - 2
        for axis in range(3):
            for side in (0, 1):
                face = [c for c in range(8) if (c >> axis & 1) == side]
                mixed = inside[:, face].any(1) & ~inside[:, face].all(1)
                step = index[mixed].clone()
                step[:, axis] += 2 * side - 1
                neighbours.append(step[(step[:, axis] >= 0) & (step[:, axis] <= upper[axis])])
        ids = torch.unique(self.lattice.ids(torch.cat(neighbours)))
        return ids[~_member(ids, self.visited)]

    def _values(self, ids: Tensor) -> Tensor:
        known = _member(ids, self.point_ids)
        missing = ids[~known]
        if len(missing):
            values = self.evaluate(self.lattice.positions(self.lattice.indices(missing)))
            self.evaluations += len(missing)
            self.point_ids, order = torch.cat([self.point_ids, missing]).sort()
            self.point_values = torch.cat([self.point_values, values])[order]
        return self.point_values[torch.searchsorted(self.point_ids, ids)]

    def cubes(self, evaluations: int) -> Cubes:
        ids, values = (torch.cat(parts) for parts in zip(*self.found, strict=True))
        ids, order = ids.sort()
        return Cubes(self.lattice, ids, values[order], evaluations + self.evaluations)


def _crossing(corners: Tensor) -> Tensor:
    inside = corners < 0
    return inside.any(-1) & ~inside.all(-1) & ~corners.isnan().any(-1)


def _may_cross(corners: Tensor, gamma: float) -> Tensor:
    """Where a field that varies about linearly may cross zero, or is defined at some corners alone."""
    undefined = corners.isnan()
    low, high = corners.nan_to_num(nan=math.inf).amin(-1), corners.nan_to_num(nan=-math.inf).amax(-1)
    near = corners.abs().nan_to_num(nan=math.inf).amin(-1) <= gamma * (high - low)
    partly = undefined.any(-1) & ~undefined.all(-1)
    return near | ((low < 0) & (high >= 0)) | partly


def _corner_ids(lattice: Lattice, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Distinct ids of the corners of cells [c, 3], and where each of the [c, 8] corners is among them."""
    ids = lattice.ids(cells[:, None, :] + CORNERS.to(cells.device))
    return torch.unique(ids, return_inverse=True)


def _member(ids: Tensor, sorted_set: Tensor) -> Tensor:
    if not len(sorted_set):
        return torch.zeros_like(ids, dtype=torch.bool)
    place = torch.searchsorted(sorted_set, ids).clamp_max(len(sorted_set) - 1)
    return sorted_set[place] == ids
