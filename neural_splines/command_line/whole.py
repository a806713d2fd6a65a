"""A run whose points and mesh fit into memory: from files to a file, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..cells.fitting import CellsFit
from ..files.scans import ScannedCloud
from ..normals.orient import Orientation
from ..pictures.mapped import Mapped
from ..ranges import Axis
from ..run.printing import printable
from ..run.report import solution
from ..run.terrain import heights as heights_of
from ..run.upright import upright, upright_in_files
from ..run.whole import Reconstruction, mesh_cloud
from ..runtime.monitor import PhaseTimer
from ..settings import NormalSettings, Settings
from ..spline.residuals import residuals
from ..surface.attributes import QUALITY, Attributes, carry, distances
from ..surface.checks import Checked, checked
from ..surface.support import Support, looked_at
from . import steps, terrain
from .finished import Details, Drawing, Normals, Outcome
from .jobs import Job
from .known import empty_space

if TYPE_CHECKING:
    from ..surface.texture import Texture


def mesh_whole(job: Job, settings: Settings, sides: NormalSettings, timer: PhaseTimer) -> Outcome:
    """Write the mesh of a job, and what else is asked for beside it."""
    args = job.args
    scanned, origin = steps.load(job.sources, sides, timer, job.attributes, args.columns, args.classes, args.bounds)
    if args.texture is not None:
        from . import texturing  # not before: Numba takes memory and a second

        texturing.check_colours(scanned, job)
    result = mesh_cloud(origin.cloud, settings, timer, empty_space(scanned, origin, sides, job))
    if job.printing.asked:
        timer.phase("print")
        confidence = origin.estimated.confidence.value if origin.estimated else 1.0
        result = printable(result, job.printing, job.placement, up_of(scanned, origin, result), confidence)
    carried = steps.carry(scanned, origin, result, job, timer)
    texture = None if args.texture is None else texturing.texture(scanned, origin, result, job, timer)
    known = Known(scanned, origin, result, carried, args.quality or (), texture)
    asked, crs, found = terrain.with_breaklines(args), job.crs or scanned.crs, None
    heights = None if asked is None else heights_of(result, asked, timer)
    placed = steps.save(result, carried, up_of(scanned, origin, result), job, timer, texture)
    if heights is not None:
        found = terrain.save(heights, job, crs)
    fit = result.fit
    return Outcome(
        cleaning=origin.cleaning,
        reading=scanned.reading,
        classes=scanned.classes,
        merged=scanned.parts,
        fitted=len(result.cloud),
        averaged="downsample" in result.seconds,
        box=result.cloud.box,
        lines=result.lines,
        normals=Normals.of(origin.estimated, origin.settings),
        fit=fit.summary(),
        fit_details=fit.details(),
        choice=fit.options() if fit.chosen else "",
        why=fit.chosen,
        spacing=lambda: result.kept.sampling.median_spacing,
        lattice=result.lattice,
        grid_size=result.grid_size,
        eps=result.eps,
        evaluations=result.evaluations,
        compute=result.compute,
        mesh=(len(result.mesh.vertices), len(result.mesh.faces)),
        error=result.error,
        texture=texture,
        support=known.support,
        placed=placed,
        crs=crs,
        terrain=found,
        shape=lambda: known.details.shape if "details" in vars(known) else known.shape,
        details=lambda: known.details,
        drawing=lambda: known.drawing,
    )


def numbers_of(asked: tuple[str, ...], scalars: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The numbers that were asked for, by name; in files distance and density as the first are `quality`."""
    names = [name.replace("-", "_") for name in asked]
    return {name: scalars[name if name in scalars else QUALITY] for name in names}


def up_of(scanned: ScannedCloud, origin: Orientation, result: Reconstruction) -> Axis:
    """The direction that is up in files that say so."""
    sides = origin.estimated.known if origin.estimated else None
    return upright_in_files(origin.settings.up, scanned.upright, sides, result.kept.box)


@dataclass(frozen=True)
class Known:
    """All that a run holds, and what is made of it where it is asked for."""

    scanned: ScannedCloud
    origin: Orientation
    result: Reconstruction
    carried: Attributes
    asked: tuple[str, ...]
    texture: Texture | None

    @cached_property
    def details(self) -> Details:
        result, fit, shape = self.result, self.result.fit, self._shape(True)
        return Details(
            solution=solution(result),
            residuals=residuals(result.field, result.cloud.points).cpu(),
            history=[] if isinstance(fit, CellsFit) else list(fit.solution.cg.history),
            border_edges=shape.border_edges,
            shape=shape,
        )

    @cached_property
    def shape(self) -> Checked:
        """What the mesh is, but for intersections."""
        return self._shape(False)

    def _shape(self, intersecting: bool) -> Checked:
        mesh = self.result.mesh.numpy()
        return checked(mesh.vertices, mesh.faces, intersecting=intersecting)

    @cached_property
    def support(self) -> Support | None:
        """What the mesh owes to its data, where that was asked for."""
        number = self.carried.scalars.get("support")
        if number is None:
            return None
        mesh = self.result.mesh.numpy()
        return looked_at(mesh.vertices, mesh.faces, number)

    @cached_property
    def drawing(self) -> Drawing:
        mesh, points = self.result.mesh.numpy(), self.result.cloud.points.cpu().numpy()
        colours, estimated = self.carried.colours, self.origin.estimated
        known = estimated.known if estimated else None
        return Drawing(
            vertices=mesh.vertices,
            faces=mesh.faces,
            points=points,
            distances=lambda: distances(points, mesh.vertices),
            numbers=numbers_of(self.asked, self.carried.scalars),
            colours=colours,
            mapped=self._mapped(),
            point_colours=None if colours is None else self._tints(points),
            up=upright(
                self.origin.settings.up, self.scanned.upright, known, self.origin.cloud.points.mean(0).cpu().numpy()
            ),
        )

    def _mapped(self) -> Mapped | None:
        """The colours of the texture, where there are any."""
        if self.texture is None or self.texture.image is None:
            return None
        charts = self.texture.charts
        return Mapped(charts.parents, charts.corners, charts.uv, self.texture.image)

    def _tints(self, points: np.ndarray) -> np.ndarray | None:
        """Colours [n, 3] of the fitted points, which may be fewer than those of the file and lie between them."""
        scanned = self.scanned
        finite = np.isfinite(scanned.points).all(1)
        return None if scanned.colours is None else carry(scanned.points[finite], scanned.colours[finite], points)
