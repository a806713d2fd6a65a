"""Estimate the normals of a point cloud and write it, cleaned and oriented."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from ..settings import CLOUD_FORMATS
from . import arguments, normal_arguments, outputs
from .console import exit_policy, tell
from .input_arguments import add_input_options


def parse_arguments(argv: Sequence[str] | None, prog: str) -> Namespace:
    p = arguments.parser(prog, __doc__)
    p.add_argument(
        "input_point_cloud", type=outputs.path, metavar="INPUT_POINT_CLOUD", help="PLY, OBJ or OFF file of points"
    )
    p.add_argument(
        "out", type=outputs.path, metavar="OUT", help="file to write, .ply, .obj or .off: points with normals"
    )
    add_input_options(p)
    normal_arguments.add_normal_options(p, source="estimate")
    arguments.add_device(p)
    outputs.add_verbosity(p)
    return p.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str = "neural-splines normals") -> None:
    args = parse_arguments(argv, prog)
    with exit_policy(prog, args.verbose, args.strict) as monitor:
        sides = normal_arguments.normal_settings_from(args)
        from ..files.atomic import shown
        from . import finished, jobs, steps  # not before: they import torch

        out = jobs.only_output(args.out, "OUT", args.input_point_cloud, formats=CLOUD_FORMATS)
        scanned, origin = steps.load([args.input_point_cloud], sides, monitor, (), args.columns, args.classes)
        monitor.phase("write")
        steps.save_cloud(out, origin.cloud)
        monitor.phase("")
        lines = [
            f"points:   {origin.cleaning.summary()}",
            *finished.sources(scanned.classes, scanned.parts),
            f"normals:  {origin.summary()} -> {shown(out)}",
        ]
        tell([*lines, f"seconds:  {monitor.summary()}"], out)
