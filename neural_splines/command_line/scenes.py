"""Arguments that say how a run is shared out to parts, and what cannot be asked for then."""

from __future__ import annotations

import argparse
import re
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from ..errors import SettingsError
from ..settings import SceneSettings
from .outputs import path

UNITS = ("", "k", "m", "g", "t")


@dataclass(frozen=True)
class Refusal:
    """An option that cannot work in parts. asked: whether the arguments ask for it; why: completes `OPTION ...`."""

    option: str
    asked: Callable[[Namespace], bool]
    why: str


WHOLE_MESH = "works on the whole mesh; drop it, or work without parts"
REFUSED = (
    Refusal("--dense", lambda a: a.dense, "evaluates the whole grid at once; drop it, or work without parts"),
    Refusal("--save-grid", lambda a: a.save_grid, "holds the whole grid at once; drop it, or work without parts"),
    Refusal("--faces", lambda a: a.faces is not None, "works on the whole mesh; drop it, or work without parts"),
    Refusal(
        "--max-error", lambda a: a.max_error is not None, "works on the whole mesh; drop it, or work without parts"
    ),
    Refusal("--sharp-edges", lambda a: a.sharp_edges, WHOLE_MESH),
    Refusal("--free-space", lambda a: a.free_space, "fits all cells again; drop it, or work without parts"),
    Refusal("--envelope", lambda a: a.envelope is not None, "fits all cells again; drop it, or work without parts"),
    Refusal("--texture", lambda a: a.texture is not None, WHOLE_MESH),
    Refusal("--normal-map", lambda a: a.normal_map, WHOLE_MESH),
    Refusal("CELLS_PER_AXIS", lambda a: a.cells_per_axis == 1, "1 fits one spline to all points; use auto, or more"),
)


def add_scene_options(p: argparse.ArgumentParser) -> None:
    scene = p.add_argument_group("scenes that are larger than the memory, or for several processes")
    scene.add_argument(
        "--max-memory",
        type=size,
        default=None,
        metavar="SIZE",
        help="work in parts that take at most this much memory, such as 4GB or 4GiB, all processes together "
        "(default: half of what is free)",
    )
    scene.add_argument(
        "--work-dir",
        type=path,
        default=None,
        metavar="DIR",
        help="keep finished parts in this folder; the same command continues where it was stopped",
    )
    scene.add_argument(
        "--workers", type=int, default=1, metavar="N", help="number of processes on this machine (default: 1)"
    )
    scene.add_argument(
        "--scheduler",
        default=None,
        metavar="ADDRESS",
        help="give the work to a dask.distributed cluster, such as tcp://host:8786; it must see --work-dir "
        "under the same path",
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


def check(args: Namespace) -> None:
    """Refuse what cannot work in parts, in one line."""
    for refusal in REFUSED:
        if refusal.asked(args):
            raise SettingsError(f"{refusal.option} {refusal.why}")
