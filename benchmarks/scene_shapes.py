"""Places that scanners see, as meshes of small faces turned to the air: ground, houses, trees, rooms, streets.

And what rays from a place hit, and which faces are seen from it: what a scan can show of a scene. Lengths are metres.
"""

from __future__ import annotations

import numpy as np
import truths
from truths import Shape

NEARER = 1e-3  # of a distance: how far before a face something must be to hide it
RAYS = 200_000  # at a time


def merged(*shapes: Shape) -> Shape:
    """All as one mesh."""
    starts = np.cumsum([0, *(len(shape.vertices) for shape in shapes)])
    faces = [shape.faces + start for shape, start in zip(shapes, starts, strict=False)]
    return Shape(np.concatenate([shape.vertices for shape in shapes]), np.concatenate(faces), sharp=True)


def moved(shape: Shape, by=(0.0, 0.0, 0.0), scale: float = 1.0, turn: float = 0.0) -> Shape:
    """Scaled, turned about z, then moved."""
    c, s = np.cos(turn), np.sin(turn)
    vertices = scale * shape.vertices @ np.array([(c, s, 0.0), (-s, c, 0.0), (0.0, 0.0, 1.0)])
    return Shape(vertices + np.asarray(by, float), shape.faces, shape.sharp)


def turned(shape: Shape) -> Shape:
    return Shape(shape.vertices, shape.faces[:, ::-1], shape.sharp)


def patch(a, b, c, d, step: float) -> Shape:
    """A panel between four corners that are counterclockwise from the side that it faces; faces about `step` long."""
    a, b, c, d = (np.asarray(corner, float) for corner in (a, b, c, d))
    columns = 1 + max(1, round(max(np.linalg.norm(b - a), np.linalg.norm(c - d)) / step))
    rows = 1 + max(1, round(max(np.linalg.norm(d - a), np.linalg.norm(c - b)) / step))
    v, u = (w[..., None] for w in np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij"))
    points = (1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * d + u * c)
    points, faces = points.reshape(-1, 3), truths._grid(rows, columns)[:, ::-1]
    return Shape(points, faces[np.abs(truths._cross(points, faces)).max(1) > 1e-12], sharp=True)  # c may be d


def block(low, high, step: float) -> Shape:
    """A box, seen from outside."""
    (x, y, z), (X, Y, Z) = low, high
    corners = [(x, y, z), (X, y, z), (X, Y, z), (x, Y, z), (x, y, Z), (X, y, Z), (X, Y, Z), (x, Y, Z)]
    sides = [(4, 5, 6, 7), (3, 2, 1, 0), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)]
    return merged(*(patch(*(corners[k] for k in side), step) for side in sides))


def house(width: float, depth: float, height: float, roof: float, step: float = 0.7) -> Shape:
    """About the origin, its walls from 3 m below; a gable along x that is `roof` high, or a flat roof for 0."""
    w, d, low, top = width / 2, depth / 2, -3.0, height + roof
    walls = [
        patch((-w, -d, low), (w, -d, low), (w, -d, height), (-w, -d, height), step),
        patch((w, d, low), (-w, d, low), (-w, d, height), (w, d, height), step),
        patch((w, -d, low), (w, d, low), (w, d, height), (w, -d, height), step),
        patch((-w, d, low), (-w, -d, low), (-w, -d, height), (-w, d, height), step),
    ]
    slopes = [
        patch((-w, -d, height), (w, -d, height), (w, 0, top), (-w, 0, top), step),
        patch((w, d, height), (-w, d, height), (-w, 0, top), (w, 0, top), step),
    ]
    gables = [
        patch((w, -d, height), (w, d, height), (w, 0, top), (w, 0, top), step),
        patch((-w, d, height), (-w, -d, height), (-w, 0, top), (-w, 0, top), step),
    ]
    return merged(*walls, *slopes, *(gables if roof else []))


def relief(side: float, rng: np.random.Generator, height: float, waves: int = 6, steep: float = 0.0, n: int = 240):
    """Ground over a square about the origin, and its height as a function of x and y; steep: the slope along x.

    Waves are from half of the side to a tenth of it long, and the lower the shorter.
    """
    lengths = side * np.geomspace(0.5, 0.1, waves)
    angles, phases = rng.random((2, waves)) * 2 * np.pi

    def z(x, y):
        total = steep * x
        for length, angle, phase in zip(lengths, angles, phases, strict=True):
            along = np.cos(angle) * x + np.sin(angle) * y
            total = total + height * (length / lengths[0]) * np.sin(2 * np.pi * along / length + phase)
        return total

    axis = np.linspace(-side / 2, side / 2, n)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    return Shape(np.stack([x, y, z(x, y)], -1).reshape(-1, 3), truths._grid(n, n), sharp=True), z


