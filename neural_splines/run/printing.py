"""A mesh that a printer takes, in the numbers of its file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ..cloud.metric import Metric
from ..errors import EmptySurfaceError, PrintError, said
from ..files.mesh_content import Content
from ..files.placing import placed
from ..normals.confidence import SURE_ENOUGH
from ..placement import Placement, Printing
from ..ranges import Axis
from ..surface.attributes import Attributes, carry
from ..surface.expand import is_about_borders, on_the_wall
from ..surface.lattice import Lattice
from ..surface.mesh import Mesh
from ..surface.printing import Plane, bottom, cut, made_printable, rims, triangulated
from ..surface.walls import closed_at_walls
from .whole import Reconstruction

AT_WALLS = (
    "the surface that closes the holes leaves the box around the points and was closed by its walls; give it room "
    "with a larger --margin, or cut it with --flat-bottom or --cut-plane"
)
UNSURE = (
    "the signs of its estimated normals are uncertain (confidence {:.2f}), and where they are wrong the surface that "
    "closes it goes astray: give a --sensor-position, or --inside for a room"
)


def printable(
    result: Reconstruction, asked: Printing, placement: Placement, up: Axis, confidence: float = 1.0
) -> Reconstruction:
    """The same with a mesh for printers, as `printed` makes it."""
    found = result.mesh.numpy()
    arrays = (found.vertices, found.normals, found.faces)
    mesh = Mesh(*(torch.from_numpy(part.copy()).to(result.kept.points.device) for part in arrays))
    mesh, lines = printed(mesh, result.kept.sampling.metric, result.lattice, asked, placement, up, confidence)
    return replace(result, mesh=mesh, warnings=[*(x for x in result.warnings if not is_about_borders(x)), *lines])


def printed(
    mesh: Mesh, metric: Metric, lattice: Lattice, asked: Printing, placement: Placement, up: Axis, confidence: float
) -> tuple[Mesh, list[str]]:
    """The mesh closed, oriented, manifold and without faces that meet, as `placement` brings it to a file, in float32;
    and what a user should read. Flat rims of what was scanned are closed by their planes, unless `asked` says which.

    metric: of the points. up: the direction that a flat bottom looks against. confidence: in the sides of normals that
    were estimated. PrintError where the mesh cannot be made so, EmptySurfaceError where a plane leaves nothing of it.
    """

    def to_file(vertices: np.ndarray) -> np.ndarray:
        return placed(Content(vertices, None, None), placement)[0].vertices

    planes = _planes(mesh, metric, asked, up)
    try:
        closed = closed_at_walls(mesh, lattice, triangulated)
        open_before, mesh = len(closed.faces) > len(mesh.faces), closed
        for plane in planes:
            mesh = cut(mesh, plane, lattice.voxel_size)
        at_walls = open_before and bool(on_the_wall(mesh.vertices, lattice).any())
        return made_printable(mesh, planes, lattice.voxel_size, to_file), [AT_WALLS] * at_walls
    except (EmptySurfaceError, PrintError) as error:
        if confidence >= SURE_ENOUGH:
            raise
        raise type(error)(f"{said(error)}; {UNSURE.format(confidence)}") from None


def carried(mesh: Mesh, values: Attributes, places: np.ndarray) -> Attributes:
    """What the vertices of a mesh have, at places [q, 3] of one that was made of it."""
    vertices = mesh.numpy().vertices

    def at_places(found: np.ndarray) -> np.ndarray:
        moved = carry(vertices, found.reshape(len(found), -1), places).reshape(len(places), *found.shape[1:])
        return (np.rint(moved) if found.dtype.kind in "iu" else moved).astype(found.dtype)

    colours = None if values.colours is None else at_places(values.colours)
    return replace(values, colours=colours, scalars={name: at_places(x) for name, x in values.scalars.items()})


def _planes(mesh: Mesh, metric: Metric, asked: Printing, up: Axis) -> list[Plane]:
    """Those that are asked for, else those of flat rims."""
    found = []
    if asked.cut_plane is not None:
        *normal, offset = asked.cut_plane
        length = float(np.linalg.norm(normal))
        found.append(Plane(torch.tensor(normal, dtype=torch.float64) / length, offset / length))
    if asked.flat_bottom:
        found.append(bottom(mesh, metric, torch.tensor(up, dtype=torch.float64)))
    return found or rims(mesh, metric)
