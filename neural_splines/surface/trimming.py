"""What of a mesh to keep: faces near the input, regions that the data support, large components."""

from __future__ import annotations

import torch
from torch import Tensor

from ..clouds import OrientedCloud
from ..errors import EmptySurfaceError
from ..metric import Metric
from ..neighbours import Neighbours
from ..runtime import memory
from ..runtime.devices import slices
from ..runtime.monitor import Monitor
from ..settings import AUTO, Settings
from .clipping import clip
from .components import components
from .lattice import Lattice
from .mesh import Mesh, keep_faces

OPEN_SPACINGS = 0.75  # the mesh of an open surface ends about so many spacings beyond the last points
GAP_SPACINGS = 1.5  # a gap whose middle is at most so many spacings from a point is carried across
# So is a small one, of at most so many squared spacings and so deep, as random samples have them: on 12 clean shapes
# none was deeper than 1.9 and larger than 7; the holes of the bunny's base are 2.0 to 4.9 deep, 50 to 125 in area.
SMALL_GAP_SPACINGS, SMALL_GAP_AREA = 3.0, 12.0
# No region that reaches so far is kept: its mean spacing is hardly more than twice that at its end
NO_SUPPORT = 2.0 * SMALL_GAP_SPACINGS
WITNESSES = 3  # points by which a face may be turned the wrong way
NEAR_SPACINGS = 2.0  # of a point: no part of a surface that floats
SPECK_SHARE, SPECK_POINTS = 0.01, 64  # of the largest component's faces, and points near by: less of both is a speck


def trimmed(mesh: Mesh, cloud: OrientedCloud, lattice: Lattice, settings: Settings, monitor: Monitor) -> Mesh:
    """What the user wants to keep of a mesh of a cloud, on the same device."""
    if settings.trim == "none" and settings.min_component == 0.0:
        return mesh
    monitor.phase("trim")
    memory.release()
    if settings.trim == AUTO:
        asked = settings.cells.fill_holes if settings.cells else False
        mesh = trim_unsupported(mesh, cloud.sampling.metric, max(GAP_SPACINGS, float(asked)))
        mesh = drop_turned(mesh, cloud) if cloud.from_above else mesh
    elif settings.trim != "none":
        mesh = trim(mesh, cloud.sampling.near, settings.trim * lattice.voxel_diagonal)
    if settings.min_component == AUTO:
        mesh = drop_specks(mesh, cloud.sampling.metric)
    elif settings.min_component > 0.0:
        mesh = drop_small_components(mesh, settings.min_component)
    if not len(mesh.faces):
        raise EmptySurfaceError("trimming leaves no face; use a larger --trim, or --trim none")
    return mesh


def trim(mesh: Mesh, cloud: Neighbours, distance: float) -> Mesh:
    """Drop faces with a vertex farther than `distance` (world units) from the nearest point of a cloud."""
    near = cloud.query(mesh.vertices, within=distance)[0].isfinite()
    return keep_faces(mesh, near[mesh.faces].all(1))


def trim_unsupported(mesh: Mesh, metric: Metric, gap: float = GAP_SPACINGS, cut_off: Tensor | None = None) -> Mesh:
    """Cut an open surface back to its data, but leave small gaps in the data closed.

    Vertices farther from the nearest point than OPEN_SPACINGS times the cloud's spacing there form
    regions. A region is a gap, and kept, if its farthest vertex is within `gap` mean spacings, or it is small,
    and if it touches the rest of the surface but not the mesh's border; else the surface runs out of the data
    there, or floats away from them, and is cut along that distance. cut_off [v]: vertices where a part of a mesh ends
    and the whole goes on, which are no border.
    """
    most = max(gap, SMALL_GAP_SPACINGS)
    distance, spacing, sparser = metric.nearest(mesh.vertices, OPEN_SPACINGS, most)
    # between dense and sparse points a gap is as wide as the sparse ones are apart
    level = distance - torch.where(sparser, GAP_SPACINGS, OPEN_SPACINGS) * spacing
    far = level > 0.0
    if not bool(far.any()):
        return mesh

    # All that matters is seen by the faces at far vertices.
    faces = mesh.faces[far[mesh.faces].any(1)]
    edges, count = _edges(faces)
    border = torch.zeros_like(far)
    border[edges[count == 1].reshape(-1)] = True
    if cut_off is not None:
        border &= ~cut_off
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
    small = _areas(mesh, faces)[far][order]
    small = torch.segment_reduce(small, "sum", lengths=size, unsafe=True) <= SMALL_GAP_AREA * mean_spacing**2
    deep = (torch.where(small, most, gap) * mean_spacing)[label]
    lost = torch.zeros_like(small)
    lost[label[border[far] | (distance[far] > deep)]] = True
    attached = torch.zeros_like(lost)
    attached[label[touching[far]]] = True
    drop = torch.zeros_like(far)
    drop[far] = (lost | ~attached)[label]
    return clip(mesh, drop, level.clamp_max(most * float(metric.across.max())))


