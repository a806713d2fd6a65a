"""Triangle meshes to binary STL and glTF.

Our own, because trimesh (5.2) holds a mesh and its file in memory several times, where a mesh in parts is larger than
that. tests/files/test_formats.py reads what is written with trimesh.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import warn
from . import mesh_content
from .mesh_content import MAX_LOSS, Column, Content, Part, array, chunks, refuse_size, table

GLTF = {"<f4": 5126, "u1": 5121, "<u4": 5125}  # its numbers of types
VERTICES, INDICES = 34962, 34963  # and of what a buffer is for
POINTS, TRIANGLES = 0, 4
KINDS = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}
OPAQUE = 255


def write_stl(content: Content, name: str) -> Iterator[Part]:
    """Binary STL: float32 corners and face normals, nothing else; warns where float32 shows."""
    loss, collapsed = content.loss(), content.collapsed()
    if content.voxel_size and (loss > MAX_LOSS * content.voxel_size or collapsed):
        lost = f", so that {collapsed} faces have no area" if collapsed else ""
        warn(
            f"{name}: STL has only float32, which moves vertices by up to {loss:.3g}, {loss / content.voxel_size:.2g} "
            f"voxels{lost}; use PLY, OBJ, OFF or GLB, or subtract an offset from the cloud"
        )
    faces, vertices = content.faces, content.vertices
    count = 0 if faces is None else len(faces)
    if count > mesh_content.LARGEST_UINT:
        refuse_size(name, f"{count} faces, and STL counts {mesh_content.LARGEST_UINT}")
    yield bytes(80) + struct.pack("<I", count)
    if faces is not None:

        def facets(first: int, last: int) -> np.ndarray:
            corners = vertices[faces[first:last]]
            return np.concatenate([_unit_normals(corners)[:, None], corners], 1).reshape(-1, 12)

        yield from table(count, [("<f4", facets, 12), ("<u2", _zeros, 1)])


def _zeros(first: int, last: int) -> np.ndarray:
    return np.zeros((last - first, 1))


def _unit_normals(corners: np.ndarray) -> np.ndarray:
    """The normals [f, 3] of triangles [f, 3, 3]; zero for those without area."""
    a, b, c = corners.transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    largest = np.abs(normals).max(1, initial=0.0)[:, None]
    normals = normals / np.where(largest > 0.0, largest, 1.0)  # else their squares may underflow
    length = np.sqrt((normals * normals).sum(1))[:, None]
    return np.asarray(normals / np.where(length > 0.0, length, 1.0))


def write_glb(content: Content, name: str) -> Iterator[Part]:
    """Binary glTF: float32 around the centre of the mesh, which is the node's translation, in double.

    Scalars are the attributes `_NAME`. Axes are those of the cloud, where viewers take y as upwards.
    """
    vertices, count, origin = content.vertices, len(content.vertices), np.zeros(3)
    if not content.single and count:
        parts = [vertices[rows] for rows in chunks(0, count)]
        origin = 0.5 * (np.min([part.min(0) for part in parts], 0) + np.max([part.max(0) for part in parts], 0))
    buffers = _Buffers()
    mode = POINTS
    primitive: dict[str, Any] = {}
    if content.faces is not None:
        faces = content.faces
        flat = 3 * len(faces), ("<u4", lambda first, last: faces.reshape(-1)[first:last, None], 1)
        mode, primitive = TRIANGLES, {"indices": buffers.add(*flat, INDICES)}
    position: Column = ("<f4", lambda first, last: vertices[first:last] - origin, 3)
    attributes = {"POSITION": buffers.add(count, position, VERTICES, bounds=True)}
    if content.colours is not None:
        colours = content.colours
        tinted: Column = ("u1", lambda first, last: np.insert(colours[first:last], 3, OPAQUE, axis=1), 4)
        attributes["COLOR_0"] = buffers.add(count, tinted, VERTICES, normalized=True)
    if content.normals is not None:
        attributes["NORMAL"] = buffers.add(count, array("<f4", content.normals), VERTICES)
    for key, values in content.scalars.items():
        attributes[f"_{key.upper()}"] = buffers.add(count, array("<f4", values[:, None]), VERTICES)
    primitive |= {"attributes": attributes, "mode": mode}
    described = {
        "asset": {"version": "2.0", "generator": "neural-splines"},
        "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"name": "mesh", "mesh": 0, "translation": origin.tolist()}],
        "meshes": [{"name": "mesh", "primitives": [primitive]}],
        "accessors": buffers.accessors, "bufferViews": buffers.views, "buffers": [{"byteLength": buffers.size}],
    }  # fmt: skip
    text = json.dumps(described).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + buffers.size
    if total > mesh_content.LARGEST_UINT:
        refuse_size(name, f"{total} bytes, and GLB counts {mesh_content.LARGEST_UINT}")
    yield b"glTF" + struct.pack("<II", 2, total) + struct.pack("<I4s", len(text), b"JSON") + text
    yield struct.pack("<I4s", buffers.size, b"BIN\0")
    for rows, column in buffers.columns:
        yield from table(rows, [column])


@dataclass
class _Buffers:
    """The arrays of a glTF file, one behind the other in one buffer, and what it says of them."""

    columns: list[tuple[int, Column]] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0

    def add(self, rows: int, column: Column, target: int, bounds: bool = False, normalized: bool = False) -> int:
        """The number of the accessor of a column, whose rows have a multiple of 4 bytes each."""
        type_, values, width = column
        length = rows * width * np.dtype(type_).itemsize
        self.views.append({"buffer": 0, "byteOffset": self.size, "byteLength": length, "target": target})
        accessor: dict[str, Any] = {"bufferView": len(self.views) - 1, "componentType": GLTF[type_]}
        accessor |= {"count": rows, "type": KINDS[width]} | ({"normalized": True} if normalized else {})
        if bounds and rows:
            parts = [values(part.start, part.stop).astype(type_) for part in chunks(0, rows)]
            accessor["min"] = np.min([part.min(0) for part in parts], 0).tolist()
            accessor["max"] = np.max([part.max(0) for part in parts], 0).tolist()
        self.accessors.append(accessor)
        self.columns.append((rows, column))
        self.size += length
        return len(self.accessors) - 1
