"""Estimate the normals of a point cloud and write it, cleaned and oriented, as PLY."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from . import arguments
from .console import exit_policy, tell


def parse_arguments(argv: Sequence[str] | None, prog: str) -> Namespace:
    p = arguments.parser(prog, __doc__)
    p.add_argument("input_point_cloud", metavar="INPUT_POINT_CLOUD", help="PLY, OBJ or OFF file of points")
    p.add_argument("out", metavar="OUT", help="PLY file to write: x y z nx ny nz")
    arguments.add_normal_options(p, source="estimate")
    arguments.add_device(p)
    arguments.add_verbosity(p)
    return p.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str = "neural-splines normals") -> None:
    args = parse_arguments(argv, prog)
    with exit_policy(prog, args.verbose, args.strict) as monitor:
        sides = arguments.normal_settings_from(args)
        from . import steps  # not before: it imports torch

        steps.check_path(args.out, args.input_point_cloud)
        cloud, origin = steps.load(args.input_point_cloud, sides, monitor)
        monitor.phase("write")
        steps.save_cloud(args.out, cloud)
        monitor.phase("")
        lines = [f"points:   {origin.cleaning.summary()}", f"normals:  {origin.summary()} -> {args.out}"]
        tell("\n".join([*lines, f"seconds:  {monitor.summary()}"]))
