"""Other programs' surfaces, which Neural Splines are compared with: as functions, and as programs from file to file.

    python benchmarks/peers.py open3d-poisson CLOUD MESH DEPTH QUANTILE
    python benchmarks/peers.py pymeshlab-poisson CLOUD MESH DEPTH QUANTILE
    python benchmarks/peers.py open3d-pivoting CLOUD MESH

Screened Poisson reconstruction comes closed, or trimmed: without the vertices whose density is below a quantile. A
program here imports its library and no more, reads and writes by it, and uses all cores.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache

import numpy as np

DEPTHS = (6, 7, 8, 9)
QUANTILES = (0.01, 0.05, 0.1)
RADII = (1.5, 3.0, 6.0)  # of the balls, in mean distances to the nearest point


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
    mesh, density = _poisson(cloud, depth, threads=1)
    yield 0.0, *_arrays(mesh)
    for quantile in trims:
        yield quantile, *_arrays(_trimmed(open3d.geometry.TriangleMesh(mesh), density, quantile))


def open3d_poisson(cloud: str, mesh: str, depth: str, quantile: str) -> None:
    import open3d

    found, density = _poisson(open3d.io.read_point_cloud(cloud), int(depth), threads=-1)
    if float(quantile):
        found = _trimmed(found, density, float(quantile))
    open3d.io.write_triangle_mesh(mesh, found)


def open3d_pivoting(cloud: str, mesh: str) -> None:
    """Ball pivoting; no documentation says which radii, these won on the example."""
    import open3d

    points = open3d.io.read_point_cloud(cloud)
    spacing = float(np.mean(points.compute_nearest_neighbor_distance()))
    radii = open3d.utility.DoubleVector([spacing * radius for radius in RADII])
    found = open3d.geometry.TriangleMesh.create_from_point_cloud_ball_pivoting(points, radii)
    open3d.io.write_triangle_mesh(mesh, found)


def pymeshlab_poisson(cloud: str, mesh: str, depth: str, quantile: str) -> None:
    """Trimmed by the density, too, which it leaves in the vertices' quality."""
    import pymeshlab

    meshes = pymeshlab.MeshSet()
    meshes.load_new_mesh(cloud)
    meshes.generate_surface_reconstruction_screened_poisson(depth=int(depth))
    if float(quantile):
        least = float(np.quantile(meshes.current_mesh().vertex_scalar_array(), float(quantile)))
        meshes.compute_selection_by_condition_per_vertex(condselect=f"q < {least!r}")
        meshes.meshing_remove_selected_vertices()
    meshes.save_current_mesh(mesh)


def _poisson(cloud, depth: int, threads: int):
    import open3d

    with open3d.utility.VerbosityContextManager(open3d.utility.VerbosityLevel.Error):
        mesh, density = open3d.geometry.TriangleMesh.create_from_point_cloud_poisson(
            cloud, depth=depth, n_threads=threads
        )
    return mesh, np.asarray(density)


def _trimmed(mesh, density: np.ndarray, quantile: float):
    mesh.remove_vertices_by_mask(density < np.quantile(density, quantile))
    return mesh


def _arrays(mesh) -> tuple[np.ndarray, np.ndarray]:
    return np.array(mesh.vertices), np.array(mesh.triangles, np.int64)


PROGRAMS = {
    "open3d-poisson": open3d_poisson,
    "open3d-pivoting": open3d_pivoting,
    "pymeshlab-poisson": pymeshlab_poisson,
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
