"""Rasters of heights and contour lines beside a mesh, and the coordinate system that all of it is in."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import CloudError, SettingsError, warn
from ..files.atomic import shown
from ..files.breaklines import SUFFIXES, load_breaklines
from ..files.dxf import is_dxf, require_dxf
from ..files.georeference import CoordinateSystem
from ..files.rasters import Breaklines, Heights, require_rasters, save_contours, save_dem
from ..quantities import counted, plain
from ..settings import AUTO, CONTOUR_INTERVAL
from ..surface.heights import AskedHeights, contours

if TYPE_CHECKING:
    from .jobs import Job

OFF = 1.0  # reaches: lines that far from the surface are most likely in other units


def check(args: argparse.Namespace) -> None:
    """Refuse, before any work, what could not be written and what would say nothing."""
    if args.resolution is not None and not (args.dem or args.contours):
        raise SettingsError("--resolution needs --dem or --contours; give one of them, or drop it")
    if args.interval is not None and not args.contours:
        raise SettingsError("--interval needs --contours; name a file for them, or drop it")
    if args.breaklines is not None and not (args.dem or args.contours):
        raise SettingsError("--breaklines needs --dem or --contours; give one of them, or drop it")
    if args.breaklines is not None and not args.breaklines.lower().endswith(SUFFIXES):
        raise CloudError(f"{shown(args.breaklines)}: is read as GeoJSON or DXF; give it the extension .geojson or .dxf")
    if args.breaklines and is_dxf(args.breaklines):
        require_dxf("--breaklines")
    with_breaklines(args)
    if (args.dem or args.contours) and args.up not in (AUTO, "z"):
        raise SettingsError(f"--dem and --contours need heights along z, but --up is {args.up}; turn the cloud")
    if args.dem:
        require_rasters("--dem")
    if args.contours and is_dxf(args.contours):
        require_dxf("--contours")


def asked_of(args: argparse.Namespace) -> AskedHeights | None:
    """What the arguments ask for."""
    if not (args.dem or args.contours):
        return None
    interval = args.interval if args.interval is not None or not args.contours else CONTOUR_INTERVAL
    return AskedHeights(resolution=AUTO if args.resolution is None else args.resolution, interval=interval)


def with_breaklines(args: argparse.Namespace) -> AskedHeights | None:
    """The same, with the lines of a file."""
    asked = asked_of(args)
    return replace(asked, breaklines=load_breaklines(args.breaklines)) if asked and args.breaklines else asked


@dataclass(frozen=True)
class Terrain:
    """What a raster has. covered: the share of its squares that have heights. lines: of contours, in their file.
    breaklines: how many lie near, None where none were given.
    """

    resolution: float
    columns: int
    rows: int
    covered: float
    lowest: float | None
    highest: float | None
    lines: int | None
    breaklines: int | None = None

    def summary(self) -> str:
        heights = "none" if self.lowest is None else f"{self.lowest:.6g} to {self.highest:.6g}"
        lines = "" if self.lines is None else f", {counted(self.lines, 'contour line')}"
        lines += "" if self.breaklines is None else f", along {counted(self.breaklines, 'breakline')}"
        return (
            f"{self.columns} x {self.rows} squares of {plain(self.resolution, 4)}, {self.covered:.1%} with heights, "
            f"{heights}{lines}"
        )

    def report(self) -> Mapping[str, Any]:
        return asdict(self)


def save(heights: Heights, job: Job, crs: CoordinateSystem | None) -> Terrain:
    """Write the raster and the contour lines that a job asks for."""
    asked, squares, count = asked_of(job.args), heights.squares, None
    if job.dem:
        save_dem(job.dem, heights, crs)
    if job.contours:
        assert asked is not None
        assert asked.interval is not None
        count = save_contours(job.contours, contours(heights, asked.interval), squares.resolution, crs)
    known = heights.values[heights.known]
    low, high = (float(np.min(known)), float(np.max(known))) if len(known) else (None, None)
    if not len(known):
        warn(
            f"there is no surface above the middle of any square of {squares.resolution:g}; use a smaller --resolution"
        )
    elif job.contours and not count:
        warn(
            f"{shown(job.contours)}: has no contour line, heights go from {low:g} to {high:g}; use a smaller --interval"
        )
    followed, share = heights.breaklines, len(known) / squares.count
    for line in () if followed is None else _breakline_lines(shown(job.args.breaklines), followed):
        warn(line)
    near = None if followed is None else followed.count
    return Terrain(squares.resolution, squares.columns, squares.rows, share, low, high, count, near)


def _breakline_lines(name: str, found: Breaklines) -> list[str]:
    """What a user should know of lines that heights follow."""
    if not found.count:
        return [f"{name}: none of its lines lies near the raster; check that it has the coordinates of the cloud"]
    if found.off > OFF * found.reach:
        return [
            f"{name}: its lines are {found.off:.3g} above or below the surface, by the median; check that both have "
            "one unit and one system of heights"
        ]
    return []
