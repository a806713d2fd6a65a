"""Estimate the normals of a point cloud and write it, cleaned and oriented."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..runtime import imports
from ..settings import CLOUD_FORMATS, NormalSettings, SceneSettings
from . import arguments, normal_arguments, outputs, parsing, scenes
from .console import exit_policy, tell
from .input_arguments import add_input_options

if TYPE_CHECKING:
    from ..runtime.monitor import PhaseTimer


def parse_arguments(argv: Sequence[str] | None, prog: str) -> Namespace:
    p = parsing.parser(prog, __doc__)
    p.add_argument(
        "input_point_cloud", type=outputs.path, metavar="INPUT_POINT_CLOUD", help="PLY, OBJ or OFF file of points"
    )
    p.add_argument(
        "out", type=outputs.path, metavar="OUT", help="file to write, .ply, .obj or .off: points with normals"
    )
    add_input_options(p)
    scenes.add_scene_options(p)
    normal_arguments.add_normal_options(p, source="estimate")
    arguments.add_device(p)
    outputs.add_verbosity(p)
    return parsing.parse(p, argv)


def main(argv: Sequence[str] | None = None, prog: str = "neural-splines normals") -> None:
    args = parse_arguments(argv, prog)
    with exit_policy(prog, args.verbose, args.strict) as monitor:
        sides = normal_arguments.normal_settings_from(args)
        with imports.uncollected():
            from ..files.atomic import shown
            from . import finished, jobs, steps  # not before: they import torch

        given, folder = args.input_point_cloud, args.work_dir
        read = [given, *([args.cameras] if args.cameras else [])]
        out = jobs.only_output(args.out, "OUT", *read, formats=CLOUD_FORMATS, work_dir=folder)
        shares = scenes.scene_settings_from(args)
        if shares.asked:
            tell([*_in_parts(args, out, sides, shares, monitor), f"time:     {monitor.summary()}"], out)
            return
        scanned, origin = steps.load(
            [args.input_point_cloud], sides, monitor, (), args.columns, args.classes, args.bounds
        )
        monitor.phase("write")
        steps.save_cloud(out, origin.cloud)
        monitor.phase("")
        lines = [
            f"points:   {origin.cleaning.summary()}",
            *finished.sources(scanned.classes, scanned.parts),
            f"normals:  {origin.summary()} -> {shown(out)}",
        ]
        tell([*lines, f"time:     {monitor.summary()}"], out)


def _in_parts(
    args: Namespace, out: str, sides: NormalSettings, shares: SceneSettings, monitor: PhaseTimer
) -> list[str]:
    """Write the cloud node by node; the lines of the summary."""
    from ..errors import warn
    from ..files.atomic import shown
    from ..files.streams import ReadOptions
    from ..normals.orient import summary_of
    from ..quantities import counted
    from ..run.cloud_file import write_cloud
    from . import finished
    from .parts import check, folder_of

    check(args.input_point_cloud)
    with folder_of(shares, out) as folder:
        options = ReadOptions((), args.columns, args.classes, args.bounds)
        found = write_cloud(args.input_point_cloud, out, sides, shares, folder, options, monitor)
    for line in found.notes:
        warn(line)
    there = counted(found.resumed, "result was", "results were")
    resumed = f", {there} there already" if found.resumed else ""
    return [
        f"points:   {found.cleaning.summary()}",
        *finished.sources(found.classes, ()),
        f"parts:    {counted(found.nodes, 'node')} of points{resumed}",
        f"normals:  {summary_of(found.estimated, sides)} -> {shown(out)}",
    ]
