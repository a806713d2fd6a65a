"""A mesh written part by part, in every format: its arrays are kept in scratch files until the last part is there."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import numpy as np

from ..placement import AS_IT_IS, Placed, Placement
from ..ranges import UPS, Axis
from ..runtime import interrupts
from .atomic import PathLike, atomic, shown
from .mesh_content import Content
from .meshes import suffix_of
from .placing import check_offset, offset_bytes, offset_path, placed
from .writers import WRITERS, corner_type


class PartWriter:
    """Appends vertices and faces; faces refer to vertices by their place among all of them.

    Every part has the same arrays in the same types: normals, colours and scalars, or none. placed: how the mesh lies
    in its file, once that is written.
    """

    def __init__(self, folder: str, name: str):
        self._folder, self._name, self._stack = folder, name, contextlib.ExitStack()
        self._files: dict[str, BinaryIO] = {}
        self._types: dict[str, tuple[np.dtype, tuple[int, ...]]] = {}
        self.vertices = self.faces = 0
        self.placed: Placed | None = None

    def add(
        self,
        vertices: np.ndarray,
        normals: np.ndarray | None,
        faces: np.ndarray | None,
        colours: np.ndarray | None = None,
        scalars: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Vertices [v, 3] with what there is of each, and triangles [f, 3]; of a cloud of points none."""
        corner_type(self.vertices + len(vertices), self._name)  # refused before more is kept than can be counted
        arrays = {"vertices": vertices.astype(np.float64, copy=False), "normals": normals, "colours": colours}
        arrays |= {f"scalar {name}": v for name, v in (scalars or {}).items()}
        if faces is not None:
            arrays["faces"] = faces.astype(np.uint32)
            self.faces += len(faces)
        for name, values in arrays.items():
            if values is not None:
                self._append(name, values)
        self.vertices += len(vertices)

    def _append(self, name: str, values: np.ndarray) -> None:
        if name not in self._files:
            path = os.path.join(self._folder, f".neural-splines-{secrets.token_hex(8)}.tmp")
            self._stack.enter_context(interrupts.temporary(path))
            self._files[name] = self._stack.enter_context(open(path, "w+b"))
            self._types[name] = values.dtype, values.shape[1:]
        self._files[name].write(np.ascontiguousarray(values).data)

    def content(self, voxel_size: float | None, fits_single: bool | None, up: Axis) -> Content:
        """All parts as one mesh, whose arrays are the scratch files."""
        arrays = {name: self._array(name) for name in self._files}
        normals, faces, colours = (arrays.get(name) for name in ("normals", "faces", "colours"))
        scalars = {name.removeprefix("scalar "): v for name, v in arrays.items() if name.startswith("scalar ")}
        vertices = arrays.get("vertices", np.empty((0, 3)))
        return Content(vertices, normals, faces, colours, scalars, voxel_size, fits_single, up)

    def _array(self, name: str) -> np.ndarray:
        (type_, width), file = self._types[name], self._files[name]
        file.flush()
        shape = (self.faces if name == "faces" else self.vertices, *width)
        return np.memmap(file, type_, "r+", shape=shape) if shape[0] else np.empty(shape, type_)

    def close(self) -> None:
        """Remove the scratch files."""
        self._stack.close()


@contextlib.contextmanager
def written_in_parts(
    path: PathLike, folder: str, voxel_size: float | None = None, fits_single: bool | None = None,
    suffix: str | None = None, up: Axis = UPS["y"], placement: Placement = AS_IT_IS,
) -> Iterator[PartWriter]:  # fmt: skip
    """A writer of the mesh at `path`, which appears when the block ends: the same bytes as those of `save_mesh`.

    folder: where there is room for a copy of the mesh meanwhile. The others: as of `Content` and `save_mesh`.
    """
    suffix = suffix or suffix_of(path)
    placement = placement.of_format(suffix)
    check_offset(path, placement)
    paths = [path] if placement.shift is None else [offset_path(path), path]
    with atomic(*paths, synced=True) as (*offset, out), contextlib.closing(PartWriter(folder, shown(path))) as writer:
        yield writer
        content = writer.content(voxel_size, fits_single, up)
        content, writer.placed = placed(content, placement)
        for beside in offset:
            beside.write(offset_bytes(writer.placed))
        out.writelines(WRITERS.get(suffix, WRITERS[".ply"])(content, shown(path)))
        del content  # the files are mapped
