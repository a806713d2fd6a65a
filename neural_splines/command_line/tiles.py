"""Write a mesh as 3D Tiles, which viewers such as CesiumJS load piece by piece, as fine as they show it."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence

from ..quantities import counted
from ..ranges import UPS
from ..settings import COMPRESSIONS, TILE_FACES
from . import parsing
from .console import exit_policy, tell
from .outputs import path
from .scenes import size

COLOURS = ("red", "green", "blue")
OPENED = "open it in a browser"
SERVED = "run python -m http.server in its folder and open http://localhost:8000"


def parse_arguments(argv: Sequence[str] | None, prog: str) -> Namespace:
    p = parsing.parser(prog, __doc__)
    p.add_argument(
        "mesh",
        type=path,
        metavar="MESH",
        help="PLY or GLB file of the mesh, with colours where it has some; or OBJ, STL or 3MF. The file "
        "MESH.offset.xyz of --shift is read where there is one",
    )
    p.add_argument(
        "--out",
        type=path,
        default="tiles/tileset.json",
        metavar="FOLDER/tileset.json",
        help="tileset to write, in a folder of its own (default: %(default)s)",
    )
    p.add_argument(
        "--tile-faces",
        type=int,
        default=TILE_FACES,
        metavar="N",
        help="largest number of faces of a finest tile; coarser ones have about as many (default: %(default)s)",
    )
    p.add_argument(
        "--crs",
        default=None,
        metavar="CODE",
        help="coordinate system of the mesh, such as EPSG:25833, for its place on the earth; needs pyproj (default: "
        "none, the tileset keeps the coordinates of the mesh)",
    )
    p.add_argument(
        "--geoid-height",
        type=float,
        default=None,
        metavar="METRES",
        help="with --crs: height of the geoid above the ellipsoid, which is added to z (default: z is above the "
        "ellipsoid)",
    )
    p.add_argument(
        "--compress",
        choices=COMPRESSIONS,
        default=None,
        help="write tiles with Draco, in a quarter of the space; needs DracoPy (default: not compressed)",
    )
    p.add_argument(
        "--max-memory",
        type=size,
        default=None,
        metavar="SIZE",
        help="work in blocks that take at most this much memory with the mesh, such as 4GB or 4GiB (default: what is "
        "free)",
    )
    p.add_argument(
        "--up",
        choices=UPS,
        default=None,
        help="axis of the mesh that points upwards (default: z; of GLB what the file says)",
    )
    return parsing.parse(p, argv)


def main(argv: Sequence[str] | None = None, prog: str = "neural-splines tiles") -> None:
    args = parse_arguments(argv, prog)
    with exit_policy(prog, verbose=False) as monitor:
        from ..files.atomic import shown
        from ..files.meshes import load_upright
        from ..files.placing import offset_path, read_offset
        from ..files.targets import Target, check
        from ..files.tileset import PAGE, folder_of
        from ..run.tiling import AskedTiles, shown_mesh, tiled  # not before: they import torch

        asked = AskedTiles(
            tile_faces=args.tile_faces, crs=args.crs, geoid_height=args.geoid_height, up=args.up,
            compress=args.compress, max_memory=args.max_memory,
        )  # fmt: skip
        folder = folder_of(args.out)
        check([args.mesh], [Target(folder, "--out", folder=True)])
        monitor.phase("read")
        vertices, faces, numbers, up = load_upright(args.mesh, COLOURS)
        lines = [f"mesh:     {counted(len(vertices), 'vertex', 'vertices')}, {counted(len(faces), 'face')}"]
        offset, title = offset_path(args.mesh), os.path.basename(args.mesh)
        places = vertices.numpy()
        places += read_offset(offset) if os.path.exists(offset) else 0.0
        mesh = shown_mesh(shown(args.mesh), places, faces.numpy(), numbers)
        del vertices, places, faces, numbers  # several times as large
        done = tiled(folder, shown(args.mesh), title, mesh, asked, monitor, up)
        monitor.phase("")
        lines.append(f"tiles:    {done.summary()} -> {shown(args.out)}")
        lines.append(f"page:     {shown(os.path.join(folder, PAGE))}, {OPENED if done.whole else SERVED}")
        lines += [f"crs:      {asked.system.summary()}"] if asked.system else []
        tell([*lines, f"time:     {monitor.summary()}"])
