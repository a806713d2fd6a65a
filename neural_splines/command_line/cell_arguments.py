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
        "--overlap",
        type=float,
        default=d.overlap,
        help="fraction of their side by which neighbouring cells overlap" + shown,
    )
    cells.add_argument(
        "--weight-type",
        choices=WEIGHT_TYPES,
        default=d.weight_type,
        help="trilinear: smooth weights that sum to one (partition of unity); none: each voxel uses its own "
        "cell alone" + shown,
    )
    cells.add_argument(
        "--min-pts-per-cell",
        type=int,
        default=d.min_pts_per_cell,
        metavar="POINTS",
        help="cells with fewer points have no spline of their own; an adaptive cell then uses the spline of "
        "the larger cell around it" + shown,
    )
    cells.add_argument(
        "--points-per-cell",
        type=number_or(int, "a number", AUTO),
        default=d.points_per_cell,
        metavar="POINTS",
        help="split adaptive cells until each holds at most this many points; auto: 100 to 3200, chosen by "
        "held-out points, or 200 where --regularization is a number (default: auto)",
    )
    cells.add_argument(
        "--depth",
        choices=DEPTHS,
        default=d.depth,
        help="sizes of adaptive cells; even: one size; local: smaller or larger cells where held-out points "
        "show that they are better; auto: local for noisy points where --regularization is auto, else "
        "even (default: auto)",
    )
    cells.add_argument(
        "--fill-holes",
        nargs="?",
        type=float,
        const=True,
        default=False,
        metavar="SPACINGS",
        help="close the surface where there are no points: everywhere, or only holes whose middle is at most "
        "this many local point spacings from a point",
    )
    cells.add_argument(
        "--free-space",
        action="store_true",
        help="keep the surface out of space that is known to be empty: the line from each point to the sensor "
        "that saw it; sensor positions come from --sensor-position, E57, PTX, COLMAP, OpenMVS, or from "
        "columns vp_x vp_y vp_z",
    )
    cells.add_argument(
        "--envelope",
        type=path,
        default=None,
        metavar="MESH",
        help="closed mesh that the surface must stay inside of: PLY, OBJ, STL, 3MF or GLB",
    )
    add_regularization(cells, cells=True)
    cells.add_argument(
        "--offset-weight",
        type=number_or(float, "a number", AUTO),
        default=Settings.offset_weight,
        metavar="W",
        help="weight of the constraints off the surface; those on it have 1; auto: chosen together with the "
        "regularization where that is auto, else 1 (default: auto)",
    )
    cells.add_argument(
        "--robust-passes",
        type=number_or(int, "a number", AUTO),
        default=Settings.robust_passes,
        metavar="N",
        help="number of fits after the first in which points with large residuals get less weight; auto: "
        "chosen as --offset-weight is, else 0 (default: auto)",
    )
    cells.add_argument(
        "--gradient-length",
        type=number_or(float, "a number", AUTO),
        default=Settings.gradient_length,
        metavar="H",
        help="if positive, normals are constraints on the gradient of the field with this weight, in sides of "
        "a padded cell, and replace the constraints off the surface; auto: chosen as --offset-weight is, "
        "else 0 (default: auto)",
    )


def cell_settings_from(args: argparse.Namespace) -> CellSettings:
    found = {f.name: getattr(args, f.name) for f in fields(CellSettings)}
    found["fill_holes"] = args.fill_holes or (printing_from(args).asked and args.cells_per_axis != 1)
    return CellSettings(**found)
