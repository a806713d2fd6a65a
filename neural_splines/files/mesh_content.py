"""What a mesh file holds, and its arrays as bytes, a bounded number of rows at a time.

Arrays may be larger than the memory, as those of `np.memmap` are: nothing here copies one as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NoReturn

import numpy as np

from ..errors import OutputError
from ..placement import CLOUD_UNITS
from ..ranges import UPS, Axis
from ..runtime.threads import parallel

MAX_LOSS = 0.01  # voxels that rounding to float32 may move a vertex
ROWS, TABLE_ROWS = 100_000, 1 << 20  # of text, and of bytes, at a time
LARGEST_UINT = 2**32 - 1
Part = bytes | memoryview
Column = tuple[str, Callable[[int, int], np.ndarray], int]  # type, values of rows first..last [n, width], width


def _flat(corners: np.ndarray) -> np.ndarray:
    """Which of triangles [f, 3, 3] have no area."""
    a, b, c = corners.transpose(1, 0, 2)
    return np.asarray((np.cross(b - a, c - a) == 0.0).all(1))


def _passed(a: np.ndarray, b: np.ndarray) -> np.uint64:
    """The sum of the numbers of edges [e] from `a` to `b`, less those of the edges the other way, modulo 2^64."""
    key = np.minimum(a, b) << np.uint64(32) | np.maximum(a, b)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # splitmix64
        key = (key ^ key >> np.uint64(shift)) * np.uint64(factor)
    key ^= key >> np.uint64(31)
    signed = np.where(a < b, key, np.where(a > b, np.uint64(0) - key, np.uint64(0)))
    return np.uint64(signed.sum(dtype=np.uint64))


@dataclass(frozen=True)
class TextureMap:
    """Pictures on a mesh. parents [w]: the vertex that a corner is of, of which one on a seam has several; corners
    [f, 3]: the faces, in their order, by corners; uv [w, 2]: where corners lie in a picture, in 0..1 from its upper
    left. png: the picture of colours, sRGB. normals: that of normals, in frames whose tangents [w, 4] corners have;
    green is upwards. material: the file that an OBJ file names for them.
    """

    parents: np.ndarray
    corners: np.ndarray
    uv: np.ndarray
    png: bytes | None
    material: str = ""
    normals: bytes | None = None
    tangents: np.ndarray | None = None


@dataclass(frozen=True)
class Content:
    """What is to be written: vertices [v, 3] float64, and per vertex what there is; faces [f, 3], None for a cloud.

    normals [v, 3]; colours [v, 3] uint8; scalars [v] by name. voxel_size: a vertex may move by 0.01 of it. fits_single:
    whether float32 is good enough for its vertices, where that is known. up: the axis, or the one against it, that is
    up in the world, and unit: of lengths, for formats that say so. texture: in the place of colours.
    """

    vertices: np.ndarray
    normals: np.ndarray | None
    faces: np.ndarray | None
    colours: np.ndarray | None = None
    scalars: Mapping[str, np.ndarray] = field(default_factory=dict)
    voxel_size: float | None = None
    fits_single: bool | None = None
    up: Axis = UPS["y"]
    unit: str = CLOUD_UNITS
    texture: TextureMap | None = None

    def by_corners(self) -> Content:
        """The same with a vertex for each corner of the texture, for formats whose vertices have one place in it."""
        if self.texture is None:
            return self
        rows = self.texture.parents
        found = replace(
            self,
            vertices=self.vertices[rows],
            normals=None if self.normals is None else self.normals[rows],
            faces=self.texture.corners,
            scalars={name: values[rows] for name, values in self.scalars.items()},
            fits_single=self.single,
        )
        vars(found)["closed"] = self.closed  # seams are no borders
        return found

    def loss(self, origin: np.ndarray | float = 0.0) -> float:
        """How far rounding to float32 moves a vertex at most, with coordinates from an origin."""
        found = [0.0]

        def look(first: int, last: int) -> None:
            for rows in chunks(first, last):
                local = self.vertices[rows] - origin
                with np.errstate(over="ignore"):
                    found.append(float(np.abs(local.astype(np.float32) - local).max(initial=0.0)))

        parallel(look, len(self.vertices))
        return float(np.max(found))  # NaN, where one is

    @cached_property
    def single(self) -> bool:
        """Whether float32 is good enough for its vertices."""
        if self.fits_single is not None:
            return self.fits_single
        return self.loss() <= MAX_LOSS * (self.voxel_size or 0.0) and not self.collapsed()

    @cached_property
    def closed(self) -> bool:
        """Whether every edge is passed as often one way as the other by its faces, as in a closed oriented mesh.

        Sums numbers of edges, drawn by a hash, with the sign of their direction, modulo 2^64: an open mesh passes once
        in 2^64.
        """
        if self.faces is None:
            return False
        faces = self.faces
        found: list[int] = []

        def look(first: int, last: int) -> None:
            for rows in chunks(first, last):
                corners = faces[rows].astype(np.uint64)
                found.extend(int(_passed(corners[:, k], corners[:, k - 1])) for k in range(3))

        parallel(look, len(faces))
        return sum(found) % 2**64 == 0

    def collapsed(self, origin: np.ndarray | float = 0.0) -> int:
        """How many triangles with an area have none when coordinates from an origin are rounded to float32."""
        if self.faces is None:
            return 0
        vertices, faces = self.vertices, self.faces
        found: list[int] = []

        def look(first: int, last: int) -> None:
            for rows in chunks(first, last):
                corners = vertices[faces[rows]] - origin
                flat = _flat(corners.astype(np.float32).astype(np.float64))
                found.append(int((~_flat(corners[flat])).sum()))

        parallel(look, len(faces))
        return sum(found)


def chunks(first: int, last: int, most: int = ROWS) -> Iterator[slice]:
    """Slices of at most so many rows that together are first..last."""
    for start in range(first, last, most):
        yield slice(start, min(start + most, last))


def refuse_size(name: str, what: str) -> NoReturn:
    raise OutputError(f"{name}: the mesh has {what}; use a smaller GRID_SIZE, or cut the cloud into tiles")


def positions(content: Content) -> str:
    """A format of coordinates as text that reads back the same."""
    return " ".join(3 * ["%.9g" if content.single else "%.17g"])


def lines(form: str, count: int, values: Callable[[slice], np.ndarray]) -> Iterator[bytes]:
    """`count` lines of text, of the values [n, columns] of a slice of them."""
    for rows in chunks(0, count):
        part = values(rows)
        yield ((form * len(part)) % tuple(part.reshape(-1).tolist())).encode()


def array(type_: str, values: np.ndarray) -> Column:
    """A column of `table` from an array [n, width]."""
    return type_, lambda first, last: values[first:last], values.shape[1]


def table(rows: int, columns: Sequence[Column]) -> Iterator[memoryview]:
    """The rows of columns side by side, each in its type; a bounded number at a time, by all threads."""
    type_ = np.dtype([(f"{k}", type_, width) for k, (type_, _, width) in enumerate(columns)])
    for rows_ in chunks(0, rows, TABLE_ROWS):
        part = np.empty(rows_.stop - rows_.start, type_)
        parallel(_fill, len(part), part, rows_.start, columns)
        yield part.data


def _fill(first: int, last: int, out: np.ndarray, start: int, columns: Sequence[Column]) -> None:
    for k, (_, values, _) in enumerate(columns):
        out[f"{k}"][first:last] = values(start + first, start + last).reshape(last - first, *out.dtype[f"{k}"].shape)