def crown(centre, radius: float, rng: np.random.Generator, flat: float = 1.0) -> Shape:
    """The outer surface of a tree's leaves: a bumpy ball."""
    ball = truths.sphere(4)
    directions = rng.normal(size=(12, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    bumps = np.exp(-8 * (1 - ball.vertices @ directions.T)).sum(1)
    points = (0.85 + 0.25 * bumps)[:, None] * ball.vertices * (radius, radius, radius * flat)
    return Shape(points + np.asarray(centre, float), ball.faces)


def town(rng: np.random.Generator, side: float, houses: int, trees: int, height=1.0, steep=0.0) -> tuple[Shape, Shape]:
    """Ground with houses, and crowns of trees beside them (the empty mesh for none)."""
    ground, z = relief(side, rng, height, steep=steep)
    cells = rng.permutation(25)[: houses + trees]
    places = (np.stack([cells // 5, cells % 5], 1) - 2.0 + 0.3 * (rng.random((len(cells), 2)) - 0.5)) * side / 5.5
    solid, leaves = [ground], [Shape(np.empty((0, 3)), np.empty((0, 3), int))]
    for k, (x, y) in enumerate(places):
        if k < houses:
            w, d = side * (0.08 + 0.05 * rng.random(2))
            built = house(w, d, 3.0 + 5.0 * rng.random(), rng.choice([0.0, 2.5]))
            solid.append(moved(built, (x, y, z(x, y)), turn=rng.random() * np.pi))
        else:
            r = side * (0.03 + 0.03 * rng.random())
            leaves.append(crown((x, y, z(x, y) + 2.0 + r), r, rng, 0.8 + 0.6 * rng.random()))
    return merged(*solid), merged(*leaves)


def forest(rng: np.random.Generator, side: float, trees: int, height=1.0, steep=0.0) -> tuple[Shape, Shape]:
    """Ground, and crowns of trees anywhere."""
    ground, z = relief(side, rng, height, steep=steep)
    places = (rng.random((trees, 2)) - 0.5) * 0.92 * side
    radii = side * (0.03 + 0.03 * rng.random(trees))
    crowns = [
        crown((x, y, z(x, y) + 3 + r), r, rng, 1 + 0.5 * rng.random()) for (x, y), r in zip(places, radii, strict=True)
    ]
    return ground, merged(*crowns)


def quarry(side: float, rng: np.random.Generator, terraces: int = 4) -> Shape:
    """Steep terraces around a pit."""
    ground, z = relief(side, rng, 0.4)
    x, y = ground.vertices[:, :2].T
    r = np.hypot(x, y) / side * 2 + 0.05 * np.sin(5 * np.arctan2(y, x))
    steps = sum(1 / (1 + np.exp(-(r - at) * 60)) for at in np.linspace(0.25, 0.85, terraces))
    return Shape(np.stack([x, y, 4.0 * steps + z(x, y)], 1), ground.faces, sharp=True)


def room(width: float, depth: float, height: float, step: float = 0.12) -> Shape:
    """An empty room from the origin, seen from within."""
    return turned(block((0, 0, 0), (width, depth, height), step))


def furnished(rng: np.random.Generator, width=6.0, depth=4.5, height=2.7) -> Shape:
    """A room with a table, a shelf, boxes, a lamp."""
    parts = [room(width, depth, height), block((0.01, 1.0, 0.01), (0.45, 3.0, 1.9), 0.1)]
    parts += [block((2.4, 1.6, 0.68), (4.0, 2.6, 0.75), 0.1)]
    parts += [block((x, y, 0.01), (x + 0.07, y + 0.07, 0.68), 0.07) for x in (2.5, 3.8) for y in (1.7, 2.4)]
    for _ in range(4):
        x, y, s = 0.8 + rng.random() * (width - 1.6), rng.choice([0.1, depth - 0.7]), 0.3 + 0.25 * rng.random()
        parts.append(block((x, y, 0.01), (x + s, y + s, s * (1 + rng.random())), 0.08))
    ball = truths.sphere(4)
    parts.append(Shape(ball.vertices * 0.2 + (3.2, 2.1, 2.2), ball.faces))
    return merged(*parts)


def street(rng: np.random.Generator, length: float = 40.0, width: float = 12.0) -> Shape:
    """A road along x between two rows of facades; parked cars."""
    w, x, step = width / 2, -length / 2, 0.5
    parts = [patch((x, -w, 0), (-x, -w, 0), (-x, w, 0), (x, w, 0), step)]
    for side in (-1.0, 1.0):
        at = x
        while at < length / 2 - 1:
            wide = min(5.0 + 4.0 * rng.random(), length / 2 - at)
            back, tall = rng.choice([0.0, 0.8]), 6.0 + 4.0 * rng.random()
            y = sorted([side * (w + back), side * (w + back + 4.0)])
            parts.append(block((at, y[0], -0.3), (at + wide, y[1], tall), step))
            at += wide
    for _ in range(4):
        cx, cy = (rng.random() - 0.5) * 0.8 * length, rng.choice([-1.0, 1.0]) * (w - 1.4)
        parts.append(block((cx - 2.1, cy - 0.85, 0.25), (cx + 2.1, cy + 0.85, 1.4), 0.3))
    return merged(*parts)


def on_floor(shape: Shape, size: float = 1.0) -> Shape:
    """A shape of the diagonal `size` that stands on a square floor about the origin."""
    small = moved(shape, scale=size / shape.diagonal)
    low, high = small.vertices.min(0), small.vertices.max(0)
    s = 0.8 * size
    floor = patch((-s, -s, 0), (s, -s, 0), (s, s, 0), (-s, s, 0), 0.02 * size)
    middle = (low + high) / 2
    return merged(moved(small, (-middle[0], -middle[1], -low[2])), floor)


# -- cuts and rays ------------------------------------------------------------------------------------


def along_cuts(
    shape: Shape, axis, across: float, along: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Points [n, 3] every `along` on the cuts by planes that are `across` apart along `axis`; their faces [n]."""
    heights = shape.vertices @ np.asarray(axis, float)
    tops, points, faces = heights[shape.faces], [np.empty((0, 3))], [np.empty(0, int)]
    for level in np.arange(heights.min() + 0.31 * across, heights.max(), across):
        above = tops > level
        cut = np.nonzero(above.any(1) & ~above.all(1))[0]
        if not len(cut):
            continue
        corners, top, above = shape.vertices[shape.faces[cut]], tops[cut], above[cut]
        crossing = above != np.roll(above, -1, 1)
        t = (level - top) / np.where(crossing, np.roll(top, -1, 1) - top, 1.0)
        ends = (corners + t[..., None] * (np.roll(corners, -1, 1) - corners))[crossing].reshape(-1, 2, 3)
        length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
        at = np.arange(along * rng.random(), length.sum(), along)
        segment = np.searchsorted(np.cumsum(length), at)
        share = (at - np.concatenate([[0.0], np.cumsum(length)])[segment]) / length[segment]
        points.append(ends[segment, 0] + share[:, None] * (ends[segment, 1] - ends[segment, 0]))
        faces.append(cut[segment])
    return np.concatenate(points), np.concatenate(faces)


def hits(shape: Shape, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far [n] rays go from origins [n, 3] until the mesh, inf where they miss it; the faces [n] that they hit."""
    import point_cloud_utils as pcu

    distance, face = np.full(len(origins), np.inf), np.full(len(origins), -1)
    if not len(shape.faces):
        return distance, face
    v, f = np.ascontiguousarray(shape.vertices), np.ascontiguousarray(shape.faces)
    for rows in np.array_split(np.arange(len(origins)), -(-len(origins) // RAYS) or 1):
        found, _, t = pcu.ray_mesh_intersection(v, f, origins[rows], np.ascontiguousarray(directions[rows]))
        face[rows], distance[rows] = found, np.where(found >= 0, t, np.inf)
    return distance, face


def seen(shape: Shape, eyes: np.ndarray, hides: Shape | None = None) -> Shape:
    """The faces that look at one of the eyes [k, 3] and are not hidden from it by the mesh `hides` (its own)."""
    corners = shape.vertices[shape.faces]
    centres, normals = corners.mean(1), truths._cross(shape.vertices, shape.faces)
    mask = np.zeros(len(shape.faces), bool)
    for eye in np.atleast_2d(eyes):
        ray = centres - eye
        rows = np.nonzero(((normals * ray).sum(1) < 0) & ~mask)[0]
        reach = np.linalg.norm(ray[rows], axis=1)
        distance, _ = hits(hides or shape, np.tile(eye, (len(rows), 1)), ray[rows] / reach[:, None])
        mask[rows[distance > (1 - NEARER) * reach]] = True
    return Shape(shape.vertices, shape.faces[mask], shape.sharp)


def directions_of(azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Unit vectors [n, 3] of angles [n] in radians; z is up."""
    level = np.cos(elevation)
    return np.stack([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)], 1)
