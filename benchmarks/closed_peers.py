"""Closed screened Poisson surfaces by the programs that are installed: from arrays to arrays.

Open3D and PyMeshLab come with requirements/requirements-bench.txt and use one thread, so that a run can be repeated;
PoissonRecon is a program on the PATH, with its defaults.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import peers

Mesh = tuple[np.ndarray, np.ndarray]  # vertices [v, 3], faces [f, 3]
NAMES = ("Open3D", "PyMeshLab", "PoissonRecon")
Poisson = Callable[[np.ndarray, np.ndarray, int], Mesh]  # points, normals [n, 3], depth


def open3d(points, normals, depth: int) -> Mesh:
    ((_, *mesh),) = peers.poisson(points, normals, depth)
    return mesh[0], mesh[1]


def pymeshlab(points, normals, depth: int) -> Mesh:
    import pymeshlab as lab

    meshes = lab.MeshSet(verbose=False)
    points, normals = (np.ascontiguousarray(array, float) for array in (points, normals))
    meshes.add_mesh(lab.Mesh(vertex_matrix=points, v_normals_matrix=normals))
    meshes.generate_surface_reconstruction_screened_poisson(depth=depth, threads=1)
    found = meshes.current_mesh()
    return np.array(found.vertex_matrix()), np.array(found.face_matrix(), np.int64)


def poisson_recon(points, normals, depth: int) -> Mesh:
    from neural_splines.files.meshes import load_mesh, save_mesh

    with tempfile.TemporaryDirectory() as folder:
        cloud, mesh = Path(folder, "cloud.ply"), Path(folder, "mesh.ply")
        save_mesh(cloud, np.asarray(points), np.asarray(normals), None)
        words = ["PoissonRecon", "--in", str(cloud), "--out", str(mesh), "--depth", str(depth)]
        subprocess.run(words, check=True, capture_output=True)
        vertices, faces = load_mesh(mesh)
        return vertices.numpy(), faces.numpy()


def installed() -> dict[str, Poisson]:
    """The programs that this machine has, by name."""
    found: dict[str, Poisson] = {}
    if peers.available():
        found["Open3D"] = open3d
    if importlib.util.find_spec("pymeshlab"):
        found["PyMeshLab"] = pymeshlab
    if shutil.which("PoissonRecon"):
        found["PoissonRecon"] = poisson_recon
    return found
