"""OpenMVS scenes as bytes, in the order that the format has them in."""

from __future__ import annotations

import struct

import numpy as np

NONE = 2**32 - 1


def several(items) -> bytes:
    return struct.pack("<Q", len(items)) + b"".join(items)


def text(name: str) -> bytes:
    data = name.encode()
    return struct.pack("<Q", len(data)) + data


def doubles(*arrays) -> bytes:
    return b"".join(np.asarray(array, "<f8").tobytes() for array in arrays)


def scene(points, tracks, poses, version=7, colours=None, normals=None, mounts=None, lost=()):
    """tracks: the images that saw each point. poses: (R, centre) of each image, R (X - centre).

    mounts: (R, place) of two cameras on one platform; image k is taken by camera k % 2. lost: images without a pose.
    """
    mounts = mounts or [(np.eye(3), np.zeros(3))] * 2
    cameras = [
        text(f"camera {k}") + (text("RGB") if version > 3 else b"") + struct.pack("<2I", 640, 480)
        + doubles(np.diag([500.0, 500, 1]), turn, place) for k, (turn, place) in enumerate(mounts)
    ]  # fmt: skip
    placed = []
    for k, (turn, centre) in enumerate(poses):
        on, place = mounts[k % 2]
        platform = np.linalg.inv(on) @ turn  # turn = on @ platform
        placed.append(doubles(platform, centre - platform.T @ place))
    platforms = [text("platform") + several(cameras) + several(placed)]
    images = []
    for k in range(len(poses)):
        image = text(f"photo {k}.jpg") + (text("") if version > 4 else b"")
        image += struct.pack("<3I", 0, k % 2, NONE if k in lost else k)
        image += struct.pack("<I", 90 + k) if version > 2 else b""
        image += struct.pack("<3f", 1, 2, 3) + several([struct.pack("<2I4f", 0, 9, 1, 1, 1, 1)]) if version > 6 else b""
        images.append(image)
    vertices = [
        np.asarray(point, "<f4").tobytes() + several([struct.pack("<If", image, 0.5 + image) for image in track])
        for point, track in zip(points, tracks, strict=True)
    ]
    rows = [np.asarray(row, "<f4").tobytes() for row in ([] if normals is None else normals)]
    tints = [bytes(map(int, row[::-1])) for row in ([] if colours is None else colours)]
    parts = [several(part) for part in (platforms, images, vertices, rows, tints)]
    parts += [several([np.zeros(6, "<f4").tobytes() + several([struct.pack("<If", 0, 1)])]), several([]), several([])]
    parts += [doubles(np.eye(4))] if version > 1 else []
    parts += [doubles(np.eye(3), np.zeros(6))] if version > 5 else []
    return b"MVSI" + struct.pack("<2I", version, 0) + b"".join(parts)
