"""The published path, step by step: a dense grid of values and scikit-image's marching cubes.

What `--dense` does at run time, and a twin of the narrow band and of our own marching cubes that shares no code with
them: the tests compare the two.
"""

from __future__ import annotations

import contextlib

import numpy as np
import torch
from torch import Tensor

from .lattice import Lattice
from .marching_cubes import Crossings
from .mesh import Mesh, face_average_normals
from .refinement import Sloped, refine

INSIDE_CUBES = 1e-4  # voxels: a vertex farther from every lattice edge is one that Lewiner's cases put inside a cube


def published_marching_cubes(values: Tensor, lattice: Lattice) -> tuple[Mesh, Crossings, Tensor]:
    """The mesh of a dense grid [nx, ny, nz], oriented from negative to positive values, by Lewiner's cases.

    Cubes with an undefined corner (NaN) have no faces. Beside the mesh, its normals still zero: the lattice edges of
    its vertices, as far as they lie on one, and the mask [v] of those that do. Source: T. Lewiner et al., Efficient
    implementation of marching cubes' cases with topological guarantees, J. Graphics Tools 8(2), 2003.
    """
    from skimage.measure import marching_cubes

    grid = values.numpy()
    defined = np.isfinite(grid)
    mask = np.zeros(grid.shape, bool)  # scikit-image looks at the upper corner of a cube
    mask[1:, 1:, 1:] = defined[1:, 1:, 1:]
    for i, j, k in np.ndindex(2, 2, 2):
        nx, ny, nz = (s - 1 for s in grid.shape)
        mask[1:, 1:, 1:] &= defined[i : i + nx, j : j + ny, k : k + nz]
    filled = _float32_with_signs(np.where(defined, grid, 1.0))
    found, faces = np.zeros((0, 3)), np.zeros((0, 3))
    if filled.min() < 0.0 < filled.max():
        with contextlib.suppress(RuntimeError):  # no surface in the defined cubes
            found, faces, _, _ = marching_cubes(filled, 0.0, mask=mask, gradient_direction="ascent")
    index = torch.from_numpy(found.astype(np.float64))
    vertices = lattice.positions(index)
    crossings, on_edge = _crossings(values, lattice, index)
    mesh = Mesh(vertices, vertices.new_zeros(1, 3).expand_as(vertices), torch.from_numpy(faces.astype(np.int64)))
    return mesh, crossings, on_edge


def refine_published(mesh: Mesh, crossings: Crossings, on_edge: Tensor, field: Sloped, steps: int) -> Mesh:
    """`refine` for the vertices on lattice edges; the others stay where they are. Normals are the field's gradient."""
    vertices = mesh.vertices.clone()
    part = Mesh(vertices[on_edge], vertices[on_edge], mesh.faces[:0])
    vertices[on_edge] = refine(part, crossings, field, steps).vertices
    slope = field.gradient(vertices)[1]
    normals = slope / slope.norm(dim=1, keepdim=True)
    mesh = Mesh(vertices, normals, mesh.faces)
    return Mesh(vertices, torch.where(normals.isfinite(), normals, face_average_normals(mesh)), mesh.faces)


def _float32_with_signs(values: np.ndarray) -> np.ndarray:
    """float32, in which scikit-image works: what is negative stays so, what is not is positive."""
    tiny = np.finfo(np.float32).tiny
    with np.errstate(over="ignore", under="ignore"):
        rounded = np.clip(values, -1e30, 1e30).astype(np.float32)
    return np.where(values < 0, np.minimum(rounded, -tiny), np.maximum(rounded, tiny)).astype(np.float32)


def _crossings(values: Tensor, lattice: Lattice, index: Tensor) -> tuple[Crossings, Tensor]:
    """The lattice edges on which points [v, 3], in units of the lattice, lie, with the values at their ends, and the
    mask [v] of the points that lie on such an edge, and not on a lattice point."""
    off = (index - index.round()).abs()
    axis = off.argmax(1)
    step = torch.eye(3, dtype=torch.int64)[axis]
    lower = torch.where(step > 0, index.floor(), index.round()).long()
    far, near = off.sort(1).values.unbind(1)[:0:-1]
    inside = (lower + step < torch.tensor(lattice.shape)).all(1)
    on_edge = (near < INSIDE_CUBES) & (far > INSIDE_CUBES) & inside
    flat, low_ids = values.reshape(-1), lattice.ids(lower)
    low, high = flat[low_ids], flat[lattice.ids(torch.where(inside[:, None], lower + step, lower))]
    on_edge &= (low < 0) != (high < 0)
    return Crossings(lattice, (3 * low_ids + axis)[on_edge], low[on_edge], high[on_edge]), on_edge
