"""Pictures of meshes and clouds without a window: a z-buffer in NumPy. Outside is grey, inside orange, borders are red.

    python benchmarks/pictures.py MESH.ply [MESH.ply ...] --out PICTURE.png [--view 0,0,1] [--up 0,1,0]
                                  [--around 0.5,0.5,0.5 --radius 0.2] [--size 700] [--no-borders]

All are seen by one orthographic camera, which looks from `--view` at the box of the first, side by side. A file without
faces is drawn as points. --around and --radius look closer: fractions of that box's sides, a fraction of its diagonal.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

OUTSIDE, INSIDE, BORDER, POINT = (0.70, 0.74, 0.80), (0.90, 0.52, 0.20), (0.80, 0.05, 0.10), (0.15, 0.30, 0.60)
OVERSAMPLING = 2
TILE = 8  # pixels that a triangle may span; larger ones are divided
CHUNK = 200_000  # triangles at a time


@dataclass(frozen=True)
class Camera:
    """axes: rows right, up, towards the eye [3, 3]; a point x is seen at (axes (x - centre)) / radius, in [-1, 1]^2."""

    axes: np.ndarray
    centre: np.ndarray
    radius: float

    @classmethod
    def looking(cls, view, up, centre, radius: float) -> Camera:
        """From the direction `view`, with `up` upwards."""
        view = np.asarray(view, float) / np.linalg.norm(view)
        right = np.cross(up, view)
        right /= np.linalg.norm(right)
        return cls(np.stack([right, np.cross(view, right), view]), np.asarray(centre, float), radius)

    def pixels(self, points: np.ndarray, size: int) -> np.ndarray:
        """Columns, rows and nearness [n, 3] in pixels; the pixel (i, j) covers [i, i + 1) x [j, j + 1)."""
        seen = (points - self.centre) @ self.axes.T / self.radius
        return np.stack([seen[:, 0] + 1, 1 - seen[:, 1], seen[:, 2]], 1) * (size / 2)


def render(vertices, faces, camera: Camera, size: int = 700, borders: bool = True) -> np.ndarray:
    """A picture [size, size, 3] of uint8 of a mesh, or of points where there are no faces."""
    vertices, faces = np.asarray(vertices, float), np.asarray(faces, np.int64)
    wide = OVERSAMPLING * size
    at, axis = camera.pixels(vertices, wide), camera.axes[2]
    cross = np.cross(vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]])
    facing = cross @ axis / np.maximum(np.linalg.norm(cross, axis=1), 1e-300)
    key = cross @ (axis + 0.6 * camera.axes[1] - 0.4 * camera.axes[0])  # a lamp above the left shoulder
    key = key / np.maximum(np.linalg.norm(cross, axis=1), 1e-300) / 1.24
    light = np.clip(0.25 + 0.35 * abs(facing) + 0.45 * np.maximum(np.sign(facing) * key, 0.0), 0.0, 1.0)
    colours = light[:, None] * np.where(facing[:, None] > 0, OUTSIDE, INSIDE)

    depth, image = np.full(wide * wide, -np.inf), np.ones((wide * wide, 3))
    for start in range(0, len(faces), CHUNK):
        part = slice(start, start + CHUNK)
        _put(depth, image, *_fragments(at[faces[part]], wide), colours[part])
    lines = _border_points(at, faces) if borders and len(faces) else at if not len(faces) else at[:0]
    for shift in np.stack(np.meshgrid((-1, 0, 1), (-1, 0, 1)), -1).reshape(-1, 2):
        cell = np.floor(lines[:, :2]).astype(int) + shift
        inside = ((cell >= 0) & (cell < wide)).all(1)
        near = lines[inside, 2] + 2.0  # in front of the faces that they border
        place, who = cell[inside, 1] * wide + cell[inside, 0], np.zeros(int(inside.sum()), int)
        _put(depth, image, place, near, who, np.array([BORDER if len(faces) else POINT]))
    image = image.reshape(size, OVERSAMPLING, size, OVERSAMPLING, 3).mean((1, 3))
    return np.round(255 * image).astype(np.uint8)


def _put(depth, image, place, near, who, colours) -> None:
    """Colour pixels by the nearest fragment. place: flat pixels [k]; who: rows of colours [k]."""
    seen = near > depth[place]
    place, near, who = place[seen], near[seen], who[seen]
    order = np.argsort(near, kind="stable")  # of several at one place the last, the nearest, stays
    place, near, who = place[order], near[order], who[order]
    depth[place] = near
    image[place] = colours[who]


def _fragments(corners: np.ndarray, wide: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flat pixel, nearness and triangle of every pixel centre inside triangles [f, 3 corners, 3]."""
    who, found = np.arange(len(corners)), []
    while len(corners):
        low, high = corners[:, :, :2].min(1), corners[:, :, :2].max(1)
        visible = ((high > 0) & (low < wide)).all(1)
        corners, who, low, high = corners[visible], who[visible], low[visible], high[visible]
        large = (np.floor(high) - np.floor(low) >= TILE).any(1)
        for span in (2, TILE):
            some = ~large & (np.floor(high) - np.floor(low) < span).all(1)
            some &= (np.floor(high) - np.floor(low) >= 2).any(1) if span > 2 else True
            found.append(_inside(corners[some], who[some], np.floor(low[some]).astype(int), span, wide))
        a, b, c = corners[large].transpose(1, 0, 2)
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        corners = np.concatenate([np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
        who = np.tile(who[large], 4)
    place, near, who = (np.concatenate(part) for part in zip(*found, strict=True)) if found else 3 * (np.empty(0, int),)
    return place, near, who


def _inside(corners, who, low, span: int, wide: int):
    """Fragments of triangles within span x span pixels from `low` [f, 2]."""
    step = np.stack(np.meshgrid(np.arange(span), np.arange(span)), -1).reshape(-1, 2)
    cell = low[:, None] + step  # [f, span^2, 2]
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = corners.transpose(1, 2, 0)[:, :, :, None]
    x, y = cell[:, :, 0] + 0.5, cell[:, :, 1] + 0.5
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    area = np.where(area == 0, np.inf, area)
    v = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
    w = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
    inside = (v >= -1e-9) & (w >= -1e-9) & (v + w <= 1 + 1e-9) & np.isfinite(area)
    inside &= ((cell >= 0) & (cell < wide)).all(2)
    near = az + v * (bz - az) + w * (cz - az)
    triangle = np.broadcast_to(who[:, None], inside.shape)
    return (cell[:, :, 1] * wide + cell[:, :, 0])[inside], near[inside], triangle[inside]


def _border_points(at: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Points [n, 3], a pixel apart, of the edges of one face."""
    pairs = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
    keys, count = np.unique(pairs[:, 0] * len(at) + pairs[:, 1], return_counts=True)
    a, b = at[keys[count == 1] // len(at)], at[keys[count == 1] % len(at)]
    steps = np.maximum(np.ceil(np.linalg.norm(b - a, axis=1)), 1).astype(int)
    edge = np.repeat(np.arange(len(a)), steps)
    along = (np.arange(len(edge)) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[edge]
    return a[edge] + along[:, None] * (b - a)[edge]


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
