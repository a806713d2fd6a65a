"""What a textured OBJ has beside a plain one: places in a picture, a material in an MTL file, the picture as PNG."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from ..errors import OutputError
from .atomic import STANDARD, PathLike, shown
from .mesh_content import Content, Part, TextureMap, lines

MATERIAL = "surface"


def beside(path: PathLike) -> tuple[str, str]:
    """The paths of the material and of the picture of an OBJ file."""
    stem = os.path.splitext(os.fspath(path))[0]
    return f"{stem}.mtl", f"{stem}_texture.png"


def check_beside(path: PathLike) -> None:
    """OutputError where an OBJ file could not name its material, or where there is no folder for it."""
    name = os.path.basename(os.fspath(path))
    if path == STANDARD or (os.path.exists(path) and not os.path.isfile(path)):
        raise OutputError(f"{shown(path)}: a textured OBJ is three files; give the name of a file, or use GLB")
    if name.splitlines() != [name] or name != name.strip():
        raise OutputError(f"{shown(path)}: an OBJ file cannot name its texture so; choose another name")


def mapped(content: Content, texture: TextureMap) -> Iterator[Part]:
    """`mtllib`, `usemtl`; `vt u v` from the lower left; `f a/ta/a b/tb/b c/tc/c`: seams cut no vertices."""
    faces, uv, corners = content.faces, texture.uv, texture.corners
    yield b"mtllib " + os.fsencode(texture.material) + f"\nusemtl {MATERIAL}\n".encode()
    yield from lines("vt %.9g %.9g\n", len(uv), lambda rows: np.stack([uv[rows, 0], 1.0 - uv[rows, 1]], 1))
    if faces is not None:
        form, order = "f %d/%d %d/%d %d/%d\n", [0, 3, 1, 4, 2, 5]
        if content.normals is not None:
            form, order = "f %d/%d/%d %d/%d/%d %d/%d/%d\n", [0, 3, 0, 1, 4, 1, 2, 5, 2]
        yield from lines(form, len(faces), lambda rows: np.hstack([faces[rows], corners[rows]])[:, order] + 1)


def material(path: PathLike) -> bytes:
    """The MTL of an OBJ file: all colour from the picture, nothing that shines."""
    picture = os.fsencode(os.path.basename(beside(path)[1]))
    head = f"# made by neural-splines\nnewmtl {MATERIAL}\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd "
    return head.encode() + picture + b"\n"
