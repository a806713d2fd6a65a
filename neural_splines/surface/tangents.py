"""The frame in which readers of a normal map take it: MikkTSpace's, from normals and from places in the picture.

Our own: MikkTSpace is C, in no wheel that takes arrays. Tangents of Blender 4.2, which has it, are within 0.02 degrees
of these, the rounding of its normals, and all signs the same.
"""

from __future__ import annotations

import numpy as np

from .charts import Charts

LEAST = 1e-12  # length of a mean of unit vectors that still has a direction


def tangents(vertices: np.ndarray, normals: np.ndarray, charts: Charts) -> np.ndarray:
    """Tangents [w, 4] of the corners of a mesh, as glTF has them: a unit vector t across the normal n, towards larger
    columns of the picture, and a sign s = +-1, with which s n x t points to smaller rows, upwards in the picture.

    vertices, unit normals [v, 3]. Of the faces around a corner the mean of dp/du, each made perpendicular to n and of
    length 1, weighted by the angle between the face's sides as seen along n.
    """
    corners = charts.corners.reshape(-1)
    x, n = vertices[charts.parents[charts.corners]], normals[charts.parents[corners]]
    along, turned = _along(x, charts.places[charts.corners])
    weight = _angles(x, n.reshape(-1, 3, 3)).reshape(-1)
    t = weight[:, None] * unit(_across(along.repeat(3, axis=0), n))
    count = len(charts.parents)
    total = np.stack([np.bincount(corners, t[:, k], count) for k in range(3)], 1)
    own = normals[charts.parents]
    total = _across(total, own)
    lost = np.linalg.norm(total, axis=1) < LEAST
    total[lost] = np.cross(own[lost], np.eye(3)[np.abs(own[lost]).argmin(1)])
    sign = np.where(np.bincount(corners, weight * turned.repeat(3), count) < 0.0, -1.0, 1.0)
    return np.concatenate([unit(total), sign[:, None]], 1)


def _along(x: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of faces [f, 3, 3] at places [f, 3, 2]: the direction [f, 3] in which columns grow and rows do not, and whether
    the picture shows them from outside, 1, mirrored, -1, or not at all, 0.
    """
    one, other = places[:, 1] - places[:, 0], places[:, 2] - places[:, 0]
    area = one[:, 1] * other[:, 0] - one[:, 0] * other[:, 1]  # rows run downwards
    sign = np.sign(area)
    found = one[:, 1:] * (x[:, 2] - x[:, 0]) - other[:, 1:] * (x[:, 1] - x[:, 0])
    return sign[:, None] * found, sign


def _angles(x: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """The angles [f, 3] of faces [f, 3, 3] at their corners, as seen along the normals [f, 3, 3] there."""
    after, before = (unit(_across(np.roll(x, step, axis=1) - x, normals)) for step in (-1, 1))
    return np.asarray(np.arccos(np.clip((after * before).sum(2), -1.0, 1.0)))


def _across(v: np.ndarray, n: np.ndarray) -> np.ndarray:
    """The part of vectors that is perpendicular to unit ones."""
    return np.asarray(v - (v * n).sum(-1, keepdims=True) * n)


def unit(v: np.ndarray) -> np.ndarray:
    """Vectors of length 1, or 0 where there is no direction."""
    return np.asarray(v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-300))
