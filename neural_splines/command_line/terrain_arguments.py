"""Arguments that say where a cloud lies on the ground, and which rasters and lines are written of its surface."""

from __future__ import annotations

import argparse

from ..settings import CONTOUR_INTERVAL
from .outputs import path


def add_terrain_options(p: argparse.ArgumentParser) -> None:
    terrain = p.add_argument_group("terrain")
    terrain.add_argument(
        "--crs",
        default=None,
        metavar="CODE",
        help="coordinate system of the cloud, such as EPSG:25833 (default: that of a LAS file); needs pyproj",
    )
    terrain.add_argument(
        "--dem",
        type=path,
        default=None,
        metavar="FILE.tif",
        help="write the heights of the topmost surface as a GeoTIFF in the coordinates of the cloud; {} in the "
        "name stands for the name of the mesh without its extension; needs rasterio and pyproj",
    )
    terrain.add_argument(
        "--contours",
        type=path,
        default=None,
        metavar="FILE.geojson",
        help="write contour lines of that raster as GeoJSON, or as DXF (FILE.dxf: 3D polylines in a layer for each "
        "height; needs ezdxf); {} as above",
    )
    terrain.add_argument(
        "--breaklines",
        type=path,
        default=None,
        metavar="FILE",
        help="lines on the ground with heights, GeoJSON or DXF (needs ezdxf), such as the edges of a dam: the raster "
        "has their heights and is not smoothed across them",
    )
    terrain.add_argument(
        "--resolution",
        type=float,
        default=None,
        metavar="R",
        help="side of a square of the raster, in the units of the cloud (default: 1, 2 or 5 times a power of "
        "ten, not finer than the mesh)",
    )
    terrain.add_argument(
        "--interval",
        type=float,
        default=None,
        metavar="H",
        help=f"height between contour lines (default: {CONTOUR_INTERVAL:g})",
    )
