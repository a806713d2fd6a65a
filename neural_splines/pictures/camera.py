"""An orthographic camera, and from where a shape is worth a look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SAMPLE = 4000  # points by which a view is judged
PIXELS = 40  # of the picture's side that they are counted in
FLAT = 0.6  # a cloud whose z extent is below this part of the others stands on z
TERRAIN = 0.3  # and below this part it may be terrain; what shows one side and is higher was seen by a camera
ONE_SIDED = 0.4  # of the area, by which more of it looks along z than against
FAR = 100.0  # and one that is so many times farther from the origin than it is long, as maps are; others on y
ELEVATIONS, AZIMUTHS = (0.35, 0.8), np.arange(0.0, 2 * np.pi, np.pi / 8) + 0.3  # radians


@dataclass(frozen=True)
class Camera:
    """axes: rows right, up, towards the eye [3, 3]; a point x is seen at (axes (x - centre)) / radius, in [-1, 1]^2."""

    axes: np.ndarray
    centre: np.ndarray
    radius: float

    @classmethod
    def looking(cls, view: np.ndarray, up: np.ndarray, centre: np.ndarray, radius: float) -> Camera:
        """From the direction `view`, with `up` upwards."""
        view = np.asarray(view, float) / np.linalg.norm(view)
        right = np.cross(up, view)
        right /= np.linalg.norm(right)
        return cls(np.stack([right, np.cross(view, right), view]), np.asarray(centre, float), radius)

    def pixels(self, points: np.ndarray, size: int) -> np.ndarray:
        """Columns, rows and nearness [n, 3] in pixels; the pixel (i, j) covers [i, i + 1) x [j, j + 1)."""
        seen = (points - self.centre) @ self.axes.T / self.radius
        return np.stack([seen[:, 0] + 1, 1 - seen[:, 1], seen[:, 2]], 1) * (size / 2)


def upwards(points: np.ndarray, areas: np.ndarray | None = None) -> np.ndarray:
    """The axis that looks like up: z of maps and of what is flat, such as terrain and rooms; else y, as in models.

    areas [f, 3]: normals of faces times their areas. What shows one side along z, and is no terrain, was seen by a
    camera: one that looks along z has y downwards, one against z upwards.
    """
    x, y, z = np.ptp(points, axis=0)
    mapped = np.abs(points[0]).max() > FAR * max(x, y, z)
    if not mapped and z >= TERRAIN * min(x, y) and areas is not None and len(areas):
        shown = areas.sum(0) / max(float(np.linalg.norm(areas, axis=1).sum()), 1e-300)
        if abs(shown[2]) > ONE_SIDED:
            return np.array([0.0, np.sign(shown[2]), 0.0])
    return np.array([0.0, 0.0, 1.0]) if mapped or z < FLAT * min(x, y) else np.array([0.0, 1.0, 0.0])


def good_views(
    points: np.ndarray, count: int = 2, *, faces: np.ndarray | None = None, up: np.ndarray | None = None
) -> list[Camera]:
    """Cameras obliquely from above that see much of points [n, 3], far from each other, and of faces the front.

    A view is as good as the part of its picture that the points cover, as the share of the area seen from it that
    faces it, and as it is turned away from those before it. up [3]: where it is known.
    """
    points = np.asarray(points, float)
    low, high = points.min(0), points.max(0)
    areas = None if faces is None else _areas(points, faces)
    centre, up = 0.5 * (low + high), upwards(points, areas) if up is None else np.asarray(up, float)
    few = points[:: max(1, len(points) // SAMPLE)]
    front = np.roll(up, 1)  # z -> x, y -> z
    side = np.cross(up, front)
    radius = 0.52 * max(float(np.linalg.norm(high - low)), 1e-300)
    views = [np.cos(e) * (np.cos(a) * front + np.sin(a) * side) + np.sin(e) * up for a in AZIMUTHS for e in ELEVATIONS]
    cameras = [Camera.looking(view, up, centre, radius) for view in views]
    worth = np.array([_covered(camera, few) for camera in cameras])
    if areas is not None and len(areas):
        toward = areas @ np.array(views).T
        worth *= np.maximum(toward, 0.0).sum(0) / np.maximum(np.abs(toward).sum(0), 1e-300)
    chosen: list[int] = []
    for _ in range(count):
        turned = [min((1.0 - view @ views[c] for c in chosen), default=1.0) for view in views]
        chosen.append(int(np.argmax(worth * np.minimum(turned, 1.0))))
    return [_fitted(cameras[c], points) for c in chosen]


def _areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Normals times areas [k, 3] of some of the faces, evenly."""
    a, b, c = (vertices[faces[:: max(1, len(faces) // SAMPLE), k]] for k in range(3))
    return np.cross(b - a, c - a) / 2.0


def _covered(camera: Camera, points: np.ndarray) -> float:
    at = np.clip(camera.pixels(points, PIXELS)[:, :2].astype(int), 0, PIXELS - 1)
    return float(len(np.unique(at[:, 0] * PIXELS + at[:, 1])))


def _fitted(camera: Camera, points: np.ndarray) -> Camera:
    """The same view, moved and scaled so that the points fill it."""
    seen = (points - camera.centre) @ camera.axes.T
    low, high = seen.min(0), seen.max(0)
    middle = 0.5 * (low + high) * (1, 1, 0)
    radius = 0.53 * max(float((high - low)[:2].max()), 1e-300)
    return Camera(camera.axes, camera.centre + middle @ camera.axes, radius)
