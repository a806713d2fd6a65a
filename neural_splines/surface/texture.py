"""Pictures on a mesh: every texel taken to the surface, and given the colour of the points and the normal there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..quantities import counted
from .charts import Charts, charted
from .mesh import Mesh
from .normal_map import Frames
from .seams import levelled
from .texels import owners

Gradient = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
AT_ONCE = 1 << 19  # texels
BULGE = 0.5  # of a triangle's longest edge: as far the surface may be from it, that of half a ball over its diameter
STRETCH = 4.0  # times its share of the surface that a texel beside a chart may cover, where the chart is continued


@dataclass(frozen=True)
class Texture:
    """Charts of a mesh and their picture [size, size, 3] of uint8, sRGB, the top row first, where there are colours.

    normals: a picture of the field's normals in the frames of the mesh, and tangents [w, 4] of the corners of these,
    where they are asked for. covered: the share of texels that show the surface. moved: how far they were from it at
    most, world units.
    """

    charts: Charts
    image: np.ndarray | None
    covered: float
    moved: float
    normals: np.ndarray | None = None
    tangents: np.ndarray | None = None

    def summary(self) -> str:
        """One line."""
        size = self.charts.size
        shown = "" if self.normals is None else ", normals" if self.image is None else ", colours and normals"
        return f"{size} x {size} texels, {self.covered:.0%} of them in {counted(self.charts.count, 'chart')}{shown}"


def textured(
    mesh: Mesh,
    gradient: Gradient,
    colours: Callable[[np.ndarray], np.ndarray] | None,
    size: int,
    voxel_size: float,
    normal_map: bool = False,
) -> Texture:
    """The texture of a mesh, size x size texels.

    gradient: values and gradients of the field at places [n, 3], by which a texel goes from its triangle onto the
    surface; colours: of places, [n, 3] in 0..255. normal_map: the direction of the gradient at each texel's place too,
    or the mesh's own normal where the surface is too far or another one, as beside a plane that closes the mesh.

    Texels beside a chart, which are mixed in at its border, continue its triangles and go to the surface as well: they
    have the colours across the seam, so that both sides of it nearly agree, and are then levelled. All others have the
    colours around, in the coarse levels of a reader's mipmap too.
    """
    mesh = mesh.numpy()
    charts = charted(mesh.vertices, mesh.faces, size)
    frames = Frames(mesh.vertices, mesh.normals, charts) if normal_map else None
    owner = owners(charts.places, charts.corners, size).reshape(-1)
    rows, moved = np.flatnonzero(owner >= 0), 0.0
    image, normals = (np.zeros((size, size, 3), np.uint8) if wanted else None for wanted in (colours, frames))
    plane = _Planes(charts, mesh.vertices[mesh.faces], voxel_size)
    for start in range(0, len(rows), AT_ONCE):
        chunk = rows[start : start + AT_ONCE]
        face = owner[chunk]
        places, weights, taken, off = plane.on_surface(chunk, face, gradient)
        moved = max(moved, off)
        if image is not None and colours is not None:
            image.reshape(-1, 3)[chunk] = np.round(colours(places))
        if normals is not None and frames is not None:
            _, slope = gradient(places)
            normals.reshape(-1, 3)[chunk] = frames.encoded(face, weights, slope, taken)
    known = (owner >= 0).reshape(size, size)
    if image is not None:
        levelled(image, charts)
        _fill(image, known)
    if normals is not None:
        _fill(normals, known)
    tangents = None if frames is None else frames.tangents
    return Texture(charts, image, len(rows) / size**2, moved, normals, tangents)


class _Planes:
    """Where texels lie in space: on the plane of their face."""

    def __init__(self, charts: Charts, corners: np.ndarray, voxel_size: float):
        """corners [f, 3, 3]: the faces in space."""
        self.size, self.flat, self.corners = charts.size, charts.places[charts.corners], corners
        edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
        self.near = np.maximum(BULGE * edges.max(1), voxel_size)
        self.across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = np.abs(_cross(self.flat[:, 1] - self.flat[:, 0], self.flat[:, 2] - self.flat[:, 0])).sum()
        self.texel = float(np.sqrt(np.linalg.norm(self.across, axis=1).sum() / max(area, 1e-300)))  # its side in space

    def on_surface(
        self, texels: np.ndarray, face: np.ndarray, gradient: Gradient
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """The places [n, 3] of texels of these faces, the weights [n, 3] of the faces' corners where they were before,
        which went to the surface [n], and how far the farthest was moved: by a Newton step along the gradient, unless
        that leads farther than the surface can be, or to the other side of a wall.
        """
        x, weights = self.of(texels, face)
        value, slope = gradient(x)
        with np.errstate(all="ignore"):
            step = -value[:, None] * slope / np.square(slope).sum(1, keepdims=True)
            length = np.linalg.norm(step, axis=1)
            taken = (length <= self.near[face]) & ((slope * self.across[face]).sum(1) > 0.0)
        x[taken] += step[taken]
        return x, weights, taken, float(length[taken].max(initial=0.0))

    def of(self, texels: np.ndarray, face: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The places [n, 3] of texels on the planes of these faces, and the weights [n, 3] of the faces' corners."""
        at = np.stack([texels % self.size, texels // self.size], 1) + 0.5
        a, b, c = self.flat[face].transpose(1, 0, 2)
        whole = _cross(b - a, c - a)
        v, w = _cross(at - a, c - a) / whole, _cross(b - a, at - a) / whole
        weights = np.stack([1.0 - v - w, v, w], 1)
        x = np.einsum("nk,nkd->nd", weights, self.corners[face])
        outside = np.flatnonzero((weights < 0.0).any(1))
        inside, far = _nearest(at[outside], self.flat[face[outside]])
        edge = np.einsum("nk,nkd->nd", inside, self.corners[face[outside]])
        wild = np.linalg.norm(x[outside] - edge, axis=1) > STRETCH * self.texel * far
        x[outside[wild]], weights[outside[wild]] = edge[wild], inside[wild]
        return x, weights


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of vectors in the plane [n, 2]: the area [n] that they span."""
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def _nearest(at: np.ndarray, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of places [n, 2] outside of triangles [n, 3, 2]: the weights [n, 3] of their corners at the nearest place of
    their sides, and how far that is [n].
    """
    best, weights = np.full(len(at), np.inf), np.zeros((len(at), 3))
    for k in range(3):
        a, b = flat[:, k], flat[:, (k + 1) % 3]
        along = b - a
        t = np.clip(((at - a) * along).sum(1) / np.maximum((along**2).sum(1), 1e-300), 0.0, 1.0)
        far = np.linalg.norm(at - a - t[:, None] * along, axis=1)
        nearer = far < best
        best[nearer] = far[nearer]
        weights[nearer] = 0.0
        weights[nearer, k], weights[nearer, (k + 1) % 3] = 1.0 - t[nearer], t[nearer]
    return weights, best


def _fill(image: np.ndarray, known: np.ndarray) -> None:
    """Fill unknown texels of a picture [h, w, 3], which are 0, from a pyramid of means of the known ones."""
    height, width = known.shape
    if known.all() or not known.any():
        return
    grown = ((0, height % 2), (0, width % 2))
    halves = (height + 1) // 2, 2, (width + 1) // 2, 2
    count = np.pad(known, grown).reshape(halves).sum((1, 3), dtype=np.float32)
    mean = np.pad(image, (*grown, (0, 0))).reshape(*halves, 3).sum((1, 3), dtype=np.float32)
    mean /= np.maximum(count, 1.0)[..., None]
    _fill(mean, count > 0.0)
    row, column = (~known).nonzero()
    image[row, column] = mean[row // 2, column // 2]  # rounded down where it is of whole numbers
