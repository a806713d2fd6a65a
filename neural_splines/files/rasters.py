"""Heights over squares of the ground, to GeoTIFF by rasterio (an extra), and their contour lines to GeoJSON or DXF."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import OutputError, first_line, warn
from .atomic import PathLike, atomic, shown
from .dxf import is_dxf, save_contours_dxf
from .georeference import CoordinateSystem

NODATA = -9999.0  # as surveyors' programs have it where there is no height
TILE = 256  # of a GeoTIFF, squares along a side
INSTALL = "pip install rasterio pyproj"
Line = tuple[float, np.ndarray]  # a height, and places [n, 2] of that height


@dataclass(frozen=True)
class Squares:
    """Squares of the ground, row by row from north to south, each row from west to east.

    Their side is `resolution`, and their corners lie at whole multiples of it, so that rasters of neighbouring tiles
    fit: square (r, c) has its middle at ((left + c + 1/2) resolution, (top - r - 1/2) resolution).
    """

    resolution: float
    left: int
    top: int
    columns: int
    rows: int

    @classmethod
    def covering(cls, lower: Sequence[float], upper: Sequence[float], resolution: float) -> Squares:
        """All that a box of x and y touches."""
        left, bottom = (math.floor(value / resolution) for value in lower)
        right, top = (math.ceil(value / resolution) for value in upper)
        return cls(resolution, left, top, max(1, right - left), max(1, top - bottom))

    @property
    def count(self) -> int:
        return self.rows * self.columns

    @property
    def corner(self) -> tuple[float, float]:
        """The north-western one."""
        return self.left * self.resolution, self.top * self.resolution

    def middles(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """x and y [n, 2] of the middles of squares [n]."""
        x, y = self.left + columns + 0.5, self.top - rows - 0.5
        return np.stack([x, y], 1) * self.resolution

    def within(self, other: Squares) -> tuple[slice, slice]:
        """The rows and columns of `other`, of the same resolution, that these squares are."""
        row, column = other.top - self.top, self.left - other.left
        return slice(row, row + self.rows), slice(column, column + self.columns)


@dataclass(frozen=True)
class Breaklines:
    """Of those that heights follow: how many, how far they reach, and by how much the heights differed from them
    before, by the median; NaN where none is near.
    """

    count: int
    reach: float
    off: float


@dataclass(frozen=True)
class Heights:
    """The height [rows, columns] of a surface above the middle of each square, NaN where it has none."""

    squares: Squares
    values: np.ndarray
    breaklines: Breaklines | None = None

    @property
    def known(self) -> np.ndarray:
        return np.isfinite(self.values)

    def cropped(self) -> Heights:
        """Without rows and columns around it that have no height; one square where none has."""
        known, s = self.known, self.squares
        rows, columns = (np.flatnonzero(known.any(axis)) for axis in (1, 0))
        r, c = (slice(found.min(), found.max() + 1) if len(found) else slice(0, 1) for found in (rows, columns))
        values = np.ascontiguousarray(self.values[r, c])
        place = replace(s, left=s.left + c.start, top=s.top - r.start, columns=values.shape[1], rows=values.shape[0])
        return replace(self, squares=place, values=values)


def require_rasters(option: str) -> None:
    """OutputError where what writes GeoTIFF, or reads which coordinate system a file is in, is not installed."""
    try:
        import pyproj  # noqa: F401
        import rasterio  # noqa: F401
    except ImportError as error:
        raise OutputError(f"{option} needs rasterio and pyproj ({first_line(error)}); {INSTALL}") from None


def save_dem(path: PathLike, heights: Heights, crs: CoordinateSystem | None) -> None:
    """A GeoTIFF of one band of float32, deflated in tiles, with NODATA where there is no height.

    crs: its coordinate system, where it is known.
    """
    import rasterio
    from rasterio.errors import CRSError
    from rasterio.io import MemoryFile

    place, (x, y), system = heights.squares, heights.squares.corner, None
    if crs is not None and crs.wkt:
        try:
            with rasterio.Env():  # else GDAL prints
                system = rasterio.CRS.from_wkt(crs.wkt)
        except CRSError as error:
            warn(
                f"{shown(path)}: is written without its coordinate system, which GDAL does not know "
                f"({first_line(error)}); name another one with --crs"
            )
    profile = {
        "driver": "GTiff", "dtype": "float32", "count": 1, "nodata": NODATA, "crs": system,
        "height": place.rows, "width": place.columns,
        "transform": rasterio.Affine(place.resolution, 0.0, x, 0.0, -place.resolution, y),
        "compress": "deflate", "predictor": 3, "BIGTIFF": "IF_SAFER",
        "tiled": True, "blockxsize": TILE, "blockysize": TILE,
    }  # fmt: skip
    with MemoryFile() as memory:
        with memory.open(**profile) as raster:
            values = np.where(heights.known, heights.values, NODATA).astype(np.float32)
            raster.write(values, 1)
            raster.set_band_description(1, "height")
        with atomic(path) as (stream,):
            stream.write(memory.getbuffer())


def save_contours(path: PathLike, lines: Iterable[Line], resolution: float, crs: CoordinateSystem | None) -> int:
    """GeoJSON of a LineString for each line, with its height as `elevation`, or DXF (dxf.py) by the name of the file;
    how many there are.

    Coordinates are those of the cloud, to a thousandth of a square, and `crs` names their system as GDAL and QGIS read
    it, where it has an EPSG code; DXF has no room for it.
    """
    digits = max(0, 3 - math.floor(math.log10(resolution)))
    if is_dxf(path):
        return save_contours_dxf(path, lines, digits)
    head: dict[str, object] = {"type": "FeatureCollection", "name": "contours"}
    if crs is not None and crs.epsg:
        head["crs"] = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{crs.epsg}"}}
    count = 0
    with atomic(path) as (stream,):
        stream.write(json.dumps(head)[:-1].encode() + b', "features": [')
        for height, places in lines:
            line = {"type": "LineString", "coordinates": np.round(places, digits).tolist()}
            feature = {"type": "Feature", "properties": {"elevation": height}, "geometry": line}
            stream.write((b",\n" if count else b"\n") + json.dumps(feature).encode())
            count += 1
        stream.write(b"\n]}\n")
    return count
