"""Reconstruct a triangle mesh from an oriented point cloud with one neural spline."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from ..runtime import imports
from ..settings import SceneSettings
from . import arguments, normal_arguments, parsing
from .console import exit_policy

CENTERS = (
    "number of Nyström centres, taken from the tripled cloud; negative: every tripled point; "
    "auto: about 30 sqrt(constraints)"
)
IN_PARTS = ("--max-memory", "--work-dir", "--workers", "--scheduler")
WHOLE = (
    "is for runs in parts only, but fit.py fits one spline to all points at once; use fit-grid.py CLOUD auto auto auto "
    "auto"
)
OF_CELLS = "needs cells, but this run fits one spline; use fit-grid.py CLOUD auto auto auto auto"


def parse_arguments(argv: Sequence[str] | None, prog: str) -> Namespace:
    p = parsing.parser(prog, __doc__)
    arguments.add_cloud_arguments(p)
    arguments.add_sizes(p, CENTERS, cells=False)
    arguments.add_regularization(p, cells=False)
    normal_arguments.add_normal_options(p)
    arguments.add_shared_options(p)
    p.elsewhere = {option: f"{option} {WHOLE}" for option in IN_PARTS}
    p.elsewhere |= {option: f"{option} {OF_CELLS}" for option in ("--free-space", "--envelope")}
    return parsing.parse(p, argv)


def main(argv: Sequence[str] | None = None, prog: str = "fit.py") -> None:
    args = parse_arguments(argv, prog)
    with exit_policy(prog, args.verbose, args.strict, args.quiet, args.report is not None) as monitor:
        settings = arguments.settings_from(args, cells=None)
        sides = normal_arguments.normal_settings_from(args)
        with imports.uncollected():
            from . import runs  # not before: it imports torch

        runs.run_jobs(args, settings, sides, SceneSettings(), prog, monitor)
