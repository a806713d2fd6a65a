"""Triangle meshes to binary glTF 2.0, as its readers take them: linear colours, a material, y upwards.

Our own, because trimesh (5.2) holds a mesh and its file in memory several times, where a mesh in parts is larger than
that. tests/files/test_gltf.py reads what is written with trimesh, and with the specification's words.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import mesh_content
from .mesh_content import Column, Content, Part, TextureMap, array, chunks, refuse_size, table

TYPES = {"i1": 5120, "<i2": 5122, "<u2": 5123, "<u4": 5125, "<f4": 5126}  # its numbers of types
VERTICES, INDICES = 34962, 34963  # and of what a buffer is for
POINTS, TRIANGLES = 0, 4
KINDS = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}
LINEAR, MIPMAP, CLAMP = 9729, 9987, 33071  # how a picture is read between texels, from afar and across its border
OPAQUE = 65535
GENERATOR = "neural-splines"
Y, X, Z = (0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def linear() -> np.ndarray:
    """The light [256] in 0..65535 of the values of sRGB: 8 bits would not tell dark ones apart."""
    value = np.arange(256) / 255.0
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.round(OPAQUE * light).astype(np.uint16)


def write_glb(content: Content, name: str) -> Iterator[Part]:
    """Binary glTF: float32, around the centre of the mesh where they need it, in a node with a matrix in double that
    puts them at their place, and turns them where `content.up` is not y.

    Scalars are the attributes `_NAME`. Faces without a back, of an open mesh, are shown from both sides. A texture
    takes the place of colours, by which readers would multiply it; it is sRGB, as they take it. A map of normals comes
    with the tangents that it was made for.
    """
    content = content.by_corners()
    vertices, count, origin = content.vertices, len(content.vertices), np.zeros(3)
    if not content.single and count:
        parts = [vertices[rows] for rows in chunks(0, count)]
        origin = 0.5 * (np.min([part.min(0) for part in parts], 0) + np.max([part.max(0) for part in parts], 0))
    buffers = Buffers()
    mode = POINTS
    primitive: dict[str, Any] = {}
    if content.faces is not None:
        faces = content.faces
        flat = 3 * len(faces), ("<u4", lambda first, last: faces.reshape(-1)[first:last, None], 1)
        mode, primitive = TRIANGLES, {"indices": buffers.add(*flat, INDICES)}
    position: Column = ("<f4", lambda first, last: vertices[first:last] - origin, 3)
    attributes = {"POSITION": buffers.add(count, position, VERTICES, bounds=True)}
    if content.texture is not None:
        attributes["TEXCOORD_0"] = buffers.add(count, array("<f4", content.texture.uv), VERTICES)
    elif content.colours is not None:
        colours, light = content.colours, linear()
        tinted: Column = ("<u2", lambda first, last: np.insert(light[colours[first:last]], 3, OPAQUE, axis=1), 4)
        attributes["COLOR_0"] = buffers.add(count, tinted, VERTICES, normalized=True)
    if content.normals is not None:
        attributes["NORMAL"] = buffers.add(count, array("<f4", content.normals), VERTICES)
    if content.texture is not None and content.texture.tangents is not None:
        attributes["TANGENT"] = buffers.add(count, array("<f4", content.texture.tangents), VERTICES)
    for key, values in content.scalars.items():
        attributes[f"_{key.upper()}"] = buffers.add(count, array("<f4", values[:, None]), VERTICES)
    primitive |= {"attributes": attributes, "mode": mode, "material": 0}
    surface: dict[str, Any] = {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0}}
    pictures = {} if content.texture is None else _pictures(content.texture, surface, buffers)
    described = {
        "asset": {"version": "2.0", "generator": GENERATOR},
        "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"name": "mesh", "mesh": 0} | _placed(content.up, origin)],
        "meshes": [{"name": "mesh", "primitives": [primitive]}],
        "materials": [{"name": "surface"} | surface | ({} if content.closed else {"doubleSided": True})],
    } | pictures  # fmt: skip
    yield from packed(described, buffers, name)


def packed(described: dict[str, Any], buffers: Buffers, name: str) -> Iterator[Part]:
    """The bytes of a GLB file: what it says, without its arrays, and these."""
    described |= {
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


def _pictures(texture: TextureMap, surface: dict[str, Any], buffers: Buffers) -> dict[str, Any]:
    """The pictures of a texture, which a material then refers to."""
    images: list[dict[str, Any]] = []
    for name, png in (("colours", texture.png), ("normals", texture.normals)):
        if png is not None:
            place = surface["pbrMetallicRoughness"] if name == "colours" else surface
            place["baseColorTexture" if name == "colours" else "normalTexture"] = {"index": len(images)}
            images.append({"name": name, "bufferView": buffers.add_bytes(png), "mimeType": "image/png"})
    return {
        "textures": [{"source": k, "sampler": 0} for k in range(len(images))],
        "images": images,
        "samplers": [{"magFilter": LINEAR, "minFilter": MIPMAP, "wrapS": CLAMP, "wrapT": CLAMP}],
    }


def _placed(up: tuple[float, float, float], origin: np.ndarray) -> dict[str, list[float]]:
    """The matrix of a node, column by column, that moves 0 to `origin` and then turns `up`, one of the axes or against
    one, to y; nothing where it would do nothing.
    """
    if abs(up[0]) == 1.0:
        turn = np.stack([np.cross(up, Z), up, Z])
    else:
        turn = np.stack([X, up, np.cross(X, up)])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, turn @ origin
    return {} if (matrix == np.eye(4)).all() else {"matrix": (matrix.T.reshape(-1) + 0.0).tolist()}


@dataclass
class Buffers:
    """The arrays of a glTF file, one behind the other in one buffer, and what it says of them."""

    columns: list[tuple[int, Column]] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0

    def add(
        self, rows: int, column: Column, target: int, bounds: bool = False, normalized: bool = False, used: int = 0
    ) -> int:
        """The number of the accessor of a column. used: how many numbers of a row count, where the others fill it up
        to a multiple of 4 bytes, which rows of vertices have.
        """
        type_, values, width = column
        length = rows * width * np.dtype(type_).itemsize
        stride = {"byteStride": width * np.dtype(type_).itemsize} if used else {}
        self.views.append({"buffer": 0, "byteOffset": self.size, "byteLength": length, "target": target} | stride)
        accessor: dict[str, Any] = {"bufferView": len(self.views) - 1, "componentType": TYPES[type_]}
        accessor |= {"count": rows, "type": KINDS[used or width]} | ({"normalized": True} if normalized else {})
        if bounds and rows:
            parts = [values(part.start, part.stop)[:, : used or width].astype(type_) for part in chunks(0, rows)]
            accessor["min"] = np.min([part.min(0) for part in parts], 0).tolist()
            accessor["max"] = np.max([part.max(0) for part in parts], 0).tolist()
        self.accessors.append(accessor)
        self.columns.append((rows, column))
        self.size += length
        if length % 4:
            self._append(bytes(-length % 4))
        return len(self.accessors) - 1

    def add_bytes(self, data: bytes) -> int:
        """The number of the view of bytes that are no numbers, such as a file."""
        self.views.append({"buffer": 0, "byteOffset": self.size, "byteLength": len(data)})
        self._append(data + bytes(-len(data) % 4))
        return len(self.views) - 1

    def _append(self, data: bytes) -> None:
        self.columns.append((len(data), array("u1", np.frombuffer(data, np.uint8)[:, None])))
        self.size += len(data)
