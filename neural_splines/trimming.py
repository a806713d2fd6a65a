"""What of a mesh to keep: faces near the input, regions that the data support, large components."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .meshing import Mesh

NEIGHBOURS = 6  # the local spacing of a cloud is the distance to this neighbour, about 1.4 / sqrt(density)
OPEN_SPACINGS = 0.75  # the mesh of an open surface ends about so many spacings beyond the last points
GAP_SPACINGS = 1.5  # a gap whose middle is at most so many spacings from a point is carried across


def keep_faces(mesh: Mesh, mask: Tensor) -> Mesh:
    """The mesh of the faces under the mask [f], without the vertices that no face uses."""
    if bool(mask.all()):
        return mesh
    used, faces = torch.unique(mesh.faces[mask], return_inverse=True)
    return Mesh(mesh.vertices[used], mesh.normals[used], faces.reshape(-1, 3))


def trim(mesh: Mesh, points: Tensor, distance: float) -> Mesh:
    """Drop faces with a vertex farther than `distance` (world units) from the nearest of points [n, 3]."""
    from scipy.spatial import cKDTree

    tree = cKDTree(points.cpu().numpy())
    nearest, _ = tree.query(mesh.vertices.cpu().numpy(), distance_upper_bound=distance, workers=-1)
    near = torch.from_numpy(np.isfinite(nearest)).to(mesh.faces.device)
    return keep_faces(mesh, near[mesh.faces].all(1))


def trim_unsupported(mesh: Mesh, points: Tensor) -> Mesh:
    """Cut an open surface back to its data, but leave small gaps in the data closed.

    Vertices farther from the nearest point than OPEN_SPACINGS times the cloud's spacing there form
    regions. A region is a gap, and kept, if its farthest vertex is within GAP_SPACINGS mean spacings and
    it touches the rest of the surface but not the mesh's border; else the surface runs out of the data
    there, or floats away from them, and the region's faces go.
    """
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    if not len(mesh.faces):
        return mesh
    cloud, vertices, faces = points.cpu().numpy(), mesh.vertices.cpu().numpy(), mesh.faces.cpu().numpy()
    tree = cKDTree(cloud)
    distance, nearest = tree.query(vertices, workers=-1)
    # the spacing is needed only at points that are the nearest of a vertex far from all
    used, back = np.unique(nearest, return_inverse=True)
    k = min(NEIGHBOURS + 1, len(cloud))
    spacing = tree.query(cloud[used], k=[k], workers=-1)[0][:, 0]
    spacing = spacing[back.reshape(-1)].clip(1e-300)

    far = distance > OPEN_SPACINGS * spacing
    edges, count = _edges(faces)
    border = np.zeros(len(vertices), bool)
    border[edges[count == 1].reshape(-1)] = True
    label = connected_components(_graph(edges[far[edges].all(1)], len(vertices)), directed=False)[1]
    regions = label.max() + 1
    farthest = np.zeros(regions)
    np.maximum.at(farthest, label[far], distance[far])
    # one point's spacing says little; a region's mean tells a sparse sample from the end of the data
    mean_spacing = np.bincount(label, spacing, regions) / np.bincount(label, minlength=regions)
    lost_label = farthest > GAP_SPACINGS * mean_spacing
    lost_label[label[far & border]] = True
    attached = np.zeros_like(lost_label)
    across = edges[far[edges[:, 0]] != far[edges[:, 1]]]
    attached[label[across].reshape(-1)] = True
    lost_label |= ~attached
    drop = far & lost_label[label]
    return keep_faces(mesh, torch.from_numpy(~drop[faces].any(1)).to(mesh.faces.device))


def drop_small_components(mesh: Mesh, fraction: float) -> Mesh:
    """Drop connected components with fewer faces than `fraction` of the largest component's."""
    from scipy.sparse.csgraph import connected_components

    if not len(mesh.faces):
        return mesh
    faces = mesh.faces.cpu().numpy()
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    label = connected_components(_graph(pairs, len(mesh.vertices)), directed=False)[1][faces[:, 0]]
    sizes = np.bincount(label)
    large = torch.from_numpy(sizes[label] >= fraction * sizes.max())
    return keep_faces(mesh, large.to(mesh.faces.device))


def _edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct edges [e, 2] of faces [f, 3] and how many faces each has."""
    n = int(faces.max()) + 1
    pairs = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    keys, count = np.unique(pairs[:, 0] * n + pairs[:, 1], return_counts=True)
    return np.stack([keys // n, keys % n], 1), count


def _graph(edges: np.ndarray, n: int):
    from scipy.sparse import coo_matrix

    return coo_matrix((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(n, n))
