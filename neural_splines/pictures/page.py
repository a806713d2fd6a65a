"""The page of --html: one file with a mesh and its points to turn, and what is known of them; it loads nothing else."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import numpy as np

from . import charts
from .camera import good_views
from .mapped import Mapped
from .packing import Frame, pack
from .ramp import ANCHORS

MOST_POINTS = 150_000  # that are packed
MOST_TEXELS = 4096  # along a side of a picture on the mesh
RAMP_TOP = 0.99  # quantile of the distances where the ramp ends
WHOLE = ("support",)  # in [0, 1]: all of the ramp means something


def span(name: str, values: np.ndarray) -> tuple[float, float]:
    """Where the ramp of numbers begins and ends: at 0 where none is negative, else alike on both sides of it."""
    if name in WHOLE:
        return 0.0, 1.0
    known = np.abs(values[np.isfinite(values)])
    top = float(np.quantile(known, RAMP_TOP)) or 1.0 if len(known) else 1.0
    return (-top if (values < 0.0).any() else 0.0), top


def _shares(values: np.ndarray, low: float, high: float) -> str:
    """Packed, in 255 steps of the ramp from low to high; what is not finite is high."""
    share = np.nan_to_num((values - low) / (high - low), nan=1.0, posinf=1.0, neginf=0.0)
    return pack(np.round(255 * np.clip(share, 0, 1))[:, None].astype(np.int64), 1)


@dataclass(frozen=True)
class Page:
    """What a page shows. Lengths are in the units of the cloud.

    vertices [v, 3], faces [f, 3], points [n, 3]; distances [v] of the vertices from the nearest point, none where there
    are no points; residuals [k]: distances of points from the surface; history: relative residuals of conjugate
    gradients. colours [v, 3] and point_colours [n, 3]: 0..255. facts: tables of names and values, by title. warnings:
    lines. up [3]: the direction that is up, where it is known. numbers [v]: of the vertices by name, which the surface
    is coloured by in turn. mapped: a picture on the mesh, in the place of its colours.
    """

    title: str
    vertices: np.ndarray
    faces: np.ndarray
    points: np.ndarray
    distances: np.ndarray
    residuals: np.ndarray
    history: list[float] = field(default_factory=list)
    colours: np.ndarray | None = None
    point_colours: np.ndarray | None = None
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    up: np.ndarray | None = None
    numbers: Mapping[str, np.ndarray] = field(default_factory=dict)
    mapped: Mapped | None = None

    def render(self) -> str:
        """The whole page as text."""
        template = (resources.files(__package__) / "viewer.html").read_text(encoding="utf-8")
        parts = {
            "TITLE": html.escape(self.title),
            "PANEL": self._panel(),
            "DATA": json.dumps(self._data(), separators=(",", ":")).replace("</", "<\\/"),
        }
        for name, text in parts.items():
            template = template.replace(f"<!--{name}-->", text)
        return template

    def _data(self) -> dict[str, Any]:
        stride = max(1, -(-len(self.points) // MOST_POINTS))
        points = self.points[::stride]
        frame = Frame.around(*(part for part in (self.vertices, points) if len(part)))
        camera = good_views(self.vertices, 1, faces=self.faces, up=self.up)[0]
        data: dict[str, Any] = {
            "vertices": len(self.vertices),
            "faces": len(self.faces),
            "points": len(points),
            "origin": frame.origin.tolist(),
            "step": frame.step,
            "axes": camera.axes.tolist(),
            "ramp": ANCHORS.tolist(),
            "position": frame.positions(self.vertices),
            "face": pack(self.faces.reshape(-1, 1), 4),
            "point": frame.positions(points),
        }
        if len(self.distances):
            data["distance"] = _shares(self.distances, 0.0, self._top())
        data["numbers"] = [
            {"name": name.replace("_", " "), "low": low, "high": high, "value": _shares(values, low, high)}
            for name, values in self.numbers.items()
            for low, high in [span(name, values)]
        ]
        if self.mapped is not None:
            data["picture"] = self.mapped.at_most(MOST_TEXELS).packed()
        elif self.colours is not None:
            data["colour"] = pack(self.colours.astype(np.int64), 1)
        if self.point_colours is not None:
            data["pointColour"] = pack(np.round(self.point_colours[::stride]).astype(np.int64), 1)
        return data

    def _top(self) -> float:
        return float(np.quantile(self.distances, RAMP_TOP)) or 1.0 if len(self.distances) else 1.0

    def _panel(self) -> str:
        stops = ",".join(f"rgb({r},{g},{b})" for r, g, b in ANCHORS)
        parts = []
        if len(self.distances) or self.numbers:
            parts.append(
                f'<div id="legend"><div style="background:linear-gradient(90deg,{stops})"></div>'
                f"<span>0</span><span>{self._top():.3g}</span></div>"
            )
        if self.warnings:
            lines = "".join(f"<li>{html.escape(line)}</li>" for line in self.warnings)
            parts.append(f'<section class="warnings"><h2>Warnings</h2><ul>{lines}</ul></section>')
        parts.append(charts.histogram(self.residuals, "Points by their distance from the surface"))
        parts.append(charts.histogram(self.distances, "Vertices by their distance from the nearest point"))
        parts.append(charts.curve(self.history, "Relative residual of conjugate gradients, by iteration"))
        for title, rows in self.facts.items():
            cells = "".join(
                f"<tr><th>{html.escape(str(name))}</th><td>{html.escape(str(value))}</td></tr>"
                for name, value in rows.items()
            )
            parts.append(f"<section><h2>{html.escape(title)}</h2><table>{cells}</table></section>")
        return "\n".join(parts)
