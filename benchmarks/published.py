"""Figures that others published for the Surface Reconstruction Benchmark: read, not run. Each row names its source."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from results import RESULTS

PUBLISHED = RESULTS / "srb_published.json"


@dataclass(frozen=True)
class Row:
    """figures: {scan or "mean": (d_C, d_H)}. units: of these. normals: which ones the method was given.

    source: where the figures were read. remark: what a reader must know before he compares.
    """

    method: str
    figures: dict[str, tuple[float, float]]
    units: str
    normals: str
    source: str
    remark: str = ""


def rows(path: Path = PUBLISHED) -> list[Row]:
    """The published rows; a row without a source or figures is an error."""
    found = []
    for entry in json.loads(path.read_text(encoding="utf-8"))["rows"]:
        row = Row(**{**entry, "figures": {name: tuple(pair) for name, pair in entry["figures"].items()}})
        if not row.source.strip() or not row.figures:
            raise ValueError(f"{path}: the row {row.method} has no source or no figures")
        found.append(row)
    return found


def lines(path: Path = PUBLISHED) -> list[str]:
    """For the terminal: a line for each row, and one for each source."""
    told = ["published, not run: d_C / d_H"]
    for row in rows(path):
        pairs = ", ".join(f"{scan} {near:g} / {far:g}" for scan, (near, far) in row.figures.items())
        told.append(f"{row.method:55} {pairs} ({row.units}). {row.remark}")
    return [*told, *(f"source: {source}" for source in dict.fromkeys(row.source for row in rows(path)))]
