"""The report of --report: what was done, chosen and found, as docs/report.schema.json describes it."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import asdict
from typing import Any

from ..files.arrays import save_json
from ..files.textured_obj import beside
from ..run.report import chosen as told
from ..run.report import phases, report, statistics
from .finished import Normals, Outcome, Run


def save(path: str, entries: list[dict[str, Any]]) -> None:
    """Write the report of a command with these runs."""
    save_json(path, report(entries, shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]])))


def of(run: Run) -> dict[str, Any]:
    """Everything worth knowing of a run that wrote its mesh."""
    found, timer, details = run.outcome, run.timer, run.outcome.details()
    return {
        "input": run.job.source,
        "merged": [
            {"input": path, "points": count} for path, (_, count) in zip(run.job.sources, found.merged, strict=False)
        ],
        "output": run.job.out,
        "error": None,
        "warnings": run.warnings,
        "repeat_command": run.command,
        "points": {
            **asdict(found.cleaning),
            "classes": found.classes,
            "fitted": found.fitted,
            "lines": asdict(found.lines) if found.lines else None,
            "lower": found.box.lower,
            "upper": found.box.upper,
        },
        "normals": normals(found.normals),
        "settings": asdict(run.settings),
        "chosen": chosen(found),
        "parts": asdict(found.parts) if found.parts else None,
        "solution": details.solution,
        "residuals": statistics(details.residuals),
        "mesh": {
            "vertices": found.mesh[0],
            "faces": found.mesh[1],
            "border_edges": details.border_edges,
            "shape": asdict(details.shape) if details.shape else None,
            "error": asdict(found.error) if found.error else None,
            "placed": asdict(found.placed),
        },
        "texture": texture(run),
        "crs": asdict(found.crs) if found.crs else None,
        "terrain": {**found.terrain.report(), "dem": run.job.dem, "contours": run.job.contours}
        if found.terrain
        else None,
        "support": found.support.report() if found.support else None,
        "phases": phases(timer.seconds, timer.peaks),
    }


def texture(run: Run) -> dict[str, Any] | None:
    """The pictures on the mesh; files: those beside it, of which GLB has none."""
    found, job = run.outcome.texture, run.job
    if found is None:
        return None
    pictures = dict(zip(("colours", "normals"), (found.image, found.normals), strict=True))
    names = beside(job.out, normals=True)
    files = [names[0], *(name for name, image in zip(names[1:], pictures.values(), strict=True) if image is not None)]
    return {
        "size": found.charts.size,
        "charts": found.charts.count,
        "used": found.charts.used,
        "covered": found.covered,
        "moved": found.moved,
        "pictures": [name for name, image in pictures.items() if image is not None],
        "files": files if job.suffix == ".obj" else [],
    }


def normals(found: Normals) -> dict[str, Any]:
    """Where they come from, and what is thought of those that were estimated."""
    return {
        "source": "estimated" if found.estimated else "file",
        "confidence": found.confidence,
        "noise_spacings": found.noise,
        "flipped": found.flipped,
    }


def chosen(found: Outcome) -> dict[str, Any]:
    """What was resolved from auto, and what the data chose, with the reason in words."""
    return told(found.eps, found.lattice, found.evaluations, found.compute, found.choice, found.why)