def may_support(metric: Metric, x: Tensor, radius: float) -> Tensor:
    """Which of places [q, 3] have a place within a radius around them where `trim_unsupported` may leave a surface."""
    distance, spacing, _ = metric.nearest(x, 0.0, NO_SUPPORT + radius / float(metric.across.max()))
    return distance <= radius + NO_SUPPORT * spacing


def drop_turned(mesh: Mesh, cloud: OrientedCloud) -> Mesh:
    """Drop faces that look against most of the points nearest to them: the underside of a layer of leaves, say, which
    the field must have above another, and which nothing that was seen from one side can show.
    """
    near, against = cloud.sampling.near, torch.zeros(len(mesh.faces), dtype=torch.bool, device=mesh.faces.device)
    for chunk in slices(len(mesh.faces), mesh.faces.device):
        a, b, c = mesh.vertices[mesh.faces[chunk]].unbind(1)
        nearest = near.nearest((a + b + c) / 3.0, WITNESSES)[1]
        product = (cloud.normals[nearest] * torch.linalg.cross(b - a, c - a)[:, None]).sum(2)
        against[chunk] = 2 * (product < 0.0).sum(1) > product.shape[1]
    return keep_faces(mesh, ~against)


def drop_specks(mesh: Mesh, metric: Metric) -> Mesh:
    """Drop components that no points, or small ones that few points, support; the largest stays.

    A component floats where fewer than half of its vertices are within NEAR_SPACINGS of a point. A small one is
    supported by the points that are nearest to one of its vertices: a small object that was scanned has many, a flake
    around an outlier few.
    """
    if not len(mesh.faces):
        return mesh
    label = labels(mesh)
    faces = torch.bincount(label[mesh.faces[:, 0]], minlength=int(label.max()) + 1)
    vertex = (label != faces.argmax()).nonzero()[:, 0]
    if not len(vertex):
        return mesh
    near, nearest = near_points(mesh.vertices[vertex], metric)
    count = len(metric.along)
    pairs = torch.unique(label[vertex] * count + nearest)
    support = torch.bincount(pairs // count, minlength=len(faces))
    floating = torch.bincount(label[vertex], 1.0 - 2.0 * near.double(), minlength=len(faces)) > 0.0
    small = faces < SPECK_SHARE * float(faces.max())
    return keep_faces(mesh, ~(floating | small & (support < SPECK_POINTS))[label[mesh.faces[:, 0]]])


def near_points(vertices: Tensor, metric: Metric) -> tuple[Tensor, Tensor]:
    """Which of vertices [v, 3] are near one of a cloud's points, and the index of the nearest."""
    distance, nearest = metric.cloud.query(vertices)
    return distance <= NEAR_SPACINGS * metric.towards(nearest, vertices), nearest


def drop_small_components(mesh: Mesh, fraction: float) -> Mesh:
    """Drop connected components with fewer faces than `fraction` of the largest component's."""
    if not len(mesh.faces):
        return mesh
    label = labels(mesh)[mesh.faces[:, 0]]
    sizes = torch.bincount(label)
    return keep_faces(mesh, sizes[label] >= fraction * float(sizes.max()))


def labels(mesh: Mesh) -> Tensor:
    """The component [v] of every vertex."""
    return components(torch.cat([mesh.faces[:, :2], mesh.faces[:, 1:]]), len(mesh.vertices))


def _edges(faces: Tensor) -> tuple[Tensor, Tensor]:
    """Distinct edges [e, 2] of faces [f, 3] and how many of these each has."""
    pairs = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).sort(1).values
    n = int(faces.max()) + 1
    keys, count = torch.unique(pairs[:, 0] * n + pairs[:, 1], return_counts=True)
    return torch.stack([keys // n, keys % n], 1), count


def _areas(mesh: Mesh, faces: Tensor) -> Tensor:
    """The share [v] of every vertex in the area of these faces [f, 3], which come in a fixed order."""
    a, b, c = mesh.vertices[faces].unbind(1)
    third = torch.linalg.cross(b - a, c - a).norm(dim=1) / 6.0
    order = faces.reshape(-1).argsort(stable=True)
    lengths = torch.bincount(faces.reshape(-1), minlength=len(mesh.vertices))
    return torch.segment_reduce(third.repeat_interleave(3)[order], "sum", lengths=lengths, unsafe=True)
