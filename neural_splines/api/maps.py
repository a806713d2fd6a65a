"""Meshes of terrain, buildings and other large things, for viewers and maps: tiles, heights, contour lines."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..errors import OutputError, SettingsError
from ..files.atomic import PathLike, shown
from ..files.georeference import CoordinateSystem, given
from ..files.rasters import Heights, require_rasters, save_contours, save_dem
from ..files.tileset import folder_of
from ..ranges import AUTO, Auto
from ..run.terrain import heights as heights_on_the_field
from ..run.tiling import AskedTiles, shown_mesh, tiled
from ..run.whole import Reconstruction
from ..runtime.arrays import as_rows
from ..runtime.monitor import Monitor, Silent
from ..settings import CONTOUR_INTERVAL, TILE_FACES
from ..surface.heights import AskedHeights, chosen_resolution, contours, levels, squares_around, topmost
from ..surface.mesh import Mesh

RASTER, LINES = (".tif", ".tiff"), (".geojson", ".json")


def save_tiles(
    path: PathLike,
    mesh: Mesh | Reconstruction,
    *,
    colours: Any = None,
    tile_faces: int = TILE_FACES,
    crs: str | None = None,
    geoid_height: float | None = None,
    up: str = "z",
    compress: str | None = None,
    monitor: Monitor | None = None,
) -> None:
    """Write a mesh as 3D Tiles, with a page that shows them: a new folder, such as scene/tileset.json, all of it or
    nothing (docs/tiles.md). It is what `neural-splines tiles` writes of the mesh.

    colours : [v, 3] in 0..255, of each vertex.
    tile_faces : faces of a finest tile at most; coarser ones have about as many.
    crs : the coordinate system of the mesh, as "EPSG:25833", which puts it on the globe; geoid_height : metres, added
        to z there, to make it a height above the ellipsoid.
    up : the axis of the mesh that points upwards, x, y, z or one with a minus.
    compress : "draco" for tiles in a quarter of the space.

    Raises OutputError where the folder has other files or cannot be, CloudError where no face has an area,
    SettingsError for arguments that do not go together, OutOfMemoryBudgetError where the mesh needs more
    memory than there is, BackendError where `compress` needs a package that is not installed.
    """
    asked = AskedTiles(tile_faces=tile_faces, crs=crs, geoid_height=geoid_height, up=up, compress=compress)
    folder = folder_of(os.fspath(path))
    shape = (mesh.mesh if isinstance(mesh, Reconstruction) else mesh).numpy()
    numbers = {}
    if colours is not None:
        tints = as_rows(colours, "colours")[0].cpu().numpy()
        if len(tints) != len(shape.vertices):
            raise SettingsError(f"{len(shape.vertices)} vertices but {len(tints)} colours; give one for each vertex")
        bytes_ = np.clip(np.rint(np.nan_to_num(tints)), 0, 255).astype(np.uint8)
        numbers = {name: bytes_[:, k] for k, name in enumerate(("red", "green", "blue"))}
    title, vertices = os.path.basename(folder), np.asarray(shape.vertices, np.float64)
    shown = shown_mesh("the mesh", vertices, shape.faces, numbers)
    tiled(folder, "the mesh", title, shown, asked, monitor or Silent())


def heights(mesh: Mesh | Reconstruction, resolution: float | Auto = AUTO, *, monitor: Monitor | None = None) -> Heights:
    """The heights z of the topmost surface above the middles of squares of the ground, row by row from north to south.

    resolution : side of a square; "auto": 1, 2 or 5 times a power of ten, not finer than the mesh.

    Returns Heights: `values` [rows, columns], NaN where there is no surface; `known`, where there is one; `squares`,
    with `resolution`, `corner` (x, y of the north-western one) and `middles(rows, columns)`. Square (r, c) has its
    middle at (corner x + (c + 1/2) resolution, corner y - (r + 1/2) resolution). Of a Reconstruction they lie on the
    zero set of its field, of a Mesh on its faces.

    Raises SettingsError for a resolution that is no length, or makes more than ten million squares along a side;
    OutOfMemoryBudgetError where they need more memory than there is.
    """
    asked = AskedHeights(resolution=resolution)
    if isinstance(mesh, Reconstruction):
        return heights_on_the_field(mesh, asked, monitor or Silent())
    shape = mesh.numpy()
    if not len(shape.faces):
        raise SettingsError("the mesh has no faces; heights need a surface")
    vertices, faces = np.asarray(shape.vertices, np.float64), np.asarray(shape.faces, np.int64)
    if asked.resolution == AUTO:
        edges = np.linalg.norm(vertices[faces[:, 1], :2] - vertices[faces[:, 0], :2], axis=1)
        size = chosen_resolution(float(np.median(edges[edges > 0.0])) if edges.any() else 1.0)
    else:
        size = float(asked.resolution)
    squares = squares_around(vertices.min(0)[:2].tolist(), vertices.max(0)[:2].tolist(), size)
    return topmost(vertices, faces, squares).cropped()


def save_heights(path: PathLike, heights: Heights, *, crs: str | None = None, interval: float | None = None) -> None:
    """Write heights as a GeoTIFF of float32 (.tif; needs rasterio), or as contour lines in GeoJSON (.geojson).

    crs : their coordinate system, as "EPSG:25833"; needs pyproj. interval : height between contour lines, 1 if None.

    Raises OutputError for another extension, for what cannot be written, and where rasterio is missing; SettingsError
    for an interval that is no length or makes too many lines, or for a crs that is none.
    """
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if suffix not in (*RASTER, *LINES):
        raise OutputError(f"{shown(path)}: heights are written as .tif or as .geojson; use one of these")
    if interval is not None and suffix in RASTER:
        raise SettingsError("interval is of contour lines; write these as .geojson")
    asked = AskedHeights(interval=CONTOUR_INTERVAL if interval is None else interval)
    system: CoordinateSystem | None = None if crs is None else given(crs)
    if suffix in RASTER:
        require_rasters("save_heights")
        save_dem(path, heights, system)
        return
    assert asked.interval is not None
    levels(heights, asked.interval)  # refused before anything is written
    save_contours(path, contours(heights, asked.interval), heights.squares.resolution, system)
