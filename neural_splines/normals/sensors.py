"""What is known of where a surface was seen from: a normal points to the side of the eye."""

from __future__ import annotations

import numpy as np

from ..runtime.arrays import dots

BIN = 2.5  # spacings: the side of a bin, at the range that a tenth of the points does not reach
MOST_BINS = 2048  # of a face of the cube of directions, along its side
CERTAIN = 10.0  # weight of a point's own viewpoint: a sensor may see through gaps, its own saw the point
GRAZING = 0.2  # |cos| to the ray below which a normal is too inaccurate to be turned by it (room: .9914 right; 0: .986)
DEPTH = 0.05  # relative, and in BINs: how far behind the nearest point of its bin a point still counts as seen


def sensor_votes(points: np.ndarray, areas: np.ndarray, sensors: np.ndarray) -> np.ndarray:
    """Area times the direction [n, 3] from each point to the sensors [s, 3] that see it; all in spacings."""
    votes = np.zeros_like(points)
    for sensor in sensors:
        ray = sensor - points
        distance = np.linalg.norm(ray, axis=1)
        ray /= np.maximum(distance, 1e-12)[:, None]
        votes += np.where(visible(ray, distance), areas, 0.0)[:, None] * ray
    return votes


def ray_votes(areas: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """The same for the ray [n, 3] from each point to what saw it; not finite, or 0, where that is not known."""
    distance = np.sqrt(dots(rays, rays))
    known = np.isfinite(distance) & (distance > 0.0)
    weight = np.where(known, CERTAIN * areas / np.where(known, distance, 1.0), 0.0)
    return weight[:, None] * np.where(known[:, None], rays, 0.0)


def turned_away(normals: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """Mask [n] of the normals that look clearly away from the viewpoint of their own point, which saw it."""
    return dots(normals, votes) < -GRAZING * np.sqrt(dots(votes, votes))


def visible(ray: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Mask [n] of the points that nothing hides: the nearest in their bin of directions [n, 3] and in those around."""
    bins = int(np.clip(2.0 * np.quantile(distance, 0.1) / BIN, 4, MOST_BINS))
    axis = np.abs(ray).argmax(1)
    rows = np.arange(len(ray))
    along = ray[rows, axis]
    face = 2 * axis + (along > 0.0)
    u, v = (ray[rows, (axis + k) % 3] / along for k in (1, 2))
    i, j = (np.clip(((w + 1.0) * 0.5 * bins).astype(np.int64), 0, bins - 1) for w in (u, v))
    nearest = np.full((6, bins + 2, bins + 2), np.inf)
    np.minimum.at(nearest, (face, i + 1, j + 1), distance)
    around = nearest[face, i + 1, j + 1]
    for a in (0, 1, 2):
        for b in (0, 1, 2):
            around = np.minimum(around, nearest[face, i + a, j + b])
    return distance <= (1.0 + DEPTH) * around + BIN
