"""Arguments that the scripts share, and the settings that they mean."""

from __future__ import annotations

import argparse
import time
from dataclasses import fields

from ..settings import (
    ADAPTIVE_VARIANCE,
    AUTO,
    BACKENDS,
    DEPENDS,
    DEPTHS,
    DTYPES,
    KERNELS,
    NYSTROM_MODES,
    OUTER_LAYER_VARIANCE,
    OUTLIER_MODES,
    REGULARIZATION,
    SOLVERS,
    WEIGHT_TYPES,
    CellSettings,
    Settings,
)
from .input_arguments import add_input_options
from .outputs import add_output_options, path, printing_from
from .parsing import number_or
from .terrain_arguments import add_terrain_options


def add_cloud_arguments(p: argparse.ArgumentParser, centers: str) -> None:
    p.add_argument(
        "input_point_cloud",
        type=path,
        metavar="INPUT_POINT_CLOUD",
        nargs="+",
        help="file of points; -: standard input; several files or folders with --out-dir or --merge",
    )
    p.add_argument(
        "eps",
        metavar="EPS",
        type=number_or(float, "a length", AUTO),
        help="finite-difference offset along the normals, in the units of the cloud; auto chooses it",
    )
    p.add_argument(
        "num_nystrom_samples", metavar="NUM_NYSTROM_SAMPLES", type=number_or(int, "a number", AUTO), help=centers
    )
    p.add_argument(
        "grid_size",
        metavar="GRID_SIZE",
        type=number_or(int, "a number", AUTO),
        help="voxels along the longest side of the scaled bounding box; auto: 1.6 for the median spacing of the "
        "points, 128 at least",
    )


def add_shared_options(p: argparse.ArgumentParser) -> None:
    """The options of fit.py, all of which fit-grid.py takes too."""
    d, shown = Settings, " (default: %(default)s)"
    add_input_options(p, merge=True)
    fit = p.add_argument_group("fit")
    fit.add_argument("--kernel", choices=KERNELS, default=d.kernel, help="kernel of the spline" + shown)
    fit.add_argument(
        "--outer-layer-variance",
        type=float,
        default=DEPENDS,
        metavar="V",
        help="variance of the outer layer's weights in the neural-spline kernel "
        f"(default: {OUTER_LAYER_VARIANCE}; with adaptive cells {ADAPTIVE_VARIANCE})",
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
        "--remove-outliers",
        choices=OUTLIER_MODES,
        default=DEPENDS,
        help="auto: leave out points that are sparse, or in small clumps, and at odds with those around them, and say "
        "how many (default: none; with adaptive cells auto)",
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
        "--margin",
        "--scale",
        dest="scale",
        type=float,
        default=d.scale,
        help="longest side of the box in which the surface is looked for, over that of the cloud's box, with the same "
        "margin on all sides; --size scales the mesh, this does not" + shown,
    )
    surface.add_argument("--dense", action="store_true", help="evaluate the whole grid, not only near the surface")
    surface.add_argument(
        "--no-refine-vertices",
        dest="refine_vertices",
        action="store_false",
        help="leave vertices where linear interpolation puts them, instead of on the exact zero set",
    )
    surface.add_argument(
        "--sharp-edges",
        action="store_true",
        help="keep creases and corners sharp, as of machined parts and buildings: fit each side by itself where that "
        "predicts held-out points better, and place vertices where sides meet",
    )
    surface.add_argument(
        "--trim",
        type=number_or(float, "a number", AUTO, "none"),
        default=DEPENDS,
        metavar="VOXELS",
        help="drop faces farther from the input than so many voxel diagonals; auto: cut an open surface back to its "
        "data by the local spacing of the points; none: keep all (default: none; with adaptive cells auto)",
    )
    surface.add_argument(
        "--min-component",
        type=number_or(float, "a number", AUTO),
        default=DEPENDS,
        metavar="FRACTION",
        help="drop components with fewer faces than this fraction of the largest one's; auto: those that float, and "
        "below 1 %% of it those that few points support (default: auto with adaptive cells or --fill-holes, else 0)",
    )

    surface.add_argument(
        "--faces",
        type=int,
        default=None,
        metavar="N",
        help="at most so many faces: edges are collapsed, borders and handles stay, and the error is measured",
    )
    surface.add_argument(
        "--max-error",
        type=float,
        default=None,
        metavar="DISTANCE",
        help="as few faces as keep within this distance of the surface, in the units of the cloud",
    )

    add_output_options(p)
    add_terrain_options(p)

    where = p.add_argument_group("computation")
    add_device(where)
    where.add_argument("--backend", choices=BACKENDS, default=d.backend, help="kernel products" + shown)
    where.add_argument(
        "--solver",
        choices=SOLVERS,
        default=d.solver,
        help="of one spline; falkon: the FalkonML library, installed by requirements/requirements-falkon.txt" + shown,
    )
    where.add_argument("--dtype", choices=DTYPES, default=d.dtype, help="floating-point type of the fit" + shown)


