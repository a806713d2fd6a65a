"""Triangle meshes from binary glTF 2.0: all that its scene has, each where its nodes put it."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import CloudError, first_line
from ..ranges import UPS, Axis
from .gltf import GENERATOR, KINDS, OPAQUE, TRIANGLES, TYPES, linear
from .ply import TRUNCATED

DTYPES = {number: type_ for type_, number in TYPES.items()} | {5121: "u1"}
WIDTHS = {kind: width for width, kind in KINDS.items()}
MOST = {"i1": 127.0, "u1": 255.0, "<i2": 32767.0, "<u2": 65535.0}  # what counts as 1 where numbers are normalized
STRIP, FAN = 5, 6
# What may be required of a reader of shapes: the others change where vertices are, or how they are stored.
HARMLESS = ("KHR_mesh_quantization", "KHR_materials_", "KHR_texture_transform", "EXT_texture_", "KHR_texture_basisu")


@dataclass
class _Part:
    """What one primitive adds: where its vertices are, triangles of them, and their numbers by name."""

    vertices: np.ndarray
    faces: np.ndarray
    colours: np.ndarray | None
    scalars: dict[str, np.ndarray] = field(default_factory=dict)


def read_glb(data: bytes, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], Axis]:
    """Vertices [v, 3] float64, faces [f, 3], those of the named numbers [v] that vertices have, and the axis that is
    up.

    Coordinates are those of the scene, where y is up; of a file of this program those of the mesh before it was turned
    to that. red, green and blue are sRGB in 0..255; white where only other parts of the scene have colours. CloudError
    for what is no such file, and for compressed meshes.
    """
    try:
        said, arrays = _opened(data)
        parts, up = _scene(said, arrays, names)
    except (KeyError, IndexError, TypeError, ValueError, struct.error, RecursionError) as error:
        raise CloudError(f"is no whole GLB file ({first_line(error)}); {TRUNCATED}") from None
    if not parts:
        return np.empty((0, 3)), np.empty((0, 3), np.int64), {}, up
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=False)])
    numbers: dict[str, np.ndarray] = {}
    if any(part.colours is not None for part in parts):
        white = [np.full((len(p.vertices), 3), 255, np.uint8) if p.colours is None else p.colours for p in parts]
        colours = np.concatenate(white)
        numbers = {name: colours[:, k] for k, name in enumerate(("red", "green", "blue")) if name in names}
    for name in names:
        if all(name in part.scalars for part in parts):
            numbers[name] = np.concatenate([part.scalars[name] for part in parts])
    return np.concatenate([part.vertices for part in parts]), faces, numbers, up


def _opened(data: bytes) -> tuple[dict[str, Any], bytes]:
    """What a file says, and the bytes of its arrays."""
    magic, version, _ = struct.unpack_from("<4sII", data)
    if magic != b"glTF":
        raise CloudError("does not begin as a GLB file; export it again, as binary glTF (.glb)")
    if version != 2:
        raise CloudError(f"is glTF {version}; export it as glTF 2.0")
    chunks: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(data):
        length, kind = struct.unpack_from("<I4s", data, at)
        if at + 8 + length > len(data):
            raise ValueError("its parts are longer than the file")
        chunks.setdefault(kind, data[at + 8 : at + 8 + length])
        at += 8 + length + -length % 4
    said = json.loads(chunks[b"JSON"])
    for name in said.get("extensionsRequired", []):
        if not name.startswith(HARMLESS):
            raise CloudError(f"needs {name[:60]}, which is not read; export it without compression")
    return said, chunks.get(b"BIN\0", b"")


def _scene(said: dict[str, Any], arrays: bytes, names: Sequence[str]) -> tuple[list[_Part], Axis]:
    nodes = said.get("nodes", [])
    scenes = said.get("scenes", [])
    top = scenes[said.get("scene", 0)].get("nodes", []) if scenes else range(len(nodes))
    placed = list(_placed(nodes, top, np.eye(4), set()))
    up = UPS["y"]
    if said["asset"].get("generator") == GENERATOR and len(placed) == 1:
        up, placed[0][1][:] = _unturned(placed[0][1])
    meshes, parts = said.get("meshes", []), []
    for node, matrix in placed:
        for primitive in meshes[node["mesh"]]["primitives"]:
            if primitive.get("mode", TRIANGLES) in (TRIANGLES, STRIP, FAN):
                parts.append(_part(said, arrays, primitive, matrix, names))
    return parts, up


def _placed(
    nodes: list[dict[str, Any]], rows: Sequence[int], above: np.ndarray, seen: set[int]
) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """The nodes that have a mesh, and their matrices. seen: those before; each has its place once, as in a tree."""
    for row in rows:
        if row in seen:
            raise ValueError("nodes contain each other")
        seen.add(row)
        node = nodes[row]
        matrix = above @ _matrix(node)
        if "mesh" in node:
            yield node, matrix
        yield from _placed(nodes, node.get("children", []), matrix, seen)


def _matrix(node: dict[str, Any]) -> np.ndarray:
    """Of a node: its matrix, or translation times rotation (a unit quaternion x, y, z, w) times scale."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    x, y, z, w = (float(value) for value in node.get("rotation", (0.0, 0.0, 0.0, 1.0)))
    turn = np.array([
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    ])  # fmt: skip
    matrix = np.eye(4)
    matrix[:3, :3] = turn * np.array(node.get("scale", (1.0, 1.0, 1.0)), np.float64)
    matrix[:3, 3] = node.get("translation", (0.0, 0.0, 0.0))
    return matrix


