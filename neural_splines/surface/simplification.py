"""Fewer faces for the same surface: edges collapsed by quadrics, vertices put back onto the field's zero set.

The collapse is that of fast-simplification, an extra (0.7 s for 370,000 faces; Open3D 0.19 takes 8 s, and 1.3 times the
memory). What it gives is only taken where it has the topology of the mesh before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import BackendError, SettingsError, first_line
from .checks import Checked, checked
from .intersections import intersections
from .mesh import Mesh, face_average_normals

Gradient = Callable[[Tensor], tuple[Tensor, Tensor]]
SAMPLES, FEW_SAMPLES = 200_000, 20_000  # places of the mesh at which its error is measured
HASTES = (7.0, 3.0)  # of the collapse, the first of which that keeps the topology: 3 is slower and keeps more
STEPS = 2  # Newton's, along the gradient
STEP = 1.0  # voxels, at most
ROUNDS = 6  # in which what was moved wrongly is moved back
FIRST, SEARCH, CLOSE = 0.2, 8, 1.1  # of the faces, tries, and a ratio of numbers of faces
NEEDED = "fewer faces need the package fast-simplification; install neural-splines[simplify]"


@dataclass(frozen=True)
class SurfaceError:
    """Distances |f| / |grad f| of places of a mesh from the zero set of f, world units; of so many places."""

    mean: float
    largest: float
    places: int

    def summary(self) -> str:
        """One line."""
        return f"at most {self.largest:.3g} off the surface, {self.mean:.3g} in the mean, at {self.places} places"


def simplified(mesh: Mesh, gradient: Gradient, faces: int, voxel_size: float) -> Mesh:
    """The mesh with about so many faces; its borders stay, and the rest lies on the zero set of a field.

    gradient: values and gradients of the field at places [n, 3]. The mesh stays as manifold as it was, and no more of
    its faces intersect. SettingsError where so few faces cannot do that.
    """
    if faces >= len(mesh.faces):
        return mesh
    vertices, before = mesh.vertices.cpu().numpy(), mesh.faces.cpu().numpy()
    found = _collapsed(vertices, before, faces)
    device = mesh.vertices.device
    fewer = Mesh(*(torch.from_numpy(part).to(device) for part in (found[0], found[0], found[1])))
    return _on_zero_set(fewer, gradient, voxel_size)


def within(mesh: Mesh, gradient: Gradient, error: float, voxel_size: float, seed: int) -> tuple[Mesh, SurfaceError]:
    """The mesh with as few faces as keep its largest error, to a tenth of their number.

    The error falls about as the number of faces grows; so the next number to try is what the last one says, within
    those that were too few and those that were enough.
    """
    best = mesh, measured(mesh, gradient, seed)
    if best[1].largest > error:
        raise SettingsError(
            f"--max-error {error:g}: the mesh without fewer faces is {best[1].largest:.3g} off; use a larger one, or a "
            "larger GRID_SIZE"
        )
    few, enough = 4.0, float(len(mesh.faces))
    guess = enough * FIRST
    for _ in range(SEARCH):
        try:
            now = simplified(mesh, gradient, int(guess), voxel_size)
            off = measured(now, gradient, seed, FEW_SAMPLES)  # too far off is seen by few places
            off = measured(now, gradient, seed) if off.largest <= error else off
        except SettingsError:
            few, guess = guess, (guess * enough) ** 0.5
            continue
        if off.largest <= error:
            best, enough = (now, off), guess
        else:
            few = guess
        if enough < CLOSE * few:
            break
        guess = min(max(guess * off.largest / error, few * CLOSE**0.5), enough / CLOSE**0.5)
    return best


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


def _collapsed(vertices: np.ndarray, faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and about so many faces of the same topology; the fewest of what the collapse gives."""
    try:
        import fast_simplification
    except ImportError as error:
        raise BackendError(f"{NEEDED} ({first_line(error)})") from None
    before, middle = checked(vertices, faces), vertices.mean(0)
    size = float(np.ptp(vertices, axis=0).max()) or 1.0  # it has thresholds in units of 1
    local = np.ascontiguousarray((vertices - middle) / size)
    corners = np.ascontiguousarray(faces, np.int32)
    for haste in HASTES:
        found = fast_simplification.simplify(local, corners, target_count=count, agg=haste, preserve_border=True)
        points, left = size * np.asarray(found[0], np.float64) + middle, np.asarray(found[1], np.int64)
        if len(left) and _alike(before, checked(points, left)):
            return points, left
    raise SettingsError(f"the mesh cannot have {count} faces without tearing; use more --faces")


def _alike(before: Checked, after: Checked) -> bool:
    """Whether a mesh has kept its topology, and has no new fault."""
    same = ("components", "border_loops", "genus")
    worse = ("nonmanifold_edges", "nonmanifold_vertices", "turned_edges", "flat_faces")
    return all(getattr(before, name) == getattr(after, name) for name in same) and all(
        getattr(after, name) <= getattr(before, name) for name in worse
    )


def _on_zero_set(mesh: Mesh, gradient: Gradient, voxel_size: float) -> Mesh:
    """The vertices moved along the gradient onto the zero set, but not where that would turn faces or let them meet."""
    start = mesh.vertices
    moved, (value, slope) = start, gradient(start)
    for _ in range(STEPS):
        step = -value[:, None] * slope / slope.square().sum(1, keepdim=True)
        length = step.norm(dim=1, keepdim=True)
        step = (step * (STEP * voxel_size / length.clamp_min(1e-300)).clamp(max=1.0)).nan_to_num(0.0, 0.0, 0.0)
        moved = moved + step
        value, slope = gradient(moved)
    across = _across(start, mesh.faces)
    for _ in range(ROUNDS):
        wrong = (across * _across(moved, mesh.faces)).sum(1) <= 0.0
        meeting = np.unique(intersections(moved.cpu().numpy(), mesh.faces.cpu().numpy()))
        wrong[torch.from_numpy(meeting).to(wrong.device)] = True
        back = torch.zeros(len(start), dtype=torch.bool, device=start.device)
        back[mesh.faces[wrong].reshape(-1)] = True
        back &= (moved != start).any(1)
        if not bool(back.any()):
            break
        moved = torch.where(back[:, None], start, moved)
    value, slope = gradient(moved)
    found = Mesh(moved, slope / slope.norm(dim=1, keepdim=True), mesh.faces)
    defined = found.normals.isfinite().all(1, keepdim=True)
    return Mesh(moved, torch.where(defined, found.normals, face_average_normals(found)), mesh.faces)


def _across(vertices: Tensor, faces: Tensor) -> Tensor:
    """Normals [f, 3] of faces, twice as long as their area."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return torch.linalg.cross(b - a, c - a)
