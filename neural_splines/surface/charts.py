"""A mesh cut into charts that lie flat in a texture, by xatlas, an extra."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import BackendError, SettingsError, first_line, require
from ..ranges import check_count

NEEDED = "--texture needs the package xatlas; pip install xatlas"
SMALLEST, LARGEST = 64, 8192  # texels along a side; what shows meshes takes 8192 nearly everywhere, and 16384 not
SIDE = 1000.0  # of the mesh as xatlas has it, in float32; it leaves out faces of an area below 1e-7
CHART = 0.01  # of the area, at most: 40,000 faces take 2.7 s, and without a bound 27
PACKED = 1024  # texels that charts are packed in at most, then scaled: finer ones take longer, no less room
PADDING = 6  # texels of the texture between charts, before they are scaled to its size
BORDER = 2.0  # texels around all charts, so that what lies across the border of the texture is never mixed in


@dataclass(frozen=True)
class Charts:
    """Where a mesh lies in a texture of size x size texels, whose first row is the top one.

    parents [w]: the vertex of the mesh that a corner is of; a vertex on a seam has several. corners [f, 3]: the faces
    of the mesh, in their order, by corners. places [w, 2]: columns and rows of corners in texels; the texel (i, j)
    covers [i, i + 1) x [j, j + 1). gap: texels between charts.
    """

    parents: np.ndarray
    corners: np.ndarray
    places: np.ndarray
    size: int
    count: int
    gap: float

    @property
    def uv(self) -> np.ndarray:
        """Places [w, 2] in 0..1, from the upper left."""
        return self.places / self.size

    @property
    def used(self) -> float:
        """The share of the texture that faces lie in."""
        a, b, c = self.places[self.corners].transpose(1, 0, 2)
        across = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
        return float(0.5 * np.abs(across).sum() / self.size**2)


def check_charts(size: int | None, normal_map: bool) -> None:
    """Refuse a texture of a size that cannot be, or that needs xatlas where it is not installed; None: without one."""
    if size is None and normal_map:
        raise SettingsError("--normal-map needs the size of its picture: give --texture too, such as 2048")
    if size is None:
        return
    check_count("--texture", size, SMALLEST, LARGEST)
    require("xatlas", NEEDED)


def charted(vertices: np.ndarray, faces: np.ndarray, size: int) -> Charts:
    """Charts of a mesh, vertices [v, 3] and faces [f, 3]. BackendError where xatlas is not installed."""
    xatlas = _xatlas()
    middle, longest = vertices.mean(0), float(np.ptp(vertices, axis=0).max()) or 1.0
    local = SIDE * (vertices - middle) / longest
    atlas, cutting, packing = xatlas.Atlas(), xatlas.ChartOptions(), xatlas.PackOptions()
    cutting.max_chart_area = CHART * _area(local, faces)
    packing.resolution, packing.bilinear = min(size, PACKED), True
    packing.padding = math.ceil(PADDING * packing.resolution / size)
    atlas.add_mesh(np.ascontiguousarray(local, np.float32), np.ascontiguousarray(faces, np.uint32))
    atlas.generate(cutting, packing)
    parents, corners, uv = (np.asarray(part) for part in atlas.get_mesh(0))
    scale = (size - 2.0 * BORDER) / max(atlas.width, atlas.height, 1)
    places = BORDER + scale * uv.astype(np.float64) * (atlas.width, atlas.height)
    parents, corners, places = _placed(vertices, parents.astype(np.int64), corners.astype(np.int64), places)
    return Charts(parents, corners, places, size, int(atlas.chart_count), scale * packing.padding)


def _area(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return 0.5 * float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum())


def _placed(
    vertices: np.ndarray, parents: np.ndarray, corners: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parents, corners and places where faces that xatlas left out, as too small, lie at the place of a corner near
    them.
    """
    a, b, c = places[corners].transpose(1, 0, 2)
    left_out = (b - a)[:, 0] * (c - a)[:, 1] == (b - a)[:, 1] * (c - a)[:, 0]
    good = np.unique(corners[~left_out])
    if not left_out.any() or not len(good):
        return parents, corners, places
    from scipy.spatial import cKDTree

    lost = parents[corners[left_out]]
    _, near = cKDTree(vertices[parents[good]]).query(vertices[lost[:, 0]])
    place = np.cumsum(np.isin(np.arange(len(parents)), good)) - 1
    corners = place[corners]
    corners[left_out] = len(good) + np.arange(lost.size).reshape(-1, 3)
    return (
        np.concatenate([parents[good], lost.reshape(-1)]),
        corners,
        np.concatenate([places[good], places[good[near]].repeat(3, axis=0)]),
    )


def _xatlas() -> Any:
    try:
        import xatlas
    except ImportError as error:
        raise BackendError(f"{NEEDED} ({first_line(error)})") from None
    return xatlas