def _unturned(matrix: np.ndarray) -> tuple[Axis, np.ndarray]:
    """The axis that gltf.py turned to y, and the matrix without that; of another matrix y, and itself."""
    turn = matrix[:3, :3]
    whole = np.isin(turn, (-1.0, 0.0, 1.0)).all() and np.array_equal(turn @ turn.T, np.eye(3))
    if not whole or np.linalg.det(turn) < 0.0:
        return UPS["y"], matrix
    back = np.eye(4)
    back[:3, 3] = turn.T @ matrix[:3, 3]
    x, y, z = (turn[1] + 0.0).tolist()
    return (x, y, z), back


def _part(
    said: dict[str, Any], arrays: bytes, primitive: dict[str, Any], matrix: np.ndarray, names: Sequence[str]
) -> _Part:
    attributes = primitive["attributes"]
    local = _values(said, arrays, attributes["POSITION"], 3)
    count = len(local)
    if "indices" in primitive:
        corners = _values(said, arrays, primitive["indices"], 1)[:, 0].astype(np.int64)
    else:
        corners = np.arange(count)
    if len(corners) and (corners.min() < 0 or corners.max() >= count):
        raise CloudError(f"faces refer to vertices that are not there; {TRUNCATED}")
    faces = _triangles(corners, primitive.get("mode", TRIANGLES))
    if np.linalg.det(matrix[:3, :3]) < 0.0:
        faces = faces[:, ::-1]
    colours = None
    if "COLOR_0" in attributes and "red" in names:
        light = _values(said, arrays, attributes["COLOR_0"], None)[:, :3]
        colours = _shown(np.clip(np.nan_to_num(light), 0.0, 1.0))
    keys = {name: f"_{name.upper()}" for name in names}
    scalars = {n: _values(said, arrays, attributes[key], 1)[:, 0] for n, key in keys.items() if key in attributes}
    if any(len(values) != count for values in (*scalars.values(), *([] if colours is None else [colours]))):
        raise ValueError("attributes of different lengths")
    return _Part(local @ matrix[:3, :3].T + matrix[:3, 3], faces, colours, scalars)


def _triangles(corners: np.ndarray, mode: int) -> np.ndarray:
    """Of a list, a strip whose every other triangle is turned, or a fan."""
    if mode == TRIANGLES:
        return corners.reshape(-1, 3)
    rows = np.arange(max(len(corners) - 2, 0))
    if mode == FAN:
        return np.stack([corners[rows + 1], corners[rows + 2], np.full(len(rows), corners[:1].sum())], 1)
    odd = rows % 2
    return np.stack([corners[rows], corners[rows + 1 + odd], corners[rows + 2 - odd]], 1)


def _shown(light: np.ndarray) -> np.ndarray:
    """The values of sRGB, 0..255, nearest to light in 0..1."""
    steps = linear().astype(np.float64)
    return np.searchsorted(0.5 * (steps[1:] + steps[:-1]), OPAQUE * light).astype(np.uint8)


def _values(said: dict[str, Any], arrays: bytes, number: int, width: int | None) -> np.ndarray:
    """An accessor as numbers [n, width] in double; width: what it must have."""
    accessor = said["accessors"][number]
    if "sparse" in accessor or "bufferView" not in accessor:
        raise CloudError("has sparse arrays, which are not read; export it without")
    view = said["bufferViews"][accessor["bufferView"]]
    if "uri" in said["buffers"][view["buffer"]]:
        raise CloudError("keeps its arrays in another file; export it as one GLB file")
    type_, count, columns = DTYPES[accessor["componentType"]], accessor["count"], WIDTHS[accessor["type"]]
    if width not in (None, columns) or count < 0 or view["buffer"] != 0:
        raise ValueError(f"accessor {number} is not what it should be")
    size = np.dtype(type_).itemsize
    stride = view.get("byteStride") or columns * size
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    if min(start, stride - columns * size) < 0 or (
        count and start + (count - 1) * stride + columns * size > len(arrays)
    ):
        raise ValueError(f"accessor {number} is longer than the file")
    found = np.ndarray((count, columns), type_, arrays, start, (stride, size)) if count else np.empty((0, columns))
    values = found.astype(np.float64)
    return np.maximum(values / MOST[type_], -1.0) if accessor.get("normalized") else values