def add_device(p: argparse._ActionsContainer) -> None:
    p.add_argument(
        "--device",
        default=Settings.device,
        help="cpu; cuda: all GPUs; cuda:0 or cuda:0,cuda:2: these; auto: one GPU, or the CPU (default: %(default)s)",
    )


def add_cell_options(p: argparse.ArgumentParser) -> None:
    """What fit-grid.py alone takes."""
    d, shown = CellSettings, " (default: %(default)s)"
    p.add_argument(
        "cells_per_axis",
        metavar="CELLS_PER_AXIS",
        type=number_or(int, "a number", AUTO),
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
        help="cells with fewer points have no spline of their own; adaptive ones have that of a larger cell" + shown,
    )
    cells.add_argument(
        "--points-per-cell",
        type=number_or(int, "a number", AUTO),
        default=d.points_per_cell,
        metavar="POINTS",
        help="adaptive cells are split until they hold at most so many points; auto: 100 to 3200, as "
        "held-out points choose; 200 with a --regularization of yours (default: auto)",
    )
    cells.add_argument(
        "--depth",
        choices=DEPTHS,
        default=d.depth,
        help="of adaptive cells; local: smaller or larger ones where held-out points ask for them; even: one size; "
        "auto: local with a --regularization that is chosen for noisy points (default: auto)",
    )
    cells.add_argument(
        "--fill-holes",
        nargs="?",
        type=float,
        const=True,
        default=False,
        metavar="SPACINGS",
        help="close the surface where there are no points: all of it, or holes whose middle is at most so many local "
        "spacings of the points from one",
    )
    cells.add_argument(
        "--free-space",
        action="store_true",
        help="keep the surface out of what is known to be empty: the segments to points from where they were seen, as "
        "--sensor-position says, or E57, PTX, COLMAP and columns vp_x vp_y vp_z",
    )
    cells.add_argument(
        "--envelope",
        type=path,
        default=None,
        metavar="MESH",
        help="no surface outside of this closed mesh: PLY, OBJ, STL or 3MF",
    )
    add_regularization(cells, cells=True)
    cells.add_argument(
        "--offset-weight",
        type=number_or(float, "a number", AUTO),
        default=Settings.offset_weight,
        metavar="W",
        help="weight of the constraints off the surface against 1 for those on it; auto: chosen with the "
        "regularization where that is auto, else 1 (default: auto)",
    )
    cells.add_argument(
        "--robust-passes",
        type=number_or(int, "a number", AUTO),
        default=Settings.robust_passes,
        metavar="N",
        help="how often points are reweighted by their residuals; auto: as --offset-weight, else 0 (default: auto)",
    )
    cells.add_argument(
        "--gradient-length",
        type=number_or(float, "a number", AUTO),
        default=Settings.gradient_length,
        metavar="H",
        help="where positive, normals enter as slopes of the function with this weight, in sides of a padded cell, in "
        "the place of constraints off the surface; auto: as --offset-weight, else 0 (default: auto)",
    )


def add_regularization(p: argparse._ActionsContainer, *, cells: bool) -> None:
    p.add_argument(
        "--regularization",
        type=number_or(float, "a number", AUTO),
        default=DEPENDS,
        metavar="LAMBDA",
        help="weight of the ridge penalty; auto: chosen from held-out points"
        + (", with the options below" if cells else "")
        + f" (default: {REGULARIZATION:g}"
        + ("; with adaptive cells auto)" if cells else ")"),
    )


def settings_from(args: argparse.Namespace, cells: CellSettings | None) -> Settings:
    """The settings that the arguments ask for; a seed that is not given is drawn and kept in `args.chosen_seed`."""
    args.chosen_seed = time.time_ns() % 2**31 if args.seed is None else args.seed
    names = [f.name for f in fields(Settings) if hasattr(args, f.name) and f.name not in ("seed", "dense")]
    return Settings(
        cells=cells,
        seed=args.chosen_seed,
        dense=args.dense or args.save_grid,
        **{name: getattr(args, name) for name in names},
    )


def cell_settings_from(args: argparse.Namespace) -> CellSettings:
    found = {f.name: getattr(args, f.name) for f in fields(CellSettings)}
    found["fill_holes"] = args.fill_holes or (printing_from(args).asked and args.cells_per_axis != 1)
    return CellSettings(**found)
