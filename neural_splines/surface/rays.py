"""Rays against a mesh, by the tree of point-cloud-utils (Embree)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import BackendError, first_line

AT_ONCE = 1 << 18  # rays: their results take some tens of bytes each


class Rays:
    """A mesh of vertices [v, 3] and faces [f, 3] that rays are cast against, in single precision about its middle."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray):
        try:
            from point_cloud_utils import RayMeshIntersector
        except ImportError as error:
            raise BackendError(
                f"rays need the package point-cloud-utils ({first_line(error)}); install it where it has a wheel"
            ) from error
        self.middle = (vertices.min(0) + vertices.max(0)) / 2.0 if len(vertices) else np.zeros(3)
        moved = np.ascontiguousarray(vertices - self.middle)
        self._tree: Any = RayMeshIntersector(moved, np.ascontiguousarray(faces, np.int64))

    def first(self, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of rays from origins [n, 3] along directions [n, 3]: the first face [n] that each meets, -1 for none, and how
        far away it is [n] in lengths of its direction, inf for none.
        """
        face, reach = np.full(len(origins), -1, np.int64), np.full(len(origins), np.inf)
        for start in range(0, len(origins), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            begin = np.ascontiguousarray(origins[some] - self.middle)
            found, _, t = self._tree.intersect_rays(begin, np.ascontiguousarray(directions[some]))
            found = np.asarray(found, np.int64).reshape(-1)
            face[some], reach[some] = found, np.where(found >= 0, np.asarray(t).reshape(-1), np.inf)
        return face, reach
