"""GLB files as the specification says that they are read."""

import json
import struct

import numpy as np
import pytest


def parsed(path):
    """What the file says, and the bytes of its arrays, after a look at its lengths."""
    data = path.read_bytes()
    magic, version, total, length, kind = struct.unpack_from("<4sIII4s", data)
    assert (magic, version, total, kind) == (b"glTF", 2, len(data), b"JSON")
    said = json.loads(data[20 : 20 + length])
    size, kind = struct.unpack_from("<I4s", data, 20 + length)
    assert kind == b"BIN\0"
    assert size == said["buffers"][0]["byteLength"] == total - 28 - length
    return said, data[28 + length :]


def values(path, name):
    """An attribute of the vertices, as the specification decodes it."""
    said, data = parsed(path)
    (primitive,) = said["meshes"][0]["primitives"]
    accessor = said["accessors"][primitive["attributes"][name]]
    view = said["bufferViews"][accessor["bufferView"]]
    types = {5126: ("<f4", 1.0), 5123: ("<u2", 65535.0), 5122: ("<i2", 1.0), 5120: ("i1", 127.0)}
    type_, most = types[accessor["componentType"]]
    assert bool(accessor.get("normalized")) == (most > 1.0)
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
    assert view["target"] == 34962
    stride = view.get("byteStride", width * np.dtype(type_).itemsize) // np.dtype(type_).itemsize
    assert stride * np.dtype(type_).itemsize % 4 == 0
    found = np.frombuffer(data, type_, accessor["count"] * stride, view["byteOffset"])
    return found.reshape(-1, stride)[:, :width].astype(np.float64) / most


def triangles(path):
    """The faces."""
    said, data = parsed(path)
    accessor = said["accessors"][said["meshes"][0]["primitives"][0]["indices"]]
    view = said["bufferViews"][accessor["bufferView"]]
    type_ = {5123: "<u2", 5125: "<u4"}[accessor["componentType"]]
    return np.frombuffer(data, type_, accessor["count"], view["byteOffset"]).astype(np.int64).reshape(-1, 3)


def shown(light):
    """The value of sRGB in 0..255 that a screen shows for light in 0..1."""
    return 255.0 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def placed(path):
    """The vertices where a reader that multiplies by the node's matrix puts them."""
    (node,) = parsed(path)[0]["nodes"]
    matrix = np.reshape(node.get("matrix", np.eye(4)), (4, 4)).T
    assert np.linalg.det(matrix[:3, :3] / np.linalg.norm(matrix[:3, 0])) == pytest.approx(1.0)  # it mirrors nothing
    return values(path, "POSITION") @ matrix[:3, :3].T + matrix[:3, 3]
