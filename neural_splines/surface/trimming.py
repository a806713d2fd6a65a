"""What of a mesh to keep: faces near the input, regions that the data support, large components."""

from __future__ import annotations

import torch
from torch import Tensor

from ..cloud.clouds import OrientedCloud
from ..cloud.metric import COARSER, Metric
from ..cloud.neighbours import Neighbours
from ..components import components
from ..runtime.devices import slices
from ..settings import AUTO, Settings
from .clipping import clip
from .mesh import Mesh, keep_faces

OPEN_SPACINGS = 0.75  # the mesh of an open surface ends about so many spacings beyond the last points
GAP_SPACINGS = 1.5  # a gap whose middle is at most so many spacings from a point is carried across
# So is a small one, of at most so many squared spacings and so deep, as samples of a whole surface have them: random
# ones none larger than 4, with a density that falls 30-fold 6.4, in stripes one of 16; of the holes of the bunny's
# base, in clouds of 12,000 to 36,000 points, the smallest is 8 to 24 in area, the largest 18 to 80.
SMALL_GAP_SPACINGS, SMALL_GAP_AREA = 4.5, 12.0
NO_SUPPORT = (
    2.0  # times such a depth nothing is kept: a region's mean spacing is hardly more than twice that at its end
)
WITNESSES = 3  # points by which a face may be turned the wrong way
NEAR_SPACINGS = 2.0  # of a point: no part of a surface that floats
SPECK_SHARE, SPECK_POINTS = 0.01, 64  # of the largest component's faces, and points near by: less of both is a speck


def gap_of(settings: Settings) -> float:
    """How many spacings from a point the middle of a gap in the data may be that stays closed."""
    return max(GAP_SPACINGS, float(settings.cells.fill_holes) if settings.cells else 0.0)


def cut_back(
    mesh: Mesh, cloud: OrientedCloud, diagonal: float, settings: Settings, cut_off: Tensor | None = None
) -> Mesh:
    """What of a mesh is near enough to a cloud on the same device, or supported by it, as `settings.trim` asks.

    diagonal: of a voxel, world units. cut_off: as of `trim_unsupported`.
    """
    if settings.trim == "none" or not len(mesh.faces):
        return mesh
    if not len(cloud):
        return keep_faces(mesh, torch.zeros(len(mesh.faces), dtype=torch.bool, device=mesh.faces.device))
    if settings.trim != AUTO:
        return trim(mesh, cloud.sampling.near, settings.trim * diagonal)
    mesh = trim_unsupported(mesh, cloud.sampling.metric, gap_of(settings), cut_off)
    return drop_turned(mesh, cloud) if cloud.one_sided else mesh


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
    order = label.argsort(stable=True)  # sums in a fixed order
    mean_spacing = _mean_spacing(spacing, far, label, across)
    area = torch.segment_reduce(_areas(mesh, faces)[far][order], "sum", lengths=size, unsafe=True) / mean_spacing**2
    ends, attached = torch.zeros(2, len(size), dtype=torch.bool, device=far.device)
    ends[label[border[far]]] = True
    attached[label[touching[far]]] = True
    small = area <= SMALL_GAP_AREA
    deep = (torch.where(small, most, gap) * mean_spacing)[label]
    lost = ends
    lost[label[distance[far] > deep]] = True
    drop = torch.zeros_like(far)
    drop[far] = (lost | ~attached)[label]
    return clip(mesh, drop, level.clamp_max(most * float(metric.across.max())))


def may_support(metric: Metric, gap: float, x: Tensor, radius: float) -> Tensor:
    """Which of places [q, 3] have a place within a radius around them where `trim_unsupported` may leave a surface."""
    return metric.reached(x, radius, NO_SUPPORT * max(gap, SMALL_GAP_SPACINGS))


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


def component_support(vertices: Tensor, label: Tensor, metric: Metric) -> tuple[Tensor, Tensor, Tensor]:
    """How points support components: their labels [c], votes [c] of vertices [v, 3] and numbers of points [c].

    A vertex votes against its component, by 1, where it is farther than NEAR_SPACINGS from every point, else for it, by
    -1. The points of a component are those that are nearest to one of its vertices.
    """
    distance, nearest = metric.cloud.query(vertices)
    near = distance <= NEAR_SPACINGS * metric.towards(nearest, vertices)
    found, which = label.unique(return_inverse=True)
    votes = torch.bincount(which, 1.0 - 2.0 * near.double(), minlength=len(found)).long()
    count = len(metric.along)
    pairs = torch.unique(which * count + nearest)
    return found, votes, torch.bincount(pairs // count, minlength=len(found))


def kept_components(size: Tensor, votes: Tensor, points: Tensor) -> Tensor:
    """Which components [c] with so many faces are kept: the largest, and those that neither float nor are specks.

    A component floats where fewer than half of its vertices are within NEAR_SPACINGS of a point. A small one is
    supported by the points that are nearest to one of its vertices: a small object that was scanned has many, a flake
    around an outlier few.
    """
    keep = ~((votes > 0) | (size < SPECK_SHARE * float(size.max())) & (points < SPECK_POINTS))
    keep[size.argmax()] = True
    return keep


def labels(mesh: Mesh) -> Tensor:
    """The component [v] of every vertex."""
    return components(torch.cat([mesh.faces[:, :2], mesh.faces[:, 1:]]), len(mesh.vertices))


def _edges(faces: Tensor) -> tuple[Tensor, Tensor]:
    """Distinct edges [e, 2] of faces [f, 3] and how many of these each has."""
    pairs = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).sort(1).values
    n = int(faces.max()) + 1
    keys, count = torch.unique(pairs[:, 0] * n + pairs[:, 1], return_counts=True)
    return torch.stack([keys // n, keys % n], 1), count


def _mean_spacing(spacing: Tensor, far: Tensor, label: Tensor, across: Tensor) -> Tensor:
    """The mean spacing [r] of each region of far vertices; where those beside it are much sparser, theirs.

    One point's spacing says little, and neither does that of a few which crowd by chance. across [e, 2]: edges out of
    the regions.
    """
    place, inside = far.cumsum(0) - 1, far[across]
    ends, beside = torch.where(inside, across, -1).amax(1), torch.where(inside, -1, across).amax(1)
    own, around = _means(spacing[far], label), torch.full_like(spacing[: int(label.max()) + 1], 0.0)
    regions, which = label[place[ends]].unique(return_inverse=True)
    around[regions] = _means(spacing[beside], which)
    return torch.where(around > COARSER * own, around, own)


def _means(values: Tensor, group: Tensor) -> Tensor:
    """Means of values [n] by their group [n], each of which has one; sums in a fixed order."""
    size, order = torch.bincount(group), group.argsort(stable=True)
    return torch.segment_reduce(values[order], "sum", lengths=size, unsafe=True) / size


def _areas(mesh: Mesh, faces: Tensor) -> Tensor:
    """The share [v] of every vertex in the area of these faces [f, 3], which come in a fixed order."""
    a, b, c = mesh.vertices[faces].unbind(1)
    third = torch.linalg.cross(b - a, c - a).norm(dim=1) / 6.0
    order = faces.reshape(-1).argsort(stable=True)
    lengths = torch.bincount(faces.reshape(-1), minlength=len(mesh.vertices))
    return torch.segment_reduce(third.repeat_interleave(3)[order], "sum", lengths=lengths, unsafe=True)
