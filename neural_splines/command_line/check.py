"""Check a mesh of any program: is it closed, manifold, free of intersections; its area, volume and genus."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from ..quantities import counted
from . import parsing
from .console import exit_policy, tell
from .outputs import path


def parse_arguments(argv: Sequence[str] | None, prog: str) -> Namespace:
    p = parsing.parser(prog, __doc__)
    p.add_argument("mesh", type=path, metavar="MESH", help="PLY, OBJ, STL, 3MF or GLB file of the mesh")
    p.add_argument(
        "--strict", action="store_true", help="exit with code 3 where the mesh is open, not manifold or intersects"
    )
    return parsing.parse(p, argv)


def main(argv: Sequence[str] | None = None, prog: str = "neural-splines check") -> None:
    args = parse_arguments(argv, prog)
    with exit_policy(prog, verbose=False, strict=args.strict):
        from ..errors import warn
        from ..files.atomic import shown
        from ..files.meshes import load_mesh
        from ..surface.checks import checked  # not before: they import torch

        vertices, faces = load_mesh(args.mesh)
        found = checked(vertices.numpy(), faces.numpy(), intersecting=True)
        words = f"{counted(found.vertices, 'vertex', 'vertices')}, {counted(found.faces, 'face')}"
        tell([f"mesh:     {words}", f"shape:    {found.summary()}"])
        for line in found.lines():
            warn(f"{shown(args.mesh)}: {line}")
