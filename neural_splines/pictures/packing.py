"""Meshes and points in few bytes of text, for a page: quantised, as differences, in planes of bytes, deflated.

What viewer/unpack.js unpacks. Vertices are 16 bits a coordinate, 1.5e-5 of the longest side; faces keep every bit.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass

import numpy as np

STEPS = 65535  # of a coordinate


@dataclass(frozen=True)
class Frame:
    """The box that coordinates are quantised in: origin [3] and the length of a step."""

    origin: np.ndarray
    step: float

    @classmethod
    def around(cls, *parts: np.ndarray) -> Frame:
        low, high = (np.min([p.min(0) for p in parts], 0), np.max([p.max(0) for p in parts], 0))
        return cls(low, max(float((high - low).max()), 1e-300) / STEPS)

    def positions(self, points: np.ndarray) -> str:
        """Points [n, 3], packed."""
        return pack(np.round((points - self.origin) / self.step).astype(np.int64), 2)


def pack(values: np.ndarray, size: int) -> str:
    """Whole numbers [n, columns] of `size` bytes as text: differences from the row before, column after column.

    Differences wrap; negative ones are folded between the others (0, -1, 1, -2, ... -> 0, 1, 2, 3), so that the upper
    bytes are nearly always 0; each byte is a plane of its own.
    """
    bits = 8 * size
    columns = np.ascontiguousarray(values.T).astype(np.int64)
    difference = np.diff(columns, axis=1, prepend=0).reshape(-1)
    difference = (difference + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
    folded = np.where(difference < 0, -2 * difference - 1, 2 * difference)
    planes = b"".join((folded >> 8 * k & 255).astype(np.uint8).tobytes() for k in range(size))
    return base64.b64encode(zlib.compress(planes, 6)).decode()
