"""Leica's PTX: stations one after another, each a grid of pulses in the scanner's own frame with its pose.

A station begins with ten lines: the columns and the rows of the grid, where the scanner stood, its three axes, and a
4 x 4 matrix that takes row vectors (x, y, z, 1) to the common frame. Then a line for each pulse: x y z intensity, and
r g b where it has colours; 0 0 0 is a pulse that met nothing.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import CloudError
from .ply import TRUNCATED, quoted
from .scans import COLOURS, COORDINATES, ScannedCloud, from_columns

HEADER = 10  # lines
NAMES = {4: (*COORDINATES, "intensity"), 7: (*COORDINATES, "intensity", *COLOURS[0])}
VIEW = ("vp_x", "vp_y", "vp_z")


def read_ptx(data: bytes, wanted: Sequence[str] = ()) -> ScannedCloud:
    """All stations in their common frame; the place of its scanner is the viewpoint of a point."""
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rstrip().split(b"\n")
    stations, first, empty = [], 0, 0
    while first < len(lines):
        station, pulses = _station(lines, first)
        first += HEADER + pulses
        empty += pulses - len(station["x"])
        stations.append(station)
    common = [name for name in stations[0] if all(name in station for station in stations)]
    columns = {name: np.concatenate([station[name] for station in stations]) for name in common}
    reading = f"{len(stations)} stations, {empty} pulses met nothing"
    return replace(from_columns(columns, wanted, reading), upright=True)


def _station(lines: Sequence[bytes], first: int) -> tuple[dict[str, np.ndarray], int]:
    """The columns of the station whose header begins at a line, and how many pulses it has."""
    sizes = [line.strip() for line in lines[first : first + 2]]
    if len(lines) < first + HEADER or not all(re.fullmatch(rb"\d{1,9}", size) for size in sizes):
        what = quoted(b" ".join(sizes)[:40])
        raise CloudError(f"line {first + 1}: a station begins with two whole numbers, not {what}; {TRUNCATED}")
    pulses = int(sizes[0]) * int(sizes[1])
    body = lines[first + HEADER : first + HEADER + pulses]
    if len(body) < pulses:
        raise CloudError(f"line {first + 1}: declares {pulses} pulses but {len(body)} lines follow; {TRUNCATED}")
    pose = _numbers(lines[first + 6 : first + HEADER], first + 6)
    if pose.shape != (4, 4):
        raise CloudError(f"line {first + 7}: a station's matrix has 4 x 4 numbers; {TRUNCATED}")
    table = _numbers(body, first + HEADER) if pulses else np.empty((0, 4))
    names = NAMES.get(table.shape[1])
    if names is None:
        raise CloudError(f"line {first + HEADER + 1}: {table.shape[1]} numbers, a pulse has 4 or 7; {TRUNCATED}")
    table = table[table[:, :3].any(1)]
    with np.errstate(all="ignore"):  # what is not finite is dropped as in every file
        table[:, :3] = table[:, :3] @ pose[:3, :3] + pose[3, :3]
    places = dict(zip(VIEW, np.broadcast_to(pose[3, :3], (len(table), 3)).T, strict=True))
    return dict(zip(names, table.T, strict=True)) | places, pulses


def _numbers(lines: Sequence[bytes], before: int) -> np.ndarray:
    try:
        return np.loadtxt(io.BytesIO(b"\n".join(lines)), ndmin=2, comments=None)
    except ValueError as error:
        raise CloudError(f"below line {before}: {error}; {TRUNCATED}") from None
