"""A picture of the field's normals on a mesh: what light sees of details for which it has too few faces."""

from __future__ import annotations

import numpy as np

from .charts import Charts
from .tangents import tangents, unit

FLAT = (128, 128, 255)  # of a normal that is the mesh's own
LEAST = 1e-6  # of the volume of a frame, between unit vectors
LEAN = 0.5  # cosine: farther than 60 degrees the field's normal is that of another surface


class Frames:
    """The frames of a mesh at places of its faces, as readers have them: normal n, tangent t and bitangent s n x t of
    the corners, mixed linearly, each then made a unit vector.
    """

    def __init__(self, vertices: np.ndarray, normals: np.ndarray, charts: Charts):
        """vertices, unit normals [v, 3]."""
        self.corners, self.tangents = charts.corners, tangents(vertices, normals, charts)
        a, b, c = vertices[charts.parents[charts.corners]].transpose(1, 0, 2)
        self.flat = unit(np.cross(b - a, c - a))
        n, t = normals[charts.parents], self.tangents[:, :3]
        self.axes = np.stack([t, self.tangents[:, 3:] * np.cross(n, t), n], 1)  # [w, 3, 3]

    def at(self, face: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Frames [n, 3, 3], rows t, b, n, at places of faces [n] with weights [n, 3] of their corners."""
        mixed = np.einsum("nk,nkij->nij", weights, self.axes[self.corners[face]])
        return unit(mixed)

    def encoded(self, face: np.ndarray, weights: np.ndarray, slopes: np.ndarray, known: np.ndarray) -> np.ndarray:
        """The directions of vectors [n, 3] in these frames as colours: c = round(127.5 (1 + m)) with the unit vector m
        for which m_1 t + m_2 b + m_3 n has the direction; those of the mesh where they are not known [n], or lean away
        from the face and from its normals there, as those of another surface do.
        """
        t, b, n = self.at(face, weights).transpose(1, 0, 2)
        with np.errstate(all="ignore"):
            normals = unit(slopes)
            known = known & (np.maximum((normals * n).sum(1), (normals * self.flat[face]).sum(1)) > LEAN)
        rows = np.stack([np.cross(b, n), np.cross(n, t), np.cross(t, b)], 1)  # of the inverse, times the volume
        volume = (t * rows[:, 0]).sum(1)
        known = known & (np.abs(volume) > LEAST)
        with np.errstate(all="ignore"):
            m = np.einsum("nij,nj->ni", rows, normals) * np.sign(volume)[:, None]
            m /= np.linalg.norm(m, axis=1, keepdims=True)
            colours = np.where(known[:, None], np.round(127.5 * (1.0 + m)), FLAT)
        return np.asarray(colours.astype(np.uint8))
