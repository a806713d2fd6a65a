"""From a field to its surface: the lattice that it needs, the values there, the mesh of the zero set."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..cells.blending import BlendedField
from ..creases.field import SharpField
from ..errors import EmptySurfaceError
from ..kernels.products import Compute
from ..runtime import memory
from ..runtime.devices import slabs
from ..runtime.monitor import Monitor, expect
from ..settings import Settings
from ..spline.contract import Field, Replicas
from ..surface.band import Wanted, sample_band
from ..surface.cubes import Cubes
from ..surface.dense import sample_dense
from ..surface.expand import expanded_lattice
from ..surface.lattice import Lattice
from ..surface.marching_cubes import Crossings, marching_cubes
from ..surface.mesh import Mesh
from ..surface.published import published_marching_cubes, refine_published
from ..surface.refinement import refine
from . import cost

REFINE_STEPS = 8  # at most: one in thirty vertices takes a second, one in a thousand more
NO_SURFACE = "no surface crosses the lattice; raise GRID_SIZE or --margin, or check the normals"


@dataclass(frozen=True)
class Surface:
    """The zero set of a field. evaluations: of the field at lattice points, to find it. cubes, crossings: where it
    lies, of a narrow band; grid: all values [nx, ny, nz], of a dense lattice.
    """

    mesh: Mesh
    evaluations: int
    cubes: Cubes | None = None
    crossings: Crossings | None = None
    grid: Tensor | None = None


def mesh_of(field: Field, lattice: Lattice, settings: Settings, monitor: Monitor) -> Mesh:
    """The zero set of a field whose points are not known; EmptySurfaceError where there is none."""
    seeds = field.world_centers()
    monitor.phase("sample")
    mesh = extract(field, _with_room(field, lattice, seeds, settings), seeds, settings, field.compute, monitor).mesh
    if not len(mesh.faces):
        raise EmptySurfaceError(NO_SURFACE)
    return mesh


def _with_room(field: Field, lattice: Lattice, seeds: Tensor, settings: Settings) -> Lattice:
    """The lattice, larger where a surface whose holes are filled leaves its box and closes outside."""
    if settings.dense or not isinstance(field, (BlendedField, SharpField)) or field.background is None:
        return lattice
    return expanded_lattice(field.evaluate, lattice, seeds.to(field.compute.device))


def extract(
    field: Field,
    lattice: Lattice,
    seeds: Tensor,
    settings: Settings,
    compute: Compute,
    monitor: Monitor,
    wanted: Wanted | None = None,
) -> Surface:
    """The zero set of a field on a lattice, or a part of one, as a mesh; it may be empty.

    seeds: points [n, 3] near which there is surface. wanted: as of `sample_band`.
    """
    monitor.phase("sample")
    of_all = field
    if len(compute.devices) > 1:
        field = Replicas(field, compute.devices)
    steps = REFINE_STEPS if settings.refine_vertices else 0
    if settings.dense:
        grid = sample_dense(field.evaluate, lattice, compute.device, monitor)
        monitor.phase("mesh")
        mesh, crossings, on_edge = published_marching_cubes(grid, lattice)
        if len(mesh.faces):
            mesh = refine_published(mesh, crossings, on_edge, field.on(compute.device), steps)
        return Surface(mesh, lattice.size, grid=grid)
    evaluate = cost.EvaluationBudget(field.evaluate, lattice, compute.device)
    cubes = sample_band(evaluate, lattice, seeds.to(compute.device), monitor, slabs(compute.devices), wanted)
    monitor.phase("mesh")
    if compute.device.type == "cpu":
        expect(monitor, cost.after_sampling(cubes.evaluations))
    memory.release()
    mesh, crossings = marching_cubes(cubes)
    mesh = refine(mesh, crossings, field, steps, compute.devices)
    if isinstance(of_all, SharpField):
        from ..surface.features import with_features  # not before: other fields have no edges

        mesh = with_features(mesh, lattice, of_all)
    return Surface(mesh, cubes.evaluations, cubes, crossings)
