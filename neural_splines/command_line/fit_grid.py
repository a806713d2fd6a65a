"""Reconstruct a triangle mesh from an oriented point cloud with a smooth blend of many local neural splines."""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Sequence

from ..runtime import imports
from . import arguments, cell_arguments, normal_arguments, parsing, scenes
from .console import exit_policy

CENTERS = "largest number of Nyström centres of a cell; negative: every tripled point; auto: 300"


def parse_arguments(argv: Sequence[str] | None, prog: str) -> Namespace:
    p = parsing.parser(prog, __doc__)
    arguments.add_cloud_arguments(p)
    arguments.add_sizes(p, CENTERS, cells=True)
    add_options(p)
    return parsing.parse(p, argv)


def add_options(p: argparse.ArgumentParser) -> None:
    """All options of a run with cells."""
    cell_arguments.add_cell_options(p)
    normal_arguments.add_normal_options(p)
    arguments.add_shared_options(p)
    scenes.add_scene_options(p)


def main(argv: Sequence[str] | None = None, prog: str = "fit-grid.py") -> None:
    run(parse_arguments(argv, prog), prog)


def run(args: Namespace, prog: str) -> None:
    """Make the meshes that the arguments ask for, and say what was done."""
    with exit_policy(prog, args.verbose, args.strict, args.quiet, args.report is not None) as monitor:
        settings = arguments.settings_from(args, cells=cell_arguments.cell_settings_from(args))
        sides = normal_arguments.normal_settings_from(args)
        shares = scenes.scene_settings_from(args)
        with imports.uncollected():
            from . import runs  # not before: it imports torch

        runs.run_jobs(args, settings, sides, shares, prog, monitor)
