"""Pictures of meshes and points: outside is grey or has its own colour, inside is orange, borders are red."""

from __future__ import annotations

import numpy as np

from .camera import Camera
from .mapped import Mapped
from .raster import fill_discs, fill_triangles

OUTSIDE, INSIDE, BORDER, POINT = (0.70, 0.74, 0.80), (0.90, 0.52, 0.20), (0.80, 0.05, 0.10), (0.15, 0.30, 0.60)
OVERSAMPLING = 2
BORDER_LIFT = 2.0  # pixels that borders stand before the faces that they belong to


def draw_mesh(
    vertices: np.ndarray,
    faces: np.ndarray,
    camera: Camera,
    size: int = 700,
    *,
    colours: np.ndarray | None = None,
    borders: bool = True,
    mapped: Mapped | None = None,
) -> np.ndarray:
    """A picture [size, size, 3] of uint8 of a mesh; colours [v, 3] of its vertices in [0, 1], or a picture on it."""
    vertices, faces = np.asarray(vertices, float), np.asarray(faces, np.int64)
    canvas = _Canvas(camera, size)
    normals = _vertex_normals(vertices, faces)
    light = 0.25 + 0.35 * abs(normals @ camera.axes[2])
    lamp = camera.axes[2] + 0.6 * camera.axes[1] - 0.4 * camera.axes[0]  # above the left shoulder
    key = 0.45 * normals @ (lamp / np.linalg.norm(lamp))
    front, back = (np.clip(light + np.maximum(side * key, 0.0), 0.0, 1.0)[:, None] for side in (1.0, -1.0))
    own = np.broadcast_to(np.asarray(OUTSIDE), vertices.shape) if colours is None else np.asarray(colours, float)
    at = camera.pixels(vertices, canvas.wide)
    if mapped is not None:
        canvas.mapped(at, front, back * np.asarray(INSIDE), mapped)
    else:
        fill_triangles(at, faces, front * own, back * np.asarray(INSIDE), canvas.depth, canvas.image)
    if borders:
        canvas.points(_border_points(at, faces), BORDER, 1.5, BORDER_LIFT)
    return canvas.picture()


def draw_points(
    points: np.ndarray, camera: Camera, size: int = 700, *, colours: np.ndarray | None = None, radius: float = 0.0
) -> np.ndarray:
    """A picture [size, size, 3] of uint8 of points as discs: of a radius in pixels, or such that they do not merge."""
    canvas = _Canvas(camera, size)
    at = camera.pixels(np.asarray(points, float), canvas.wide)
    radius = radius or float(np.clip(0.25 * size / np.sqrt(max(len(at), 1)), 0.5, 3.0))
    near = at[:, 2] / canvas.wide + 0.5  # the far ones paler
    shade = np.clip(1.15 - 0.5 * np.clip(near, 0.0, 1.0), 0.0, 1.0)[:, None]
    own = np.broadcast_to(np.asarray(POINT), at.shape) if colours is None else np.asarray(colours, float)
    canvas.points(at, np.clip(own + 0.35 * (shade - 0.65), 0.0, 1.0), OVERSAMPLING * radius)
    return canvas.picture()


class _Canvas:
    """A larger picture with its depths, which is averaged at the end."""

    def __init__(self, camera: Camera, size: int):
        self.size, self.wide = size, OVERSAMPLING * size
        self.depth = np.full((self.wide, self.wide), -np.inf)
        self.image = np.ones((self.wide, self.wide, 3))

    def points(self, at: np.ndarray, colour: np.ndarray | tuple[float, ...], radius: float, lift: float = 0.0) -> None:
        colours = np.ascontiguousarray(np.broadcast_to(np.asarray(colour, float), at.shape))
        fill_discs(at, colours, radius, lift, self.depth, self.image)

    def mapped(self, at: np.ndarray, light: np.ndarray, inside: np.ndarray, mapped: Mapped) -> None:
        """Draw faces of vertices at [v, 3] with a picture on them in this light [v, 1]; [v, 3]: colours from inside."""
        rows, count = mapped.parents, len(mapped.parents)
        front = np.hstack([light[rows].repeat(3, axis=1), mapped.uv, np.ones((count, 1))])
        back = np.hstack([inside[rows], np.zeros((count, 3))])
        seen = np.concatenate([self.image, np.zeros_like(self.image)], 2)
        fill_triangles(at[rows], mapped.corners, front, back, self.depth, seen)
        shown = seen[..., 5] > 0.5
        self.image[:] = seen[..., :3]
        self.image[shown] *= mapped.at_most(2 * self.wide).at(seen[shown][:, 3:5])

    def picture(self) -> np.ndarray:
        mean = self.image.reshape(self.size, OVERSAMPLING, self.size, OVERSAMPLING, 3).mean((1, 3))
        return np.round(255 * mean).astype(np.uint8)


def _vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals [v, 3]: the mean of the adjacent faces', weighted by area."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    total = np.stack(
        [np.bincount(faces.reshape(-1), np.repeat(cross[:, k], 3), len(vertices)) for k in range(3)], axis=1
    )
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-300)


def _border_points(at: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Points [n, 3], a pixel apart, of the edges of one face."""
    pairs = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
    keys, count = np.unique(pairs[:, 0] * len(at) + pairs[:, 1], return_counts=True)
    a, b = at[keys[count == 1] // len(at)], at[keys[count == 1] % len(at)]
    steps = np.maximum(np.ceil(np.linalg.norm(b - a, axis=1)), 1).astype(int)
    edge = np.repeat(np.arange(len(a)), steps)
    along = (np.arange(len(edge)) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[edge]
    return a[edge] + along[:, None] * (b - a)[edge]
