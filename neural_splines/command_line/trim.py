"""Drop the faces of a mesh that lie far from the point cloud it was made from."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from ..errors import SettingsError
from ..runtime import imports
from ..settings import AUTO, OUTLIER_MODES, Settings
from . import parsing
from .console import exit_policy, tell
from .input_arguments import add_input_options
from .outputs import path


def parse_arguments(argv: Sequence[str] | None, prog: str) -> Namespace:
    p = parsing.parser(prog, __doc__)
    p.add_argument("input_point_cloud", type=path, metavar="INPUT_POINT_CLOUD", help="PLY, OBJ or OFF file of points")
    p.add_argument("mesh", type=path, metavar="MESH", help="PLY, OBJ or STL file of the mesh to trim")
    p.add_argument(
        "grid_size",
        metavar="GRID_SIZE",
        nargs="?",
        type=int,
        default=None,
        help="grid size that the mesh was made with; not with --use-abs-units",
    )
    p.add_argument(
        "distance", metavar="DISTANCE", type=float, help="drop faces farther from the input, in voxel diagonals"
    )
    p.add_argument(
        "--out", type=path, default="trimmed.ply", metavar="FILE", help="mesh to write (default: %(default)s)"
    )
    p.add_argument(
        "--margin",
        "--scale",
        dest="scale",
        type=float,
        default=Settings.scale,
        help="margin that the mesh was made with (default: %(default)s)",
    )
    p.add_argument(
        "--remove-outliers",
        choices=OUTLIER_MODES,
        default=None,
        help="as the mesh was made with; auto estimates normals where there are none (default: auto, as with "
        "adaptive cells; none with absolute units)",
    )
    add_input_options(p)
    p.add_argument("--use-abs-units", action="store_true", help="DISTANCE is in the units of the cloud")
    return parsing.parse(p, argv)


def trim_settings_from(args: Namespace) -> Settings:
    """The settings that matter to trimming."""
    if args.use_abs_units and args.grid_size is not None:
        raise SettingsError("GRID_SIZE has no effect with --use-abs-units; drop one of them")
    if args.use_abs_units:
        return Settings(scale=args.scale, trim=args.distance, remove_outliers=args.remove_outliers or "none")
    if args.grid_size is None:
        raise SettingsError("DISTANCE is in voxel diagonals: give GRID_SIZE before it, or --use-abs-units")
    remove = args.remove_outliers or AUTO
    return Settings(grid_size=args.grid_size, scale=args.scale, trim=args.distance, remove_outliers=remove)


def main(argv: Sequence[str] | None = None, prog: str = "trim-surface.py") -> None:
    args = parse_arguments(argv, prog)
    with exit_policy(prog, verbose=False) as monitor:
        settings = trim_settings_from(args)
        with imports.uncollected():
            from ..files.atomic import shown
            from . import jobs, steps  # not before: they import torch

        out = jobs.only_output(args.out, "--out", args.input_point_cloud, args.mesh)
        points = steps.load_points(args.input_point_cloud, settings, monitor, args.columns, args.classes, args.bounds)
        mesh = steps.load_mesh(args.mesh)
        trimmed = steps.trim(mesh, points, settings, args.use_abs_units)
        steps.save_mesh(out, trimmed)
        tell([f"{len(mesh.faces)} faces, {len(trimmed.faces)} kept -> {shown(out)}"], out)
