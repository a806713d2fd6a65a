"""Oriented clouds: random samples of a surface, their normals, and what spoils them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import truths
from scipy.spatial import cKDTree
from truths import Shape

NEIGHBOURS = 24  # of a plane fitted for a normal


@dataclass(frozen=True)
class Cloud:
    """Points and unit normals [n, 3]."""

    points: np.ndarray
    normals: np.ndarray

    def __len__(self) -> int:
        return len(self.points)

    def keep(self, mask: np.ndarray) -> Cloud:
        return Cloud(self.points[mask], self.normals[mask])


def sampled(shape: Shape, count: int, rng: np.random.Generator, ratio: float = 1.0) -> Cloud:
    """Random points of the surface, uniform by area, or with a density that varies by `ratio` along the x axis."""
    weight = np.linalg.norm(truths._cross(shape.vertices, shape.faces), axis=1)
    most = np.concatenate([[0.0], np.cumsum(weight)])
    face = np.empty(0, int)
    points = np.empty((0, 3))
    weights = np.empty((0, 3))
    while len(points) < count:
        tries = 2 * count + 100
        new = np.searchsorted(most, rng.random(tries) * most[-1], side="right") - 1
        new = np.clip(new, 0, len(weight) - 1)
        r, t = np.sqrt(rng.random(tries)), rng.random(tries)
        inside = np.stack([1 - r, r * (1 - t), r * t], 1)
        x = np.einsum("nk,nkd->nd", inside, shape.vertices[shape.faces[new]])
        kept = rng.random(tries) < density(x, shape, ratio)
        face, points = np.concatenate([face, new[kept]]), np.concatenate([points, x[kept]])
        weights = np.concatenate([weights, inside[kept]])
    face, points, weights = face[:count], points[:count], weights[:count]
    return Cloud(points, normals_at(shape, face, weights))


def normals_at(shape: Shape, face: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Unit normals [n, 3] at the barycentric `weights` [n, 3] of faces [n]: the face's own where the shape is sharp."""
    cross = truths._cross(shape.vertices, shape.faces)
    if shape.sharp:
        normals = cross[face]
    else:
        at_vertex = np.zeros_like(shape.vertices)
        for k in range(3):
            for axis in range(3):
                at_vertex[:, axis] += np.bincount(shape.faces[:, k], cross[:, axis], len(at_vertex))
        at_vertex /= np.maximum(np.linalg.norm(at_vertex, axis=1, keepdims=True), 1e-300)
        normals = np.einsum("nk,nkd->nd", weights, at_vertex[shape.faces[face]])
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def density(points: np.ndarray, shape: Shape, ratio: float) -> np.ndarray:
    """From 1 down to 1 / ratio, geometrically along the x axis of the shape's box."""
    x = shape.vertices[:, 0]
    return ratio ** -((points[:, 0] - x.min()) / np.ptp(x))


def plane_normals(cloud: Cloud, count: int = NEIGHBOURS) -> np.ndarray:
    """Unit normals [n, 3] of the planes through each point's nearest points, on the side of the cloud's own normals."""
    near = cloud.points[cKDTree(cloud.points).query(cloud.points, count)[1]]
    near = near - near.mean(1, keepdims=True)
    normals = np.linalg.eigh(np.einsum("nki,nkj->nij", near, near))[1][:, :, 0]
    return np.where((normals * cloud.normals).sum(1, keepdims=True) < 0, -normals, normals)


def with_outliers(cloud: Cloud, share: float, rng: np.random.Generator) -> Cloud:
    """And `share` times as many random points with random normals, in the box of the cloud scaled by 1.2."""
    count = round(share * len(cloud))
    low, high = cloud.points.min(0), cloud.points.max(0)
    points = (low + high) / 2 + 1.2 * (rng.random((count, 3)) - 0.5) * (high - low)
    normals = rng.normal(size=(count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Cloud(np.concatenate([cloud.points, points]), np.concatenate([cloud.normals, normals]))
