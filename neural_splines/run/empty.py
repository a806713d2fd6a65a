"""What is known to be empty: between a sensor and the points that it saw, and outside an envelope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..cloud.clouds import OrientedCloud
from ..errors import BackendError, CloudError, SettingsError, first_line
from ..files.meshes import load_mesh
from ..normals.sensors import visible
from ..runtime.arrays import as_rows
from ..surface.checks import checked
from ..surface.mesh import Mesh, keep_faces

MOST_KEPT = 4_000_000  # rays of several places
WITHIN = 0.5  # voxels outside of an envelope that a surface on it may be


@dataclass(frozen=True)
class Rays:
    """Segments from sensors [r, 3] to the points [r, 3] that they saw, world units: empty but for their ends."""

    sensors: Tensor
    points: Tensor

    @classmethod
    def of(cls, sensors: Any, points: Any) -> Rays:
        """Those with finite ends, of one place [3] or one for each point [r, 3]; SettingsError where there is none."""
        x = as_rows(points)[0].double().cpu()
        place = torch.as_tensor(np.asarray(sensors, np.float64) if not isinstance(sensors, Tensor) else sensors)
        place = place.double().cpu()
        if place.shape not in ((3,), x.shape):
            raise SettingsError(
                f"--free-space needs one place [3], or one for each of {len(x)} points, got {[*place.shape]}"
            )
        place = place.expand(x.shape)
        known = (place.isfinite() & x.isfinite()).all(1) & ((place - x).norm(dim=1) > 0.0)
        if not bool(known.any()):
            raise SettingsError("--free-space: no point has a place that it was seen from; give --sensor-position")
        return cls(place[known], x[known])

    @classmethod
    def from_places(cls, places: np.ndarray, cloud: OrientedCloud) -> Rays:
        """Of places [s, 3] that a cloud was seen from: of one to all points, whatever hides them.

        Of several each to the points that look at it and that no other point hides: it is not known who saw which. Of
        many places each has the rays to every so many-th point alone, about MOST_KEPT in all.
        """
        if len(places) == 1:
            return cls.of(places[0], cloud.points)
        points, normals = cloud.points.cpu().numpy(), cloud.normals.cpu().numpy()
        step = -(-len(places) * len(points) // MOST_KEPT)
        sensors, ends = [], []
        for number, place in enumerate(places):
            ray = place - points
            distance = np.linalg.norm(ray, axis=1)
            ray /= np.maximum(distance, 1e-300)[:, None]
            seen = visible(ray, distance / cloud.sampling.median_spacing) & ((ray * normals).sum(1) > 0.0)
            rows = np.flatnonzero(seen)[number % step :: step]
            sensors.append(np.broadcast_to(place, (len(rows), 3)))
            ends.append(points[rows])
        return cls.of(np.concatenate(sensors), np.concatenate(ends))


@dataclass(frozen=True)
class Envelope:
    """A closed mesh, outside of which is no surface: vertices [v, 3], faces [f, 3]."""

    vertices: np.ndarray
    faces: np.ndarray

    @classmethod
    def of(cls, mesh: Any) -> Envelope:
        """That of a file or of a mesh. CloudError where it is not closed."""
        if isinstance(mesh, Mesh):
            vertices, faces, name = mesh.numpy().vertices, mesh.numpy().faces, "the envelope"
        else:
            (vertices, faces), name = (part.numpy() for part in load_mesh(mesh)), str(mesh)
        vertices, place = np.unique(vertices, axis=0, return_inverse=True)
        faces = place.reshape(-1)[faces]
        found = checked(vertices, faces)
        if found.volume is None or not found.volume:
            why = (
                f"{found.border_edges} edges have one face" if found.border_edges else "its faces are not turned alike"
            )
            raise CloudError(f"{name}: is no closed mesh ({why}), which --envelope needs; close it, e.g. with MeshLab")
        return cls(vertices, faces if found.volume > 0.0 else np.ascontiguousarray(faces[:, ::-1]))

    def beyond(self, x: Tensor) -> Tensor:
        """How far places [n, 3] are outside of it [n], negative inside, by winding numbers of point-cloud-utils."""
        try:
            import point_cloud_utils as pcu
        except ImportError as error:
            raise BackendError(
                f"--envelope needs the package point-cloud-utils ({first_line(error)}); install it, or drop it"
            ) from error
        if not len(x):
            return x.new_zeros(0)
        middle = (self.vertices.min(0) + self.vertices.max(0)) / 2.0
        places, corners = (np.ascontiguousarray(part - middle) for part in (x.cpu().numpy(), self.vertices))
        distance = np.asarray(pcu.signed_distance_to_mesh(places, corners, self.faces)[0], np.float64).reshape(-1)
        return torch.from_numpy(distance).to(x)

    def trimmed(self, mesh: Mesh, voxel: float) -> tuple[Mesh, list[str]]:
        """The mesh without the faces that reach farther than WITHIN voxels outside, and what to say of them."""
        out = self.beyond(mesh.vertices) > WITHIN * voxel
        gone = out[mesh.faces].any(1)
        if not bool(gone.any()):
            return mesh, []
        if bool(gone.all()):
            raise CloudError("all of the surface lies outside of --envelope; check that both have one frame and unit")
        return keep_faces(mesh, ~gone), [f"{int(gone.sum())} faces outside of --envelope were left out"]


@dataclass(frozen=True)
class EmptySpace:
    """rays: of what was seen. envelope: outside of which nothing is."""

    rays: Rays | None = None
    envelope: Envelope | None = None
