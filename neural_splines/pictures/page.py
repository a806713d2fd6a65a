"""The page of --html: one file with a mesh and its points to turn, and what is known of them; it loads nothing else."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import numpy as np

from ..quantities import counted, number, quantity
from . import charts
from .camera import good_views
from .mapped import Mapped
from .packing import Frame, pack
from .ramp import ANCHORS

MOST_POINTS = 150_000  # that are packed
MOST_FACES = 1_000_000  # that whoever makes a page should leave: about 6 MB
MOST_TEXELS = 4096  # along a side of a picture on the mesh
RAMP_TOP = 0.99  # quantile of the distances where the ramp ends
WHOLE = ("support",)  # in [0, 1]: all of the ramp means something
PARTS = ("unpack", "quantities", "shaders", "view", "scene", "overlay", "legend", "main")  # of the script, in order
FOLDED = ("Settings", "Command")  # tables that are opened by a click
DISTANCE = "distance"
TITLES = {  # of numbers, and the power of a length that is their unit
    DISTANCE: ("Distance of the surface from the nearest point", 1),
    "density": ("Points per unit of area", -2),
    "support": ("Support by the points: 1 on a point, 0 far from all", 0),
    "uncertainty": ("Uncertainty of the surface: one standard deviation", 1),
    "mean_curvature": ("Mean curvature", -1),
    "gauss_curvature": ("Gauss curvature", -2),
}
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
POWERS = {1: "", -1: "1/{}", -2: "1/{}²"}


def span(name: str, values: np.ndarray) -> tuple[float, float]:
    """Where the ramp of numbers begins and ends: at 0 where none is negative, else alike on both sides of it."""
    if name in WHOLE:
        return 0.0, 1.0
    known = np.abs(values[np.isfinite(values)])
    top = float(np.quantile(known, RAMP_TOP)) or 1.0 if len(known) else 1.0
    return (-top if (values < 0.0).any() else 0.0), top


def unit_of(name: str, unit: str) -> str:
    """Of a number on a cloud in this unit; nothing where that is not known."""
    power = TITLES.get(name, ("", 0))[1]
    return "" if not power or not unit else unit if power == 1 else POWERS[power].format(unit)


def _shares(values: np.ndarray, low: float, high: float) -> str:
    """Packed, in 255 steps of the ramp from low to high; what is not finite is high."""
    share = np.nan_to_num((values - low) / (high - low), nan=1.0, posinf=1.0, neginf=0.0)
    return pack(np.round(255 * np.clip(share, 0, 1))[:, None].astype(np.int64), 1)


def _beyond(values: np.ndarray, low: float, high: float) -> str:
    """What the ends of the ramp also stand for."""
    lines = []
    if (values > high).any():
        lines.append(f"{_share(values > high)} lie above, in the last colour")
    if (values < low).any():
        lines.append(f"{_share(values < low)} below, in the first")
    if np.isnan(values).any():
        lines.append(f"unknown at {_share(np.isnan(values))}, drawn in the last colour")
    return "; ".join(lines)


def _share(those: np.ndarray) -> str:
    return f"{number(100.0 * float(those.mean()), 2)}% of the vertices"


@dataclass(frozen=True)
class Page:
    """What a page shows. Lengths are in the units of the cloud.

    vertices [v, 3], faces [f, 3], points [n, 3]; distances [v] of the vertices from the nearest point, none where there
    are no points; residuals [k]: distances of points from the surface; history: relative residuals of conjugate
    gradients. colours [v, 3] and point_colours [n, 3]: 0..255. facts: tables of names and values, by title. warnings:
    lines. up [3]: the direction that is up, where it is known. numbers [v]: of the vertices by name, which the surface
    is coloured by in turn. mapped: a picture on the mesh, in the place of its colours. unit: of the cloud, such as m,
    where it is known. thinned: how faces were left out, where they were; all_points: how many there are, where some
    are given.
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
    unit: str = ""
    thinned: str = ""
    all_points: int = 0

    def render(self) -> str:
        """The whole page as text."""
        folder = resources.files(__package__) / "viewer"
        template, style, *script = (
            (folder / name).read_text(encoding="utf-8")
            for name in ("page.html", "page.css", *(f"{part}.js" for part in PARTS))
        )
        data = json.dumps(self._data(), separators=(",", ":")).replace("</", "<\\/")
        parts = {
            "TITLE": html.escape(self.title),
            "STYLE": style.rstrip(),
            "PANEL": self._panel(),
            "DATA": data,
            "SCRIPT": "const data = JSON.parse(document.getElementById('data').textContent);\n" + "\n".join(script),
        }
        for name, text in parts.items():
            template = template.replace(f"<!--{name}-->", text)
        return template

    @property
    def _stride(self) -> int:
        return max(1, -(-len(self.points) // MOST_POINTS))

    @property
    def _frame(self) -> Frame:
        return Frame.around(*(part for part in (self.vertices, self.points[:: self._stride]) if len(part)))

    def _data(self) -> dict[str, Any]:
        points, frame = self.points[:: self._stride], self._frame
        camera, up = good_views(self.vertices, 1, faces=self.faces, up=self.up)[0], self.up
        if up is None:  # what the camera took for it: the axis nearest to upwards in the picture
            k = int(np.abs(camera.axes[1]).argmax())
            up = np.eye(3)[k] * np.sign(camera.axes[1, k])
        data: dict[str, Any] = {
            "vertices": len(self.vertices),
            "faces": len(self.faces),
            "points": len(points),
            "unit": self.unit,
            "origin": frame.origin.tolist(),
            "step": frame.step,
            "axes": camera.axes.tolist(),
            "up": np.asarray(up, float).tolist(),
            "ramp": ANCHORS.tolist(),
            "position": frame.positions(self.vertices),
            "face": pack(self.faces.reshape(-1, 1), 4),
            "point": frame.positions(points),
            "numbers": [self._number(name, values, True) for name, values in self.numbers.items()],
        }
        if len(self.distances) and DISTANCE not in self.numbers:
            data["numbers"].append(self._number(DISTANCE, self.distances, False))
        if self.mapped is not None:
            data["picture"] = self.mapped.at_most(MOST_TEXELS).packed()
        elif self.colours is not None:
            data["colour"] = pack(self.colours.astype(np.int64), 1)
        if self.point_colours is not None:
            data["pointColour"] = pack(np.round(self.point_colours[:: self._stride]).astype(np.int64), 1)
        return data

    def _number(self, name: str, values: np.ndarray, asked: bool) -> dict[str, Any]:
        low, high = span(name, values)
        name_ = name.replace("_", " ")
        return {
            "name": name_,
            "title": TITLES.get(name, (name_.capitalize(), 0))[0],
            "unit": unit_of(name, self.unit),
            "low": low,
            "high": high,
            "beyond": _beyond(values, low, high),
            "asked": asked,
            "value": _shares(values, low, high),
        }

    def _panel(self) -> str:
        parts = []
        if self.warnings:
            escaped = (OPTION.sub(r"<code>\g<0></code>", html.escape(line)) for line in self.warnings)
            lines = "".join(f"<li>{line}</li>" for line in escaped)
            title = "Warning" if len(self.warnings) == 1 else f"{len(self.warnings)} warnings"
            parts.append(f'<section class="warnings"><h2>{title}</h2><ul>{lines}</ul></section>')
        parts.append(charts.histogram(self.residuals, "Points by their distance from the surface", self.unit))
        label, nouns = "Vertices by their distance from the nearest point", ("vertex", "vertices")
        parts.append(charts.histogram(self.distances, label, self.unit, nouns))
        parts.append(charts.curve(self.history, "Relative residual of conjugate gradients, by iteration"))
        tables = {**self.facts, "Shown on this page": self._shown()}
        for title in sorted(tables, key=lambda title: title in FOLDED):  # those that are folded are the last
            parts.append(_table(title, tables[title]))
        return "\n".join(parts)

    def _shown(self) -> dict[str, str]:
        """What is drawn of what there is."""
        shown = len(self.points[:: self._stride])
        every = max(self.all_points, len(self.points))
        found = {"faces": self.thinned or f"all {len(self.faces):,}"}
        if every:
            some = f"{shown:,} of {counted(every, 'point')}, evenly through their order"
            found["points"] = f"all {every:,}" if shown == every else some
        step = quantity(0.5 * self._frame.step, self.unit, 2)
        found["positions"] = f"rounded by at most {step}{'' if self.unit else ' units of the cloud'}"
        return found


def _table(title: str, rows: Mapping[str, Any]) -> str:
    """A table of names and values; a command as code."""
    tag = "code" if title == "Command" else "span"
    cells = "".join(
        f"<tr><th>{html.escape(str(name))}</th><td><{tag}>{html.escape(_written(value))}</{tag}></td></tr>"
        for name, value in rows.items()
    )
    head, words = f"<table>{cells}</table>", html.escape(title)
    if title in FOLDED:
        return f"<details><summary>{words}</summary>{head}</details>"
    return f"<section><h2>{words}</h2>{head}</section>"


def _written(value: Any) -> str:
    """A value of a table as a person writes it."""
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return number(value, 4)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_written, value))
    return str(value)
