"""Pictures of meshes and clouds without a window, side by side. Outside is grey, inside orange, borders are red.

    python benchmarks/pictures.py MESH.ply [MESH.ply ...] --out PICTURE.png [--view 0,0,1] [--up 0,1,0]
                                  [--around 0.5,0.5,0.5 --radius 0.2] [--size 700] [--no-borders]

All are seen by one orthographic camera, which looks from `--view` at the box of the first, side by side. A file without
faces is drawn as points. --around and --radius look closer: fractions of that box's sides, a fraction of its diagonal.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from neural_splines.pictures.camera import Camera
from neural_splines.pictures.shading import draw_mesh, draw_points


def render(vertices, faces, camera: Camera, size: int = 700, borders: bool = True) -> np.ndarray:
    """A picture [size, size, 3] of uint8 of a mesh, or of points where there are no faces."""
    if len(faces):
        return draw_mesh(vertices, faces, camera, size, borders=borders)
    return draw_points(vertices, camera, size, radius=0.75)


def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A mesh, or a cloud without faces."""
    from neural_splines import NeuralSplinesError, load_point_cloud
    from neural_splines.files.meshes import load_mesh

    try:
        return tuple(part.numpy() for part in load_mesh(path))
    except NeuralSplinesError:
        return load_point_cloud(path)[0], np.empty((0, 3), np.int64)


def main(argv=None) -> None:
    from skimage.io import imsave

    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("files", nargs="+", type=Path, metavar="MESH", help="meshes, or clouds with normals")
    p.add_argument("--out", type=Path, required=True, metavar="PNG")
    p.add_argument("--view", type=_numbers, default=(0.0, 0.0, 1.0), help="direction that the eye is in (0,0,1)")
    p.add_argument("--up", type=_numbers, default=(0.0, 1.0, 0.0), help="(0,1,0)")
    p.add_argument(
        "--around", type=_numbers, default=(0.5, 0.5, 0.5), help="centre, fractions of the box (0.5,0.5,0.5)"
    )
    p.add_argument("--radius", type=float, default=0.5, help="half the picture's side, fraction of the diagonal (0.5)")
    p.add_argument("--size", type=int, default=700, help="pixels of each picture's sides (%(default)s)")
    p.add_argument("--no-borders", action="store_true")
    options = p.parse_args(argv)
    meshes = [load(path) for path in options.files]
    low, high = meshes[0][0].min(0), meshes[0][0].max(0)
    centre, radius = low + options.around * (high - low), options.radius * float(np.linalg.norm(high - low))
    camera = Camera.looking(options.view, options.up, centre, radius)
    pictures = [render(v, f, camera, options.size, not options.no_borders) for v, f in meshes]
    imsave(options.out, np.concatenate(pictures, 1), check_contrast=False)


def _numbers(text: str) -> np.ndarray:
    return np.array([float(part) for part in text.split(",")])


if __name__ == "__main__":
    main()
