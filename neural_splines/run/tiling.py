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
from ..pictures.tiles_page import TilesPage
from ..ranges import UPS, Axis, check_choice, check_count, check_number
from ..runtime.monitor import Monitor
from ..settings import TILE_FACES
from .tiles import Tiled, write_tiles

FEWEST = 1000  # faces of a tile: with fewer, files outweigh what is in them


@dataclass(frozen=True, kw_only=True)
class AskedTiles:
    """What is asked for. tile_faces: of a finest tile at most. crs: the system of the mesh, for its place on the earth,
    and geoid_height: metres added to z there. up: the axis that is up; None for what the file says, or z.
    """

    tile_faces: int = TILE_FACES
    crs: str | None = None
    geoid_height: float | None = None
    up: str | None = None
    system: CoordinateSystem | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tile_faces", check_count("--tile-faces", self.tile_faces, FEWEST))
        if self.up is not None:
            check_choice("--up", self.up, tuple(UPS))
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
    vertices: np.ndarray,
    faces: np.ndarray,
    numbers: Mapping[str, np.ndarray],
    asked: AskedTiles,
    monitor: Monitor,
    up: Axis | None = None,
) -> Tiled:
    """A folder of tiles of a mesh: vertices [v, 3], faces [f, 3], and its colours red, green and blue [v], if there are
    all of them. name: of the mesh, in messages; title: of the page. up: what its file says is up.
    """
    used, solid = _solid(name, vertices, faces)
    points, matrix, page = placed(name, title, vertices[used], asked, up)
    tints = [numbers[key][used] for key in ("red", "green", "blue") if key in numbers]
    colours = bytes_of_colours(np.stack(tints, axis=1)) if len(tints) == 3 else None
    return write_tiles(folder, points, solid, colours, asked.tile_faces, matrix, page, monitor)


def _solid(name: str, vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices that faces with three corners have, and these faces of them: others show nothing, and widen boxes.

    CloudError where none is left.
    """
    solid = faces[(faces != np.roll(faces, 1, axis=1)).all(1)]
    used, corners = np.unique(solid, return_inverse=True)
    if not len(used) or not np.ptp(vertices[used], axis=0).any():
        raise CloudError(f"{name}: no face has an area; check how the mesh was made")
    return used, corners.reshape(-1, 3)


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
