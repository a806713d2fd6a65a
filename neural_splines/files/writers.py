"""Triangle meshes to bytes, a function a format, a bounded number of rows at a time.

OBJ and OFF text is our own: trimesh (5.2) writes a fixed number of decimals, which loses a small mesh, and neither
normals nor colours of OFF. PLY is our own to choose between float and double.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from . import mesh_content
from .gltf import write_glb
from .mesh_content import Content, Part, array, lines, positions, refuse_size, table
from .reading import COORDINATES
from .stl import write_stl
from .textured_obj import mapped
from .threemf import write_3mf

NORMALS, COLOURS = ("nx", "ny", "nz"), ("red", "green", "blue")
PLY_TYPES = {"char": "i1", "uchar": "u1", "short": "<i2", "ushort": "<u2", "int": "<i4", "uint": "<u4"}
PLY_TYPES |= {"float": "<f4", "double": "<f8"}
LARGEST_INT = 2**31 - 1


def write_ply(content: Content, name: str) -> Iterator[Part]:
    """Binary little-endian PLY; vertices float, or double where they need it; normals float, scalars as they are."""
    c, n = content, len(content.vertices)
    position = "<f4" if c.single else "<f8"
    columns: list[tuple[str, tuple[str, ...], str, np.ndarray]]
    columns = [("float" if c.single else "double", COORDINATES, position, c.vertices)]
    if c.normals is not None:
        columns.append(("float", NORMALS, "<f4", c.normals))
    if c.colours is not None:
        columns.append(("uchar", COLOURS, "u1", c.colours))
    for word, values in zip(_words(c.scalars, columns), c.scalars.values(), strict=True):
        columns.append((scalar_type(values), (word,), PLY_TYPES[scalar_type(values)], values[:, None]))
    header = ["ply", "format binary_little_endian 1.0", "comment made by neural-splines", f"element vertex {n}"]
    header += [f"property {type_} {name}" for type_, names, *_ in columns for name in names]
    if c.faces is not None:
        index, corner = corner_type(n, name)
        header += [f"element face {len(c.faces)}", f"property list uchar {index} vertex_indices"]
    yield "\n".join([*header, "end_header", ""]).encode()
    yield from table(n, [array(type_, values.reshape(n, len(names))) for _, names, type_, values in columns])
    if c.faces is not None:
        yield from triangles(c.faces, corner)


def scalar_type(values: np.ndarray) -> str:
    """The type of PLY that keeps numbers: double where it has no other."""
    return next(
        (name for name, type_ in PLY_TYPES.items() if np.dtype(type_) == values.dtype.newbyteorder("<")), "double"
    )


def corner_type(vertices: int, name: str) -> tuple[str, str]:
    """The integers of a PLY that count so many vertices, as its header and as NumPy call them."""
    if vertices > mesh_content.LARGEST_UINT:
        refuse_size(name, f"{vertices} vertices, and PLY counts {mesh_content.LARGEST_UINT}")
    return ("uint", "<u4") if vertices > LARGEST_INT else ("int", "<i4")


def _words(names: Iterable[str], columns: list[tuple[str, tuple[str, ...], str, np.ndarray]]) -> list[str]:
    """Names of further columns, which files may call anything, as one word of ASCII each that no other column has."""
    taken = {name for _, names, *_ in columns for name in names}
    found = []
    for name in names:
        word = re.sub(r"[^!-~]", "_", name) or "_"
        while word in taken:
            word += "_"
        taken.add(word)
        found.append(word)
    return found


def triangles(faces: np.ndarray, corner: str) -> Iterator[memoryview]:
    """Lists of three corners [f, 3], of that type, with their counts before them."""
    return table(len(faces), [array("u1", np.broadcast_to(3, (len(faces), 1))), array(corner, faces)])


def write_obj(content: Content, name: str) -> Iterator[Part]:
    """Text: `v x y z`, followed by `r g b` in [0, 1] where there are colours; `vn`; `f a//a b//b c//c`; with a texture
    as in textured_obj.py.
    """
    vertices, normals, colours, faces = content.vertices, content.normals, content.colours, content.faces
    count, position = len(vertices), positions(content)
    yield b"# made by neural-splines\n"
    if colours is None or content.texture is not None:
        yield from lines(f"v {position}\n", count, lambda rows: vertices[rows])
    else:
        tinted = f"v {position} %.4g %.4g %.4g\n"
        yield from lines(tinted, count, lambda rows: np.hstack([vertices[rows], colours[rows] / 255.0]))
    if normals is not None:
        yield from lines("vn %.7g %.7g %.7g\n", count, lambda rows: normals[rows])
    if content.texture is not None:
        yield from mapped(content, content.texture)
    elif faces is not None and normals is None:
        yield from lines("f %d %d %d\n", len(faces), lambda rows: faces[rows] + 1)
    elif faces is not None:
        corners = "f %d//%d %d//%d %d//%d\n"
        yield from lines(corners, len(faces), lambda rows: np.repeat(faces[rows] + 1, 2, axis=1))


def write_off(content: Content, name: str) -> Iterator[Part]:
    """Text: OFF, NOFF, COFF or CNOFF; `x y z nx ny nz r g b a` with colours in 0..255, then `3 a b c`."""
    vertices, normals, colours, faces = content.vertices, content.normals, content.colours, content.faces
    letters = ("C" if colours is not None else "") + ("N" if normals is not None else "")
    yield f"{letters}OFF\n{len(vertices)} {0 if faces is None else len(faces)} 0\n".encode()
    form = positions(content)
    form += " %.7g %.7g %.7g" if normals is not None else ""
    form += " %d %d %d 255" if colours is not None else ""
    columns = [values for values in (vertices, normals, colours) if values is not None]
    yield from lines(f"{form}\n", len(vertices), lambda rows: np.hstack([values[rows] for values in columns]))
    if faces is not None:
        yield from lines("3 %d %d %d\n", len(faces), lambda rows: faces[rows])


WRITERS: dict[str, Callable[[Content, str], Iterator[Part]]] = {
    ".ply": write_ply,
    ".obj": write_obj,
    ".stl": write_stl,
    ".3mf": write_3mf,
    ".off": write_off,
    ".glb": write_glb,
}
