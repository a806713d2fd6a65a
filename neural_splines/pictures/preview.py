"""The picture of --preview: the points beside the mesh, from two sides."""

from __future__ import annotations

import numpy as np

from . import png
from .camera import good_views
from .mapped import Mapped
from .shading import draw_mesh, draw_points

SIZE, MARGIN = 640, 8  # pixels of each of the four pictures, and between them
MOST_POINTS = 200_000  # that are drawn


def preview(
    points: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    point_colours: np.ndarray | None = None,
    colours: np.ndarray | None = None,
    up: np.ndarray | None = None,
    mapped: Mapped | None = None,
    size: int = SIZE,
) -> bytes:
    """PNG of points [n, 3] on the left and their mesh on the right, a row for each of two views; colours in [0, 1].

    up [3]: the direction that is up, where it is known. mapped: a picture on the mesh, in the place of its colours.
    """
    stride = max(1, len(points) // MOST_POINTS)
    points, point_colours = points[::stride], None if point_colours is None else point_colours[::stride]
    rows = [
        np.hstack(
            [
                draw_points(points, camera, size, colours=point_colours),
                np.full((size, MARGIN, 3), 255, np.uint8),
                draw_mesh(vertices, faces, camera, size, colours=colours, mapped=mapped),
            ]
        )
        for camera in good_views(vertices, faces=faces, up=up)
    ]
    return png.encode(np.vstack(rows))
