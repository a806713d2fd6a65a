"""A slope far from 0, as maps have it, and its page."""

import numpy as np

from neural_splines.pictures.page import Page

ORIGIN = np.array([691_000.25, 5_334_000.75, 512.0])  # as maps have it
SLOPE, WIDE, TALL = 0.3, 40.0, 30.0  # of z along x; metres


def hillside(columns: int = 41, rows: int = 31) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of a slope, far from 0; vertex (i, j) lies a metre from its neighbours."""
    x, y = np.meshgrid(np.linspace(0, WIDE, columns), np.linspace(0, TALL, rows), indexing="ij")
    corner = (rows * np.arange(columns - 1)[:, None] + np.arange(rows - 1)).ravel()
    faces = [(corner, corner + rows, corner + 1), (corner + 1, corner + rows, corner + rows + 1)]
    vertices = np.stack([x, y, SLOPE * x], -1).reshape(-1, 3) + ORIGIN
    return vertices, np.concatenate([np.stack(three, 1) for three in faces])


def slope_page(**others) -> Page:
    vertices, faces = hillside()
    known = {"unit": "m", "up": np.array([0.0, 0, 1]), **others}
    return Page("slope", vertices, faces, vertices[::3], np.linspace(0, 0.02, len(vertices)), np.arange(50.0), **known)
