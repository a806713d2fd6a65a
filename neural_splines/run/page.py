"""The page of a result: its mesh with its points to turn, and what is known of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..cells.fitting import CellsFit
from ..pictures.page import Page
from ..spline.residuals import residuals
from ..surface.attributes import distances

if TYPE_CHECKING:
    from .whole import Reconstruction


def title_of(result: Reconstruction) -> str:
    return f"{len(result.kept)} points \N{RIGHTWARDS ARROW} {len(result.mesh.faces)} faces"


def page_of(result: Reconstruction) -> Page:
    mesh, points, fit = result.mesh.numpy(), result.cloud.points.cpu().numpy(), result.fit
    return Page(
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
            "fit details": result.fit.details(),
            "vertices": len(result.mesh.vertices),
            "faces": len(result.mesh.faces),
            "eps": f"{result.eps:.6g}",
            "grid": " x ".join(map(str, result.lattice.shape)),
            "voxel size": f"{result.lattice.voxel_size:.6g}",
        },
        "Seconds": {name: f"{value:.2f}" for name, value in result.seconds.items()},
        "Settings": {name.replace("_", " "): value for name, value in (settings | cells).items()},
    }
