"""Fewer faces for the same surface, by quadrics, with an error that is measured against the field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingsError
from ..quantities import counted, plain
from .collapse import Stage, apart, collapsed
from .mesh import Mesh, face_average_normals

Gradient = Callable[[Tensor], tuple[Tensor, Tensor]]
SAMPLES, FEW_SAMPLES = 200_000, 20_000  # places of the mesh at which its error is measured
CLOSE = 1.1  # how many times too few the fewest faces may be


@dataclass(frozen=True)
class SurfaceError:
    """Distances |f| / |grad f| of places of a mesh from the zero set of f, world units; of so many places."""

    mean: float
    largest: float
    places: int

    def summary(self) -> str:
        """One line."""
        mean = f"{plain(self.mean)} in the mean, at {counted(self.places, 'place')}"
        return f"at most {plain(self.largest)} off the surface, {mean}"


def simplified(mesh: Mesh, gradient: Gradient, faces: int) -> Mesh:
    """The mesh with at most so many faces, or as few as can be; it stays as manifold, and no more faces meet.

    gradient: values and gradients of the field at places [n, 3], for the normals.
    """
    if faces >= len(mesh.faces):
        return mesh
    stages = apart(collapsed([_first(mesh)], faces), faces)
    return _with_normals(_mesh(stages[-1], mesh), gradient)


def within(mesh: Mesh, gradient: Gradient, error: float, seed: int) -> tuple[Mesh, SurfaceError]:
    """The mesh with about as few faces as keep its largest error.

    Few places say where on the way down the error is passed, to a tenth of the faces; all places then which of the
    meshes before that is good enough. SettingsError where none is.
    """

    def near(stage: Stage) -> bool:
        return measured(_mesh(stage, mesh), gradient, seed, FEW_SAMPLES).largest <= error

    stages, few = [_first(mesh)], 0
    while len(stages[-1].faces) > CLOSE * few:
        count = int((len(stages[-1].faces) * few) ** 0.5)
        now, _ = stages[-1].next(count)
        if len(now.faces) < len(stages[-1].faces) and near(now):
            stages.append(now)
        else:
            few = len(now.faces)
    while True:
        stages = apart(stages, len(stages[-1].faces))
        off = measured(_mesh(stages[-1], mesh), gradient, seed)
        if off.largest <= error:
            break
        stages.pop()
        if not stages:
            raise SettingsError(
                f"--max-error {error:g}: the mesh without fewer faces is {off.largest:.3g} off; use a larger one, or "
                "a larger GRID_SIZE"
            )
    return mesh if len(stages) == 1 else _with_normals(_mesh(stages[-1], mesh), gradient), off


def _first(mesh: Mesh) -> Stage:
    return Stage.first(mesh.vertices.cpu().numpy(), mesh.faces.cpu().numpy())


def _mesh(stage: Stage, like: Mesh) -> Mesh:
    """Without normals, where that mesh is."""
    vertices = torch.from_numpy(stage.vertices).to(like.vertices)
    return Mesh(vertices, vertices, torch.from_numpy(stage.faces).to(like.faces))


def measured(mesh: Mesh, gradient: Gradient, seed: int, places: int = SAMPLES) -> SurfaceError:
    """The error of a mesh, at places drawn evenly by area; those where the field is undefined do not count."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    area = torch.linalg.cross(b - a, c - a).norm(dim=1).cpu().numpy()
    random = np.random.default_rng(seed)
    steps = np.cumsum(area)
    place = np.searchsorted(steps, (np.arange(places) + random.random(places)) / places * steps[-1])
    face = torch.from_numpy(place.clip(0, len(area) - 1)).to(mesh.faces.device)
    u, v = torch.from_numpy(random.random((2, places, 1))).to(a)
    root = u.sqrt()
    x = (1.0 - root) * a[face] + root * (1.0 - v) * b[face] + root * v * c[face]
    value, slope = gradient(x)
    distance = value.abs() / slope.norm(dim=1)
    distance = distance[distance.isfinite()]
    if not len(distance):
        return SurfaceError(0.0, 0.0, 0)
    return SurfaceError(float(distance.mean()), float(distance.max()), len(distance))


def _with_normals(mesh: Mesh, gradient: Gradient) -> Mesh:
    """Along the gradient of the field; of the faces, where it has none."""
    slope = gradient(mesh.vertices)[1]
    normals = slope / slope.norm(dim=1, keepdim=True)
    defined = normals.isfinite().all(1, keepdim=True)
    return Mesh(mesh.vertices, torch.where(defined, normals, face_average_normals(mesh)), mesh.faces)
