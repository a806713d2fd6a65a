"""What the commands do between parsing and printing, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..cloud.clouds import NO_NORMALS, OrientedCloud, clean_points
from ..cloud.neighbours import Neighbours
from ..cloud.outliers import without_outliers
from ..errors import CloudError, warn
from ..files import meshes
from ..files.arrays import save_arrays, save_grid
from ..files.atomic import shown
from ..files.merging import chosen, counted, joined, some_within
from ..files.point_clouds import load_scanned_cloud, step_lines
from ..files.scans import ALL, ScannedCloud
from ..geometry import Box
from ..normals.orient import Orientation, orient
from ..placement import Placed
from ..ranges import Axis
from ..run.upright import looks_upright
from ..run.whole import Reconstruction
from ..runtime.monitor import PhaseTimer
from ..settings import AUTO, NormalSettings, Settings
from ..surface.attributes import Attributes
from ..surface.lattice import Lattice
from ..surface.mesh import Mesh, face_average_normals
from ..surface.trimming import trim as trim_mesh
from . import known
from .jobs import Job, together
from .paint import paint

if TYPE_CHECKING:
    from ..surface.texture import Texture


def load(
    paths: Sequence[str], sides: NormalSettings, monitor: PhaseTimer, attributes: Sequence[str] = (), columns: str = "",
    classes: Sequence[int] = (), bounds: Sequence[float] = (),
) -> tuple[ScannedCloud, Orientation]:  # fmt: skip
    """What files say together, and their cloud with these normals or estimated ones, of which the user is warned."""
    monitor.phase("read")
    names = [shown(path) for path in paths]
    several = sides.free_space and len(sides.sensor_positions) > 1 and len(paths) == 1
    read = (ALL,) if several else attributes
    inside = some_within(paths, lambda path: load_scanned_cloud(path, read, columns, classes, bounds))
    parts = list(inside.values())
    there, stations = chosen(names, paths, inside), chosen(sides.of_files, paths, inside)
    if several:
        parts = [known.by_ids(parts[0], sides, attributes, paths[0])]
    if sides.source == "file" and (
        without := [n for n, part in zip(there, parts, strict=True) if part.normals is None]
    ):
        raise CloudError(f"{without[0]}: {NO_NORMALS}")
    scanned, lines = joined(parts, there, () if several else stations, len(there) < len(names))
    scanned = replace(scanned, stations=parts[0].stations) if several else scanned
    scanned = replace(scanned, parts=counted(scanned.parts, names)) if len(there) < len(names) else scanned
    found = orient(scanned, sides, together(names), monitor)
    steps = step_lines(found.cloud.box, together(names)) if scanned.single else []
    for line in [*steps, *lines, *found.notes]:
        warn(line)
    return scanned, found


def load_points(
    path: str, settings: Settings, monitor: PhaseTimer, columns: str = "", classes: Sequence[int] = (),
    bounds: Sequence[float] = (),
) -> Tensor:  # fmt: skip
    """The points of a file as a reconstruction takes them: cleaned, whether they have normals or not, and without
    outliers where the settings say so.
    """
    monitor.phase("read")
    scanned = load_scanned_cloud(path, (), columns, classes, bounds)
    if settings.remove_outliers == "none" and scanned.normals is None:
        kept, _, cleaning = clean_points(torch.from_numpy(scanned.points), shown(path))
        points, notes = kept.points, cleaning.notes()
    else:
        found = orient(scanned, NormalSettings(), shown(path), monitor)
        cloud, line = without_outliers(found.cloud) if settings.remove_outliers == AUTO else (found.cloud, None)
        points, notes = cloud.points.cpu(), [*found.cleaning.notes(), *([line] if line else [])]
    for line in notes:
        warn(line)
    return points


def carry(
    scanned: ScannedCloud, origin: Orientation, result: Reconstruction, job: Job, monitor: PhaseTimer
) -> Attributes:
    """What the mesh carries of the points."""
    if scanned.colours is None and not scanned.scalars and not job.args.quality:
        return Attributes()
    monitor.phase("colour")
    return paint(scanned, origin.cloud, result, job.args.quality or ())


def save(
    result: Reconstruction, carried: Attributes, up: Axis, job: Job, monitor: PhaseTimer,
    texture: Texture | None = None,
) -> Placed:  # fmt: skip
    """Write the mesh, with its texture, to `out`; the dense grid to {out}.grid.npy and .json; the constraints to
    {out}.pts.npz.

    The grid's value (i, j, k) lies at origin + (index + 0.5) * voxel_size, in world units as its values.
    """
    monitor.phase("write")
    lattice, out = result.lattice, job.out
    if job.args.save_grid:
        meaning = {"origin": lattice.origin, "voxel_size": lattice.voxel_size, "shape": list(lattice.shape)}
        save_grid(f"{out}.grid.npy", result.grid, f"{out}.grid.json", meaning)
    if job.args.save_points:
        fit = result.fit
        save_arrays(
            f"{out}.pts.npz",
            positions=fit.positions,
            values=fit.values,
            nystrom_samples=fit.field.world_centers(),
            eps=result.eps,
        )
    mesh, scalars, pictures = result.mesh, carried.scalars, None
    if texture is not None:
        from ..run.texturing import as_map  # not before: Numba takes memory and a second

        pictures = as_map(texture)
    placed = meshes.save_mesh(
        out, mesh.vertices, mesh.normals, mesh.faces, colours=carried.colours, scalars=scalars,
        voxel_size=lattice.voxel_size, suffix=job.suffix, up=up, placement=job.placement, texture=pictures,
    )  # fmt: skip
    monitor.phase("")
    for line in result.warnings:
        warn(line)
    return placed


def save_cloud(path: str, cloud: OrientedCloud) -> None:
    meshes.save_mesh(path, cloud.points, cloud.normals, None)


def save_mesh(path: str, mesh: Mesh) -> None:
    up = looks_upright(mesh.vertices)
    meshes.save_mesh(path, mesh.vertices, mesh.normals, mesh.faces, up=up)


def load_mesh(path: str) -> Mesh:
    """The mesh of a file, with normals that are means of its faces'."""
    vertices, faces = meshes.load_mesh(path)
    mesh = Mesh(vertices, vertices, faces)
    return Mesh(vertices, face_average_normals(mesh), faces)


def trim(mesh: Mesh, points: Tensor, settings: Settings, absolute: bool) -> Mesh:
    """The faces within `settings.trim` of the points: in voxel diagonals, or in their units where `absolute`."""
    if absolute:
        return trim_mesh(mesh, Neighbours(points), float(settings.trim))
    lattice = Lattice.around(Box.around(points), settings.scale, int(settings.grid_size))
    return trim_mesh(mesh, Neighbours(points), float(settings.trim) * lattice.voxel_diagonal)
