"""Which formats keep the digits of a map's coordinates in which readers: the table of docs/input.md.

    PYTHONPATH=. python tests/offset_table.py

A mesh of 150 m at 410,000 m, 5,650,000 m is written in every format, as it is and with `--shift auto`, and read by
trimesh, plyfile, Open3D and this program: the largest distance in metres of a corner from where it was, once the
numbers beside the file are added. trimesh reads 3MF with lxml.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
from scripts import ROOT, with_table

from neural_splines.files.meshes import load_mesh, save_mesh
from neural_splines.files.placing import offset_path
from neural_splines.placement import Placement
from neural_splines.ranges import UPS
from neural_splines.settings import MESH_FORMATS

START, END = "<!-- offsets: begin -->", "<!-- offsets: end -->"
PAGE = ROOT / "docs" / "input.md"
SIDE, CORNER = 150.0, np.array([410_000.0, 5_650_000.0, 120.0])
UNREAD = "-"


def scene(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """A sheet of waves: vertices [v, 3] and faces [f, 3]."""
    rng = np.random.default_rng(0)
    x, y = (index.reshape(-1) * SIDE / n for index in np.mgrid[: n + 1, : n + 1])
    z = 3.0 * np.sin(x / 9.0) * np.cos(y / 7.0) + 0.1 * rng.random(len(x))
    first = (np.arange(n)[:, None] * (n + 1) + np.arange(n)).reshape(-1)
    faces = np.concatenate([first[:, None] + [0, n + 1, 1], first[:, None] + [1, n + 1, n + 2]])
    return np.stack([x, y, z], 1) + CORNER, faces


def by_trimesh(path: Path) -> np.ndarray:
    import trimesh

    mesh = trimesh.load(path, force="mesh", process=False)
    return np.asarray(mesh.vertices)[mesh.faces]


def by_plyfile(path: Path) -> np.ndarray:
    import plyfile

    found = plyfile.PlyData.read(str(path))
    vertices = np.stack([np.asarray(found["vertex"][axis], np.float64) for axis in "xyz"], 1)
    return vertices[np.stack(found["face"]["vertex_indices"])]


def by_open3d(path: Path) -> np.ndarray:
    import open3d

    mesh = open3d.io.read_triangle_mesh(str(path))
    return np.asarray(mesh.vertices)[np.asarray(mesh.triangles)]


def by_us(path: Path) -> np.ndarray:
    vertices, faces = load_mesh(path)
    return vertices[faces].numpy()


READERS = {
    "trimesh": (by_trimesh, MESH_FORMATS),
    "plyfile": (by_plyfile, (".ply",)),
    "Open3D": (by_open3d, (".ply", ".obj", ".off", ".stl", ".glb")),
    "this program": (by_us, (".ply", ".obj", ".stl", ".3mf")),
}


def error(suffix: str, shift: str | None, read, folder: Path) -> float:
    """The largest one of a format and a reader, in metres; ImportError where a package is missing."""
    vertices, faces = scene()
    path = folder / f"a{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_mesh(path, vertices, None, faces, voxel_size=0.5, up=UPS["z"], placement=Placement(shift=shift))
        corners = read(path)
    if suffix == ".glb":  # which has y upwards
        corners = corners[..., [0, 2, 1]] * [1.0, -1.0, 1.0]
    offset = 0.0 if shift is None else np.loadtxt(offset_path(path))
    if corners.shape != vertices[faces].shape:
        return float("nan")
    return float(np.linalg.norm(corners + offset - vertices[faces], axis=-1).max())


def table() -> str:
    lines = ["| format | " + " | ".join(f"{name}, `{s}`" for name in READERS for s in ("none", "auto")) + " |"]
    lines.append("|---|" + "---|" * 2 * len(READERS))
    with tempfile.TemporaryDirectory() as folder:
        for suffix in MESH_FORMATS:
            row = []
            for read, formats in READERS.values():
                for shift in (None, "auto"):
                    there = suffix in formats
                    row.append(f"{error(suffix, shift, read, Path(folder)):.1g}" if there else UNREAD)
            lines.append(f"| {suffix[1:].upper()} | " + " | ".join(row) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), START, END, table()), encoding="utf-8")
