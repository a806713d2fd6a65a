"""The pipeline: cloud -> field -> values near the surface -> mesh. The only module that knows every layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from . import advice, blending, memory, meshing, solvers, trimming
from .band import sample_band
from .clouds import OrientedCloud, outlier_warning, voxel_downsample
from .errors import EmptySurfaceError
from .kernels import make_kernel
from .lattice import Lattice, crossing_cubes, sample_dense
from .meshing import Mesh
from .monitor import Monitor
from .products import Compute, resolve
from .settings import Settings
from .spline import Field, Replicas, SplineFit, fit_spline

EPS_VOXEL_DIAGONALS = 0.5
CENTERS_PER_ROOT = 30  # centres for sqrt(constraints): the literature says 10 to 100
MAX_AUTO_CENTERS = 20_000  # two factors of 20,000 x 20,000 take 6.4 GB
REFINE_STEPS = 2


@dataclass(frozen=True)
class Reconstruction:
    """A mesh, the field that it is the zero set of, and how both came about.

    cloud: what was fitted, after downsampling. grid: values [nx, ny, nz] where the dense grid was asked
    for. warnings: lines that a user should read. failed_cells: how many have no model.
    """

    mesh: Mesh
    fit: SplineFit | blending.CellsFit
    lattice: Lattice
    cloud: OrientedCloud
    eps: float
    compute: Compute
    grid: Tensor | None
    evaluations: int
    seconds: dict[str, float]
    warnings: list[str] = field(default_factory=list)


def reconstruct(cloud: OrientedCloud, settings: Settings, monitor: Monitor | None = None) -> Reconstruction:
    """Fit one neural spline, or a blend of many where `settings.cells` says so, and mesh its zero set.

    What does not fit into the memory of a GPU that was found by itself is done on the CPU, with a warning.
    """
    monitor = monitor or Monitor()
    dtype = getattr(torch, settings.dtype)
    try:
        return _reconstruct(cloud, settings, resolve(settings.device, settings.backend, dtype), monitor)
    except torch.cuda.OutOfMemoryError:
        if settings.device != "auto" or settings.backend == "triton":
            raise
    # Here the exception, which kept the tensors of its frames, is gone.
    torch.cuda.empty_cache()
    monitor.phase("")
    result = _reconstruct(cloud, settings, resolve("cpu", settings.backend, dtype), monitor)
    line = "the GPU's memory is too small for this run, which was done anew on the CPU; "
    line += "use fewer NUM_NYSTROM_SAMPLES, a smaller GRID_SIZE or --dtype float32"
    return replace(result, warnings=[line, *result.warnings])


def _reconstruct(cloud: OrientedCloud, settings: Settings, compute: Compute, monitor: Monitor) -> Reconstruction:
    monitor.synchronize = compute.synchronize
    warnings = [line for line in [outlier_warning(cloud)] if line]
    lattice = Lattice.covering(cloud.box.scaled(settings.scale), settings.grid_size)
    if settings.dense:
        memory.check_dense(lattice)
    else:
        memory.check_band(lattice, cloud.points, compute.device)
    fitted = downsample(cloud, lattice, settings, monitor)
    eps = settings.eps or EPS_VOXEL_DIAGONALS * lattice.voxel_diagonal

    fit = fit_field(fitted, lattice, eps, settings, compute, monitor)
    warnings += fit.warnings
    mesh, evaluations, grid = extract(fit.field, lattice, fitted, settings, compute, monitor)
    mesh = trimmed(mesh, cloud, lattice, settings, monitor)
    warnings += far_warnings(mesh, fitted, settings)
    monitor.phase("")
    return Reconstruction(mesh, fit, lattice, fitted, eps, compute, grid, evaluations, monitor.seconds, warnings)


def downsample(cloud: OrientedCloud, lattice: Lattice, settings: Settings, monitor: Monitor) -> OrientedCloud:
    """Average points and normals within voxels where the cloud has more points than the threshold."""
    if len(cloud) <= settings.voxel_downsample_threshold:
        return cloud
    monitor.phase("downsample")
    return voxel_downsample(cloud, lattice.origin, lattice.voxel_size)


def fit_field(
    cloud: OrientedCloud, lattice: Lattice, eps: float, settings: Settings, compute: Compute, monitor: Monitor
) -> SplineFit | blending.CellsFit:
    """One spline, or cells. One cell without overlap is one spline."""
    kernel = make_kernel(settings.kernel, settings.outer_layer_variance)
    generator = torch.Generator().manual_seed(settings.seed)
    if settings.cells is not None and settings.cells.cells_per_axis != 1:
        return blending.fit_blend(cloud, lattice.box, kernel, eps, settings, compute, generator, monitor)
    count, notes = choose_count(settings.num_nystrom_samples, 3 * len(cloud))
    memory.check_spline(count, 3 * len(cloud), compute)
    return fit_spline(
        cloud,
        kernel,
        compute,
        generator,
        eps=eps,
        num_centers=count,
        nystrom_mode=settings.nystrom_mode,
        regularization=settings.regularization,
        max_iterations=settings.cg_max_iters,
        tolerance=settings.cg_stop_thresh,
        solve=solvers.load(settings.solver),
        notes=notes,
        on_phase=monitor.phase,
        on_iteration=lambda i, residual: monitor.progress(i, settings.cg_max_iters, f"residual {residual:.1e}"),
    )


def choose_count(asked: int | None, constraints: int) -> tuple[int, list[str]]:
    """The number of centres of one spline with that many constraints, and what to say about it."""
    if asked is None:
        return min(constraints, MAX_AUTO_CENTERS, math.ceil(CENTERS_PER_ROOT * math.sqrt(constraints))), []
    if asked < 0:
        return constraints, []
    if asked > constraints:
        return constraints, [f"{asked} centres asked for, but the tripled cloud has {constraints} points: all are used"]
    return asked, []


def extract(
    field: Field, lattice: Lattice, cloud: OrientedCloud, settings: Settings, compute: Compute, monitor: Monitor
) -> tuple[Mesh, int, Tensor | None]:
    """The mesh of the zero set, how often the field was evaluated to find it, and the dense grid where asked for."""
    monitor.phase("sample")
    if len(compute.devices) > 1:
        field = Replicas(field, compute.devices)
    grid = None
    if settings.dense:
        grid = sample_dense(field.evaluate, lattice, compute.device, monitor.progress)
        cubes = crossing_cubes(grid, lattice).to(compute.device)
    else:
        points = cloud.points.to(compute.device)
        cubes = sample_band(field.evaluate, lattice, points, monitor.progress, compute.devices)
    monitor.phase("mesh")
    memory.release()
    mesh, crossings = meshing.marching_cubes(cubes)
    if not len(mesh.faces):
        raise EmptySurfaceError("no surface crosses the lattice; raise GRID_SIZE or --scale, or check the normals")
    steps = REFINE_STEPS if settings.refine_vertices else 0
    mesh = meshing.refine(mesh, crossings, field.gradient, steps, compute.devices)
    return mesh, cubes.evaluations, grid


def trimmed(mesh: Mesh, cloud: OrientedCloud, lattice: Lattice, settings: Settings, monitor: Monitor) -> Mesh:
    """What the user wants to keep of a mesh."""
    if settings.trim is None and settings.min_component == 0.0:
        return mesh
    monitor.phase("trim")
    memory.release()
    points = cloud.points.to(mesh.vertices.device)
    if settings.trim == "auto":
        mesh = trimming.trim_unsupported(mesh, points)
    elif settings.trim is not None:
        mesh = trimming.trim(mesh, points, settings.trim * lattice.voxel_diagonal)
    if settings.min_component > 0.0:
        mesh = trimming.drop_small_components(mesh, settings.min_component)
    if not len(mesh.faces):
        raise EmptySurfaceError("trimming leaves no face; use a larger --trim, or --trim none")
    return mesh


def far_warnings(mesh: Mesh, cloud: OrientedCloud, settings: Settings) -> list[str]:
    """What to say about sheets that no point supports, unless they were asked for."""
    if settings.cells is not None and settings.cells.fill_holes:
        return []
    remedies = {None: "drop them with --trim auto", "auto": "drop them with --trim 2"}
    return advice.far_lines(mesh, cloud, remedies.get(settings.trim, "drop them with a smaller --trim, or auto"))
