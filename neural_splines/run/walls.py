"""How meshes of blocks fit together: whose a face is, what vertices at walls are known by, where the surface leaves.

A face belongs to the cube at the lowest corner of the lattice edges that its vertices lie on, from whichever block it
is looked at. A vertex is known by the edge that it lies on, or the two between which trimming cut it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..surface.cubes import CORNERS, FACES, Cubes
from ..surface.lattice import Lattice
from ..surface.marching_cubes import Crossings
from ..surface.mesh import Mesh


def on_whole(lattice: Lattice, crossings: Crossings) -> Tensor:
    """The edges of vertices [v] as edges of the whole lattice."""
    window = crossings.lattice
    index = window.indices(crossings.edges // 3) + torch.tensor(window.start, device=crossings.edges.device)
    return 3 * lattice.ids(index) + crossings.edges % 3


def lowest(lattice: Lattice, mesh: Mesh) -> Tensor:
    """The lowest corners [v, 3] of the edges that vertices lie on or between."""
    assert mesh.ends is not None
    return lattice.indices(mesh.ends // 3).amin(1)


def on_walls(lattice: Lattice, window: Lattice, mesh: Mesh) -> Tensor:
    """Which vertices [v] may be on the mesh's border only because the window ends there, and the lattice does not."""
    low = lowest(lattice, mesh)
    start = torch.tensor(window.start, device=low.device)
    stop = start + torch.tensor(window.shape, device=low.device) - 1
    end = torch.tensor(lattice.shape, device=low.device) - 1
    return (((low <= start) & (start > 0)) | ((low >= stop - 1) & (stop < end))).any(1)


def leaving_cubes(lattice: Lattice, cubes: Cubes, first: Sequence[int], last: Sequence[int]) -> Tensor:
    """The cubes of the lattice just outside a block that the surface enters from it, and just outside its window:
    linear ids, sorted. The block has the cubes with first <= index < last.
    """
    window, device = cubes.lattice, cubes.ids.device
    start = torch.tensor(window.start, device=device)
    index = window.indices(cubes.ids) + start
    corners = cubes.values_at(cubes.ids[:, None] + window.ids(CORNERS.to(device))) < 0
    faces = corners[:, torch.tensor(FACES, device=device)]
    mixed = faces.any(2) & ~faces.all(2)
    end, found = torch.tensor(lattice.shape, device=device) - 2, [cubes.ids[:0]]
    block = torch.tensor(first, device=device), torch.tensor(last, device=device)
    for low, high in (block, (start, start + torch.tensor(window.shape, device=device) - 1)):
        inside = ((index >= low) & (index < high)).all(1)
        for axis in range(3):
            for side in (0, 1):
                at_wall = inside & (index[:, axis] == (high[axis] - 1 if side else low[axis]))
                out = index[at_wall & mixed[:, 2 * axis + side]]
                out[:, axis] += 1 if side else -1
                found.append(lattice.ids(out[((out >= 0) & (out <= end)).all(1)]))
    return torch.cat(found).unique()


def key_of(ends: Tensor) -> Tensor:
    """One number for the two ends [n, 2] of a vertex; products wrap."""
    one, other = ends.unbind(1)
    key = one * 0x1E3779B97F4A7C15
    key = (key ^ key >> 29) + other * 0x3F58476D1CE4E5B9
    return key ^ key >> 32
