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
    DTYPES,
    KERNELS,
    NYSTROM_MODES,
    OUTER_LAYER_VARIANCE,
    OUTLIER_MODES,
    REGULARIZATION,
    SOLVERS,
    CellSettings,
    Settings,
)
from .input_arguments import add_input_options
from .outputs import add_output_options, path
from .parsing import number_or
from .terrain_arguments import add_terrain_options


def add_cloud_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "input_point_cloud",
        type=path,
        metavar="INPUT_POINT_CLOUD",
        nargs="+",
        help="file of points; -: standard input; several files or folders with --out-dir or --merge",
    )


def add_sizes(p: argparse._ActionsContainer, centers: str, *, cells: bool, named: bool = False) -> None:
    """EPS, NUM_NYSTROM_SAMPLES, GRID_SIZE and, with `cells`, CELLS_PER_AXIS: in this order, or `named` as options that
    are auto where they are not given.
    """
    eps = number_or(float, "a length", AUTO), "finite-difference offset along the normals, in the units of the cloud"
    count = number_or(int, "a number", AUTO)
    grid = "voxels along the longest side of the scaled bounding box; auto: voxels 1.6 times smaller than the typical "
    split = "this many cells along each axis of the scaled box; auto: adaptive cells that follow the points"
    sizes = {
        "eps": (eps[0], f"{eps[1]}; auto: half the diagonal of a voxel"),
        "num_nystrom_samples": (count, centers),
        "grid_size": (count, f"{grid}gap between points, 128 at least"),
        **({"cells_per_axis": (count, split)} if cells else {}),
    }
    for name, (kind, said) in sizes.items():
        if named:
            option = "--" + name.replace("_", "-")
            p.add_argument(option, type=kind, default=AUTO, metavar=name.upper(), help=f"{said} (default: {AUTO})")
        else:
            p.add_argument(name, type=kind, metavar=name.upper(), help=said)


def add_shared_options(p: argparse.ArgumentParser) -> None:
    """The options of fit.py, all of which fit-grid.py takes too."""
    d, shown = Settings, " (default: %(default)s)"
    add_input_options(p, merge=True)
    fit = p.add_argument_group("fit")
    fit.add_argument("--kernel", choices=KERNELS, default=d.kernel, help="kernel function of the spline" + shown)
    fit.add_argument(
        "--outer-layer-variance",
        type=float,
        default=DEPENDS,
        metavar="V",
        help="variance of the outer layer's weights in the neural-spline kernel "
        f"(default: {OUTER_LAYER_VARIANCE}; with adaptive cells {ADAPTIVE_VARIANCE})",
    )
    fit.add_argument(
        "--nystrom-mode",
        choices=NYSTROM_MODES,
        default=d.nystrom_mode,
        help="how the Nyström centres are chosen" + shown,
    )
    fit.add_argument(
        "--voxel-downsample-threshold",
        type=int,
        default=d.voxel_downsample_threshold,
        metavar="POINTS",
        help="with more points than this, average points and normals within each voxel" + shown,
    )
    fit.add_argument(
        "--remove-outliers",
        choices=OUTLIER_MODES,
        default=DEPENDS,
        help="auto: ignore stray points, which are sparse or in small clumps and do not lie on the surface of "
        "the points around them; their number is printed (default: none; with adaptive cells auto)",
    )
    fit.add_argument(
        "--cg-max-iters",
        type=int,
        default=d.cg_max_iters,
        metavar="N",
        help="most iterations of conjugate gradients" + shown,
    )
    fit.add_argument(
        "--cg-stop-thresh",
        type=float,
        default=d.cg_stop_thresh,
        metavar="R",
        help="stop when the residual, relative to the right-hand side, is below this" + shown,
    )
    fit.add_argument("--seed", type=int, default=None, metavar="N", help="random seed (default: random, and printed)")

    surface = p.add_argument_group("surface")
    surface.add_argument(
        "--margin",
        "--scale",
        dest="scale",
        type=float,
        default=d.scale,
        help="size of the box that is searched for the surface: its longest side divided by the longest side "
        "of the box of the points; the margin is the same on all sides; this does not scale the mesh, "
        "--size does" + shown,
    )
    surface.add_argument(
        "--dense", action="store_true", help="evaluate the field on the whole grid, not only near the surface"
    )
    surface.add_argument(
        "--no-refine-vertices",
        dest="refine_vertices",
        action="store_false",
        help="keep vertices where linear interpolation puts them, instead of moving them onto the zero set of "
        "the field",
    )
    surface.add_argument(
        "--sharp-edges",
        action="store_true",
        help="keep creases and corners sharp, for machined parts and buildings: fit each side separately where "
        "that predicts held-out points better, and place vertices where sides meet",
    )
    surface.add_argument(
        "--trim",
        type=number_or(float, "a number", AUTO, "none"),
        default=DEPENDS,
        metavar="VOXELS",
        help="drop faces farther from the points than this many voxel diagonals; auto: end the surface where "
        "the points end, by their local spacing; none: keep all (default: none; with adaptive cells auto)",
    )
    surface.add_argument(
        "--min-component",
        type=number_or(float, "a number", AUTO),
        default=DEPENDS,
        metavar="FRACTION",
        help="drop connected components with fewer faces than this fraction of the largest; auto: drop pieces "
        "that float, and pieces below 1 %% of the largest that few points support (default: auto with "
        "adaptive cells or --fill-holes, else 0)",
    )

    surface.add_argument(
        "--faces",
        type=int,
        default=None,
        metavar="N",
        help="reduce the mesh to at most this many faces by collapsing edges; borders and handles stay; the "
        "error is measured and printed",
    )
    surface.add_argument(
        "--max-error",
        type=float,
        default=None,
        metavar="DISTANCE",
        help="reduce the mesh to as few faces as stay within this distance of the surface, in the units of the cloud",
    )

    add_output_options(p)
    add_terrain_options(p)

    where = p.add_argument_group("computation")
    add_device(where)
    where.add_argument(
        "--backend", choices=BACKENDS, default=d.backend, help="library that multiplies with the kernel matrix" + shown
    )
    where.add_argument(
        "--solver",
        choices=SOLVERS,
        default=d.solver,
        help="solver of one spline; falkon: the FalkonML library, installed by "
        "requirements/requirements-falkon.txt" + shown,
    )
    where.add_argument("--dtype", choices=DTYPES, default=d.dtype, help="floating-point type of the fit" + shown)


def add_device(p: argparse._ActionsContainer) -> None:
    p.add_argument(
        "--device",
        default=Settings.device,
        help="cpu; cuda: all GPUs; cuda:0 or cuda:0,cuda:2: these GPUs; auto: one GPU where there is one, else "
        "the CPU (default: %(default)s)",
    )


def add_regularization(p: argparse._ActionsContainer, *, cells: bool) -> None:
    p.add_argument(
        "--regularization",
        type=number_or(float, "a number", AUTO),
        default=DEPENDS,
        metavar="LAMBDA",
        help="weight of the ridge penalty, larger is smoother; auto: chosen with held-out points"
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
