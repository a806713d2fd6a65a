"""What is reported of runs, as docs/report.schema.json describes it: of a result here, of a command's runs from the
same parts.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .. import __version__
from ..cells.fitting import CellsFit
from ..cells.tally import solution_of_each
from ..cloud.clouds import CleaningReport
from ..files.arrays import as_json
from ..kernels.products import Compute
from ..placement import Placed, Placement
from ..runtime.versions import PACKAGES, processor, version
from ..spline.residuals import residuals
from ..surface.checks import checked
from ..surface.lattice import Lattice
from ..surface.support import looked_at
from . import trust

if TYPE_CHECKING:
    from .whole import Reconstruction

SCHEMA = 1
QUANTILES = (0.5, 0.95)
LISTED_CELLS = 100_000  # at most: more are counted, but not listed


def report(entries: list[dict[str, Any]], command: str | None) -> dict[str, Any]:
    """All of it: of these runs, and of the machine. command: as it was typed, None in Python."""
    return {
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
        "command": command,
        "runs": entries,
    }


def of(result: Reconstruction) -> dict[str, Any]:
    """The report of one result, in numbers, text, lists and dictionaries alone."""
    found: dict[str, Any] = as_json(report([_entry(result)], None))
    return found


def _entry(result: Reconstruction) -> dict[str, Any]:
    mesh, kept, estimated, fit = result.mesh.numpy(), result.kept, result.estimated, result.fit
    shape = checked(mesh.vertices, mesh.faces, intersecting=True)
    number = trust.qualities(result, ["support"])["support"]
    box, sides = result.cloud.box, tuple(np.ptp(mesh.vertices, axis=0).tolist())
    return {
        "input": None,
        "merged": [],
        "output": None,
        "error": None,
        "warnings": result.warnings,
        "repeat_command": None,
        "points": {
            **asdict(result.cleaning or CleaningReport(len(kept), 0, 0, 0, len(kept))),
            "classes": {},
            "fitted": len(result.cloud),
            "lines": asdict(result.lines) if result.lines else None,
            "lower": box.lower,
            "upper": box.upper,
        },
        "normals": {
            "source": "estimated" if estimated else "file",
            "confidence": estimated.confidence if estimated else None,
            "noise_spacings": estimated.noise if estimated else None,
            "flipped": False,
        },
        "settings": asdict(result.settings) if result.settings else {},
        "chosen": chosen(
            result.eps,
            result.lattice,
            result.evaluations,
            result.compute,
            fit.options() if fit.chosen else "",
            fit.chosen,
        ),
        "parts": None,
        "solution": solution(result),
        "residuals": statistics(residuals(result.field, result.cloud.points).cpu()),
        "mesh": {
            "vertices": len(mesh.vertices),
            "faces": len(mesh.faces),
            "border_edges": shape.border_edges,
            "shape": asdict(shape),
            "error": asdict(result.error) if result.error else None,
            "placed": asdict(Placed(1.0, (0.0, 0.0, 0.0), sides, Placement().unit)),
        },
        "texture": None,
        "crs": None,
        "terrain": None,
        "support": looked_at(mesh.vertices, mesh.faces, number).report(),
        "phases": phases(result.seconds, {}),
    }


def chosen(eps: float, lattice: Lattice, evaluations: int, compute: Compute, choice: str, why: str) -> dict[str, Any]:
    """What was resolved from auto, and what the data chose, with the reason in words."""
    return {
        "eps": eps,
        "grid": list(lattice.shape),
        "voxel_size": lattice.voxel_size,
        "evaluations": evaluations,
        "devices": [str(device) for device in compute.devices],
        "backend": compute.backend.name,
        "smoothing": choice or None,
        "why": why or None,
    }


def phases(seconds: Mapping[str, float], peaks: Mapping[str, int]) -> list[dict[str, Any]]:
    """Their time, and memory where it was measured."""
    return [{"name": name, "seconds": took, "peak_bytes": peaks.get(name)} for name, took in seconds.items()]


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


def solution(result: Reconstruction) -> dict[str, Any]:
    """How the system of one spline was solved; or those of the cells, a value for each in every list,
    where there are at most LISTED_CELLS.
    """
    fit = result.fit
    if isinstance(fit, CellsFit):
        if len(fit.cells) > LISTED_CELLS:
            return {"centres": fit.tally.centers, "cells": None}
        failed = dict(fit.models.failed)
        error = [failed.get(cell) for cell in range(len(fit.cells))]
        return {"centres": fit.tally.centers, "cells": solution_of_each(fit.models, fit.cells) | {"error": error}}
    found = fit.solution
    return {
        "centres": len(fit.field.centers),
        "iterations": found.cg.iterations,
        "residual": found.cg.relative_residual,
        "history": found.cg.history,
        "stopped": found.cg.reason,
        "jitter": found.relative_jitter,
    }
