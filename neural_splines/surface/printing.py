"""A mesh that printers take: closed, oriented, manifold, and without faces that meet, in the numbers of its file.

Planes cut by our own clipping, since the surface may be open on the side that goes; the polygons that it leaves are
triangulated, and edges too short to print collapsed, by manifold3d, an extra.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..cloud.metric import Metric
from ..components import components
from ..errors import BackendError, EmptySurfaceError, PrintError, first_line
from .checks import Checked, checked
from .clipping import clip
from .intersections import intersections
from .mesh import Mesh, border_edges, face_average_normals, keep_faces
from .trimming import OPEN_SPACINGS, labels, trim_unsupported
from .walls import border_steps, walked

NEEDED = "--printable needs the package manifold3d; pip install manifold3d"
KEPT_OFF = 0.1  # voxels between a vertex and a plane that cuts: nearer ones make slivers
SHORT = (0.05, 0.01, 0.0)  # voxels: edges of faces that a printer cannot show; shorter ones are kept if need be
RIM = 0.2  # of the mesh's diagonal: a border as long is a rim that something stood on
PLANAR = 0.03  # of the length of a rim, or
PLANAR_SPACINGS = 1.5  # of the points: as far from its plane it may be
BELOW, ABOVE = 0.05, 0.02  # of the surface: at most so much is clearly below such a plane, at least so much above
UPRIGHT = 0.999  # cosine between a plane's normal and the axis that it is taken for: 2.6 degrees
ON_PLANE = 1e-9
ROUNDS, PATIENCE = 30, 5  # in which what meets is smoothed; in which there must be less of it
CLOSE_IT = "give the surface that closes it room with a larger --margin, or cut it with --flat-bottom or --cut-plane"
ToFile = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Plane:
    """What is kept of a body: places x with normal . x >= offset; the normal [3] has length 1. Components that are no
    higher than `crumbs` above it go, too.
    """

    normal: Tensor
    offset: float
    crumbs: float = 0.0

    def height(self, x: Tensor) -> Tensor:
        return x @ self.normal.to(x) - self.offset


def rims(mesh: Mesh, metric: Metric) -> list[Plane]:
    """The planes of the large flat borders that a closed surface would have without what was made up behind them.

    A border counts where the surface that points support lies on one side of its plane, or in it, as a table does, and
    something beyond it: of a flat scan, or one of both sides of a sheet, none does.
    """
    supported = trim_unsupported(mesh, metric)
    edges = border_edges(supported)
    if not len(edges):
        return []
    x = supported.vertices
    label = components(edges, len(x))[edges[:, 0]]
    length = (x[edges[:, 0]] - x[edges[:, 1]]).norm(dim=1)
    diagonal, spacing = float((x.amax(0) - x.amin(0)).norm()), float(metric.across.median())
    found = []
    for rim in label.unique():
        own = edges[label == rim]
        size = float(length[label == rim].sum())
        if size < RIM * diagonal:
            continue
        places = x[own.unique()]
        middle = places.mean(0)
        normal = torch.linalg.svd(places - middle, full_matrices=False).Vh[2]
        if float(((x - middle) @ normal).mean()) < 0.0:
            normal = -normal
        heights, room = (places - middle) @ normal, max(PLANAR * size, PLANAR_SPACINGS * spacing)
        if float(heights.abs().max()) <= room and float(((x - middle) @ normal).min()) >= -room:
            clear = PLANAR_SPACINGS * spacing
            plane = _plane(normal, places, clear)
            typical = (places @ plane.normal).median()
            if _share(x @ plane.normal < typical - clear) <= BELOW and _share(plane.height(x) > clear) >= ABOVE:
                found.append(plane)
    return found


def bottom(mesh: Mesh, metric: Metric, up: Tensor) -> Plane:
    """The plane across `up` through the lowest place of a closed surface that points support."""
    supported = trim_unsupported(mesh, metric)
    label = labels(supported)  # of what floats nothing is a bottom
    supported = supported.vertices[label == torch.bincount(label).argmax()]
    spare = OPEN_SPACINGS * float(metric.across.median())  # so far the surface reaches beyond the last points
    return Plane(up, float((supported @ up.to(supported)).min()) + spare)


def _plane(normal: Tensor, places: Tensor, crumbs: float) -> Plane:
    """The plane across a normal that has all places [n, 3] of a rim below it; of what stands upright, along an axis."""
    axis = int(normal.abs().argmax())
    if float(normal[axis].abs()) > UPRIGHT:
        normal = torch.eye(3).to(normal)[axis] * normal[axis].sign()
    return Plane(normal, float((places @ normal).max()), crumbs)


def _share(mask: Tensor) -> float:
    return float(mask.double().mean())


def cut(mesh: Mesh, plane: Plane, voxel_size: float) -> Mesh:
    """The mesh on one side of a plane, closed by it. EmptySurfaceError where nothing is left."""
    normal = plane.normal.to(mesh.vertices)
    height = plane.height(mesh.vertices)
    near = height.abs() < KEPT_OFF * voxel_size
    vertices = mesh.vertices + (near * (KEPT_OFF * voxel_size - height))[:, None] * normal
    height = torch.where(near, KEPT_OFF * voxel_size, height)
    kept = clip(Mesh(vertices, mesh.normals, mesh.faces), height < 0.0, -height)
    if not len(kept.faces):
        raise EmptySurfaceError("nothing of the surface is left above the plane; choose another with --cut-plane")
    level = plane.height(kept.vertices)
    on = level.abs() < 0.5 * KEPT_OFF * voxel_size
    flat = kept.vertices - (on * level)[:, None] * normal
    if float(normal.abs().max()) == 1.0:  # without rounding
        axis = int(normal.abs().argmax())
        flat[on, axis] = plane.offset * float(normal[axis])
    found = _capped(Mesh(flat, kept.normals, kept.faces), on, normal)
    label = labels(found)
    high = torch.bincount(label[plane.height(found.vertices) > plane.crumbs], minlength=len(label)) > 0
    return keep_faces(found, high[label[found.faces[:, 0]]])


def _capped(mesh: Mesh, on: Tensor, normal: Tensor) -> Mesh:
    """The mesh with the loops of its borders that lie on a plane closed by faces there, which look against `normal`."""
    faces = mesh.faces.cpu().numpy()
    loops = [loop for loop in _loops(faces) if bool(on[torch.from_numpy(loop)].all())]
    if not loops:
        return mesh
    axis = torch.eye(3).to(normal)[int(normal.abs().argmin())]
    right = torch.linalg.cross(normal, axis)
    right = right / right.norm()
    across = torch.linalg.cross(normal, right)
    flat = torch.stack([mesh.vertices @ across, mesh.vertices @ right], 1).cpu().numpy()
    order = np.concatenate(loops)
    polygons = [np.ascontiguousarray(flat[loop]) for loop in loops]  # outer ones anticlockwise, seen against `normal`
    corners = order[triangulated(polygons)]
    cap = torch.from_numpy(corners).to(mesh.faces)
    return Mesh(mesh.vertices, mesh.normals, torch.cat([mesh.faces, cap]))


def _loops(faces: np.ndarray) -> list[np.ndarray]:
    """The borders of faces as loops of vertices, in the direction against that of the faces."""
    follow, loops = border_steps(faces), []
    while follow:
        loop = walked(next(iter(follow)), follow)
        loops.append(np.array(loop[:-1] if loop[0] == loop[-1] else loop, np.int64))
    return loops


def triangulated(polygons: list[np.ndarray]) -> np.ndarray:
    """Corners [t, 3] of triangles of polygons [n, 2], of all their corners: outer ones run anticlockwise."""
    return np.asarray(_library().triangulate(polygons), np.int64).reshape(-1, 3)


def made_printable(mesh: Mesh, planes: Sequence[Plane], voxel_size: float, to_file: ToFile) -> Mesh:
    """The mesh without faces that a printer drops or that meet, in the numbers that its file will have.

    to_file: what becomes of vertices [v, 3] there. Faces that meet are smoothed away, on their planes; where that does
    not help, shorter edges are kept, since it may be those that are collapsed which make faces meet. PrintError where
    something is left.
    """
    lines: list[str] = []
    for short in SHORT:
        vertices, faces = mesh.vertices.cpu().numpy(), mesh.faces.cpu().numpy()
        vertices, faces = _without_short_edges(vertices, faces, short * voxel_size)
        vertices, found = _untangled(vertices, faces, planes, to_file)
        lines = lines or found.lines()
        if not found.lines():
            points = torch.from_numpy(vertices).to(mesh.vertices)
            result = Mesh(points, points, torch.from_numpy(faces).to(mesh.faces))
            return Mesh(points, face_average_normals(result), result.faces)
    raise PrintError(f"the mesh cannot be made printable: {'; '.join(lines)}; use another GRID_SIZE")


def _untangled(
    vertices: np.ndarray, faces: np.ndarray, planes: Sequence[Plane], to_file: ToFile
) -> tuple[np.ndarray, Checked]:
    """The vertices, smoothed where faces meet or have no area in the file, and what the mesh then is."""
    found = first = checked(to_file(vertices), faces, intersecting=True)
    for k in range(ROUNDS):
        if not found.lines() or (k == PATIENCE and _tangles(found) >= _tangles(first)):
            break
        written = to_file(vertices)
        bad = np.zeros(len(vertices), bool)
        bad[faces[np.unique(intersections(written, faces))].reshape(-1)] = True
        a, b, c = written[faces].transpose(1, 0, 2)
        bad[faces[(np.cross(b - a, c - a) == 0.0).all(1)].reshape(-1)] = True
        vertices = _smoothed(vertices, faces, bad, planes)
        found = checked(to_file(vertices), faces, intersecting=True)
    return vertices, found


def _tangles(found: Checked) -> int:
    return found.flat_faces + (found.intersecting or 0)


def _without_short_edges(vertices: np.ndarray, faces: np.ndarray, length: float) -> tuple[np.ndarray, np.ndarray]:
    """A closed mesh whose edges shorter than that, and the vertices that these flats do not need, are collapsed."""
    library, middle = _library(), 0.5 * (vertices.min(0) + vertices.max(0))
    body = library.Manifold(
        library.Mesh64(np.ascontiguousarray(vertices - middle), np.ascontiguousarray(faces, np.uint64))
    )
    if body.status() != library.Error.NoError:
        lines = checked(vertices, faces).lines() or [body.status().name]
        raise PrintError(f"the mesh cannot be made printable: {'; '.join(lines)}; {CLOSE_IT}")
    found = body.simplify(length).to_mesh64()
    return np.asarray(found.vert_properties)[:, :3] + middle, np.asarray(found.tri_verts).astype(np.int64)


def _smoothed(vertices: np.ndarray, faces: np.ndarray, bad: np.ndarray, planes: Sequence[Plane]) -> np.ndarray:
    """With each bad vertex [v] at the mean of those around it, on the planes that it lies on."""
    one, other = faces[:, [0, 1, 2]].reshape(-1), faces[:, [1, 2, 0]].reshape(-1)  # closed: each edge both ways
    total = np.stack([np.bincount(one, vertices[other, k], len(vertices)) for k in range(3)], 1)
    mean = total / np.maximum(np.bincount(one, minlength=len(vertices)), 1)[:, None]
    moved = np.where(bad[:, None], 0.5 * (vertices + mean), vertices)
    for plane in planes:
        normal = plane.normal.cpu().numpy()
        on = np.abs(vertices @ normal - plane.offset) < ON_PLANE * max(1.0, abs(plane.offset))
        level = moved @ normal - plane.offset
        moved = np.where(on[:, None], moved - level[:, None] * normal, moved)
    return moved


def _library() -> Any:
    try:
        import manifold3d
    except ImportError as error:
        raise BackendError(f"{NEEDED} ({first_line(error)})") from None
    return manifold3d
