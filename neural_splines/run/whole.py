"""A run whose cloud, field and mesh fit into memory: one node, one block, this process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..cells.blending import BlendedField
from ..cells.fitting import CellsFit
from ..cloud.clouds import CleaningReport, OrientedCloud
from ..cloud.metric import Lines
from ..creases.field import SharpField
from ..errors import EmptySurfaceError, SettingsError
from ..files.arrays import save_json
from ..files.atomic import PathLike
from ..geometry import offset_triples
from ..kernels.products import Compute
from ..normals.kept import Estimated
from ..runtime.budget import check_spline
from ..runtime.monitor import Monitor, PhaseTimer
from ..settings import AUTO, Settings
from ..spline.contract import Field
from ..spline.fitting import SplineFit
from ..surface import display
from ..surface.expand import on_the_wall, open_lines
from ..surface.lattice import Lattice
from ..surface.mesh import Mesh, border_edges
from ..surface.simplification import SurfaceError
from . import cost, page, report, steps, trust
from .cells import blend_of, cells_of, field_of, posterior_of
from .choices import Chosen
from .compare import comparison_lines
from .empty import EmptySpace
from .fewer import with_fewer_faces
from .nodes import Nodes
from .plan import OneCloud, Parts, Plan, compute_of
from .points import cleaned, fitted
from .spline import choose_count
from .steps import Meshed
from .stitch import only
from .store import MemoryStore
from .totals import Totals, dropped_lines
from .workers import Here

ONE_SPLINE = (
    "--free-space and --envelope need cells, but this run fits one spline; use fit-grid.py CLOUD auto auto auto auto"
)


@dataclass(frozen=True)
class Reconstruction:
    """A mesh, the field that it is the zero set of, and how both came about.

    lattice: where the field was sampled. grid_size: what gives it again, were it auto; a lattice that grew where holes
    are filled has more, and so has one of 2 or 3 voxels. cloud: what was fitted, after downsampling;
    kept: before it, without outliers. lines: in which these points lie, as those of a scanner do. error: of the mesh,
    where its faces were to be fewer. eps: the offset that was used, world units. grid: values [nx, ny, nz] where the
    dense grid was asked for. evaluations: of the field at lattice points. seconds: of each phase. warnings: lines that
    a user should read.

    settings: those that were asked for. cleaning: what was dropped of the points. estimated: normals, where the cloud
    had none. These three are known of what `neural_splines.reconstruct` made.
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
    error: SurfaceError | None
    settings: Settings | None = None
    cleaning: CleaningReport | None = None
    estimated: Estimated | None = None

    @property
    def field(self) -> Field:
        return self.fit.field

    def __repr__(self) -> str:
        return f"Reconstruction({self.mesh!r}, {self.field!r}, {len(self.warnings)} warnings)"

    def report(self, path: PathLike | None = None) -> dict[str, Any]:
        """What was done, chosen and found: the report of --report (docs/report.md), and as JSON at a path.

        input, output, command and repeat_command, of a command, are None.
        """
        found = report.of(self)
        if path is not None:
            save_json(path, found)
        return found

    def show(self, path: PathLike | None = None) -> str | None:
        """Open the page of --html in the browser, written to this path or to a temporary file: its path.

        It has the mesh and the points to turn, distances, settings, warnings and times. Without a path in a notebook,
        show it there: None.
        """
        return display.show(page.page_of(self), path, self._repr_html_)

    def qualities(self, *names: str) -> dict[str, np.ndarray]:
        """Numbers [v] of the vertices, as --quality writes them: `support`, in 0 to 1, and `support_class`;
        `uncertainty`, a standard deviation in world units; `mean_curvature`, `gauss_curvature`; the first as `quality`.

        names: distance, density, support, uncertainty, mean-curvature, gauss-curvature. `save_mesh` takes them as
        scalars. SettingsError for another one, or where the field cannot say it (docs/trust.md).
        """
        return trust.qualities(self, names)

    def _repr_html_(self) -> str:
        """What a notebook shows: the page, of a large mesh a picture."""
        mesh = self.mesh.numpy()
        return display.in_html(mesh.vertices, mesh.faces, lambda: page.page_of(self), page.title_of(self))


def mesh_cloud(
    cloud: OrientedCloud, settings: Settings, monitor: Monitor | None = None, empty: EmptySpace | None = None
) -> Reconstruction:
    """Fit one neural spline, or a blend of many where `settings.cells` says so, and mesh its zero set.

    cloud: distinct points (`clouds.clean`). empty: what is known to be empty; of cells. What does not fit into the
    memory of a GPU that was found by itself is done on the CPU, with a warning.
    """
    try:
        return _mesh_cloud(cloud, settings, monitor, empty)
    except torch.cuda.OutOfMemoryError:
        if settings.device != AUTO or settings.backend == "triton":
            raise
    # Here the exception, which kept the tensors of its frames, is gone.
    torch.cuda.empty_cache()
    if monitor:
        monitor.phase("")
    result = _mesh_cloud(cloud, replace(settings, device="cpu"), monitor, empty)
    line = "the GPU's memory is too small for this run, which was done anew on the CPU; "
    line += "use fewer NUM_NYSTROM_SAMPLES, a smaller GRID_SIZE or --dtype float32"
    return replace(result, warnings=[line, *result.warnings])


