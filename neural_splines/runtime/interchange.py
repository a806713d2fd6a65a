"""Clouds and meshes of other libraries, known by what they have: none of them is imported to take one of theirs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..errors import BackendError, SettingsError, first_line

NORMALS = (("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z"))


def taken_apart(cloud: Any) -> tuple[Any, Any]:
    """The points of a cloud and its normals, None where it has none, as arrays or tensors.

    Taken are arrays and nested lists; tables with columns x y z and nx ny nz (pandas, structured arrays, mappings);
    clouds and meshes of Open3D, trimesh and PyVista; and what has `__dlpack__`, such as arrays of JAX and CuPy.
    """
    if isinstance(cloud, torch.Tensor):
        return cloud, None
    if isinstance(cloud, Mapping) or hasattr(cloud, "columns") or getattr(cloud, "dtype", np.dtype(float)).names:
        return _table(cloud)
    for found in (_of_vtk(cloud), _of_open3d(cloud), _of_meshes(cloud)):
        if found:
            return found
    if not isinstance(cloud, np.ndarray) and hasattr(cloud, "__dlpack__"):
        return torch.from_dlpack(cloud), None
    return cloud, None


def _table(table: Any) -> tuple[Any, Any]:
    """Columns by their names, in capitals or not."""
    keys = table.dtype.names if isinstance(table, np.ndarray) else list(getattr(table, "columns", table))
    names = {str(key).lower(): key for key in keys}
    if not {"x", "y", "z"} <= set(names):
        raise SettingsError(f"a table of points needs columns x, y and z; it has {', '.join(map(str, keys))[:80]}")

    def columns(wanted: tuple[str, ...]) -> np.ndarray:
        return np.stack([np.asarray(table[names[name]], np.float64) for name in wanted], 1)

    normals = next((wanted for wanted in NORMALS if set(wanted) <= set(names)), None)
    return columns(("x", "y", "z")), columns(normals) if normals else None


def _of_vtk(cloud: Any) -> tuple[Any, Any] | None:
    """PyVista's."""
    if not hasattr(cloud, "points") or not hasattr(cloud, "point_data"):
        return None
    data = cloud.point_data
    normals = next((np.asarray(data[name]) for name in ("Normals", "normals") if name in data), None)
    return np.asarray(cloud.points, np.float64), normals


def _of_open3d(cloud: Any) -> tuple[Any, Any] | None:
    """Clouds, of Open3D's core and of its tensors."""
    if hasattr(cloud, "point") and "positions" in cloud.point:
        there = cloud.point
        return there["positions"].cpu().numpy(), there["normals"].cpu().numpy() if "normals" in there else None
    if hasattr(cloud, "points") and hasattr(cloud, "has_normals"):
        return np.asarray(cloud.points), np.asarray(cloud.normals) if cloud.has_normals() else None
    return None


def _of_meshes(mesh: Any) -> tuple[Any, Any] | None:
    """Vertices with the normals of trimesh's and Open3D's meshes; a cloud of trimesh has none."""
    if not hasattr(mesh, "vertices"):
        return None
    normals = getattr(mesh, "vertex_normals", None)
    usable = normals is not None and len(normals) == len(mesh.vertices)
    return np.asarray(mesh.vertices), np.asarray(normals) if usable else None


def to_trimesh(vertices: np.ndarray, normals: np.ndarray, faces: np.ndarray) -> Any:
    library = _imported("trimesh")
    return library.Trimesh(vertices, faces, vertex_normals=normals, process=False)


def to_open3d(vertices: np.ndarray, normals: np.ndarray, faces: np.ndarray) -> Any:
    library = _imported("open3d")
    vectors, triples = library.utility.Vector3dVector, library.utility.Vector3iVector
    mesh = library.geometry.TriangleMesh(vectors(vertices.copy()), triples(faces.astype(np.int32)))
    mesh.vertex_normals = vectors(normals.copy())  # it takes none that is read-only
    return mesh


def to_pyvista(vertices: np.ndarray, normals: np.ndarray, faces: np.ndarray) -> Any:
    library = _imported("pyvista")
    corners = np.column_stack([np.full(len(faces), 3, faces.dtype), faces])
    mesh = library.PolyData(vertices, corners.reshape(-1))
    mesh.point_data["Normals"] = normals
    return mesh


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BackendError(f"to_{name}() needs the package {name} ({first_line(error)}); pip install {name}") from None
