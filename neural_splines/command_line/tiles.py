"""Write a mesh as 3D Tiles, which viewers such as CesiumJS load piece by piece, as fine as they show it."""

from __future__ import annotations

import math
import os
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..ranges import UPS, check_count, check_number
from ..settings import TILE_FACES
from . import parsing
from .console import exit_policy, tell
from .outputs import path

if TYPE_CHECKING:
    import numpy as np

    from ..files.georeference import CoordinateSystem
    from ..pictures.tiles_page import TilesPage

FEWEST = 1000  # faces of a tile: with fewer, files outweigh what is in them
COLOURS = ("red", "green", "blue")
OPENED = "open it in a browser"
SERVED = "run python -m http.server in its folder and open http://localhost:8000"


def parse_arguments(argv: Sequence[str] | None, prog: str) -> Namespace:
    p = parsing.parser(prog, __doc__)
    p.add_argument(
        "mesh",
        type=path,
        metavar="MESH",
        help="PLY file of the mesh, with colours where it has some; or OBJ, STL or 3MF. The file MESH.offset.xyz of "
        "--shift is read where there is one",
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
    p.add_argument("--up", choices=UPS, default="z", help="axis of the mesh that points upwards (default: %(default)s)")
    return parsing.parse(p, argv)


def main(argv: Sequence[str] | None = None, prog: str = "neural-splines tiles") -> None:
    args = parse_arguments(argv, prog)
    with exit_policy(prog, verbose=False) as monitor:
        check_count("--tile-faces", args.tile_faces, FEWEST)
        crs = _crs(args)

        from ..files.atomic import shown
        from ..files.meshes import load_mesh_numbers
        from ..files.targets import Target, check
        from ..files.tileset import PAGE, folder_of  # not before: they import torch
        from ..run.tiles import write_tiles

        folder = folder_of(args.out)
        check([args.mesh], [Target(folder, "--out", folder=True)])
        monitor.phase("read")
        vertices, faces, numbers = load_mesh_numbers(args.mesh, COLOURS)
        lines = [f"mesh:     {len(vertices)} vertices, {len(faces)} faces"]
        used, solid = _solid(args.mesh, vertices.numpy(), faces.numpy())
        points, matrix, page = _placed(args, vertices.numpy()[used], crs)
        colours = _colours({name: values[used] for name, values in numbers.items()})
        tiled = write_tiles(folder, points, solid, colours, args.tile_faces, matrix, page, monitor)
        monitor.phase("")
        lines.append(f"tiles:    {tiled.summary()} -> {shown(args.out)}")
        lines.append(f"page:     {shown(os.path.join(folder, PAGE))}, {OPENED if tiled.whole else SERVED}")
        lines += [f"crs:      {crs.summary()}"] if crs else []
        tell([*lines, f"seconds:  {monitor.summary()}"])


def _crs(args: Namespace) -> CoordinateSystem | None:
    """The coordinate system that was named; refused before any work."""
    from ..errors import SettingsError
    from ..files.georeference import given

    if args.crs is None:
        if args.geoid_height is not None:
            raise SettingsError("--geoid-height is added to heights on the earth; give --crs too")
        return None
    if args.geoid_height is not None:
        check_number("--geoid-height", args.geoid_height, -math.inf)
    if args.up != "z":
        raise SettingsError(f"--up {args.up}: with --crs z is up; drop one of them")
    return given(args.crs)


def _solid(mesh: str, vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices that faces with three corners have, and these faces of them: others show nothing, and widen boxes.

    CloudError where none is left.
    """
    import numpy as np

    from ..errors import CloudError
    from ..files.atomic import shown

    solid = faces[(faces != np.roll(faces, 1, axis=1)).all(1)]
    used, corners = np.unique(solid, return_inverse=True)
    if not len(used) or not np.ptp(vertices[used], axis=0).any():
        raise CloudError(f"{shown(mesh)}: no face has an area; check how the mesh was made")
    return used, corners.reshape(-1, 3)


def _placed(
    args: Namespace, points: np.ndarray, crs: CoordinateSystem | None
) -> tuple[np.ndarray, np.ndarray, TilesPage]:
    """The vertices with z up, the matrix that brings them to the world, and the page that knows the way back."""
    import numpy as np

    from ..files.earth import east_north_up, projected_again
    from ..files.placing import offset_path, read_offset
    from ..files.reading import errors_name
    from ..pictures.tiles_page import TilesPage

    offset, title = offset_path(args.mesh), os.path.basename(args.mesh)
    points = points + read_offset(offset) if os.path.exists(offset) else points
    if crs is not None:
        geoid = args.geoid_height or 0.0
        with errors_name(args.mesh):
            local, matrix = east_north_up(points, crs, geoid)
        back = projected_again(points.min(0), points.max(0), crs, geoid, matrix)
        return local, matrix, TilesPage(title, np.linalg.inv(matrix), crs.summary(), back)
    up, turn = np.array(UPS[args.up]), np.eye(4)
    if up[2] != 1.0:
        side = np.array(UPS["x" if up[0] == 0.0 else "y"])
        turn[:3, :3] = np.stack([side, np.cross(up, side), up])
        points = points @ turn[:3, :3].T
    return points, np.eye(4), TilesPage(title, turn.T)


def _colours(numbers: dict[str, np.ndarray]) -> np.ndarray | None:
    import numpy as np

    from ..files.column_statistics import bytes_of_colours

    return bytes_of_colours(np.stack(list(numbers.values()), axis=1)) if len(numbers) == len(COLOURS) else None
