"""What the scripts do with their arguments, from reading to writing; each returns the lines to print."""

from __future__ import annotations

import warnings
from argparse import Namespace

from .console import ProgressMonitor
from .errors import ReconstructionWarning
from .settings import Settings


def reconstruct(args: Namespace, settings: Settings) -> str:
    """Read, reconstruct, write, report."""
    from . import outputs
    from .files import load_point_cloud
    from .reconstruct import reconstruct

    outputs.output_paths(args.out, args.save_grid, args.save_points)
    monitor = ProgressMonitor()
    monitor.phase("read")
    cloud, cleaning = load_point_cloud(args.input_point_cloud)
    if cleaning.kept < cleaning.read:
        warnings.warn(f"{cleaning.summary()}; check how the cloud was made", ReconstructionWarning, stacklevel=2)
    result = reconstruct(cloud, settings, monitor)
    monitor.phase("write")
    outputs.save(result, args.out, args.save_grid, args.save_points)
    monitor.phase("")
    for line in result.warnings:
        warnings.warn(line, ReconstructionWarning, stacklevel=2)
    seed = f"seed:     {settings.seed}\n" if args.seed is None else ""
    return seed + outputs.summary(result, args.out, cleaning.summary())


def trim(args: Namespace) -> str:
    """Read a cloud and a mesh, trim, write, report."""
    from . import files, outputs
    from .lattice import Lattice
    from .meshing import Mesh, face_average_normals
    from .trimming import trim

    settings = Settings(
        eps=None, num_nystrom_samples=None, grid_size=args.grid_size, scale=args.scale, trim=args.distance
    )
    outputs.output_paths(args.out, grid=False, points=False)
    cloud, _ = files.load_point_cloud(args.input_point_cloud)
    vertices, faces = files.load_mesh(args.mesh)
    lattice = Lattice.covering(cloud.box.scaled(settings.scale), settings.grid_size)
    mesh = Mesh(vertices, vertices, faces)
    mesh = trim(
        Mesh(vertices, face_average_normals(mesh), faces),
        cloud.points,
        args.distance * (1.0 if args.use_abs_units else lattice.voxel_diagonal),
    )
    files.save_mesh(args.out, mesh.vertices, mesh.normals, mesh.faces, voxel_size=lattice.voxel_size)
    return f"{len(faces)} faces, {len(mesh.faces)} kept -> {args.out}"
