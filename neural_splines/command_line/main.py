"""The command `neural-splines`: the scripts under one name."""

from __future__ import annotations

import importlib
import sys

COMMANDS = {
    "reconstruct": ("reconstruct", "a mesh of a cloud; the program chooses all sizes"),
    "fit": ("fit", "one neural spline of a cloud (fit.py)"),
    "fit-grid": ("fit_grid", "a blend of many local splines (fit-grid.py)"),
    "normals": ("normals", "the cloud with estimated normals"),
    "trim": ("trim", "drop the faces of a mesh that are far from its cloud (trim-surface.py)"),
    "check": ("check", "whether a mesh is closed, manifold and free of intersections; its area, volume, genus"),
    "views": ("views", "positions for the next scan, by how much they see of uncertain parts of a mesh"),
    "tiles": ("tiles", "a mesh as 3D Tiles, for viewers in a browser"),
    "doctor": ("doctor", "versions, devices, and which backends work here"),
}
USAGE = """usage: neural-splines COMMAND ...

{}

neural-splines COMMAND --help says more; --version prints the version.
"""


def main(argv: list[str] | None = None) -> int:
    from ..runtime import interrupts, streams

    streams.ensure()
    argv = sys.argv[1:] if argv is None else argv
    prog = f"neural-splines {argv[0]}" if argv and argv[0] in COMMANDS else "neural-splines"
    undo = interrupts.install(prog)  # before what takes time to import
    try:
        return _main(argv, prog)
    except BrokenPipeError:  # piped into head
        streams.discard(1)
        return 0
    finally:
        streams.flush()
        undo()


def _main(argv: list[str], prog: str) -> int:
    usage = USAGE.format("\n".join(f"  {name:<11} {what}" for name, (_, what) in COMMANDS.items()))
    if argv[:1] == ["--version"]:
        from .. import __version__

        print(f"neural-splines {__version__}")
        return 0
    if argv[:1] in (["--help"], ["-h"]):
        print(usage, end="")
        return 0
    if not argv or argv[0] not in COMMANDS:
        from .codes import REFUSED
        from .console import say

        said = f"no command {argv[0]!r}" if argv else "no command given"
        say("neural-splines", f"error: {said}; use one of {', '.join(COMMANDS)} (see --help)")
        return REFUSED
    return importlib.import_module(f".{COMMANDS[argv[0]][0]}", __package__).main(argv[1:], prog) or 0
