"""What a person looks at: the picture of --preview and the page of --html."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import numpy as np

from ..attributes import carry, distances
from ..cells.fitting import CellsFit
from ..files.atomic import save_bytes
from ..files.scans import ScannedCloud
from ..normals.orient import Orientation
from ..pictures.page import Page
from ..pictures.preview import preview
from ..ranges import UP, UPS
from .jobs import Run, together
from .report import chosen, residuals


def save(run: Run) -> None:
    """Write the picture and the page that were asked for."""
    job, timer = run.job, run.timer
    timer.phase("pictures")
    mesh, points = run.result.mesh.numpy(), run.result.cloud.points.cpu().numpy()
    colours = run.paint.colours
    tints = None if colours is None else _tints(run, points)
    up = upright(run.scanned, run.origin)
    if job.preview:
        shades = (None, None) if colours is None or tints is None else (tints / 255.0, colours / 255.0)
        picture = preview(points, mesh.vertices, mesh.faces, point_colours=shades[0], colours=shades[1], up=up)
        save_bytes(job.preview, picture)
    if job.page:
        names = together([os.path.basename(path) for path in job.sources])
        page = Page(
            title=f"{names} \N{RIGHTWARDS ARROW} {os.path.basename(job.out)}",
            vertices=mesh.vertices,
            faces=mesh.faces,
            points=points,
            distances=distances(points, mesh.vertices),
            residuals=residuals(run.result.field, run.result.cloud.points).cpu().numpy(),
            history=[] if isinstance(run.result.fit, CellsFit) else list(run.result.fit.solution.cg.history),
            colours=colours,
            point_colours=tints,
            facts=facts(run),
            warnings=run.warnings,
            up=up,
        )
        save_bytes(job.page, page.render().encode(errors="backslashreplace"))  # names that are not UTF-8
    timer.phase("")


def upright(scanned: ScannedCloud, origin: Orientation) -> np.ndarray | None:
    """The direction that is up: what the user says, z of formats of surveyors and of what was seen from above, and of
    a camera's own frame y, which is downwards where it looks along z.
    """
    asked = UPS[origin.settings.up]
    if asked is not None:
        return np.array(asked)
    known = None if origin.estimated is None else origin.estimated.known
    if scanned.upright or (known is not None and known.above):
        return np.array(UP)
    if known is not None and known.at_origin:
        ahead = origin.cloud.points.mean(0).numpy()
        axis = int(np.abs(ahead).argmax())
        return np.array([0.0, -np.sign(ahead[2]), 0.0]) if axis == 2 else np.array(UP)
    return None


def _tints(run: Run, points: np.ndarray) -> np.ndarray | None:
    """Colours [n, 3] of the fitted points, which may be fewer than those of the file and lie between them."""
    scanned = run.scanned
    finite = np.isfinite(scanned.points).all(1)
    return None if scanned.colours is None else carry(scanned.points[finite], scanned.colours[finite], points)


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
