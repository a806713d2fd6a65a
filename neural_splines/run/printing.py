"""A reconstruction whose mesh a printer takes, in the numbers of its file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ..files.mesh_content import Content
from ..files.placing import placed
from ..placement import Placement, Printing
from ..ranges import Axis
from ..surface.expand import is_about_borders
from ..surface.mesh import Mesh
from ..surface.printing import Plane, bottom, closed_at_walls, cut, made_printable, rims
from .whole import Reconstruction

AT_WALLS = (
    "the surface that closes the holes leaves the box around the points and was closed by its walls; give it room "
    "with a larger --margin, or cut it with --flat-bottom or --cut-plane"
)


def printable(result: Reconstruction, asked: Printing, placement: Placement, up: Axis) -> Reconstruction:
    """The same with a mesh that is closed, oriented, manifold and without faces that meet: as `placement` brings it to
    a file, in float32. Flat rims of what was scanned are closed by their planes, unless `asked` says which.

    up: the direction that a flat bottom looks against. PrintError where the mesh cannot be made so.
    """
    device, lattice = result.kept.points.device, result.lattice
    found = result.mesh.numpy()
    arrays = (found.vertices, found.normals, found.faces)
    mesh = Mesh(*(torch.from_numpy(part.copy()).to(device) for part in arrays))
    planes = _planes(result, mesh, asked, up)
    for plane in planes:
        mesh = cut(mesh, plane, lattice.voxel_size)
    mesh, at_walls = closed_at_walls(mesh, lattice)

    def to_file(vertices: np.ndarray) -> np.ndarray:
        return placed(Content(vertices, None, None), placement)[0].vertices

    mesh = made_printable(mesh, planes, lattice.voxel_size, to_file)
    warnings = [line for line in result.warnings if not is_about_borders(line)]
    return replace(result, mesh=mesh, warnings=[*warnings, *[AT_WALLS] * at_walls])


def _planes(result: Reconstruction, mesh: Mesh, asked: Printing, up: Axis) -> list[Plane]:
    """Those that are asked for, else those of flat rims."""
    metric, found = result.kept.sampling.metric, []
    if asked.cut_plane is not None:
        *normal, offset = asked.cut_plane
        length = float(np.linalg.norm(normal))
        found.append(Plane(torch.tensor(normal, dtype=torch.float64) / length, offset / length))
    if asked.flat_bottom:
        found.append(bottom(mesh, metric, torch.tensor(up, dtype=torch.float64)))
    return found or rims(mesh, metric)