def _mesh_cloud(
    cloud: OrientedCloud, settings: Settings, monitor: Monitor | None, empty: EmptySpace | None
) -> Reconstruction:
    parts, timer, team = _begun(cloud, settings, monitor)
    if empty is not None:
        if not settings.cell_settings:
            raise SettingsError(ONE_SPLINE)
        parts = replace(parts, empty=empty)
    unfilled = _unfilled(settings)
    if unfilled is not None:
        found = _closed(replace(parts, settings=unfilled), team, timer)
        if found is not None:
            return _told(found, unfilled, team, timer)
        assert isinstance(parts.store, MemoryStore)
        parts = replace(parts, store=parts.store.part("points-0", "fitted-0", "choice", "degeneracy"))
    return _told(steps.meshed(parts, team, timer, partial(_check, timer)), settings, team, timer)


def _unfilled(settings: Settings) -> Settings | None:
    """The same without filled holes, where all are to be filled that the usual trimming leaves."""
    cells = settings.cell_settings
    if not (cells and cells.adaptive and cells.fill_holes is True and settings.trim == "none"):
        return None
    return replace(settings, cells=replace(cells, fill_holes=False), trim=AUTO)


def _closed(parts: Parts, team: Here, timer: PhaseTimer) -> Meshed | None:
    """A run without filled holes, where its mesh is closed: then there is nothing to fill."""
    try:
        found = steps.meshed(parts, team, timer, partial(_check, timer))
    except EmptySurfaceError:
        return None
    return None if len(border_edges(only(found.plan, found.kept))) else found


def _told(found: Meshed, settings: Settings, team: Here, timer: PhaseTimer) -> Reconstruction:
    """The result of a run that is meshed."""
    plan = found.plan
    store, kept, mesh = plan.store, cleaned(plan.store, 0), only(plan, found.kept)
    left_out: list[str] = []
    if plan.parts.empty is not None and plan.parts.empty.envelope is not None:
        mesh, left_out = plan.parts.empty.envelope.trimmed(mesh, plan.lattice.voxel_size)
    compared = comparison_lines(plan, found.around, found.kept, team, timer)
    if settings.cell_settings and settings.cell_settings.fill_holes:
        on_wall = int(on_the_wall(mesh.vertices, plan.lattice).sum())
        compared += open_lines(len(border_edges(mesh)), on_wall, settings.cell_settings.fill_holes)
    fit = _fit(replace(plan, lattice=found.lattice), found.chosen, found.totals)
    lines = kept.sampling.metric.lines()
    mesh, error, left = with_fewer_faces(mesh, fit.field, settings, timer)
    timer.phase("")
    return Reconstruction(
        mesh, fit, plan.lattice, plan.grid_size, fitted(plan, 0), plan.eps, plan.compute(), store.held("grid"),
        store.load("block-0", "evaluations")["evaluations"], timer.seconds, [*found.lines, *compared, *left_out, *left],
        kept, lines, error,
    )  # fmt: skip


def fit_cloud(cloud: OrientedCloud, settings: Settings, monitor: Monitor | None = None) -> SplineFit | CellsFit:
    """The first half of `mesh_cloud`: a field without its mesh."""
    parts, timer, team = _begun(cloud, settings, monitor)
    plan, chosen = steps.fit(steps.clean(parts, team, timer), team, timer)
    totals = steps.totals(plan)
    fit = _fit(plan, chosen, totals)
    timer.phase("")
    return replace(fit, warnings=[*dropped_lines(totals), *fit.warnings])


def _begun(cloud: OrientedCloud, settings: Settings, monitor: Monitor | None) -> tuple[Parts, PhaseTimer, Here]:
    """The cloud as one node."""
    timer = PhaseTimer(monitor, compute_of(settings).synchronize)
    nodes = Nodes.one(cloud.box, len(cloud))
    read = CleaningReport(len(cloud), 0, 0, 0, len(cloud))
    parts = Parts(MemoryStore(), OneCloud(cloud), settings, nodes, read, cloud.points, monitor=timer)
    return parts, timer, Here()


def _check(timer: PhaseTimer, plan: Plan) -> None:
    """Refuse what cannot fit into the memory, say what takes long, and tell the timer what to expect."""
    s, lattice, compute, used = plan.settings, plan.lattice, plan.compute(), fitted(plan, 0)
    centers = None if s.cell_settings else choose_count(s.num_nystrom_samples, 3 * len(used))[0]
    if centers:
        check_spline(centers, 3 * len(used), compute.dtype, compute.device)
    found = cost.estimate(lattice, used.sampling, centers, s, compute)
    cost.check(found, lattice, s, compute.device)
    if not centers and compute.device.type == "cpu":
        timer.expect(cost.phases(found.squares, len(used), s))


def _fit(plan: Plan, chosen: Chosen, totals: Totals) -> SplineFit | CellsFit:
    """The field, which knows the box of the cloud before its points were averaged, and how it was made."""
    s = plan.settings
    if not s.cell_settings:
        spline: SplineFit = plan.store.held("fit")
        return replace(spline, field=replace(spline.field, box=plan.box))
    compute = plan.compute()
    found, field = cells_of(plan, 0), field_of(plan, [0], plan.lattice.box, compute)
    assert found
    assert plan.smoothing
    sharp = field if isinstance(field, SharpField) else None
    field = sharp.smooth if sharp else field
    assert isinstance(field, BlendedField)
    field = replace(field, box=plan.box, posterior=posterior_of(plan, 0, compute))
    cells, models, smoothing = found.cells, found.models, plan.smoothing
    cloud = blend_of(plan, fitted(plan, 0), compute, 0).cloud
    constraints = offset_triples(cloud.points, cloud.normals, plan.eps)
    warnings = steps.fit_lines(plan, chosen, totals)
    size = plan.points_per_cell if s.cell_settings.adaptive else None
    return CellsFit(
        replace(sharp, smooth=field, box=plan.box) if sharp else field,
        *constraints,
        cells,
        models,
        totals.cells,
        smoothing,
        size,
        plan.local_depth,
        chosen.words,
        warnings,
    )
