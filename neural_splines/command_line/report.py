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
from ..files.arrays import save_json
from .doctor import PACKAGES, processor, version
from .finished import Normals, Outcome, Run

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
        "phases": [
            {"name": name, "seconds": seconds, "peak_bytes": timer.peaks.get(name)}
            for name, seconds in timer.seconds.items()
        ],
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
    return {
        "eps": found.eps,
        "grid": list(found.lattice.shape),
        "voxel_size": found.lattice.voxel_size,
        "evaluations": found.evaluations,
        "devices": [str(device) for device in found.compute.devices],
        "backend": found.compute.backend.name,
        "smoothing": found.choice or None,
        "why": found.why or None,
    }


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
