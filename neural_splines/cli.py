"""Arguments that the scripts share, and the settings that they mean."""

from __future__ import annotations

import argparse
import time

from .settings import (
    ADAPTIVE_VARIANCE,
    BACKENDS,
    DTYPES,
    FILLED_MIN_COMPONENT,
    KERNELS,
    NYSTROM_MODES,
    SOLVERS,
    WEIGHT_TYPES,
    CellSettings,
    Settings,
)

AUTO = "auto"


def auto_or(kind, name: str):
    """An argument type: `kind`, or the word auto, which becomes None."""

    def parse(text: str):
        if text == AUTO:
            return None
        try:
            return kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {name} or {AUTO}, got {text!r}") from None

    return parse


def trim_distance(text: str):
    """An argument type: a number of voxel diagonals, auto, or none."""
    if text in (AUTO, "none"):
        return None if text == "none" else AUTO
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, {AUTO} or none, got {text!r}") from None


class Parser(argparse.ArgumentParser):
    """One line and exit code 2 for a wrong argument, like every other error."""

    def error(self, message: str):
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def parser(prog: str, description: str) -> Parser:
    return Parser(prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def add_cloud_arguments(p: argparse.ArgumentParser, centers: str) -> None:
    p.add_argument("input_point_cloud", metavar="INPUT_POINT_CLOUD", help="PLY file of points with normals")
    p.add_argument(
        "eps",
        metavar="EPS",
        type=auto_or(float, "a length"),
        help="finite-difference offset along the normals, in the units of the cloud; auto chooses it",
    )
    p.add_argument("num_nystrom_samples", metavar="NUM_NYSTROM_SAMPLES", type=auto_or(int, "a number"), help=centers)
    p.add_argument(
        "grid_size", metavar="GRID_SIZE", type=int, help="voxels along the longest side of the scaled bounding box"
    )


def add_shared_options(p: argparse.ArgumentParser) -> None:
    """The options of fit.py, all of which fit-grid.py takes too."""
    d, shown = Settings, " (default: %(default)s)"
    fit = p.add_argument_group("fit")
    fit.add_argument("--kernel", choices=KERNELS, default=d.kernel, help="kernel of the spline" + shown)
    fit.add_argument(
        "--outer-layer-variance",
        type=float,
        default=argparse.SUPPRESS,
        metavar="V",
        help="variance of the outer layer's weights in the neural-spline kernel "
        f"(default: {d.outer_layer_variance}; with adaptive cells {ADAPTIVE_VARIANCE})",
    )
    fit.add_argument(
        "--nystrom-mode", choices=NYSTROM_MODES, default=d.nystrom_mode, help="how centres are chosen" + shown
    )
    fit.add_argument(
        "--voxel-downsample-threshold",
        type=int,
        default=d.voxel_downsample_threshold,
        metavar="POINTS",
        help="above so many points, points and normals are averaged within voxels" + shown,
    )
    fit.add_argument(
        "--cg-max-iters", type=int, default=d.cg_max_iters, metavar="N", help="conjugate gradient iterations" + shown
    )
    fit.add_argument(
        "--cg-stop-thresh",
        type=float,
        default=d.cg_stop_thresh,
        metavar="R",
        help="stop at this residual relative to the right-hand side" + shown,
    )
    fit.add_argument("--seed", type=int, default=None, metavar="N", help="random seed (default: random, and printed)")

    surface = p.add_argument_group("surface")
    surface.add_argument(
        "--scale", type=float, default=d.scale, help="diameter of the box over that of the cloud's box" + shown
    )
    surface.add_argument("--dense", action="store_true", help="evaluate the whole grid, not only near the surface")
    surface.add_argument(
        "--no-refine-vertices",
        dest="refine_vertices",
        action="store_false",
        help="leave vertices where linear interpolation puts them, instead of on the exact zero set",
    )
    surface.add_argument(
        "--trim",
        type=trim_distance,
        default=argparse.SUPPRESS,
        metavar="VOXELS",
        help="drop faces farther from the input than so many voxel diagonals; auto: cut an open surface back to its "
        "data by the local spacing of the points; none: keep all (default: none; with adaptive cells auto)",
    )
    surface.add_argument(
        "--min-component",
        type=float,
        default=d.min_component,
        metavar="FRACTION",
        help="drop components with fewer faces than this fraction of the largest one's (default: %(default)s; with "
        f"--fill-holes {FILLED_MIN_COMPONENT})",
    )

    output = p.add_argument_group("output")
    output.add_argument("--out", default="recon.ply", metavar="FILE", help="mesh to write" + shown)
    output.add_argument(
        "--save-grid", action="store_true", help="evaluate the dense grid and write {out}.grid.npy, {out}.grid.json"
    )
    output.add_argument(
        "--save-points",
        action="store_true",
        help="write {out}.pts.npz: constraints, their values, the Nyström samples, eps",
    )
    output.add_argument("--verbose", action="store_true", help="log what happens in detail")
    output.add_argument(
        "--strict",
        action="store_true",
        help="exit with code 3, after writing, if there was any warning, such as a cell without a model",
    )

    where = p.add_argument_group("computation")
    where.add_argument(
        "--device",
        default=d.device,
        help="cpu; cuda: all GPUs; cuda:0 or cuda:0,cuda:2: these; auto: one GPU, or the CPU" + shown,
    )
    where.add_argument("--backend", choices=BACKENDS, default=d.backend, help="kernel products" + shown)
    where.add_argument(
        "--solver",
        choices=SOLVERS,
        default=d.solver,
        help="of one spline; falkon: the FalkonML library, installed by requirements/requirements-falkon.txt" + shown,
    )
    where.add_argument("--dtype", choices=DTYPES, default=d.dtype, help="floating-point type of the fit" + shown)


def add_cell_options(p: argparse.ArgumentParser) -> None:
    """What fit-grid.py alone takes."""
    d, shown = CellSettings, " (default: %(default)s)"
    p.add_argument(
        "cells_per_axis",
        metavar="CELLS_PER_AXIS",
        type=auto_or(int, "a number"),
        help="so many cells along each axis of the scaled box; auto: adaptive cells that follow the points",
    )
    cells = p.add_argument_group("cells")
    cells.add_argument(
        "--overlap", type=float, default=d.overlap, help="fraction of their side by which cells overlap" + shown
    )
    cells.add_argument(
        "--weight-type",
        choices=WEIGHT_TYPES,
        default=d.weight_type,
        help="trilinear: smooth partition of unity; none: each voxel belongs to its cell alone" + shown,
    )
    cells.add_argument(
        "--min-pts-per-cell",
        type=int,
        default=d.min_pts_per_cell,
        metavar="POINTS",
        help="leave out cells with fewer points" + shown,
    )
    cells.add_argument(
        "--points-per-cell",
        type=auto_or(int, "a number"),
        default=d.points_per_cell,
        metavar="POINTS",
        help="adaptive cells are split until they hold at most so many points; auto: 200, or 400 where held-out "
        "points of a noisy cloud ask for it (default: auto)",
    )
    cells.add_argument("--fill-holes", action="store_true", help="close the surface where there are no points")
    cells.add_argument(
        "--regularization",
        type=auto_or(float, "a number"),
        default=argparse.SUPPRESS,
        metavar="LAMBDA",
        help="weight of the ridge penalty; auto: chosen from held-out points, with the two options below "
        f"(default: {Settings.regularization:g}; with adaptive cells auto)",
    )
    cells.add_argument(
        "--offset-weight",
        type=float,
        default=None,
        metavar="W",
        help="weight of the constraints off the surface against 1 for those on it (default: 1)",
    )
    cells.add_argument(
        "--robust-passes",
        type=int,
        default=None,
        metavar="N",
        help="how often points are reweighted by their residuals (default: 0)",
    )


def settings_from(args: argparse.Namespace, cells: CellSettings | None = None) -> Settings:
    """The settings that the arguments ask for; adaptive cells have defaults of their own."""
    adaptive = cells is not None and cells.cells_per_axis is None
    return Settings(
        eps=args.eps,
        num_nystrom_samples=args.num_nystrom_samples,
        grid_size=args.grid_size,
        cells=cells,
        scale=args.scale,
        regularization=getattr(args, "regularization", None if adaptive else Settings.regularization),
        offset_weight=getattr(args, "offset_weight", None),
        robust_passes=getattr(args, "robust_passes", None),
        nystrom_mode=args.nystrom_mode,
        voxel_downsample_threshold=args.voxel_downsample_threshold,
        kernel=args.kernel,
        outer_layer_variance=getattr(
            args, "outer_layer_variance", ADAPTIVE_VARIANCE if adaptive else Settings.outer_layer_variance
        ),
        seed=time.time_ns() % 2**31 if args.seed is None else args.seed,
        cg_max_iters=args.cg_max_iters,
        cg_stop_thresh=args.cg_stop_thresh,
        solver=args.solver,
        dtype=args.dtype,
        device=args.device,
        backend=args.backend,
        dense=args.dense or args.save_grid,
        refine_vertices=args.refine_vertices,
        trim=getattr(args, "trim", AUTO if adaptive and not cells.fill_holes else None),
        min_component=args.min_component or (FILLED_MIN_COMPONENT if cells and cells.fill_holes else 0.0),
    )


def cell_settings_from(args: argparse.Namespace) -> CellSettings:
    return CellSettings(
        cells_per_axis=args.cells_per_axis,
        overlap=args.overlap,
        weight_type=args.weight_type,
        min_pts_per_cell=args.min_pts_per_cell,
        points_per_cell=args.points_per_cell,
        fill_holes=args.fill_holes,
    )
