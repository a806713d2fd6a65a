"""Room for a surface that closes holes, and so may leave the box around its points."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..components import components
from ..geometry import Box
from .band import sample_band
from .dense import Evaluate
from .lattice import Lattice
from .marching_cubes import marching_cubes

ROOM = 0.5  # of the longest side, on every side of the box: what does not end there is taken to go on for ever
COARSE = 64  # voxels along the longest side of that box: enough to see where the surface goes
ONE_FACE = "edges have one face"
SPARE = 1.5  # of these voxels, around it
ON_WALL = 1e-6  # voxels: rounding


def expanded_lattice(
    evaluate: Evaluate, lattice: Lattice, points: Tensor, devices: Sequence[torch.device] = ()
) -> Lattice:
    """The lattice, grown by whole voxels where the largest surface leaves its box and closes outside.

    The surface is looked for on a coarse lattice in a larger box; near points [n, 3] of it surely. The grown lattice
    has the points of the first, and more. Where the surface does not end in the larger box the lattice stays.
    """
    box = lattice.box
    room = ROOM * box.sides.max()
    coarse = Lattice.covering(Box(box.lower - room, box.upper + room), min(COARSE, max(lattice.shape)))
    mesh, _ = marching_cubes(sample_band(evaluate, coarse, points, devices=devices))
    if not len(mesh.faces):
        return lattice
    label = components(torch.cat([mesh.faces[:, :2], mesh.faces[:, 1:]]), len(mesh.vertices))
    largest = mesh.vertices[label == torch.bincount(label).argmax()].cpu()
    if on_the_wall(largest, coarse).any():
        return lattice
    if ((largest > box.lower) & (largest < box.upper)).all():
        return lattice
    spare = SPARE * coarse.voxel_size
    low, high = largest.amin(0) - spare, largest.amax(0) + spare
    before = ((box.lower - low) / lattice.voxel_size).ceil().clamp_min(0.0)
    after = ((high - box.upper) / lattice.voxel_size).ceil().clamp_min(0.0)
    return lattice.grown(before.long(), after.long())


def on_the_wall(vertices: Tensor, lattice: Lattice) -> Tensor:
    """Which of vertices [v, 3] lie on the outermost points of the lattice, where a surface is cut off."""
    at = lattice.coordinates(vertices)
    beyond = at - (torch.tensor(lattice.shape, device=at.device) - 1)  # float64: an int64 minus 1e-6 would be float32
    return ((at < ON_WALL) | (beyond > -ON_WALL)).any(-1)


def is_about_borders(line: str) -> bool:
    """Whether a line is one of `open_lines`."""
    return ONE_FACE in line


def open_lines(border: int, on_wall: int, filled: bool | float) -> list[str]:
    """One line where a surface is open though its holes were filled: all, or those of so many spacings.

    border: edges with one face. on_wall: vertices on the outermost points of the lattice.
    """
    if not border:
        return []
    if on_wall:
        return [
            "the surface that closes the holes leaves the box around the points and is cut off there, at "
            f"{on_wall} vertices; give it room with a larger --margin, or fill the small holes alone with "
            f"--fill-holes 5 ({border} {ONE_FACE})"
        ]
    if filled is True:
        return [f"holes are left: {border} {ONE_FACE}; keep what fills them with --trim none"]
    return [
        f"the surface ends where points end, and at holes of more than {filled:g} spacings: {border} {ONE_FACE}; "
        "--fill-holes without a number closes all"
    ]
