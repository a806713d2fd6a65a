"""Parts as a CAD program draws them, exact: creases, thin plates and walls, holes. For benchmarks/abc.py.

Every function returns a closed `Shape` in its own units; `normalised` puts it to the origin, its longest side 1.
"""

from __future__ import annotations

import numpy as np
import sharp
import truths
from truths import Shape


def blocks(occupied: np.ndarray, *planes) -> Shape:
    """The union of the boxes [a, b, c] of a grid with planes x, y and z that `occupied` marks."""
    axes = [np.asarray(plane, float) for plane in planes]
    solid = np.pad(occupied.astype(bool), 1)
    vertices, faces = [], []
    for axis in range(3):
        before, after = (np.moveaxis(solid, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        others = [k for k in range(3) if k != axis]
        for at, i, j in np.argwhere(before != after):
            corners = np.empty((4, 3))
            corners[:, axis] = axes[axis][at]
            corners[:, others[0]] = axes[others[0]][[i - 1, i, i, i - 1]]
            corners[:, others[1]] = axes[others[1]][[j - 1, j - 1, j, j]]
            outward = bool(before[at, i, j]) == (axis != 1)  # (y, z), (x, z), (x, y): the second turns the other way
            first = 4 * len(vertices)
            order = np.array([(0, 1, 2), (0, 2, 3)])
            faces.append(first + (order if outward else order[:, ::-1]))
            vertices.append(corners)
    return _joined(np.concatenate(vertices), np.concatenate(faces))


def lathe(profile, steps: int = 240) -> Shape:
    """A closed profile [k, 2] of radii and heights, turned about the z axis."""
    r, z = np.asarray(profile, float).T
    angle = 2 * np.pi * np.arange(steps) / steps
    points = np.stack([r * np.cos(angle)[:, None], r * np.sin(angle)[:, None], z + 0 * angle[:, None]], -1)
    found = truths._outwards(Shape(points.reshape(-1, 3), truths._grid(steps, len(r), True, True)))
    return Shape(found.vertices, found.faces, sharp=True)


def tube() -> Shape:
    """A pipe whose wall is a thirtieth of its length."""
    return lathe([(0.45, 0.0), (0.5, 0.0), (0.5, 1.5), (0.45, 1.5)])


def perforated(rows: int = 3, columns: int = 4, radius: float = 0.3, thickness: float = 0.15) -> Shape:
    """A plate with round holes."""
    side = np.linspace(-0.5, 0.5, 9)[:-1]
    edge = np.full(8, 0.5)
    x, y = np.concatenate([side, edge, -side, -edge]), np.concatenate([-edge, side, edge, -side])
    angle = np.arctan2(y, x)
    tile = np.concatenate([np.stack([x, y], 1), radius * np.stack([np.cos(angle), np.sin(angle)], 1)])
    n = len(x)
    i, j = np.arange(n), (np.arange(n) + 1) % n
    ring = np.concatenate([np.stack([i, j, n + j], 1), np.stack([i, n + j, n + i], 1)])
    places = [(a, b) for a in range(columns) for b in range(rows)]
    flat = np.concatenate([tile + np.array(place) for place in places])
    cap = np.concatenate([ring + 2 * n * k for k in range(len(places))])
    outline, to = np.unique(np.round(flat, 9), axis=0, return_inverse=True)
    return truths._extruded(outline, to.reshape(-1)[cap], thickness)


def heat_sink(fins: int = 7) -> Shape:
    """Fins on a base, 0.04 thick and 0.16 apart, 1.24 wide in all."""
    planes = np.cumsum([0.0, *([0.04, 0.16] * fins)][:-1])
    profile = np.ones((2 * fins - 1, 1, 2), bool)
    profile[1::2, 0, 1] = False
    return blocks(profile, planes, [0.0, 0.9], [0.0, 0.15, 0.7])


def i_beam() -> Shape:
    profile = np.ones((3, 1, 3), bool)
    profile[[0, 2], 0, 1] = False
    return blocks(profile, [0.0, 0.36, 0.44, 0.8], [0.0, 2.0], [0.0, 0.1, 0.9, 1.0])


def enclosure() -> Shape:
    """A box without a lid: walls and floor a twenty-fifth of its length."""
    solid = np.ones((3, 3, 2), bool)
    solid[1, 1, 1] = False
    return blocks(solid, [0.0, 0.04, 0.96, 1.0], [0.0, 0.04, 0.66, 0.7], [0.0, 0.04, 0.4])


def stairs(steps: int = 5) -> Shape:
    at = np.arange(steps)
    planes = np.linspace(0.0, 1.0, steps + 1)
    return blocks((at[:, None, None] >= at[None, None]), planes, [0.0, 0.6], planes)


def plate() -> Shape:
    return truths.box(1.0, 0.8, 0.02)


SHAPES = {
    **{f.__name__: f for f in (plate, perforated, heat_sink, i_beam, enclosure, stairs, tube)},
    **{f.__name__: f for f in (truths.bracket, truths.gear, sharp.flange, sharp.house, sharp.bolt)},
}


def normalised(shape: Shape) -> Shape:
    """The same about the origin, the longest side of its box 1."""
    low, high = shape.vertices.min(0), shape.vertices.max(0)
    return Shape((shape.vertices - (low + high) / 2) / (high - low).max(), shape.faces, shape.sharp)


def _joined(vertices: np.ndarray, faces: np.ndarray) -> Shape:
    unique, to = np.unique(vertices, axis=0, return_inverse=True)
    return truths._outwards(Shape(unique, to.reshape(-1)[faces], sharp=True))
