"""Which triangle every texel of a texture belongs to, by Numba."""

from __future__ import annotations

import math

import numpy as np

from ..runtime.compiled import compiled

REACH = 1.5  # texels beyond the border of a chart: all that bilinear interpolation mixes in lie within the root of 2


def owners(places: np.ndarray, corners: np.ndarray, size: int) -> np.ndarray:
    """The face [size, size] that a texel's centre lies in, or that is nearest within REACH; -1 where there is none.

    places [w, 2] of corners, columns and rows in texels; corners [f, 3] of faces.
    """
    owner, distance = np.full((size, size), -1, np.int32), np.full((size, size), REACH, np.float32)
    _own(places, corners, owner, distance)
    return owner


@compiled(nogil=True)
def _own(places: np.ndarray, corners: np.ndarray, owner: np.ndarray, distance: np.ndarray) -> None:
    height, width = owner.shape
    for f in range(len(corners)):
        a, b, c = corners[f, 0], corners[f, 1], corners[f, 2]
        ax, ay, bx, by, cx, cy = places[a, 0], places[a, 1], places[b, 0], places[b, 1], places[c, 0], places[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0.0 or not math.isfinite(area):
            continue
        left = max(0, math.ceil(min(ax, bx, cx) - REACH - 0.5))
        right = min(width - 1, math.floor(max(ax, bx, cx) + REACH - 0.5))
        top = max(0, math.ceil(min(ay, by, cy) - REACH - 0.5))
        bottom = min(height - 1, math.floor(max(ay, by, cy) + REACH - 0.5))
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                if distance[y, x] == 0.0:
                    continue
                px, py = x + 0.5, y + 0.5
                v = ((px - ax) * (cy - ay) - (py - ay) * (cx - ax)) / area
                w = ((bx - ax) * (py - ay) - (by - ay) * (px - ax)) / area
                far = 0.0
                if v < 0.0 or w < 0.0 or v + w > 1.0:
                    far = _from_segment(px, py, ax, ay, bx, by)
                    far = min(far, _from_segment(px, py, bx, by, cx, cy))
                    far = math.sqrt(min(far, _from_segment(px, py, cx, cy, ax, ay)))
                if far < distance[y, x]:
                    distance[y, x] = far
                    owner[y, x] = f


@compiled(nogil=True)
def _from_segment(px: float, py: float, ax: float, ay: float, bx: float, by: float) -> float:
    """The squared distance of a place from a segment."""
    dx, dy = bx - ax, by - ay
    length = dx * dx + dy * dy
    t = 0.0 if length == 0.0 else min(max(((px - ax) * dx + (py - ay) * dy) / length, 0.0), 1.0)
    return (px - ax - t * dx) ** 2 + (py - ay - t * dy) ** 2
