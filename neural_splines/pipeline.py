"""The pipeline: cloud -> field -> values near the surface -> mesh. The only module that knows every layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from . import cost
from .cells.blending import BlendedField
from .cells.fitting import BlendPlan, CellsFit, fit_blend
from .clouds import OrientedCloud, outlier_warning, voxel_downsample
from .degeneracy import check_eps, cluster_line, eps_line, shape_lines
from .errors import CloudError, EmptySurfaceError
from .field.contract import Field, Replicas
from .field.fitting import Centers, SplineFit, SplinePlan, fit_spline
from .field.kernels import make_kernel
from .field.products import Compute, resolve
from .field.regularization import choose_regularization
from .field.solvers import Solver
from .field.solvers import load as load_solver
from .field.solvers.budget import check_spline
from .metric import Lines
from .outliers import without_outliers
from .runtime import memory
from .runtime.devices import moved, slabs
from .runtime.monitor import Monitor, PhaseTimer, Silent
from .settings import AUTO, REGULARIZATION, Settings
from .surface.advice import comparison_lines
from .surface.band import Wanted, sample_band
from .surface.budget import check_band, check_dense
from .surface.dense import sample_dense
from .surface.lattice import Lattice
from .surface.lost import Stages
from .surface.marching_cubes import marching_cubes
from .surface.mesh import Mesh
from .surface.published import published_marching_cubes, refine_published
from .surface.refinement import refine
from .surface.resolution import choose_grid_size
from .surface.room import room_for
from .surface.trimming import may_support, trimmed

EPS_VOXEL_DIAGONALS = 0.5
CENTERS_PER_ROOT = 30  # centres for sqrt(constraints): the literature says 10 to 100
MAX_AUTO_CENTERS = 20_000  # two factors of 20,000 x 20,000 take 6.4 GB
REFINE_STEPS = 2
KEPT_SHARE = 0.5  # of the points: where downsampling leaves less, it is said


@dataclass(frozen=True)
class Reconstruction:
    """A mesh, the field that it is the zero set of, and how both came about.

    lattice: where the field was sampled. grid_size: what gives it again, were it auto; a lattice that grew where holes
    are filled has more, and so has one of 2 or 3 voxels. cloud: what was fitted, after downsampling;
    kept: before it, without outliers. lines: in which these points lie, as those of a scanner do. eps: the offset
    that was used, world units. grid: values [nx, ny, nz] where the dense grid was asked for. evaluations: of the field
    at lattice points. seconds: of each phase. warnings: lines that a user should read.
    """

    mesh: Mesh
    fit: SplineFit | CellsFit
    lattice: Lattice
    grid_size: int
    cloud: OrientedCloud
    eps: float
    compute: Compute
    grid: Tensor | None
    evaluations: int
    seconds: dict[str, float]
    warnings: list[str]
    kept: OrientedCloud
    lines: Lines | None

    @property
    def field(self) -> Field:
        return self.fit.field

    def __repr__(self) -> str:
        return f"Reconstruction({self.mesh!r}, {self.field!r}, {len(self.warnings)} warnings)"


def reconstruct(cloud: OrientedCloud, settings: Settings, monitor: Monitor | None = None) -> Reconstruction:
    """Fit one neural spline, or a blend of many where `settings.cells` says so, and mesh its zero set.

    What does not fit into the memory of a GPU that was found by itself is done on the CPU, with a warning.
    """
    dtype = getattr(torch, settings.dtype)
    try:
        return _reconstruct(cloud, settings, resolve(settings.device, settings.backend, dtype), monitor)
    except torch.cuda.OutOfMemoryError:
        if settings.device != AUTO or settings.backend == "triton":
            raise
    # Here the exception, which kept the tensors of its frames, is gone.
    torch.cuda.empty_cache()
    if monitor:
        monitor.phase("")
    result = _reconstruct(cloud, settings, resolve("cpu", settings.backend, dtype), monitor)
    line = "the GPU's memory is too small for this run, which was done anew on the CPU; "
    line += "use fewer NUM_NYSTROM_SAMPLES, a smaller GRID_SIZE or --dtype float32"
    return replace(result, warnings=[line, *result.warnings])


def _reconstruct(cloud: OrientedCloud, settings: Settings, compute: Compute, monitor: Monitor | None) -> Reconstruction:
    timer = PhaseTimer(monitor, compute.synchronize)
    timer.phase("check")
    cloud = moved(cloud, compute.device)
    cloud, line = without_outliers(cloud) if settings.remove_outliers == AUTO else (cloud, None)
    warnings = [line] if line else []
    size = grid_size_of(cloud, settings, compute)
    lattice = Lattice.around(cloud.box, settings.scale, size)
    if settings.dense:
        check_dense(lattice)
    else:
        check_band(lattice, cloud.points, compute.device)
    fitted = downsample(cloud, lattice, settings, timer)
    warnings += downsample_lines(len(cloud), len(fitted))
    centers = None if settings.many else choose_count(settings.num_nystrom_samples, 3 * len(fitted))[0]
    if centers:
        check_spline(centers, 3 * len(fitted), compute)
    cost.check(cost.estimate(lattice, fitted.sampling, centers, settings, compute), lattice, settings, compute.device)
    eps = choose_eps(lattice, settings)
    warnings += (doubts := doubts_about(cloud, fitted, lattice, eps, settings))

    fit = fit_field(fitted, lattice, eps, settings, compute, timer).over(cloud.box)
    warnings += fit.warnings
    try:
        wide = with_room(fit.field, lattice, fitted.points, settings, compute, timer)
        timer.phase("sample")
        metric = cloud.sampling.metric
        near = partial(may_support, metric) if wide is lattice and settings.trim == AUTO else None
        uncut, evaluations, grid = extract(fit.field, wide, fitted.points, settings, compute, timer, near)
        mesh = trimmed(uncut, cloud, lattice, settings, timer)
    except EmptySurfaceError as error:
        raise EmptySurfaceError(f"no surface is left: {doubts[0]}" if doubts else str(error)) from None
    timer.phase("compare")
    parts = replace(settings, min_component=0.0)
    stages = Stages(mesh, uncut, lambda: trimmed(uncut, cloud, lattice, parts, Silent()))
    warnings += comparison_lines(stages, cloud, fitted, lattice, wide, settings)
    timer.phase("")
    return Reconstruction(
        mesh, fit, wide, size, fitted, eps, compute, grid, evaluations, timer.seconds, warnings, cloud, metric.lines()
    )


def fit(cloud: OrientedCloud, settings: Settings, monitor: Monitor | None = None) -> SplineFit | CellsFit:
    """The first half of `reconstruct`: a field without its mesh."""
    compute = resolve(settings.device, settings.backend, getattr(torch, settings.dtype))
    timer = PhaseTimer(monitor, compute.synchronize)
    cloud = moved(cloud, compute.device)
    cloud, line = without_outliers(cloud) if settings.remove_outliers == AUTO else (cloud, None)
    lattice = Lattice.around(cloud.box, settings.scale, grid_size_of(cloud, settings, compute))
    fitted = downsample(cloud, lattice, settings, timer)
    result = fit_field(fitted, lattice, choose_eps(lattice, settings), settings, compute, timer).over(cloud.box)
    timer.phase("")
    said = [line] if line else []
    return replace(result, warnings=[*said, *downsample_lines(len(cloud), len(fitted)), *result.warnings])


def grid_size_of(cloud: OrientedCloud, settings: Settings, compute: Compute) -> int:
    """GRID_SIZE as asked for or as the cloud deserves; along a side a lattice has four voxels at least."""
    if isinstance(settings.grid_size, str):
        return choose_grid_size(cloud.sampling, settings.scale, settings.dense, compute.device)
    return settings.grid_size


def choose_eps(lattice: Lattice, settings: Settings) -> float:
    """The finite-difference offset in world units."""
    if settings.eps == AUTO:
        return EPS_VOXEL_DIAGONALS * lattice.voxel_diagonal
    check_eps(settings.eps, lattice.box.diagonal)
    return settings.eps


def doubts_about(
    cloud: OrientedCloud, fitted: OrientedCloud, lattice: Lattice, eps: float, settings: Settings
) -> list[str]:
    """What keeps a cloud from being a surface on this lattice, before any work and whatever comes of it."""
    lines = [outlier_warning(cloud) or cluster_line(cloud, lattice.voxel_size), *shape_lines(fitted)]
    if settings.eps != AUTO and not (settings.many and settings.regularization == AUTO):  # that looks for other normals
        lines.append(eps_line(eps, EPS_VOXEL_DIAGONALS * lattice.voxel_diagonal, fitted))
    return [line for line in lines if line]


def downsample(cloud: OrientedCloud, lattice: Lattice, settings: Settings, monitor: Monitor) -> OrientedCloud:
    """Average points and normals within voxels where the cloud has more points than the threshold."""
    if len(cloud) <= settings.voxel_downsample_threshold:
        return cloud
    monitor.phase("downsample")
    return voxel_downsample(cloud, lattice.origin, lattice.voxel_size)


def downsample_lines(before: int, after: int) -> list[str]:
    """What to say where averaging within voxels leaves less than half of the points."""
    if after >= KEPT_SHARE * before:
        return []
    return [
        f"{before} points were averaged within voxels to {after}; keep all with --voxel-downsample-threshold {before}, "
        "or more of them with a larger GRID_SIZE"
    ]


def fit_field(
    cloud: OrientedCloud, lattice: Lattice, eps: float, settings: Settings, compute: Compute, monitor: Monitor
) -> SplineFit | CellsFit:
    """One spline, or cells. One cell is one spline."""
    kernel = make_kernel(settings.kernel, settings.outer_layer_variance)
    generator = torch.Generator().manual_seed(settings.seed)
    if settings.many:
        monitor.phase("cells")
        return fit_blend(BlendPlan.of(cloud, lattice.box, kernel, eps, settings, compute, generator), monitor)
    if settings.cells and len(cloud) < settings.cells.min_pts_per_cell:
        raise CloudError("no cell holds enough points; lower --min-pts-per-cell")
    count, notes = choose_count(settings.num_nystrom_samples, 3 * len(cloud))
    check_spline(count, 3 * len(cloud), compute)
    centers = Centers(count, settings.nystrom_mode)

    def solver(regularization: float) -> Solver:
        return load_solver(settings.solver)(regularization, settings.cg_max_iters, settings.cg_stop_thresh)

    given = REGULARIZATION if settings.regularization == AUTO else float(settings.regularization)
    plan, chosen = SplinePlan(kernel, eps, centers, solver(given), compute, generator), ""
    if settings.regularization == AUTO:
        regularization, chosen, doubts = choose_regularization(cloud, plan, solver, monitor)
        plan, notes = replace(plan, solver=solver(regularization)), notes + doubts
    fit = fit_spline(cloud, plan, monitor)
    return replace(fit, chosen=chosen, regularization=plan.solver.regularization, warnings=[*notes, *fit.warnings])


def choose_count(asked: int | str, constraints: int) -> tuple[int, list[str]]:
    """The number of centres of one spline with that many constraints, and what to say about it."""
    if isinstance(asked, str):
        return min(constraints, MAX_AUTO_CENTERS, math.ceil(CENTERS_PER_ROOT * math.sqrt(constraints))), []
    if asked < 0:
        return constraints, []
    if asked > constraints:
        return constraints, [f"{asked} centres asked for, but the tripled cloud has {constraints} points: all are used"]
    return asked, []


def with_room(
    field: Field, lattice: Lattice, seeds: Tensor, settings: Settings, compute: Compute, monitor: Monitor
) -> Lattice:
    """The lattice, larger where a surface whose holes are filled leaves its box and closes outside."""
    if settings.dense or not isinstance(field, BlendedField) or field.background is None:
        return lattice
    monitor.phase("sample")
    return room_for(field.evaluate, lattice, seeds.to(compute.device))


def extract(
    field: Field,
    lattice: Lattice,
    seeds: Tensor,
    settings: Settings,
    compute: Compute,
    monitor: Monitor,
    wanted: Wanted | None = None,
) -> tuple[Mesh, int, Tensor | None]:
    """The mesh of the zero set, how often the field was evaluated to find it, and the dense grid where asked for.

    seeds: points [n, 3] near which there is surface. wanted: as of `sample_band`.
    """
    monitor.phase("sample")
    if len(compute.devices) > 1:
        field = Replicas(field, compute.devices)
    steps = REFINE_STEPS if settings.refine_vertices else 0
    if settings.dense:
        grid = sample_dense(field.evaluate, lattice, compute.device, monitor)
        monitor.phase("mesh")
        mesh, crossings, on_edge = published_marching_cubes(grid, lattice)
        _check_faces(mesh)
        on_device = field.on(compute.device)
        return refine_published(mesh, crossings, on_edge, on_device.gradient, steps), lattice.size, grid
    evaluate = cost.Metered(field.evaluate, lattice, compute.device)
    cubes = sample_band(evaluate, lattice, seeds.to(compute.device), monitor, slabs(compute.devices), wanted)
    monitor.phase("mesh")
    memory.release()
    mesh, crossings = marching_cubes(cubes)
    _check_faces(mesh)
    return refine(mesh, crossings, field.gradient, steps, compute.devices), cubes.evaluations, None


def _check_faces(mesh: Mesh) -> None:
    if not len(mesh.faces):
        raise EmptySurfaceError("no surface crosses the lattice; raise GRID_SIZE or --scale, or check the normals")
