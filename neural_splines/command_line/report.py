"""The report of --report: what was done, chosen and found, as docs/report.schema.json describes it."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from dataclasses import asdict
from typing import Any

import torch

from .. import __version__
from ..cells.fitting import CellsFit
from ..field.contract import Field
from ..files.arrays import save_json
from ..normals.orient import Orientation
from ..pipeline import Reconstruction
from ..surface.mesh import border_edges
from .doctor import PACKAGES, processor, version
from .jobs import Run

SCHEMA = 1
QUANTILES = (0.5, 0.95)


def save(path: str, entries: list[dict[str, Any]]) -> None:
    """Write the report of a command with these runs."""
    report = {
        "schema": SCHEMA,
        "version": __version__,
        "packages": {name: version(name, module) for name, module in PACKAGES.items()},
        "machine": {
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "python": platform.python_version(),
            "processor": processor(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
        },
        "command": shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]]),
        "runs": entries,
    }
    save_json(path, report)


def of(run: Run) -> dict[str, Any]:
    """Everything worth knowing of a run that wrote its mesh."""
    result, timer, origin = run.result, run.timer, run.origin
    box = result.cloud.box
    return {
        "input": run.job.source,
        "merged": [
            {"input": path, "points": count}
            for path, (_, count) in zip(run.job.sources, run.scanned.parts, strict=False)
        ],
        "output": run.job.out,
        "error": None,
        "warnings": run.warnings,
        "repeat_command": run.command,
        "points": {
            **asdict(origin.cleaning),
            "classes": run.scanned.classes,
            "fitted": len(result.cloud),
            "lines": asdict(result.lines) if result.lines else None,
            "lower": box.lower,
            "upper": box.upper,
        },
        "normals": normals(origin),
        "settings": asdict(run.settings),
        "chosen": chosen(result),
        "solution": solution(result),
        "residuals": statistics(residuals(result.field, result.cloud.points)),
        "mesh": {
            "vertices": len(result.mesh.vertices),
            "faces": len(result.mesh.faces),
            "border_edges": border_edges(result.mesh),
        },
        "phases": [
            {"name": name, "seconds": seconds, "peak_bytes": timer.peaks.get(name)}
            for name, seconds in timer.seconds.items()
        ],
    }


def normals(origin: Orientation) -> dict[str, Any]:
    """Where they come from, and what is thought of those that were estimated."""
    found = origin.estimated
    return {
        "source": "file" if found is None else "estimated",
        "confidence": None if found is None else found.confidence.value,
        "noise_spacings": None if found is None else found.noise,
        "flipped": origin.settings.flip,
    }


def chosen(result: Reconstruction) -> dict[str, Any]:
    """What was resolved from auto, and what the data chose, with the reason in words."""
    lattice, compute, fit = result.lattice, result.compute, result.fit
    return {
        "eps": result.eps,
        "grid": list(lattice.shape),
        "voxel_size": lattice.voxel_size,
        "evaluations": result.evaluations,
        "devices": [str(device) for device in compute.devices],
        "backend": compute.backend.name,
        "smoothing": fit.options() if fit.chosen else None,
        "why": fit.chosen or None,
    }


def solution(result: Reconstruction) -> dict[str, Any]:
    """How the system of one spline was solved; or those of the cells, a value for each in every list."""
    fit = result.fit
    if not isinstance(fit, CellsFit):
        found = fit.solution
        return {
            "centres": len(fit.field.centers),
            "iterations": found.cg.iterations,
            "residual": found.cg.relative_residual,
            "history": found.cg.history,
            "stopped": found.cg.reason,
            "jitter": found.relative_jitter,
        }
    models, failed = fit.models, dict(fit.models.failed)
    return {
        "centres": len(models.centers),
        "cells": {
            "center": fit.cells.centers,
            "side": (fit.cells.upper - fit.cells.lower).amax(1),
            "centres": models.offsets.diff(),
            "jitter": models.jitters,
            "raised": models.attempts,
            "error": [failed.get(cell) for cell in range(len(fit.cells))],
        },
    }


def residuals(field: Field, points: torch.Tensor) -> torch.Tensor:
    """Distances |f| / |grad f| [k] of points [n, 3] from the surface, world units, where f is defined; in order."""
    value, gradient = field.gradient(points)
    distance = value.abs() / gradient.norm(dim=1)
    return distance[distance.isfinite()].sort().values


def statistics(ordered: torch.Tensor) -> dict[str, float | int]:
    """Of values in order."""
    if not len(ordered):
        return {"count": 0}
    median, most = (float(ordered[int(q * (len(ordered) - 1))]) for q in QUANTILES)
    return {
        "count": len(ordered),
        "mean": float(ordered.mean()),
        "median": median,
        "percentile_95": most,
        "max": float(ordered[-1]),
    }
