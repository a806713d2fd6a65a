"""What a person looks at: the picture of --preview and the page of --html."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from ..attributes import distances
from ..cells.fitting import CellsFit
from ..files.atomic import save_bytes
from ..pictures.page import Page
from ..pictures.preview import preview
from .jobs import Run
from .report import chosen, residuals


def save(run: Run) -> None:
    """Write the picture and the page that were asked for."""
    job, timer = run.job, run.timer
    if not (job.preview or job.page):
        return
    timer.phase("pictures")
    mesh, points = run.result.mesh.numpy(), run.result.cloud.points.cpu().numpy()
    if job.preview:
        save_bytes(job.preview, preview(points, mesh.vertices, mesh.faces))
    if job.page:
        page = Page(
            title=f"{os.path.basename(job.source)} \N{RIGHTWARDS ARROW} {os.path.basename(job.out)}",
            vertices=mesh.vertices,
            faces=mesh.faces,
            points=points,
            distances=distances(points, mesh.vertices),
            residuals=residuals(run.result.field, run.result.cloud.points).cpu().numpy(),
            history=[] if isinstance(run.result.fit, CellsFit) else list(run.result.fit.solution.cg.history),
            facts=facts(run),
            warnings=run.warnings,
        )
        save_bytes(job.page, page.render().encode())
    timer.phase("")


def facts(run: Run) -> dict[str, dict[str, Any]]:
    """Tables of names and values."""
    result, settings = run.result, asdict(run.settings)
    cells = settings.pop("cells") or {}
    seconds = {name: f"{value:.2f}" for name, value in run.timer.seconds.items()}
    return {
        "Result": {
            "points": run.origin.cleaning.summary(),
            "normals": run.origin.summary(),
            "fit": result.fit.summary(),
            "vertices": len(result.mesh.vertices),
            "faces": len(result.mesh.faces),
            **{name.replace("_", " "): value for name, value in chosen(result).items() if value is not None},
        },
        "Seconds": seconds | {"all": f"{sum(run.timer.seconds.values()):.2f}"},
        "Settings": {name.replace("_", " "): value for name, value in (settings | cells).items()},
        "Command": {"repeat it with": run.command},
    }
