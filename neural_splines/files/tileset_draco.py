"""The mesh of a tile compressed by Draco, as KHR_draco_mesh_compression has it; by DracoPy, an extra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import BackendError, first_line, require

EXTENSION, NEEDED = "KHR_draco_mesh_compression", "--compress draco needs the package DracoPy; pip install DracoPy"
LEVEL = 7  # of 10, beyond which files hardly shrink
NORMAL_BITS = 8  # of each of two numbers, as fine as the bytes of a tile that is not compressed
HASH = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], np.uint64)  # odd, of splitmix64
POSITION, NORMAL, GENERIC, COLOUR = 0, 1, 4, 5  # kinds of attributes in Draco's files, and the number that colours have


@dataclass(frozen=True)
class Compressed:
    """The bytes, how many vertices they are decoded to, and the numbers of the attributes by their names in glTF.

    Draco has its own order of vertices and faces, and a vertex several times where not one fan of faces is around it.
    """

    data: bytes
    vertices: int
    attributes: dict[str, int]


def check_draco() -> None:
    """BackendError where DracoPy is not installed."""
    require("DracoPy", NEEDED)


def compressed(
    steps: np.ndarray, faces: np.ndarray, normals: np.ndarray, light: np.ndarray | None
) -> Compressed | None:
    """Of whole numbers [v, 3], which are decoded to the same ones as float32; faces [f, 3], unit normals [v, 3], and
    colours [v, 3] in 0..65535, exactly.

    Draco rounds places to a lattice. Here that is the one they lie on, with a step of 1. What it made is decoded again;
    None where that is not what it was given, as it is of very wide meshes.
    """
    draco = _draco()
    lower, extent = steps.min(0), int(np.ptp(steps, axis=0).max())
    bits = max(1, extent.bit_length())
    more = {} if light is None else {"generic_attributes": {COLOUR: np.rint(light).astype(np.uint16)}}
    for in_order in (False, True):  # its better way refuses, or changes, some meshes
        try:
            data = draco.encode(
                steps.astype(np.float64), faces.astype(np.uint32), quantization_bits=bits, compression_level=LEVEL,
                quantization_range=float(2**bits - 1), quantization_origin=lower.astype(np.float64),
                preserve_order=in_order, normals=normals.astype(np.float64), normal_quantization_bits=NORMAL_BITS,
                **more,
            )  # fmt: skip
        except draco.EncodingFailedException:
            continue
        found = draco.decode(data)
        if len(found.faces) == len(faces) and np.array_equal(_sorted(found.points), _sorted(steps)):
            ids = {kind: item["unique_id"] for item in found.attributes if (kind := _kind(item)) is not None}
            return Compressed(data, len(found.points), ids)
    return None


def _sorted(points: Any) -> np.ndarray:
    """A number [n] of 64 bits for each place there is, by which two of 2^32 or so are confused."""
    return np.unique(np.asarray(points, np.float64).astype(np.int64).view(np.uint64) @ HASH)


def _kind(item: dict[str, Any]) -> str | None:
    return {POSITION: "POSITION", NORMAL: "NORMAL", GENERIC: "COLOR_0"}.get(item["attribute_type"])


def _draco() -> Any:
    try:
        import DracoPy
    except ImportError as error:
        raise BackendError(f"{NEEDED} ({first_line(error)})") from None
    return DracoPy
