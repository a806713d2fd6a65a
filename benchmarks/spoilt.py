"""What scanners and files do to clouds, as kinds of cases: each makes a cloud of a surface that is known.

Range scans that noise and misalignment spoil, lines, a density that falls, coordinates of few digits, clumps of
outliers, normals that point inwards, noise with heavy tails, a base that no one saw. Lengths are parts of the diagonal
D of the truth's box.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import scene_shapes
from clouds import Cloud, normals_at, sampled
from truths import Shape

SCANS, PIXEL = 10, 0.008  # directions; D, the side of a pixel of an orthographic range image
GRAZING = 0.26  # cosine: rays that meet the surface at 75 degrees from its normal, or more, do not return
JUMP, FEWEST = 4.0, 5  # pixels in depth, beyond which a neighbour is another surface; pixels that a normal takes
ACROSS, ALONG, THICK = 0.008, 0.001, 0.0005  # D, of lines: between them, between points on one, their own width
STEP = 0.002  # D, of quantised coordinates
CLUMPS, CLUMP, CLUMP_SIZE = 20, 40, 0.01  # clumps of outliers; points in each; D, the sigma of one
PATCH = 0.1  # D, the radius of the ball whose normals are turned
LAPLACE = 0.002  # D, the scale of each coordinate's noise
UP, LOWEST = np.array([0.36, 0.48, 0.8]), 0.2  # no face of a shape is level; the share of points that is cut away


def scanned(shape: Shape, count: int, rng: np.random.Generator, noise: float, move: float) -> Cloud:
    """Orthographic range images from ten directions, as many points as they have; `count` has no say.

    Depths have Gaussian noise of sigma `noise`. Normals are of planes through a pixel's 3 x 3 neighbours. Each image is
    shifted by `move`, and turned about the middle of the box by 2 `move`, which is as much at its corners.
    """
    clouds, middle = [], (shape.vertices.min(0) + shape.vertices.max(0)) / 2
    turn = np.pi * (3 - 5**0.5) * np.arange(SCANS)  # the golden angle: evenly about the sphere
    for back in scene_shapes.directions_of(turn, np.arcsin(1 - (2 * np.arange(SCANS) + 1) / SCANS)):
        image = range_image(shape, middle, back, rng, noise * shape.diagonal)
        points, normals = image_normals(image, back, PIXEL * shape.diagonal)
        spin, shift = _unit(rng), _unit(rng)
        rotation = rotation_about(spin, 2 * move)
        points = middle + (points - middle) @ rotation.T + move * shape.diagonal * shift
        clouds.append(Cloud(points, normals @ rotation.T))
    return Cloud(np.concatenate([c.points for c in clouds]), np.concatenate([c.normals for c in clouds]))


def range_image(shape: Shape, middle, back, rng: np.random.Generator, sigma: float) -> np.ndarray:
    """Points [rows, columns, 3] that rays against `back` meet, NaN where they miss, graze or see the other side."""
    right = np.cross(back, np.eye(3)[np.abs(back).argmin()])
    right /= np.linalg.norm(right)
    up, size, pixel = np.cross(back, right), shape.diagonal, PIXEL * shape.diagonal
    axis = np.arange(-0.5 * size, 0.5 * size, pixel)
    v, u = np.meshgrid(axis + pixel * rng.random(), axis + pixel * rng.random(), indexing="ij")
    origins = (middle + size * back) + u[..., None] * right + v[..., None] * up
    origins, error = origins.reshape(-1, 3), sigma * rng.normal(size=v.size)
    _, face = scene_shapes.hits(shape, origins, np.tile(-back, (v.size, 1)))
    corner, *others = (shape.vertices[shape.faces[face, k]] for k in range(3))
    normals = np.cross(others[0] - corner, others[1] - corner)
    slope = normals @ back
    met = (face >= 0) & (slope > GRAZING * np.linalg.norm(normals, axis=1))
    depth = ((origins - corner) * normals).sum(1) / np.where(met, slope, 1.0)  # in doubles, which the search is not
    return np.where(met[:, None], origins - (depth + error)[:, None] * back, np.nan).reshape(*v.shape, 3)


def image_normals(image: np.ndarray, back: np.ndarray, pixel: float) -> tuple[np.ndarray, np.ndarray]:
    """Points and unit normals [n, 3] of the pixels that have four others about them, turned to where they were seen."""
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), constant_values=np.nan)
    rows, columns = image.shape[:2]
    windows = [padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    near = np.stack(windows, 2) - image[:, :, None]
    near = np.where((np.abs(near @ back) < JUMP * pixel)[..., None], near, np.nan)
    found = np.isfinite(near[..., 0])
    kept = found.sum(2) >= FEWEST
    near, found, points = near[kept], found[kept], image[kept]
    near = np.where(found[..., None], near, 0.0)
    near = (near - near.sum(1, keepdims=True) / found.sum(1)[:, None, None]) * found[..., None]
    normals = np.linalg.eigh(np.einsum("nki,nkj->nij", near, near))[1][:, :, 0]
    return points, np.where((normals @ back)[:, None] < 0, -normals, normals)


def lines(shape: Shape, count: int, rng: np.random.Generator) -> Cloud:
    """Two sweeps of a line scanner, along x and along y: each face is seen by the one that crosses it less steeply.

    So lines are ACROSS to 1.4 ACROSS apart on the surface; with ALONG between points `count` has no say.
    """
    flat = np.abs(np.cross(*_sides(shape)))
    by_x, size, clouds = flat[:, 0] <= flat[:, 1], shape.diagonal, []
    for axis, faces in ((0, shape.faces[by_x]), (1, shape.faces[~by_x])):
        swept = Shape(shape.vertices, faces, shape.sharp)
        points, face = scene_shapes.along_cuts(swept, np.eye(3)[axis], ACROSS * size, ALONG * size, rng)
        rows = np.nonzero(by_x if axis == 0 else ~by_x)[0][face]
        normals = normals_at(shape, rows, _barycentric(points, shape.vertices[shape.faces[rows]]))
        across = np.eye(3)[axis] - normals[:, axis, None] * normals
        across /= np.linalg.norm(across, axis=1, keepdims=True)
        clouds.append(Cloud(points + THICK * size * (rng.random((len(points), 1)) - 0.5) * across, normals))
    return Cloud(np.concatenate([c.points for c in clouds]), np.concatenate([c.normals for c in clouds]))


def stripes(shape: Shape, count: int, rng: np.random.Generator) -> Cloud:
    """The same sweeps with points anywhere on their lines, and as many that the nearest one is ACROSS / 8 away.

    That is the median: on a line with a mean gap g it is g log(2) / 2. So gaps on a line are up to as long as those
    between lines, and the points say less clearly which are neighbours.
    """
    size, gap = shape.diagonal, 2 / np.log(2) * ACROSS / 8
    area = np.linalg.norm(np.cross(*_sides(shape)), axis=1).sum() / 2
    cloud = sampled(shape, round(area / (gap * THICK * size**2)), rng)
    low, (x, y) = shape.vertices.min(0), np.abs(cloud.normals[:, :2]).T
    turn = np.where(x <= y, cloud.points[:, 0] - low[0], cloud.points[:, 1] - low[1]) / (ACROSS * size)
    return cloud.keep(turn % 1 < THICK / ACROSS)


def uneven(shape: Shape, count: int, rng: np.random.Generator, ratio: float) -> Cloud:
    """The density falls exponentially along the x axis, by `ratio` in all."""
    return sampled(shape, count, rng, ratio)


def quantised(shape: Shape, count: int, rng: np.random.Generator) -> Cloud:
    cloud, step = sampled(shape, count, rng), STEP * shape.diagonal
    return Cloud(step * np.round(cloud.points / step), cloud.normals)


def clumped(shape: Shape, count: int, rng: np.random.Generator) -> Cloud:
    """And clumps of outliers with random normals, their middles in the box scaled by 1.2."""
    cloud, low, high = sampled(shape, count, rng), shape.vertices.min(0), shape.vertices.max(0)
    middles = (low + high) / 2 + 1.2 * (rng.random((CLUMPS, 3)) - 0.5) * (high - low)
    points = middles.repeat(CLUMP, 0) + CLUMP_SIZE * shape.diagonal * rng.normal(size=(CLUMPS * CLUMP, 3))
    normals = rng.normal(size=points.shape)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Cloud(np.concatenate([cloud.points, points]), np.concatenate([cloud.normals, normals]))


def flipped(shape: Shape, count: int, rng: np.random.Generator) -> Cloud:
    """The normals within a ball about one of the points are reversed."""
    cloud = sampled(shape, count, rng)
    distance = np.linalg.norm(cloud.points - cloud.points[rng.integers(count)], axis=1)
    return Cloud(cloud.points, np.where(distance[:, None] < PATCH * shape.diagonal, -cloud.normals, cloud.normals))


def heavy_tailed(shape: Shape, count: int, rng: np.random.Generator) -> Cloud:
    cloud = sampled(shape, count, rng)
    return Cloud(cloud.points + LAPLACE * shape.diagonal * rng.laplace(size=cloud.points.shape), cloud.normals)


def without_base(shape: Shape, count: int, rng: np.random.Generator) -> Cloud:
    """The lowest fifth of the points is missing."""
    cloud = sampled(shape, count, rng)
    height = cloud.points @ UP
    return cloud.keep(height > np.quantile(height, LOWEST))


KINDS: dict[str, Callable[[Shape, int, np.random.Generator], Cloud]] = {
    "scan0.05": partial(scanned, noise=0.0005, move=0.0003),
    "scan0.2": partial(scanned, noise=0.002, move=0.001),
    "lines": lines,
    "stripes": stripes,
    "uneven30": partial(uneven, ratio=30.0),
    "quantised": quantised,
    "clumps": clumped,
    "flipped": flipped,
    "laplace0.2": heavy_tailed,
    "void": without_base,
}
INCOMPLETE = ("scan0.05", "scan0.2", "clumps", "void")  # kinds that do not sample all of the truth, or more than it


def rotation_about(axis: np.ndarray, angle: float) -> np.ndarray:
    """The rotation [3, 3] about a unit vector, by Rodrigues' formula."""
    x, y, z = axis
    skew = np.array([(0.0, -z, y), (z, 0.0, -x), (-y, x, 0.0)])
    return np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew


def _sides(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Two sides [f, 3] of each face, from its first corner."""
    a, b, c = (shape.vertices[shape.faces[:, k]] for k in range(3))
    return b - a, c - a


def _unit(rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)


def _barycentric(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Weights [n, 3] of corners [n, 3, 3] that give points [n, 3] of their planes."""
    a, b, c = corners.transpose(1, 0, 2)
    cross = np.cross(b - a, c - a)
    square = (cross**2).sum(1)
    second = (np.cross(points - a, c - a) * cross).sum(1) / square
    third = (np.cross(b - a, points - a) * cross).sum(1) / square
    return np.stack([1 - second - third, second, third], 1)
