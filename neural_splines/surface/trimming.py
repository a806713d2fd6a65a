"""What of a mesh to keep: faces near the input, regions that the data support, large components."""

from __future__ import annotations

import torch
from torch import Tensor

from ..neighbours import Neighbours
from .components import components
from .mesh import Mesh, keep_faces

OPEN_SPACINGS = 0.75  # the mesh of an open surface ends about so many spacings beyond the last points
GAP_SPACINGS = 1.5  # a gap whose middle is at most so many spacings from a point is carried across


def trim(mesh: Mesh, points: Tensor, distance: float) -> Mesh:
    """Drop faces with a vertex farther than `distance` (world units) from the nearest of points [n, 3]."""
    near = Neighbours(points).query(mesh.vertices, within=distance)[0].isfinite()
    return keep_faces(mesh, near[mesh.faces].all(1))


def trim_unsupported(mesh: Mesh, points: Tensor) -> Mesh:
    """Cut an open surface back to its data, but leave small gaps in the data closed.

    Vertices farther from the nearest point than OPEN_SPACINGS times the cloud's spacing there form
    regions. A region is a gap, and kept, if its farthest vertex is within GAP_SPACINGS mean spacings and
    it touches the rest of the surface but not the mesh's border; else the surface runs out of the data
    there, or floats away from them, and the region's faces go.
    """
    cloud = Neighbours(points)
    spacing = cloud.spacing(points).clamp_min(1e-300)
    distance, nearest = cloud.query(mesh.vertices, within=GAP_SPACINGS * float(spacing.max()))  # farther is too far
    spacing = spacing[nearest]
    far = distance > OPEN_SPACINGS * spacing
    if not bool(far.any()):
        return mesh

    # All that matters is seen by the faces at far vertices.
    edges, count = _edges(mesh.faces[far[mesh.faces].any(1)])
    border = torch.zeros_like(far)
    border[edges[count == 1].reshape(-1)] = True
    place = far.cumsum(0) - 1  # of a far vertex among these
    links = place[edges[far[edges].all(1)]]
    across = edges[far[edges[:, 0]] != far[edges[:, 1]]]
    touching = torch.zeros_like(far)
    touching[across.reshape(-1)] = True
    _, label = torch.unique(components(links, int(far.sum())), return_inverse=True)
    size = torch.bincount(label)
    # one point's spacing says little; a region's mean tells a sparse sample from the end of the data
    order = label.argsort(stable=True)  # sums in a fixed order
    mean_spacing = torch.segment_reduce(spacing[far][order], "sum", lengths=size, unsafe=True) / size
    lost = torch.zeros_like(size, dtype=torch.bool)
    lost[label[border[far] | (distance[far] > GAP_SPACINGS * mean_spacing[label])]] = True
    attached = torch.zeros_like(lost)
    attached[label[touching[far]]] = True
    drop = torch.zeros_like(far)
    drop[far] = (lost | ~attached)[label]
    return keep_faces(mesh, ~drop[mesh.faces].any(1))


def drop_small_components(mesh: Mesh, fraction: float) -> Mesh:
    """Drop connected components with fewer faces than `fraction` of the largest component's."""
    if not len(mesh.faces):
        return mesh
    pairs = torch.cat([mesh.faces[:, :2], mesh.faces[:, 1:]])
    label = components(pairs, len(mesh.vertices))[mesh.faces[:, 0]]
    sizes = torch.bincount(label)
    return keep_faces(mesh, sizes[label] >= fraction * float(sizes.max()))


def _edges(faces: Tensor) -> tuple[Tensor, Tensor]:
    """Distinct edges [e, 2] of faces [f, 3] and how many of these each has."""
    pairs = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).sort(1).values
    n = int(faces.max()) + 1
    keys, count = torch.unique(pairs[:, 0] * n + pairs[:, 1], return_counts=True)
    return torch.stack([keys // n, keys % n], 1), count
