"""Clouds and meshes of the same name in a folder, as the ABC data of Points2Surf and of others are stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from truths import Shape

CLOUDS = (".npy", ".xyz", ".ply")  # the first that is there is taken
MESHES = (".ply", ".obj", ".stl")


def pairs(folder: Path) -> list[tuple[str, Path, Path]]:
    """(name, cloud, mesh) for each name, which ends at the first dot, that has both in the folder or below it."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder: name one of clouds and meshes")
    clouds: dict[str, Path] = {}
    meshes: dict[str, Path] = {}
    for path in sorted(folder.rglob("*"), key=lambda path: (_rank(path), str(path))):
        if not path.is_file():
            continue
        name, kind = path.name.split(".")[0], path.suffix.lower()
        if kind in MESHES and (kind != ".ply" or has_faces(path)):
            meshes.setdefault(name, path)
        elif kind in CLOUDS and not path.name.lower().endswith(".ply.npy"):  # values at queries, not points
            clouds.setdefault(name, path)
    both = sorted(set(clouds) & set(meshes))
    if not both:
        raise ValueError(
            f"{folder} has {len(clouds)} clouds ({', '.join(CLOUDS)}) and {len(meshes)} meshes ({', '.join(MESHES)}), "
            "none of the same name: give each cloud the name of its mesh"
        )
    return [(name, clouds[name], meshes[name]) for name in both]


def _rank(path: Path) -> int:
    kind = path.suffix.lower()
    return CLOUDS.index(kind) if kind in CLOUDS else len(CLOUDS)


def has_faces(path: Path) -> bool:
    """The header of a PLY file names faces, at least one."""
    with path.open("rb") as file:
        for text in file:
            words = text.split()
            if words[:2] == [b"element", b"face"]:
                return words[2] != b"0"
            if words == [b"end_header"]:
                break
    return False


def read(cloud: Path, mesh: Path) -> tuple[np.ndarray, Shape]:
    """Points [n, 3] and the truth."""
    from neural_splines import load_point_cloud
    from neural_splines.files.meshes import load_mesh

    vertices, faces = (part.numpy() for part in load_mesh(mesh))
    points, _ = load_point_cloud(cloud)
    return points, Shape(vertices.astype(float), faces, sharp=True)
