"""A mesh of any origin as a tileset: what is wrong with it, which way is up, and where it lies on the earth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..errors import CloudError, SettingsError
from ..files.column_statistics import bytes_of_colours
from ..files.earth import east_north_up, projected_again
from ..files.georeference import CoordinateSystem, given
from ..files.reading import errors_name
from ..files.tileset_draco import check_draco
from ..pictures.tiles_page import TilesPage
from ..ranges import UPS, Axis, check_choice, check_count, check_number
from ..runtime.monitor import Monitor
from ..settings import COMPRESSIONS, TILE_FACES
from .tiles import Tiled, write_tiles

FEWEST = 1000  # faces of a tile: with fewer, files outweigh what is in them


@dataclass(frozen=True, kw_only=True)
class AskedTiles:
    """What is asked for. tile_faces: of a finest tile at most. crs: the system of the mesh, for its place on the earth,
    and geoid_height: metres added to z there. up: the axis that is up; None for what the file says, or z. compress:
    "draco" or not. max_memory: bytes that may be taken; None for what is free.
    """

    tile_faces: int = TILE_FACES
    crs: str | None = None
    geoid_height: float | None = None
    up: str | None = None
    compress: str | None = None
    max_memory: int | None = None
    system: CoordinateSystem | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tile_faces", check_count("--tile-faces", self.tile_faces, FEWEST))
        if self.up is not None:
            check_choice("--up", self.up, tuple(UPS))
        if self.max_memory is not None:
            object.__setattr__(self, "max_memory", check_count("--max-memory", self.max_memory, 1, 2**62))
        if self.compress is not None:
            check_choice("--compress", self.compress, COMPRESSIONS)
            check_draco()
        if self.crs is None:
            if self.geoid_height is not None:
                raise SettingsError("--geoid-height is added to heights on the earth; give --crs too")
            return
        check_choice("--crs", self.crs, None)
        if self.geoid_height is not None:
            check_number("--geoid-height", self.geoid_height, -math.inf)
        if self.up not in (None, "z"):
            raise SettingsError(f"--up {self.up}: with --crs z is up; drop one of them")
        object.__setattr__(self, "system", given(self.crs))


def tiled(
    folder: str,
    name: str,
    title: str,
    mesh: tuple[np.ndarray, np.ndarray, np.ndarray | None],
    asked: AskedTiles,
    monitor: Monitor,
    up: Axis | None = None,
) -> Tiled:
    """A folder of tiles of a mesh as `shown_mesh` has it. name: of the mesh, in messages; title: of the page. up: what
    its file says is up.
    """
    points, faces, colours = mesh
    points, matrix, page = placed(name, title, points, asked, up)
    return write_tiles(
        folder, points, faces, colours, asked.tile_faces, matrix, page, monitor, asked.max_memory,
        draco=asked.compress == "draco",
    )  # fmt: skip


def shown_mesh(
    name: str, vertices: np.ndarray, faces: np.ndarray, numbers: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The faces with three corners, int32, and the vertices that they have with their colours [v, 3], bytes, if there
    are numbers [v] red, green and blue: others show nothing, and widen boxes.

    CloudError where none is left. name: of the mesh, in messages.
    """
    a, b, c = faces.T
    good = (a != b) & (b != c) & (c != a)
    solid = faces if good.all() else faces[good]  # a copy may be large
    used = np.zeros(len(vertices), bool)
    used[solid.reshape(-1)] = True
    points = vertices[used]
    if not len(points) or not np.ptp(points, axis=0).any():
        raise CloudError(f"{name}: no face has an area; check how the mesh was made")
    tints = [numbers[key] for key in ("red", "green", "blue") if key in numbers]
    colours = None
    if len(tints) == 3:
        largest = max(float(np.nan_to_num(tint).max()) for tint in tints)
        colours = np.stack([bytes_of_colours(tint, largest)[used] for tint in tints], axis=1)
    return points, (np.cumsum(used, dtype=np.int32) - 1)[solid], colours


def placed(
    name: str, title: str, points: np.ndarray, asked: AskedTiles, up: Axis | None = None
) -> tuple[np.ndarray, np.ndarray, TilesPage]:
    """The vertices with z up, the matrix that brings them to the world, and the page that knows the way back."""
    axis = np.array(UPS[asked.up] if asked.up is not None else up or UPS["z"])
    if asked.system is not None:
        if axis[2] != 1.0:
            raise SettingsError(f"{name}: z is not up in it, as --crs needs; give --up z if it is, or turn the mesh")
        geoid = asked.geoid_height or 0.0
        with errors_name(name):
            local, matrix = east_north_up(points, asked.system, geoid)
        back = projected_again(points.min(0), points.max(0), asked.system, geoid, matrix)
        return local, matrix, TilesPage(title, np.linalg.inv(matrix), asked.system.summary(), back)
    turn = np.eye(4)
    if axis[2] != 1.0:
        side = np.array(UPS["x" if axis[0] == 0.0 else "y"])
        turn[:3, :3] = np.stack([side, np.cross(axis, side), axis])
        points = points @ turn[:3, :3].T
    return points, np.eye(4), TilesPage(title, turn.T)
