"""Vertices on creases and corners: extended marching cubes (Kobbelt, Botsch, Schwanecke, Seidel 2001).

Where the normals in a cube turn, its triangles are replaced by a fan around the point that their tangent planes have in
common, and edges between two such fans are flipped, so that edges lie along the crease. Other cubes stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .intersections import intersections
from .lattice import Lattice
from .mesh import Mesh, face_average_normals

TURNED = 0.97  # cosine between two normals of a triangle: less, and the cube may have a crease
SPREAD = 0.978  # least cosine between a normal of a cube and their mean: more, and it has none
FLAT = 0.02  # of the largest eigenvalue of the mean n n': directions in which planes say nothing
MOSTLY = 0.5  # share of the sides in the field
EDGE, WITHIN = 0.1, 0.5  # voxels: a point's way to where sides meet, to an edge alone and at all
OUTSIDE = 0.75  # voxels: so far a point may be outside its cube
INNER = 0.25  # of the way of an edge through a cube, at either end: no vertex of the edge is there
FLIPPED = 0.966  # cosine: the ends of an edge that is flipped lie on different sides
LEAST = 1e-5  # square voxels, twice the area of a new face
ROUNDS = 6  # in which cubes whose faces would meet others get their own back


class Sharp(Protocol):
    """A field that knows where sides meet."""

    def shares(self, x: np.ndarray) -> np.ndarray:
        """The share [q] of the sides in the field at places [q, 3]."""
        ...

    def meet(self, x: np.ndarray, within: float) -> tuple[np.ndarray, np.ndarray]:
        """Places [q, 3] near those given where sides meet that pass within a distance of them, and how many [q] do."""
        ...


def with_features(mesh: Mesh, lattice: Lattice, field: Sharp) -> Mesh:
    """The mesh of marching cubes with vertices where the sides of a field meet.

    It stays as manifold as it was, and no new face meets another.
    """
    vertices, normals, faces = (part.cpu().numpy() for part in (mesh.vertices, mesh.normals, mesh.faces))
    cubes = np.floor(lattice.coordinates(torch.from_numpy(vertices[faces].mean(1))).numpy()).astype(np.int64)
    patches = _Patches.of(vertices, normals, faces, cubes, lattice, field)
    if patches is None:
        return mesh
    for _ in range(ROUNDS):
        added, fan, patch = patches.fans()
        if not len(fan):
            return mesh
        everything = np.concatenate([vertices, added])
        new = np.concatenate([faces[~patches.replaced()], fan])
        wrong = patches.meeting(everything, new, len(new) - len(fan), patch)
        if not len(wrong):
            break
        patches.wanted[wrong] = False
    else:
        return mesh
    device = mesh.vertices.device
    found = Mesh(*(torch.from_numpy(part).to(device) for part in (everything, everything, new)))
    used = torch.zeros(len(everything), dtype=torch.bool, device=device)
    used[found.faces.reshape(-1)] = True
    added_normals = face_average_normals(found)[len(vertices) :]
    return Mesh(found.vertices, torch.cat([mesh.normals, added_normals]), found.faces)


@dataclass
class _Patches:
    """Triangles of a cube that hang together: their border, and the point that takes their place.

    border [e, 2]: directed edges; owner [e]: their patches. face, label: the mesh's faces in patches, and the patch of
    each. points [p, 3]; wanted [p]: patches that are replaced.
    """

    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    cubes: np.ndarray
    voxel: float
    border: np.ndarray
    owner: np.ndarray
    face: np.ndarray
    label: np.ndarray
    points: np.ndarray
    wanted: np.ndarray

    @classmethod
    def of(
        cls,
        vertices: np.ndarray,
        normals: np.ndarray,
        faces: np.ndarray,
        cubes: np.ndarray,
        lattice: Lattice,
        field: Sharp,
    ) -> _Patches | None:
        """Those with a crease or a corner; None where there are none."""
        turned = np.zeros(len(faces), bool)
        for a, b in ((0, 1), (1, 2), (2, 0)):
            turned |= (normals[faces[:, a]] * normals[faces[:, b]]).sum(1) < TURNED
        rows = np.flatnonzero(turned)
        rows = rows[field.shares(vertices[faces[rows]].mean(1)) > MOSTLY]
        if not len(rows):
            return None
        key = _key(cubes)
        face = np.flatnonzero(np.isin(key, np.unique(key[rows])))
        edges, own = _edges(faces[face]), np.repeat(np.arange(len(face)), 3)
        ends, at = np.sort(edges, 1), key[face][own]
        order = np.lexsort((at, ends[:, 1], ends[:, 0]))
        ends, at, sorted_own = ends[order], at[order], own[order]
        same = np.flatnonzero((ends[1:] == ends[:-1]).all(1) & (at[1:] == at[:-1]))
        links = sorted_own[same], sorted_own[same + 1]
        count, label = connected_components(
            coo_array((np.ones(len(same), np.int8), links), shape=(len(face), len(face))), directed=False
        )
        inner = np.zeros(len(edges), bool)
        inner[order[same]] = inner[order[same + 1]] = True
        border, owner = edges[~inner], label[own[~inner]]
        found = cls(
            vertices, normals, faces, cubes, lattice.voxel_size, border, owner, face, label, np.empty((count, 3)),
            np.zeros(count, bool),
        )  # fmt: skip
        found._place(lattice, field, count)
        return found if found.wanted.any() else None

    def _place(self, lattice: Lattice, field: Sharp, count: int) -> None:
        """The least squares point of the tangent planes at the border's vertices, then where the sides meet."""
        n, x, owner = self.normals[self.border[:, 0]], self.vertices[self.border[:, 0]], self.owner
        size = np.bincount(owner, minlength=count)

        def mean(values: np.ndarray) -> np.ndarray:
            return np.stack([np.bincount(owner, part, count) for part in values.T], 1) / size[:, None]

        middle, typical = mean(x), mean(n)
        typical /= np.maximum(np.linalg.norm(typical, axis=1, keepdims=True), 1e-300)
        least = np.ones(count)
        np.minimum.at(least, owner, (n * typical[owner]).sum(1))
        A = mean((n[:, :, None] * n[:, None, :]).reshape(-1, 9)).reshape(-1, 3, 3)
        b = mean(n * (n * (x - middle[owner])).sum(1, keepdims=True))
        size_of, axes = np.linalg.eigh(A)
        told = size_of > FLAT * size_of[:, 2:]
        along = np.einsum("pij,pi->pj", axes, b) / np.where(told, size_of, 1.0)
        place = middle + np.einsum("pij,pj->pi", axes, np.where(told, along, 0.0))
        starts = np.unique(owner * len(self.vertices) + self.border[:, 0]) // len(self.vertices)
        simple = np.bincount(starts, minlength=count) == size  # the border passes each vertex once
        wanted = simple & (told.sum(1) >= 2) & (least < SPREAD)
        first = np.empty(count, np.int64)
        first[self.label] = self.face
        rows = np.flatnonzero(wanted)
        rows = rows[field.shares(place[rows]) > MOSTLY]
        edge = rows[told[rows].sum(1) == 2]
        place[edge] = self._into_cube(place[edge], axes[edge, :, 0], lattice, first[edge])
        met = np.zeros(count, np.int64)
        for within in (EDGE, WITHIN):  # first that of an edge alone, of which a corner may be near
            left = rows[(met[rows] < 2) & ((within > EDGE) | (told[rows].sum(1) == 2))]
            found, met[left] = field.meet(place[left], within * self.voxel)
            kept = (met[left] >= 2) & np.isfinite(found).all(1)
            place[left[kept]], met[left[~kept]] = found[kept], 0
        rows = rows[met[rows] >= 2]
        inside = lattice.coordinates(torch.from_numpy(place[rows])).numpy() - self.cubes[first[rows]]
        rows = rows[(np.maximum(-inside, inside - 1.0) < OUTSIDE).all(1)]
        self.wanted[rows] = True
        self.points[:] = place
        everything, fan, patch = self._all(self.wanted)
        across = _across(everything, fan)
        up = np.maximum(*((across * self.normals[fan[:, k]]).sum(1) for k in range(2)))
        self.wanted[patch[up <= LEAST * self.voxel**2]] = False

    def _into_cube(self, place: np.ndarray, along: np.ndarray, lattice: Lattice, face: np.ndarray) -> np.ndarray:
        """Points [p, 3] on edges moved along these into the cubes of faces, where the edges pass through them."""
        at = lattice.coordinates(torch.from_numpy(place)).numpy() - self.cubes[face]
        step = np.where(np.abs(along) > 1e-12, along, 1e-12)
        ends = np.sort(np.stack([-at / step, (1.0 - at) / step]), axis=0)
        low, high = ends[0].max(1), ends[1].min(1)
        margin = INNER * (high - low)
        move = np.where(low < high, np.clip(0.0, low + margin, np.maximum(high - margin, low + margin)), 0.0)
        moved: np.ndarray = place + move[:, None] * along * self.voxel
        return moved

    def _all(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All vertices, the faces of fans, and the patch of each."""
        apex = np.cumsum(wanted) - 1 + len(self.vertices)
        use = wanted[self.owner]
        patch = self.owner[use]
        fan = np.concatenate([self.border[use], apex[patch][:, None]], 1)
        return np.concatenate([self.vertices, self.points[wanted]]), fan, patch

    def replaced(self) -> np.ndarray:
        """Which faces [f] of the mesh fans take the place of."""
        gone = np.zeros(len(self.faces), bool)
        gone[self.face[self.wanted[self.label]]] = True
        return gone

    def fans(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """New vertices, and new faces with the patch of each; edges between fans that cross a crease are flipped."""
        everything, fan, patch = self._all(self.wanted)
        ends = np.sort(fan[:, :2], 1)
        order = np.lexsort((ends[:, 1], ends[:, 0]))
        same = np.flatnonzero((ends[order][1:] == ends[order][:-1]).all(1))
        i, j = order[same], order[same + 1]
        v, w, a, b = fan[i, 0], fan[i, 1], fan[i, 2], fan[j, 2]
        one, other = np.stack([a, v, b], 1), np.stack([b, w, a], 1)
        _, back, count = np.unique(np.sort(np.stack([a, b], 1), 1), axis=0, return_inverse=True, return_counts=True)
        flip = (count[back.reshape(-1)] == 1) & ((self.normals[v] * self.normals[w]).sum(1) < FLIPPED)
        for face, end in ((one, v), (other, w)):
            flip &= (_across(everything, face) * self.normals[end]).sum(1) > LEAST * self.voxel**2
        fan[i[flip]], fan[j[flip]] = one[flip], other[flip]
        return everything[len(self.vertices) :], fan, patch

    def meeting(self, vertices: np.ndarray, faces: np.ndarray, first: int, patch: np.ndarray) -> np.ndarray:
        """The patches of faces from number `first` on that meet others."""
        changed = self.cubes[self.face[self.wanted[self.label]]]
        steps = np.stack(np.meshgrid(*3 * [np.arange(-1, 2)], indexing="ij"), -1).reshape(-1, 1, 3)
        near = np.unique(_key((np.unique(changed, axis=0) + steps).reshape(-1, 3)))
        old = np.flatnonzero(np.isin(_key(self.cubes[~self.replaced()]), near))
        rows = np.concatenate([old, np.arange(first, len(faces))])
        found = rows[intersections(vertices, faces[rows])].reshape(-1)
        return np.unique(patch[found[found >= first] - first])


def _key(cubes: np.ndarray) -> np.ndarray:
    """One number for each cube [..., 3]."""
    found: np.ndarray = ((cubes[..., 0] + 1) << 42) + ((cubes[..., 1] + 1) << 21) + (cubes[..., 2] + 1)
    return found


def _edges(faces: np.ndarray) -> np.ndarray:
    return faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)


def _across(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Normals [f, 3] of faces, twice as long as their area."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return np.cross(b - a, c - a)
