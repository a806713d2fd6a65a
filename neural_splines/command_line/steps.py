"""What the commands do between parsing and printing, step by step."""

from __future__ import annotations

import os
from argparse import Namespace

import torch
from torch import Tensor

from .. import pipeline
from ..clouds import OrientedCloud, clean_points
from ..errors import OutputError, warn
from ..files import meshes
from ..files.arrays import save_arrays, save_grid
from ..files.atomic import check_writable, shown
from ..files.point_clouds import load_scanned_cloud, warn_of_steps
from ..geometry import Box
from ..normals.orient import Orientation, orient
from ..pipeline import Reconstruction
from ..runtime.monitor import PhaseTimer
from ..settings import NormalSettings, Settings
from ..surface.lattice import Lattice
from ..surface.mesh import Mesh, face_average_normals
from ..surface.trimming import trim as trim_mesh


def check_outputs(args: Namespace) -> None:
    """Refuse, before any work, a file that a run could not write or that would replace its input."""
    check_path(args.out, args.input_point_cloud)
    extra = [".grid.npy", ".grid.json"] if args.save_grid else []
    for suffix in [*extra, *([".pts.npz"] if args.save_points else [])]:
        check_writable(args.out + suffix)


def check_path(out: str, *inputs: str) -> None:
    """Refuse a mesh file of unknown format, one that cannot be written, and one that is an input."""
    meshes.check_format(out)
    check_writable(out)
    for path in inputs:
        if os.path.exists(out) and os.path.exists(path) and os.path.samefile(out, path):
            raise OutputError(f"{shown(out)}: is the input, which would be lost; choose another --out")


def load(path: str, sides: NormalSettings, monitor: PhaseTimer) -> tuple[OrientedCloud, Orientation]:
    """The cloud of a file with its normals, or with estimated ones, and what the user is warned of."""
    monitor.phase("read")
    scanned = load_scanned_cloud(path)
    found = orient(scanned.points, scanned.normals, scanned.viewpoints, sides, shown(path), monitor)
    if scanned.single:
        warn_of_steps(found.cloud, shown(path))
    for line in found.notes:
        warn(line)
    return found.cloud, found


def load_points(path: str, monitor: PhaseTimer) -> Tensor:
    """The points of a file, cleaned, whether they have normals or not."""
    monitor.phase("read")
    points, _, cleaning = clean_points(torch.from_numpy(load_scanned_cloud(path).points), shown(path))
    for line in cleaning.notes():
        warn(line)
    return points


def reconstruct(cloud: OrientedCloud, settings: Settings, monitor: PhaseTimer) -> Reconstruction:
    return pipeline.reconstruct(cloud, settings, monitor)


def save(result: Reconstruction, args: Namespace, monitor: PhaseTimer) -> None:
    """Write the mesh to `out`; the dense grid to {out}.grid.npy and .json; the constraints to {out}.pts.npz.

    The grid's value (i, j, k) lies at origin + (index + 0.5) * voxel_size, in world units as its values.
    """
    monitor.phase("write")
    lattice, out = result.lattice, args.out
    if args.save_grid:
        meaning = {"origin": lattice.origin, "voxel_size": lattice.voxel_size, "shape": list(lattice.shape)}
        save_grid(f"{out}.grid.npy", result.grid, f"{out}.grid.json", meaning)
    if args.save_points:
        fit = result.fit
        save_arrays(
            f"{out}.pts.npz",
            positions=fit.positions,
            values=fit.values,
            nystrom_samples=fit.field.world_centers(),
            eps=result.eps,
        )
    save_mesh(out, result.mesh, lattice.voxel_size)
    monitor.phase("")
    for line in result.warnings:
        warn(line)


def save_cloud(path: str, cloud: OrientedCloud) -> None:
    meshes.save_mesh(path, cloud.points, cloud.normals, None)


def save_mesh(path: str, mesh: Mesh, voxel_size: float | None = None) -> None:
    meshes.save_mesh(path, mesh.vertices, mesh.normals, mesh.faces, voxel_size=voxel_size)


def load_mesh(path: str) -> Mesh:
    """The mesh of a file, with normals that are means of its faces'."""
    vertices, faces = meshes.load_mesh(path)
    mesh = Mesh(vertices, vertices, faces)
    return Mesh(vertices, face_average_normals(mesh), faces)


def trim(mesh: Mesh, points: Tensor, settings: Settings, absolute: bool) -> Mesh:
    """The faces within `settings.trim` of the points: in voxel diagonals, or in their units where `absolute`."""
    lattice = Lattice.around(Box.around(points), settings.scale, settings.grid_size)
    return trim_mesh(mesh, points, float(settings.trim) * (1.0 if absolute else lattice.voxel_diagonal))


def summary(result: Reconstruction, origin: Orientation, args: Namespace, monitor: PhaseTimer) -> str:
    """The lines that a command prints at the end."""
    lattice, mesh = result.lattice, result.mesh
    nx, ny, nz = lattice.shape
    fitted = f", {len(result.cloud)} after downsampling" if "downsample" in result.seconds else ""
    share = result.evaluations / lattice.size
    lines = [f"seed:     {args.chosen_seed}"] if args.seed is None else []
    chosen = f"{result.fit.options()} {origin.options()}".strip()
    lines += [
        f"points:   {origin.cleaning.summary()}{fitted}",
        f"normals:  {origin.summary()}",
        f"fit:      {result.fit.summary()}, eps {result.eps:.6g} ({result.compute.summary})",
        *([f"choice:   repeat it with {chosen}"] if result.fit.chosen else []),
        f"lattice:  {nx} x {ny} x {nz}, voxel {lattice.voxel_size:.6g}, {result.evaluations} evaluations "
        f"({share:.1%} of the dense grid)",
        f"mesh:     {len(mesh.vertices)} vertices, {len(mesh.faces)} faces -> {args.out}",
        f"seconds:  {monitor.summary()}",
    ]
    return "\n".join(lines)
