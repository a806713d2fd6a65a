"""A PLY mesh written part by part: vertices as they come, faces kept aside until the last vertex is there."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from ..errors import OutputError
from ..runtime import interrupts
from .atomic import PathLike, atomic, shown
from .reading import COORDINATES
from .writers import NORMALS, corner_type, table, triangles

HEADER = 512  # bytes: the counts, which are known last, are written into it


class PartWriter:
    """Appends vertices and faces; faces refer to vertices by their place among all of them."""

    def __init__(self, out: BinaryIO, aside: BinaryIO, single: bool, name: str):
        self._out, self._aside, self._single, self._name = out, aside, single, name
        self.vertices = self.faces = 0
        out.write(b" " * HEADER)

    def add(self, vertices: np.ndarray, normals: np.ndarray, faces: np.ndarray) -> None:
        corner_type(self.vertices + len(vertices), self._name)  # refused before more is written than can be counted
        position = "<f4" if self._single else "<f8"
        self._out.writelines(table(len(vertices), [(position, vertices), ("<f4", normals)]))
        self._aside.writelines(triangles(faces, "<u4"))  # the same bytes as <i4, while these serve
        self.vertices += len(vertices)
        self.faces += len(faces)

    def finish(self) -> None:
        self._aside.flush()
        self._aside.seek(0)
        shutil.copyfileobj(self._aside, self._out, 1 << 22)
        self._out.seek(0)
        self._out.write(self._header())

    def _header(self) -> bytes:
        type_, (index, _) = "float" if self._single else "double", corner_type(self.vertices, self._name)
        lines = ["ply", "format binary_little_endian 1.0", "comment made by neural-splines"]
        lines += [f"element vertex {self.vertices}", *(f"property {type_} {name}" for name in COORDINATES)]
        lines += [f"property float {name}" for name in NORMALS]
        lines += [f"element face {self.faces}", f"property list uchar {index} vertex_indices", "end_header", ""]
        text = "\n".join(lines)
        padding = "comment " + " " * (HEADER - len(text) - len("comment \n"))
        lines.insert(3, padding)
        return "\n".join(lines).encode()


@contextlib.contextmanager
def written_in_parts(path: PathLike, aside: str, single: bool) -> Iterator[PartWriter]:
    """A writer of the mesh at `path`, which appears when the block ends; `aside` is a scratch file for faces."""
    with atomic(path, synced=True) as (out,):
        if not out.seekable():
            raise OutputError(f"{shown(path)}: a mesh in parts is not written to a pipe; give a file to --out")
        with interrupts.temporary(aside), open(aside, "w+b") as faces:
            writer = PartWriter(out, faces, single, shown(path))
            yield writer
            writer.finish()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(aside)
