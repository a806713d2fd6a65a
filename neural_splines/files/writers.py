"""Triangle meshes to bytes, a function a format.

OBJ and OFF text is our own: trimesh (5.2) writes a fixed number of decimals, which loses a small mesh, and neither
normals nor colours of OFF. PLY is our own to choose between float and double. STL and GLB are trimesh's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn

import numpy as np

from ..errors import OutputError, first_line, warn
from ..runtime.threads import parallel
from .reading import COORDINATES

NORMALS, COLOURS = ("nx", "ny", "nz"), ("red", "green", "blue")
PLY_TYPES = {"char": "i1", "uchar": "u1", "short": "<i2", "ushort": "<u2", "int": "<i4", "uint": "<u4"}
PLY_TYPES |= {"float": "<f4", "double": "<f8"}
MAX_LOSS = 0.01  # voxels that rounding to float32 may move a vertex
ROWS, TABLE_ROWS = 100_000, 1 << 20  # of text, and of bytes, at a time
LARGEST_INT, LARGEST_UINT = 2**31 - 1, 2**32 - 1
Part = bytes | memoryview


def _flat(corners: np.ndarray) -> np.ndarray:
    """Which of triangles [f, 3, 3] have no area."""
    a, b, c = corners.transpose(1, 0, 2)
    return np.asarray((np.cross(b - a, c - a) == 0.0).all(1))


@dataclass(frozen=True)
class Content:
    """What is to be written: vertices [v, 3] float64, and per vertex what there is; faces [f, 3], None for a cloud.

    normals [v, 3]; colours [v, 3] uint8; scalars [v] by name. voxel_size: a vertex may move by 0.01 of it.
    """

    vertices: np.ndarray
    normals: np.ndarray | None
    faces: np.ndarray | None
    colours: np.ndarray | None = None
    scalars: Mapping[str, np.ndarray] = field(default_factory=dict)
    voxel_size: float | None = None

    def loss(self, origin: np.ndarray | float = 0.0) -> float:
        """How far rounding to float32 moves a vertex at most, with coordinates from an origin."""
        found = [0.0]

        def look(first: int, last: int) -> None:
            local = self.vertices[first:last] - origin
            with np.errstate(over="ignore"):
                found.append(float(np.abs(local.astype(np.float32) - local).max(initial=0.0)))

        parallel(look, len(self.vertices))
        return float(np.max(found))  # NaN, where one is

    @cached_property
    def single(self) -> bool:
        """Whether float32 is good enough for its vertices."""
        return self.loss() <= MAX_LOSS * (self.voxel_size or 0.0) and not self.collapsed()

    def collapsed(self, origin: np.ndarray | float = 0.0) -> int:
        """How many triangles with an area have none when coordinates from an origin are rounded to float32."""
        if self.faces is None:
            return 0
        vertices, faces = self.vertices, self.faces
        found: list[int] = []

        def look(first: int, last: int) -> None:
            for start in range(first, last, ROWS):
                corners = vertices[faces[start : min(start + ROWS, last)]] - origin
                flat = _flat(corners.astype(np.float32).astype(np.float64))
                found.append(int((~_flat(corners[flat])).sum()))

        parallel(look, len(faces))
        return sum(found)


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
    yield from table(n, [(type_, values.reshape(n, len(names))) for _, names, type_, values in columns])
    if c.faces is not None:
        yield from triangles(c.faces, corner)


def scalar_type(values: np.ndarray) -> str:
    """The type of PLY that keeps numbers: double where it has no other."""
    return next(
        (name for name, type_ in PLY_TYPES.items() if np.dtype(type_) == values.dtype.newbyteorder("<")), "double"
    )


def corner_type(vertices: int, name: str) -> tuple[str, str]:
    """The integers of a PLY that count so many vertices, as its header and as NumPy call them."""
    if vertices > LARGEST_UINT:
        refuse_size(name, f"{vertices} vertices, and PLY counts {LARGEST_UINT}")
    return ("uint", "<u4") if vertices > LARGEST_INT else ("int", "<i4")


def refuse_size(name: str, what: str) -> NoReturn:
    raise OutputError(f"{name}: the mesh has {what}; use a smaller GRID_SIZE, or cut the cloud into tiles")


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


def table(rows: int, columns: list[tuple[str, np.ndarray]]) -> Iterator[memoryview]:
    """The rows of columns [rows, width] side by side, each in its type; a bounded number at a time, by all threads."""
    type_ = np.dtype([(f"{k}", type_, values.shape[1]) for k, (type_, values) in enumerate(columns)])
    for start in range(0, rows, TABLE_ROWS):
        part = np.empty(min(TABLE_ROWS, rows - start), type_)
        parallel(_fill, len(part), part, [values[start : start + len(part)] for _, values in columns])
        yield part.data


def triangles(faces: np.ndarray, corner: str) -> Iterator[memoryview]:
    """Lists of three corners [f, 3], of that type, with their counts before them."""
    return table(len(faces), [("u1", np.broadcast_to(3, (len(faces), 1))), (corner, faces)])


def _fill(first: int, last: int, out: np.ndarray, columns: list[np.ndarray]) -> None:
    for k, values in enumerate(columns):
        out[f"{k}"][first:last] = values[first:last].reshape(last - first, *out.dtype[f"{k}"].shape)


def write_obj(content: Content, name: str) -> Iterator[Part]:
    """Text: `v x y z`, followed by `r g b` in [0, 1] where there are colours; `vn`; `f a//a b//b c//c`."""
    c = content
    yield b"# made by neural-splines\n"
    rows, form = _positions(c)
    if c.colours is not None:
        rows, form = np.hstack([rows, c.colours / 255.0]), f"{form} %.4g %.4g %.4g"
    yield from _lines(f"v {form}\n", rows)
    if c.normals is not None:
        yield from _lines("vn %.7g %.7g %.7g\n", c.normals)
    if c.faces is not None:
        corners = c.faces + 1
        pairs = np.repeat(corners, 2, axis=1)
        yield from _lines("f %d %d %d\n", corners) if c.normals is None else _lines("f %d//%d %d//%d %d//%d\n", pairs)


def write_off(content: Content, name: str) -> Iterator[Part]:
    """Text: OFF, NOFF, COFF or CNOFF; `x y z nx ny nz r g b a` with colours in 0..255, then `3 a b c`."""
    c = content
    letters = ("C" if c.colours is not None else "") + ("N" if c.normals is not None else "")
    yield f"{letters}OFF\n{len(c.vertices)} {0 if c.faces is None else len(c.faces)} 0\n".encode()
    rows, form = _positions(c)
    if c.normals is not None:
        rows, form = np.hstack([rows, c.normals]), f"{form} %.7g %.7g %.7g"
    if c.colours is not None:
        opaque = np.full((len(rows), 1), 255.0)
        rows, form = np.hstack([rows, c.colours, opaque]), f"{form} %d %d %d %d"
    yield from _lines(f"{form}\n", rows)
    if c.faces is not None:
        yield from _lines("3 %d %d %d\n", c.faces)


def write_stl(content: Content, name: str) -> Iterator[Part]:
    """Binary STL: float32 corners and face normals, nothing else; warns where float32 shows."""
    loss, collapsed = content.loss(), content.collapsed()
    if content.voxel_size and (loss > MAX_LOSS * content.voxel_size or collapsed):
        lost = f", so that {collapsed} faces have no area" if collapsed else ""
        warn(
            f"{name}: STL has only float32, which moves vertices by up to {loss:.3g}, {loss / content.voxel_size:.2g} "
            f"voxels{lost}; use PLY, OBJ, OFF or GLB, or subtract an offset from the cloud"
        )
    if content.faces is not None and len(content.faces) > LARGEST_UINT:
        refuse_size(name, f"{len(content.faces)} faces, and STL counts {LARGEST_UINT}")
    yield _mesh(content, 0.0).export(file_type="stl")


def write_glb(content: Content, name: str) -> Iterator[Part]:
    """Binary glTF: float32 around the centre of the mesh, which is the node's translation, in double.

    Scalars are the attributes `_NAME`. Axes are those of the cloud, where viewers take y as upwards.
    """
    trimesh, origin = _trimesh(), np.zeros(3)
    parts = (content.vertices, content.faces, content.normals, *content.scalars.values())
    size = 4 * sum(part.size for part in parts if part is not None)
    if size > LARGEST_UINT:
        refuse_size(name, f"{size} bytes, and GLB counts {LARGEST_UINT}")
    if not content.single and len(content.vertices):
        origin = 0.5 * (content.vertices.min(0) + content.vertices.max(0))
    mesh = _mesh(content, origin)
    for key, values in content.scalars.items():
        mesh.vertex_attributes[f"_{key.upper()}"] = values.astype(np.float32)
    scene = trimesh.Scene()
    scene.add_geometry(mesh, geom_name="mesh", transform=trimesh.transformations.translation_matrix(origin))
    yield scene.export(file_type="glb", include_normals=content.normals is not None)


def _trimesh() -> Any:
    try:
        import trimesh
    except ImportError as error:
        raise OutputError(
            f"STL and GLB need trimesh ({first_line(error)}); pip install trimesh, or write PLY"
        ) from None
    return trimesh


def _mesh(content: Content, origin: np.ndarray | float) -> Any:
    trimesh = _trimesh()
    mesh = trimesh.Trimesh(
        content.vertices - origin, content.faces, vertex_normals=content.normals, process=False, validate=False
    )
    if content.colours is not None:
        mesh.visual = trimesh.visual.ColorVisuals(mesh, vertex_colors=content.colours)
    return mesh


def _positions(content: Content) -> tuple[np.ndarray, str]:
    """Coordinates as they are written, and a format that reads back the same."""
    return content.vertices, " ".join(3 * ["%.9g" if content.single else "%.17g"])


def _lines(form: str, rows: np.ndarray) -> Iterator[bytes]:
    """One line of text for each row."""
    for start in range(0, len(rows), ROWS):
        part = rows[start : start + ROWS]
        yield ((form * len(part)) % tuple(part.reshape(-1).tolist())).encode()


WRITERS: dict[str, Callable[[Content, str], Iterator[Part]]] = {
    ".ply": write_ply,
    ".obj": write_obj,
    ".stl": write_stl,
    ".off": write_off,
    ".glb": write_glb,
}
