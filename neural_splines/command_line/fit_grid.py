"""Reconstruct a triangle mesh from an oriented point cloud with a smooth blend of many local neural splines."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from ..runtime import imports
from . import arguments, normal_arguments, parsing, scenes
from .console import exit_policy


def parse_arguments(argv: Sequence[str] | None, prog: str) -> Namespace:
    p = parsing.parser(prog, __doc__)
    arguments.add_cloud_arguments(
        p, centers="the most Nystrom centres of a cell; negative: every tripled point; auto: 300"
    )
    arguments.add_cell_options(p)
    normal_arguments.add_normal_options(p)
    arguments.add_shared_options(p)
    scenes.add_scene_options(p)
    return parsing.parse(p, argv)


def main(argv: Sequence[str] | None = None, prog: str = "fit-grid.py") -> None:
    args = parse_arguments(argv, prog)
    with exit_policy(prog, args.verbose, args.strict, args.quiet, args.report is not None) as monitor:
        settings = arguments.settings_from(args, cells=arguments.cell_settings_from(args))
        sides = normal_arguments.normal_settings_from(args)
        shares = scenes.scene_settings_from(args)
        with imports.uncollected():
            from . import runs  # not before: it imports torch

        runs.run_jobs(args, settings, sides, shares, prog, monitor)
