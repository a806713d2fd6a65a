"""What a person looks at: the picture of --preview and the page of --html."""

from __future__ import annotations

import os
import re
from dataclasses import asdict
from typing import Any

import numpy as np

from ..files.atomic import save_bytes
from ..pictures.page import Page, span
from ..pictures.preview import preview
from ..pictures.ramp import ramp
from ..quantities import TIMES, duration, quantity
from ..run.drawing import in_bytes
from ..runtime.phases import shares
from .finished import Run, mesh_words, size_of
from .jobs import together

METRE, FOOT = re.compile(r"UNIT\[\"met(?:re|er)\"", re.IGNORECASE), re.compile(r"foot|feet", re.IGNORECASE)


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
            facts=facts(run),
            warnings=run.warnings,
            up=up,
            numbers=drawn.numbers,
            mapped=drawn.mapped,
            unit=unit_of(run),
            thinned=drawn.note,
            all_points=drawn.all_points,
        )
        page = in_bytes(page, run.outcome.lattice.voxel_size)
        save_bytes(job.page, page.render().encode(errors="backslashreplace"))  # names that are not UTF-8
    timer.phase("")


def unit_of(run: Run) -> str:
    """Of the cloud, where a user, a coordinate system or a format says it; else nothing."""
    job, crs = run.job, run.outcome.crs
    if job.args.cloud_units:
        return str(job.args.cloud_units)
    metric = crs is not None and not crs.degrees and METRE.search(crs.wkt) and not FOOT.search(crs.wkt)
    return "m" if metric or all(path.lower().endswith(".e57") for path in job.sources) else ""


def facts(run: Run) -> dict[str, dict[str, Any]]:
    """Tables of names and values."""
    found, settings, unit = run.outcome, asdict(run.settings), unit_of(run)
    cells, shape = settings.pop("cells") or {}, found.details().shape
    side = quantity(found.lattice.voxel_size, unit)
    return {
        "Result": {
            "points": found.cleaning.summary(),
            "normals": found.normals.summary,
            "fit": found.fit,
            "mesh": mesh_words(found.mesh),
            **({"shape": shape.summary()} if shape else {}),
            **({"parts": found.parts.summary()} if found.parts else {}),
            **({"texture": found.texture.summary()} if found.texture else {}),
            **({"support": found.support.summary()} if found.support else {}),
            "grid": f"{TIMES.join(map(str, found.lattice.shape))} voxels, side {side}",
            **({"coordinates": f"of the cloud, in {found.crs.summary()}"} if found.crs else {}),
            **({"size in the file": size_of(found.placed)} if run.job.placement.asked else {}),
        },
        "Time": {what: f"{duration(took)} ({share}%)" for what, took, share in shares(run.timer.seconds)}
        | {"all": duration(sum(run.timer.seconds.values()))},
        "Settings": {
            **{name.replace("_", " "): value for name, value in (settings | cells).items()},
            "offset along the normals, as used": found.eps,
            "fit, in numbers": found.fit_details,
            "evaluations of the field": found.evaluations,
            "computed by": found.compute.summary,
            **({"chosen by the data": found.choice} if found.choice else {}),
        },
        "Command": {"repeat it with": run.command},
    }
