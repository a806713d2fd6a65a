"""What a textured OBJ has beside a plain one: places in pictures, a material in an MTL file, the pictures as PNG."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import numpy as np

from ..errors import OutputError
from .atomic import STANDARD, PathLike, shown
from .mesh_content import Content, Part, TextureMap, lines

MATERIAL = "surface"


def beside(path: PathLike, normals: bool = False) -> list[str]:
    """The paths of the material and of the picture of colours of an OBJ file, and of that of normals."""
    stem = os.path.splitext(os.fspath(path))[0]
    return [f"{stem}.mtl", f"{stem}_texture.png", *([f"{stem}_normals.png"] if normals else [])]


def written_beside(path: PathLike, texture: TextureMap) -> dict[str, bytes]:
    """The files of an OBJ file's material and pictures, as bytes by their paths."""
    names = beside(path, normals=True)
    pictures = {names[1]: texture.png, names[2]: texture.normals}
    there = {name: data for name, data in pictures.items() if data is not None}
    return {names[0]: _material(names, there), **there}


def check_beside(path: PathLike) -> None:
    """OutputError where an OBJ file could not name its material, or where there is no folder for it."""
    name = os.path.basename(os.fspath(path))
    if path == STANDARD or (os.path.exists(path) and not os.path.isfile(path)):
        raise OutputError(f"{shown(path)}: a textured OBJ is several files; give the name of one, or use GLB")
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


def _material(names: list[str], there: Mapping[str, bytes]) -> bytes:
    """The MTL: all colour from its picture, nothing that shines. A map of normals is `norm` to some readers, and to
    others, as Blender, `map_Bump`.
    """
    head = f"# made by neural-splines\nnewmtl {MATERIAL}\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\n"
    words = [("map_Kd", names[1]), ("norm", names[2]), ("map_Bump", names[2])]
    lines = [b"%s %s\n" % (word.encode(), os.fsencode(os.path.basename(name))) for word, name in words if name in there]
    return head.encode() + b"".join(lines)
