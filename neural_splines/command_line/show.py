"""What a person looks at: the picture of --preview and the page of --html."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import numpy as np

from ..files.atomic import save_bytes
from ..pictures.page import Page, span
from ..pictures.preview import preview
from ..pictures.ramp import ramp
from .finished import Run
from .jobs import together
from .report import chosen


def save(run: Run) -> None:
    """Write the picture and the page that were asked for."""
    job, timer = run.job, run.timer
    timer.phase("pictures")
    drawn = run.outcome.drawing()
    up = None if drawn.up is None else np.array(drawn.up)
    if job.preview:
        shades = [None if c is None else c / 255.0 for c in (drawn.point_colours, drawn.colours)]
        for name, values in [*drawn.numbers.items()][:1]:
            low, high = span(name, values)
            shades[1] = ramp((values - low) / (high - low))
        mapped = None if drawn.numbers else drawn.mapped
        picture = preview(
            drawn.points, drawn.vertices, drawn.faces, point_colours=shades[0], colours=shades[1], up=up, mapped=mapped
        )
        save_bytes(job.preview, picture)
    if job.page:
        names = together([os.path.basename(path) for path in job.sources])
        details = run.outcome.details()
        page = Page(
            title=f"{names} \N{RIGHTWARDS ARROW} {os.path.basename(job.out)}",
            vertices=drawn.vertices,
            faces=drawn.faces,
            points=drawn.points,
            distances=drawn.distances(),
            residuals=details.residuals.numpy(),
            history=details.history,
            colours=drawn.colours,
            point_colours=drawn.point_colours,
            facts=facts(run, drawn.note),
            warnings=run.warnings,
            up=up,
            numbers=drawn.numbers,
            mapped=drawn.mapped,
        )
        save_bytes(job.page, page.render().encode(errors="backslashreplace"))  # names that are not UTF-8
    timer.phase("")


def facts(run: Run, note: str = "") -> dict[str, dict[str, Any]]:
    """Tables of names and values; note: on what is drawn."""
    found, settings = run.outcome, asdict(run.settings)
    cells = settings.pop("cells") or {}
    seconds = {name: f"{value:.2f}" for name, value in run.timer.seconds.items()}
    return {
        "Result": {
            "points": found.cleaning.summary(),
            "normals": found.normals.summary,
            "fit": found.fit,
            "fit details": found.fit_details,
            "vertices": found.mesh[0],
            "faces": found.mesh[1],
            **({"drawn": note} if note else {}),
            **({"parts": found.parts.summary()} if found.parts else {}),
            **({"texture": found.texture.summary()} if found.texture else {}),
            **({"support": found.support.summary()} if found.support else {}),
            **{name.replace("_", " "): value for name, value in chosen(found).items() if value is not None},
        },
        "Seconds": seconds | {"all": f"{sum(run.timer.seconds.values()):.2f}"},
        "Settings": {name.replace("_", " "): value for name, value in (settings | cells).items()},
        "Command": {"repeat it with": run.command},
    }
