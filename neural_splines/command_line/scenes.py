"""A run of fit-grid.py in parts: bounded memory, checkpoints, workers."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from ..errors import CloudError, OutputError, SettingsError, warn
from ..runtime.monitor import PhaseTimer
from ..settings import NormalSettings, SceneSettings, Settings
from .outputs import path

if TYPE_CHECKING:
    from ..run.in_parts import SceneResult

UNITS = ("", "k", "m", "g", "t")
WHOLE = (
    "columns",
    "merge",
    "report",
    "preview",
    "html",
    "attributes",
    "quality",
    "out_dir",
    "save_grid",
    "save_points",
    "dense",
)


def add_scene_options(p: argparse.ArgumentParser) -> None:
    scene = p.add_argument_group("scenes that are larger than the memory, or for several processes")
    scene.add_argument(
        "--max-memory",
        type=size,
        default=None,
        metavar="SIZE",
        help="work in parts that take at most so much, as 4GB or 4GiB, all processes together (default: half of what "
        "is free)",
    )
    scene.add_argument(
        "--work-dir",
        type=path,
        default=None,
        metavar="DIR",
        help="keep what is finished in this folder: the same command goes on where it was stopped",
    )
    scene.add_argument("--workers", type=int, default=1, metavar="N", help="processes of this machine (default: 1)")
    scene.add_argument(
        "--scheduler",
        default=None,
        metavar="ADDRESS",
        help="share the work out to a dask.distributed cluster, as tcp://host:8786; it must see --work-dir",
    )


def size(text: str) -> int:
    """Bytes, as 4000000000, 4GB, 512M or 4GiB."""
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*(?:([kmgt]?)b?|([kmgt])ib)", text.strip().lower(), re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected a size such as 4GB or 4GiB, got {text!r}")
    number, decimal, binary = found.groups()
    unit = 1024 ** UNITS.index(binary) if binary else 1000 ** UNITS.index(decimal)
    return int(Fraction(number) * unit)


def scene_settings_from(args: Namespace) -> SceneSettings:
    return SceneSettings(
        max_memory=args.max_memory, work_dir=args.work_dir, workers=args.workers, scheduler=args.scheduler
    )


def check(args: Namespace, settings: Settings, sides: NormalSettings) -> None:
    """Refuse what needs the whole scene at once."""
    for name in WHOLE:
        if getattr(args, name):
            option = f"--{name.replace('_', '-')}"
            raise SettingsError(f"{option} needs the whole scene at once; drop it, or work without parts")
    if settings.many is None or not settings.many.adaptive:
        raise SettingsError("scenes in parts have adaptive cells; use CELLS_PER_AXIS auto")
    if settings.many.fill_holes:
        raise SettingsError("--fill-holes closes a scene as a whole; drop it, or work without parts")
    if settings.nystrom_mode != "blue-noise":
        raise SettingsError("scenes in parts choose centres by --nystrom-mode blue-noise alone; drop it")
    if sides.source == "estimate" or sides.sensor_positions or sides.inside or sides.flip:
        raise SettingsError(
            "scenes in parts take the normals of their file; write them first with: neural-splines normals IN OUT"
        )
    if len(args.input_point_cloud) > 1:
        raise SettingsError("scenes in parts are done one by one; give one input")


def reconstruct(
    args: Namespace, settings: Settings, sides: NormalSettings, asked: SceneSettings, prog: str, monitor: PhaseTimer
) -> None:
    """Do what the arguments mean, and print what came of it."""
    check(args, settings, sides)
    from ..files.atomic import STANDARD, shown
    from ..run.in_parts import reconstruct_file
    from .console import tell
    from .jobs import jobs_of

    args.prog = prog
    job = jobs_of(args)[0]
    if job.source == STANDARD:
        raise CloudError("scenes in parts are read more than once; give a file, not -")
    with _folder(asked, job.out) as folder:
        result = reconstruct_file(job.source, job.out, settings, asked, folder, monitor, args.classes, job.suffix)
    for line in _warnings(result):
        warn(line)
    if not args.quiet:
        tell(_summary(shown(job.source), shown(job.out), args.classes, settings, result), job.out)


@contextlib.contextmanager
def _folder(asked: SceneSettings, out: str) -> Iterator[str]:
    """The work directory, or a temporary one beside the mesh."""
    if asked.work_dir is not None:
        yield asked.work_dir
        return
    try:
        with tempfile.TemporaryDirectory(prefix=".neural-splines-", dir=os.path.dirname(os.path.abspath(out))) as made:
            yield made
    except OSError as error:
        raise OutputError(f"{error.filename}: {error.strerror}; choose another place with --work-dir") from None


def _warnings(result: SceneResult) -> Iterator[str]:
    report = result.report
    if report.kept < report.read:
        yield f"{report.summary()}; check how the cloud was made"
    if result.outliers:
        yield (
            f"{result.outliers} of {report.kept} points were left out as outliers: sparse, and at odds with the points "
            "around them; keep them with --remove-outliers none"
        )
    if result.doubts:
        yield result.doubts
    if result.failed:
        yield f"{result.failed} of {result.cells} cells could not be solved; use a larger --regularization"


def _summary(source: str, out: str, classes: Sequence[int], settings: Settings, result: SceneResult) -> list[str]:
    x, y, z = result.lattice.shape
    chosen = f" of classes {', '.join(map(str, classes))}" if classes else ""
    lines = [
        f"cloud:    {source}, {result.report.read} points{chosen} in {result.nodes} nodes",
        f"cells:    {result.cells}, {result.chosen}",
        f"grid:     {x} x {y} x {z} in {result.blocks} blocks, voxel size {result.lattice.voxel_size:.6g}",
        f"mesh:     {result.vertices} vertices, {result.faces} faces -> {out}",
        "seconds:  " + ", ".join(f"{name} {seconds:.2f}" for name, seconds in result.seconds.items()),
        f"seed:     {settings.seed}",
    ]
    if result.resumed:
        lines.insert(0, f"resumed:  {result.resumed} results were there already")
    return lines
