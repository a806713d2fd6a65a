"""The second table of docs/results/messages.md: what both scripts say of clouds that are no surface.

PYTHONPATH=. python tests/degeneracy_table.py    writes it anew, between the marks in that file
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from input_table import PAGE
from scripts import run, with_table, write_cloud
from shapes import sphere

from neural_splines.cloud.clouds import OrientedCloud

START, END = "<!-- table: tests/degeneracy_table.py -->", "<!-- end of the second table -->"
BALL = sphere(400)
P, N = BALL.points.numpy(), BALL.normals.numpy()
SHEET = np.stack([*np.meshgrid(*[np.linspace(0, 1, 20)] * 2), np.zeros((20, 20))], -1).reshape(-1, 3)
LINE = np.linspace(0, 1, 100)[:, None] * [1.0, 0.0, 0.0]
X, UP = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])
Arrays = tuple[np.ndarray, np.ndarray]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def all_have(points: np.ndarray, normal: np.ndarray) -> Arrays:
    return points, np.tile(normal, (len(points), 1))


def copies(*offsets: list[float]) -> Arrays:
    """The ball, of radius 1, at several places."""
    return np.concatenate([P + np.array(offset) for offset in offsets]), np.tile(N, (len(offsets), 1))


def with_a_point(at: float) -> Arrays:
    return np.concatenate([P, [[at, 0.0, 0.0]]]), np.concatenate([N, [X]])


KINDS: dict[str, Callable[[], Arrays]] = {
    "half of the normals flipped": lambda: (P, N * np.where(rng().random((400, 1)) < 0.5, -1, 1)),
    "all normals inward": lambda: (P, -N),
    "random normals": lambda: (P, rng().normal(size=P.shape)),
    "normals along the surface": lambda: (P, np.cross(N, UP)),
    "normals along the surface, anywhere": lambda: (P, np.cross(N, rng().normal(size=P.shape))),
    "points in a volume": lambda: (rng().random((400, 3)), rng().normal(size=(400, 3))),
    "two points": lambda: all_have(LINE[[0, 99]], UP),
    "two points, normals from one to the other": lambda: all_have(LINE[[0, 99]], X),
    "points on a line": lambda: all_have(LINE, UP),
    "points on a line, normals along it": lambda: all_have(LINE, X),
    "three points": lambda: all_have(np.eye(3), np.ones(3)),
    "points in a plane": lambda: all_have(SHEET, UP),
    "points in a plane, normals in it": lambda: all_have(SHEET, X),
    "points in a plane, normals in it, anywhere": lambda: (SHEET, rng().normal(size=SHEET.shape) * [1, 1, 0]),
    "two sheets that face each other, 1e-6 apart": lambda: (
        np.concatenate([SHEET, SHEET + 1e-6 * UP]),
        np.repeat([UP, -UP], 400, 0),
    ),
    "two clusters 30 sizes apart": lambda: copies([0, 0, 0], [60, 0, 0]),
    "two clusters 1e6 sizes apart": lambda: copies([0, 0, 0], [2e6, 0, 0]),
    "three clusters 100 sizes apart": lambda: copies([0, 0, 0], [200, 0, 0], [0, 200, 100]),
    "a point 30 sizes away": lambda: with_a_point(60.0),
    "a point 1e6 sizes away": lambda: with_a_point(2e6),
}


SCRIPTS = ("fit.py", "fit-grid.py")


def said(kind: str, script: str, folder: Path) -> tuple[int, str]:
    """Exit code and lines without the name of the script, of a run with 500 centres and a grid of 32."""
    points, normals = KINDS[kind]()
    normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    cloud = OrientedCloud(torch.from_numpy(points.astype(float)), torch.from_numpy(normals.astype(float)))
    path, out = write_cloud(folder / "cloud.ply", cloud), folder / "mesh.ply"
    args = ["auto", min(500, 3 * len(points)), 32, *(["auto"] if script == "fit-grid.py" else [])]
    outcome = run(script, path, *args, "--cg-max-iters", 100, "--seed", 0, "--device", "cpu", "--out", out)
    assert out.exists() == (outcome.code == 0)
    out.unlink(missing_ok=True)
    lines = [line.removeprefix(f"{script}: ").replace(f"{folder}/", "") for line in outcome.err.splitlines()]
    return outcome.code, " ".join(line.removeprefix("warning: ") for line in lines)


def row(kind: str, answers: dict[str, str]) -> str:
    """Of the table: what either script says of it."""
    one, other = (text or "a mesh" for text in answers.values())
    return f"| {kind} | {one} | {'the same' if one == other != 'a mesh' else other} |"


def table() -> str:
    rows = ["| cloud | `fit.py` | `fit-grid.py ... auto` |", "|---|---|---|"]
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(row(kind, {script: said(kind, script, Path(folder))[1] for script in SCRIPTS}))
    return "\n".join(rows)


def page(text: str) -> str:
    """The page with a new table."""
    return with_table(text, START, END, table())


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
