"""Rank positions for the next scan by how much they see of the uncertain parts of a mesh, the best first."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..settings import CANDIDATES, GRAZING, VIEWS, VIEWS_BY
from . import parsing
from .console import exit_policy, tell
from .outputs import path

if TYPE_CHECKING:
    from ..surface.views import Views

FORMATS = (".json", ".csv")


def parse_arguments(argv: Sequence[str] | None, prog: str) -> Namespace:
    p = parsing.parser(prog, __doc__)
    p.add_argument(
        "mesh",
        type=path,
        metavar="MESH",
        help="PLY file that was written with --quality support or uncertainty, and --fill-holes",
    )
    p.add_argument(
        "--by",
        choices=VIEWS_BY,
        default=None,
        help="number of the vertices that says how uncertain they are (default: support where the file has it)",
    )
    p.add_argument(
        "--worse-than",
        type=float,
        default=None,
        metavar="VALUE",
        help="a vertex is uncertain if its support is below this, or its uncertainty above it (default: 2/3; "
        "twice the median)",
    )
    p.add_argument(
        "--candidates",
        type=int,
        default=CANDIDATES,
        metavar="N",
        help="number of positions to try, spread evenly on a sphere around the middle of the box of the mesh "
        "(default: %(default)s)",
    )
    p.add_argument(
        "--distance",
        type=float,
        default=None,
        metavar="D",
        help="distance of these positions from the middle, in the units of the mesh (default: the diagonal of the box)",
    )
    p.add_argument(
        "--path",
        type=path,
        default=None,
        metavar="FILE",
        help="positions to try instead, as a cloud of any format: x y z, or x y z nx ny nz with the direction "
        "of the view",
    )
    p.add_argument(
        "--count", type=int, default=VIEWS, metavar="K", help="largest number of views (default: %(default)s)"
    )
    p.add_argument(
        "--grazing",
        type=float,
        default=GRAZING,
        metavar="DEGREES",
        help="smallest angle between the surface and a ray at which a scanner sees the surface (default: %(default)g)",
    )
    p.add_argument(
        "--field-of-view",
        type=float,
        default=None,
        metavar="DEGREES",
        help="angle across the cone that a scanner sees (default: all around)",
    )
    p.add_argument("--out", type=path, default=None, metavar="FILE", help="also write the views, as .json or .csv")
    return parsing.parse(p, argv)


def main(argv: Sequence[str] | None = None, prog: str = "neural-splines views") -> None:
    args = parse_arguments(argv, prog)
    with exit_policy(prog, verbose=False):
        from ..files.atomic import shown
        from . import jobs  # not before: it imports torch

        inputs = [args.mesh, *([args.path] if args.path else [])]
        out = jobs.only_output(args.out, "--out", *inputs, formats=FORMATS) if args.out else ""
        found, lines = _found(args)
        if out:
            _write(out, found)
            lines.append(f"-> {shown(out)}")
        tell(lines, out)


def _found(args: Namespace) -> tuple[Views, list[str]]:
    """The views of a command, and what is told of them."""
    import numpy as np

    from ..errors import CloudError, SettingsError, warn
    from ..files.atomic import shown
    from ..files.meshes import load_mesh_numbers
    from ..files.point_clouds import load_scanned_cloud
    from ..run.views import threshold, views
    from ..surface.checks import checked
    from ..surface.mesh import Mesh

    if args.path and args.distance is not None:
        raise SettingsError("--distance is for places on a sphere, but --path has its own; drop one of them")
    kinds = (args.by,) if args.by else VIEWS_BY
    vertices, faces, numbers = load_mesh_numbers(args.mesh, kinds)
    kind = next((name for name in kinds if name in numbers), None)
    if kind is None:
        raise CloudError(
            f"{shown(args.mesh)}: its vertices have no {' or '.join(kinds)}; "
            f"write it as PLY with --fill-holes --quality {kinds[0]}"
        )
    scanned = load_scanned_cloud(args.path) if args.path else None
    mesh = Mesh(vertices.numpy(), np.empty((0, 3)), faces.numpy())
    found = views(
        mesh,
        kind,
        numbers=numbers[kind],
        candidates=args.candidates,
        distance=args.distance,
        positions=None if scanned is None else scanned.points,
        directions=None if scanned is None else scanned.normals,
        count=args.count,
        worse_than=args.worse_than,
        grazing=args.grazing,
        field_of_view=args.field_of_view,
    )
    shape = checked(mesh.vertices, mesh.faces)
    if not shape.closed:
        warn(
            f"{shown(args.mesh)}: {shape.border_edges} edges have one face, and what is missing there is not counted; "
            "reconstruct it with --fill-holes"
        )
    limit = threshold(numbers[kind], kind) if args.worse_than is None else args.worse_than
    share = found.uncertain / max(found.area, 1e-300)
    worse = f"{kind} {'below' if kind == 'support' else 'above'} {limit:.4g}"
    lines = [f"mesh:     area {found.area:.4g}, {found.uncertain:.4g} of it uncertain ({share:.1%}): {worse}"]
    return found, [*lines, *(found.lines() if len(found) else ["no place sees anything that is uncertain"])]


def _write(out: str, found: Views) -> None:
    from ..files.arrays import save_json
    from ..files.atomic import save_bytes

    if not out.lower().endswith(".csv"):
        save_json(out, found.report())
        return
    rows = ["x,y,z,nx,ny,nz,new_area,share"]
    rows += [",".join(map(_text, (*view.position, *view.direction, view.new_area, view.share))) for view in found]
    save_bytes(out, "\n".join([*rows, ""]).encode())


def _text(value: Any) -> str:
    return f"{value:.9g}"
