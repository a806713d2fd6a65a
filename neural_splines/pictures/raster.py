"""A z-buffer: triangles and points to pixels, by Numba.

Our own, because no renderer from a wheel draws without a display everywhere: pyrender needs the system's OSMesa or EGL,
Open3D (a wheel of 400 MB) and pyvista (VTK, 100 MB) a graphics stack that containers and servers lack. What a preview
needs is these forty lines.
"""

from __future__ import annotations

import math

import numpy as np

from ..runtime.compiled import compiled


@compiled(nogil=True)
def fill_triangles(
    at: np.ndarray, faces: np.ndarray, front: np.ndarray, back: np.ndarray, depth: np.ndarray, image: np.ndarray
) -> None:
    """Draw triangles [f, 3] of vertices at columns, rows and nearness [v, 3] in pixels over what is farther.

    front, back [v, k]: colours of the vertices as seen from either side, interpolated. depth [h, w], image [h, w, k].
    A pixel belongs to a triangle that its centre lies in.
    """
    height, width = depth.shape
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, bx, by, cx, cy = at[a, 0], at[a, 1], at[b, 0], at[b, 1], at[c, 0], at[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0.0 or not math.isfinite(area):
            continue
        colours = front if area < 0.0 else back  # rows run downwards
        left, right = max(0, math.ceil(min(ax, bx, cx) - 0.5)), min(width - 1, math.floor(max(ax, bx, cx) - 0.5))
        top, bottom = max(0, math.ceil(min(ay, by, cy) - 0.5)), min(height - 1, math.floor(max(ay, by, cy) - 0.5))
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                px, py = x + 0.5 - ax, y + 0.5 - ay
                v = (px * (cy - ay) - py * (cx - ax)) / area
                w = ((bx - ax) * py - (by - ay) * px) / area
                if v < -1e-9 or w < -1e-9 or v + w > 1.0 + 1e-9:
                    continue
                near = at[a, 2] + v * (at[b, 2] - at[a, 2]) + w * (at[c, 2] - at[a, 2])
                if near > depth[y, x]:
                    depth[y, x] = near
                    for k in range(front.shape[1]):
                        image[y, x, k] = (1.0 - v - w) * colours[a, k] + v * colours[b, k] + w * colours[c, k]


@compiled(nogil=True)
def fill_discs(
    at: np.ndarray, colours: np.ndarray, radius: float, lift: float, depth: np.ndarray, image: np.ndarray
) -> None:
    """Draw points at columns, rows and nearness [n, 3] as discs of a radius in pixels, nearer by `lift`."""
    height, width = depth.shape
    for i in range(len(at)):
        near = at[i, 2] + lift
        for y in range(max(0, math.ceil(at[i, 1] - radius - 0.5)), min(height, math.floor(at[i, 1] + radius + 0.5))):
            for x in range(max(0, math.ceil(at[i, 0] - radius - 0.5)), min(width, math.floor(at[i, 0] + radius + 0.5))):
                inside = (x + 0.5 - at[i, 0]) ** 2 + (y + 0.5 - at[i, 1]) ** 2 <= radius * radius
                if inside and near > depth[y, x]:
                    depth[y, x] = near
                    for k in range(3):
                        image[y, x, k] = colours[i, k]
