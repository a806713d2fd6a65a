"""Arguments of the splines of cells, and the settings that they mean."""

from __future__ import annotations

import argparse
from dataclasses import fields

from ..settings import AUTO, DEPTHS, WEIGHT_TYPES, CellSettings, Settings
from .arguments import add_regularization
from .outputs import path, printing_from
from .parsing import number_or


def add_cell_options(p: argparse.ArgumentParser) -> None:
    """What fit-grid.py and reconstruct take, and fit.py does not."""
    d, shown = CellSettings, " (default: %(default)s)"
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


def cell_settings_from(args: argparse.Namespace) -> CellSettings:
    found = {f.name: getattr(args, f.name) for f in fields(CellSettings)}
    found["fill_holes"] = args.fill_holes or (printing_from(args).asked and args.cells_per_axis != 1)
    return CellSettings(**found)
