"""The page of a result: its mesh with its points to turn, and what is known of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..cells.fitting import CellsFit
from ..pictures.page import Page
from ..quantities import TIMES, counted, duration, number
from ..runtime.phases import shares
from ..spline.residuals import residuals
from ..surface.attributes import distances
from .drawing import in_bytes

if TYPE_CHECKING:
    from .whole import Reconstruction


def title_of(result: Reconstruction) -> str:
    return f"{counted(len(result.kept), 'point')} \N{RIGHTWARDS ARROW} {counted(len(result.mesh.faces), 'face')}"


def page_of(result: Reconstruction) -> Page:
    mesh, points, fit = result.mesh.numpy(), result.cloud.points.cpu().numpy(), result.fit
    page = Page(
        title=title_of(result),
        vertices=mesh.vertices,
        faces=mesh.faces,
        points=points,
        distances=distances(points, mesh.vertices),
        residuals=residuals(result.field, result.cloud.points).cpu().numpy(),
        history=[] if isinstance(fit, CellsFit) else list(fit.solution.cg.history),
        facts=facts(result),
        warnings=result.warnings,
    )
    return in_bytes(page, result.lattice.voxel_size)


def facts(result: Reconstruction) -> dict[str, dict[str, Any]]:
    """Tables of names and values."""
    settings = asdict(result.settings) if result.settings else {}
    cells = settings.pop("cells", None) or {}
    found = result.estimated
    words = f"estimated, confidence {found.confidence:.2f}, noise {found.noise:.2g} spacings" if found else "as given"
    return {
        "Result": {
            "points": result.cleaning.summary() if result.cleaning else len(result.kept),
            "normals": words,
            "fit": result.fit.summary(),
            "mesh": f"{counted(len(result.mesh.vertices), 'vertex', 'vertices')}, "
            f"{counted(len(result.mesh.faces), 'face')}",
            "grid": f"{TIMES.join(map(str, result.lattice.shape))} voxels, side {number(result.lattice.voxel_size)}",
        },
        "Time": {what: f"{duration(took)} ({share}%)" for what, took, share in shares(result.seconds)},
        "Settings": {
            **{name.replace("_", " "): value for name, value in (settings | cells).items()},
            "offset along the normals, as used": result.eps,
            "fit, in numbers": result.fit.details(),
        },
    }
