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
    type_, most = {5126: ("<f4", 1.0), 5123: ("<u2", 65535.0)}[accessor["componentType"]]
    assert bool(accessor.get("normalized")) == (most > 1.0)
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
    assert view["target"] == 34962
    found = np.frombuffer(data, type_, accessor["count"] * width, view["byteOffset"])
    return found.reshape(-1, width).astype(np.float64) / most


def shown(light):
    """The value of sRGB in 0..255 that a screen shows for light in 0..1."""
    return 255.0 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def placed(path):
    """The vertices where a reader that multiplies by the node's matrix puts them."""
    (node,) = parsed(path)[0]["nodes"]
    matrix = np.reshape(node.get("matrix", np.eye(4)), (4, 4)).T
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1.0)  # it turns, and mirrors nothing
    return values(path, "POSITION") @ matrix[:3, :3].T + matrix[:3, 3]
