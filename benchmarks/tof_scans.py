"""Scans of a part by a simulated time-of-flight camera, by the protocol of Points2Surf (Erler et al., ECCV 2020).

The protocol, as its program prepares the ABC data: the longest side of a part is L = 1. 5 to 30 scans, each from a
random side: the part is turned at random, 3 to 5 away and up to 0.1 beside the axis of the camera, whose image is 43.6
by 34.6 degrees wide. Gaussian noise lies along the rays; its standard deviation is one for all scans of a part. The
points of all scans are one cloud, without normals. Ours differs in the image: 88 x 72 rays, there 176 x 144.
"""

from __future__ import annotations

import numpy as np
from scene_shapes import hits
from truths import Shape

SCANS = (5, 30)
PIXELS, DEGREES = (88, 72), (43.6, 34.6)
NOISE = {"none": (0.0, 0.0), "med": (0.01, 0.01), "var": (0.0, 0.05), "max": (0.05, 0.05)}  # parts of L, drawn between


def scanned(shape: Shape, noise: str, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Points [n, 3] of a shape whose longest side is 1, and the standard deviation of the noise along the rays."""
    scans = int(rng.integers(SCANS[0], SCANS[1] + 1))
    low, high = NOISE[noise]
    sigma = low + (high - low) * float(rng.random())
    across, up = (np.tan(np.radians(wide / 2)) * np.linspace(-1, 1, n) for n, wide in zip(PIXELS, DEGREES, strict=True))
    rays = np.stack(np.meshgrid(across, up, [1.0], indexing="ij"), -1).reshape(-1, 3)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    parts = []
    for _ in range(scans):
        turn = rotation(rng)
        place = (2 * rng.random(3) - 1) * [0.1, 0.1, 1.0] + [0.0, 0.0, 4.0]  # of the part before the camera
        eye, directions = -place @ turn, rays @ turn
        distance, _ = hits(shape, np.tile(eye, (len(rays), 1)), directions)
        met = np.isfinite(distance)
        noisy = distance[met] + sigma * rng.normal(size=int(met.sum()))
        parts.append(eye + noisy[:, None] * directions[met])
    return np.concatenate(parts), sigma


def rotation(rng: np.random.Generator) -> np.ndarray:
    """A rotation [3, 3], uniform among all."""
    w, x, y, z = (lambda q: q / np.linalg.norm(q))(rng.normal(size=4))
    return np.array(
        [
            (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
            (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
            (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
        ]
    )
