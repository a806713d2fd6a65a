"""Screened Poisson reconstruction as Open3D has it: what Neural Splines are compared with.

The mesh of each depth closed, as it comes, and trimmed: without the vertices whose density is below a quantile.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

DEPTHS = (6, 7, 8, 9)
QUANTILES = (0.01, 0.05, 0.1)


@cache
def available() -> bool:
    """open3d is installed, and the system has the libraries that it needs (libusb, libGL)."""
    try:
        import open3d  # noqa: F401
    except (ImportError, OSError):
        return False
    return True


def poisson(points, normals, depth: int, trims=()) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """(quantile, vertices, faces) of each mesh: 0 for the closed one, then each of `trims`. One thread: repeatable."""
    import open3d

    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(np.ascontiguousarray(points)))
    cloud.normals = open3d.utility.Vector3dVector(np.ascontiguousarray(normals))
    with open3d.utility.VerbosityContextManager(open3d.utility.VerbosityLevel.Error):
        mesh, density = open3d.geometry.TriangleMesh.create_from_point_cloud_poisson(cloud, depth=depth, n_threads=1)
    density = np.asarray(density)
    yield 0.0, *_arrays(mesh)
    for quantile in trims:
        cut = open3d.geometry.TriangleMesh(mesh)
        cut.remove_vertices_by_mask(density < np.quantile(density, quantile))
        yield quantile, *_arrays(cut)


def _arrays(mesh) -> tuple[np.ndarray, np.ndarray]:
    return np.array(mesh.vertices), np.array(mesh.triangles, np.int64)
