"""Triangle meshes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
import torch
from torch import Tensor

from ..files.atomic import PathLike
from ..runtime import interchange
from ..runtime.arrays import Array
from ..runtime.devices import pieces


@dataclass(frozen=True)
class Mesh(Generic[Array]):
    """Vertices [v, 3] in world units, unit vertex normals [v, 3] pointing outwards, triangles [f, 3].

    ends: where it is wanted, what a vertex is known by on the whole lattice [v, 2]: the lattice edge that it lies on,
    twice, or the two between whose vertices it was cut.
    """

    vertices: Array
    normals: Array
    faces: Array
    ends: Array | None = None

    def __repr__(self) -> str:
        return f"Mesh({len(self.vertices)} vertices, {len(self.faces)} faces)"

    def numpy(self) -> Mesh[np.ndarray]:
        """The same in numpy arrays."""
        vertices, normals, faces = (
            part.cpu().numpy() if isinstance(part, Tensor) else np.asarray(part)
            for part in (self.vertices, self.normals, self.faces)
        )
        return Mesh(vertices, normals, faces)

    def to_trimesh(self) -> Any:
        """A trimesh.Trimesh. BackendError where trimesh is not installed."""
        mesh = self.numpy()
        return interchange.to_trimesh(mesh.vertices, mesh.normals, mesh.faces)

    def to_open3d(self) -> Any:
        """An open3d.geometry.TriangleMesh. BackendError where Open3D is not installed."""
        mesh = self.numpy()
        return interchange.to_open3d(mesh.vertices, mesh.normals, mesh.faces)

    def to_pyvista(self) -> Any:
        """A pyvista.PolyData with the array `Normals`. BackendError where PyVista is not installed."""
        mesh = self.numpy()
        return interchange.to_pyvista(mesh.vertices, mesh.normals, mesh.faces)

    def show(self, path: PathLike | None = None) -> str | None:
        """Open a page to turn the mesh in, written to this path or to a temporary file, in the browser: its path.

        Without a path in a notebook, show it there: None.
        """
        from .display import mesh_page, show

        mesh = self.numpy()
        return show(mesh_page(mesh.vertices, mesh.faces), path, self._repr_html_)

    def _repr_html_(self) -> str:
        """What a notebook shows: the mesh to turn, a picture of a large one."""
        from .display import in_html, mesh_page

        mesh = self.numpy()
        return in_html(mesh.vertices, mesh.faces, lambda: mesh_page(mesh.vertices, mesh.faces))


def face_average_normals(mesh: Mesh) -> Tensor:
    """Unit vertex normals [v, 3]: the mean of the adjacent faces' normals, weighted by area."""
    cross = torch.cat([_crossed(*(mesh.vertices[faces[:, k]] for k in range(3))) for faces in pieces(mesh.faces)])
    total = torch.stack([sums_at_vertices(mesh, along) for along in cross.unbind(1)], 1)
    return total / total.norm(dim=1, keepdim=True).clamp_min(1e-300)


def _crossed(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return torch.linalg.cross(b - a, c - a)


def sums_at_vertices(mesh: Mesh, values: Tensor) -> Tensor:
    """Sums [v] of the values [f] of the faces around every vertex; in order, so that GPUs repeat their bits."""
    corners = mesh.faces.reshape(-1)
    lengths = torch.bincount(corners, minlength=len(mesh.vertices))
    return torch.segment_reduce(values[corners.argsort(stable=True) // 3], "sum", lengths=lengths, unsafe=True)


def keep_faces(mesh: Mesh, mask: Tensor) -> Mesh:
    """The mesh of the faces under the mask [f], without the vertices that no face uses."""
    if bool(mask.all()):
        return mesh
    faces = mesh.faces[mask]
    used = torch.zeros(len(mesh.vertices), dtype=torch.bool, device=faces.device)
    used[faces.reshape(-1)] = True
    place = used.cumsum(0) - 1
    return Mesh(mesh.vertices[used], mesh.normals[used], place[faces], None if mesh.ends is None else mesh.ends[used])


def border_edges(mesh: Mesh) -> Tensor:
    """The edges [e, 2], pairs of vertices, that have one face: none of a closed surface."""
    n = len(mesh.vertices)
    pairs = mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).sort(1).values
    keys, counts = torch.unique(pairs[:, 0] * n + pairs[:, 1], return_counts=True)
    keys = keys[counts == 1]
    return torch.stack([keys // max(n, 1), keys % max(n, 1)], 1)
