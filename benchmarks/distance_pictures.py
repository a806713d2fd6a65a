"""Meshes side by side, coloured by the distance of their vertices from the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from measures import nearest
from pictures import load

from neural_splines.pictures import png
from neural_splines.pictures.camera import good_views
from neural_splines.pictures.ramp import ramp
from neural_splines.pictures.shading import draw_mesh

SIZE, STEP = 240, 16  # pixels; of colours, so that files are small


def write_row(path: Path, files: list[Path], truth: Path, span: float) -> None:
    """A PNG of the meshes of `files`; a distance of `span` diagonals of the truth, or more, has the last colour."""
    vertices, faces = load(truth)
    length, camera = span * float(np.linalg.norm(np.ptp(vertices, axis=0))), good_views(vertices, 1)[0]
    pictures = [_picture(*load(file), (vertices, faces), length, camera) for file in files]
    path.write_bytes(png.encode(np.concatenate(pictures, 1)))


def _picture(vertices, faces, truth, length: float, camera) -> np.ndarray:
    colours = ramp(nearest(vertices, *truth)[0] / length)
    return draw_mesh(vertices, faces, camera, SIZE, colours=colours) // STEP * STEP + STEP - 1
