"""3D Tiles 1.1 (OGC 22-025r4): a folder of tileset.json and of tiles as GLB, of which a viewer loads what it shows.

z is up in a tileset and y in glTF, from which viewers turn: tiles are written turned back. All vertices lie on one
lattice, whose step is a power of two, so that two tiles have the same place for a vertex of both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import OutputError
from ..runtime import interrupts
from .atomic import STANDARD, shown
from .gltf import GENERATOR, INDICES, KINDS, OPAQUE, TRIANGLES, TYPES, VERTICES, Buffers, packed
from .mesh_content import array

NAME, TILES, PAGE = "tileset.json", "tiles", "index.html"
SHORT = 32767  # steps from the middle of a tile that 16 bits count; float32 is exact up to 2^24
LAST_INDEX = 65534  # of 16 bits; the next one has a meaning of its own
QUANTIZED = "KHR_mesh_quantization"
TURN = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])  # z to y


@dataclass(frozen=True)
class TileFile:
    """A tile that was written: its box lower, upper [3], its bytes, and how far writing moved a vertex at most."""

    lower: np.ndarray
    upper: np.ndarray
    size: int
    moved: float


def write_tile(
    path: str,
    vertices: np.ndarray,
    faces: np.ndarray,
    normals: np.ndarray,
    light: np.ndarray | None,
    step: float,
    closed: bool,
    draco: bool = False,
) -> TileFile:
    """A GLB file of vertices [v, 3], faces [f, 3], normals [v, 3] and where there are colours light [v, 3] in 0..65535.

    Vertices are numbers of steps from the middle of the tile, which the matrix of the node has in double: 16 bits each,
    or float32 where a tile is more steps wide. closed: the mesh has no side that should not be seen. draco: compress
    all of it, with the same places, if Draco can.
    """
    steps = np.rint(vertices / step).astype(np.int64)
    lower, upper = steps.min(0), steps.max(0)
    middle = (lower + upper) // 2
    local = steps - middle
    found = _compressed(local, faces, normals, light) if draco else None
    buffers, primitive, extensions = found or _plain(local, faces, normals, light)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = step * TURN, TURN @ (step * middle)
    material = {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0}}
    described = {
        "asset": {"version": "2.0", "generator": GENERATOR},
        "extensionsUsed": extensions,
        "extensionsRequired": extensions,
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "matrix": (matrix.T.reshape(-1) + 0.0).tolist()}],
        "meshes": [{"primitives": [primitive | {"mode": TRIANGLES, "material": 0}]}],
        "materials": [material | ({} if closed else {"doubleSided": True})],
    }
    with interrupts.undivided:
        stream = open(path, "xb")
    with stream:
        for part in packed(described, buffers, shown(path)):
            stream.write(part)
    moved = float(np.linalg.norm(step * steps - vertices, axis=1).max())
    return TileFile(step * lower, step * upper, os.path.getsize(path), moved)


def _plain(
    local: np.ndarray, faces: np.ndarray, normals: np.ndarray, light: np.ndarray | None
) -> tuple[Buffers, dict[str, Any], list[str]]:
    """Arrays of steps [v, 3], faces, normals and colours, how a primitive has them, and the extensions that takes."""
    count, buffers = len(local), Buffers()
    index = "<u2" if count - 1 <= LAST_INDEX else "<u4"
    primitive: dict[str, Any] = {"indices": buffers.add(3 * len(faces), array(index, faces.reshape(-1, 1)), INDICES)}
    small = bool(np.abs(local).max() <= SHORT)
    if small:
        place = buffers.add(count, array("<i2", _filled(local, 0)), VERTICES, bounds=True, used=3)
    else:
        place = buffers.add(count, array("<f4", local), VERTICES, bounds=True)
    turned = np.rint(127.0 * normals)
    attributes = {"POSITION": place}
    attributes["NORMAL"] = buffers.add(count, array("i1", _filled(turned, 0)), VERTICES, normalized=True, used=3)
    if light is not None:
        tint = array("<u2", _filled(np.rint(light), OPAQUE))
        attributes["COLOR_0"] = buffers.add(count, tint, VERTICES, normalized=True)
    return buffers, primitive | {"attributes": attributes}, [QUANTIZED]


def _compressed(
    local: np.ndarray, faces: np.ndarray, normals: np.ndarray, light: np.ndarray | None
) -> tuple[Buffers, dict[str, Any], list[str]] | None:
    """The same of what Draco makes of them: float32, and colours of 16 bits. None where it cannot."""
    from .tileset_draco import EXTENSION, compressed

    found, buffers = compressed(local, faces, normals, light), Buffers()
    if found is None:
        return None
    buffers.accessors.append({"componentType": TYPES["<u4"], "count": 3 * len(faces), "type": KINDS[1]})
    for attribute in found.attributes:
        type_ = "<u2" if attribute == "COLOR_0" else "<f4"
        accessor = {"componentType": TYPES[type_], "count": found.vertices, "type": KINDS[3]}
        bounds = {"min": local.min(0).tolist(), "max": local.max(0).tolist()} if attribute == "POSITION" else {}
        buffers.accessors.append(accessor | bounds | ({"normalized": True} if type_ == "<u2" else {}))
    places = {attribute: 1 + k for k, attribute in enumerate(found.attributes)}
    extension = {"bufferView": buffers.add_bytes(found.data), "attributes": found.attributes}
    return buffers, {"indices": 0, "attributes": places, "extensions": {EXTENSION: extension}}, [EXTENSION]


def _filled(columns: np.ndarray, value: int) -> np.ndarray:
    """Three columns and one more of this value."""
    return np.insert(columns, 3, value, axis=1)


def described(
    name: str, lower: np.ndarray, upper: np.ndarray, error: float, children: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """A tile as tileset.json has it: its box has the boxes below it, and its file the name."""
    middle, half = 0.5 * (lower + upper), np.diag(0.5 * (upper - lower))
    tile: dict[str, Any] = {
        "boundingVolume": {"box": [*middle.tolist(), *half.reshape(-1).tolist()]},
        "geometricError": error,
        "refine": "REPLACE",
        "content": {"uri": f"{TILES}/{name}"},
    }
    return tile | ({"children": list(children)} if children else {})


def write_tileset(folder: str, root: dict[str, Any], matrix: np.ndarray) -> None:
    """tileset.json over a root tile; matrix [4, 4] brings its coordinates to those of the world."""
    corner = np.reshape(root["boundingVolume"]["box"][3:], (3, 3)).sum(0)
    tileset = {
        "asset": {"version": "1.1", "extras": {"generator": GENERATOR}},
        "geometricError": max(2.0 * float(np.linalg.norm(corner)), root["geometricError"]),  # where nothing is shown
        "root": {"transform": (matrix.T.reshape(-1) + 0.0).tolist()} | root,
    }
    with interrupts.undivided:
        stream = open(os.path.join(folder, NAME), "xb")
    with stream:
        stream.write(json.dumps(tileset, indent=1).encode())


def folder_of(path: str) -> str:
    """The folder of a tileset that is to be written; OutputError where there can be none, or it holds other files."""
    folder, name = os.path.split(path)
    if path == STANDARD or name != NAME or not folder or os.path.abspath(folder) == os.path.abspath("."):
        raise OutputError(f"{shown(path)}: a tileset is a folder; give the name of a new one, as scene/{NAME}")
    above = os.path.dirname(os.path.abspath(folder))
    if not os.path.isdir(above):
        raise OutputError(f"{shown(path)}: there is no folder {shown(above)}; create it first")
    if not os.access(above, os.W_OK | os.X_OK):
        raise OutputError(f"{shown(path)}: no permission to write there; choose another place")
    if os.path.lexists(folder) and not _replaceable(folder):
        raise OutputError(
            f"{shown(folder)}: is there, and is no tileset of this program; give the name of a new folder"
        )
    return folder


def _replaceable(folder: str) -> bool:
    """Whether a folder is empty, or has a tileset of this program and nothing else."""
    if os.path.islink(folder) or not os.path.isdir(folder):
        return False
    names = set(os.listdir(folder))
    if not names:
        return True
    try:
        with open(os.path.join(folder, NAME), encoding="utf-8") as file:
            ours = json.load(file)["asset"]["extras"]["generator"] == GENERATOR
        return (
            ours and names <= {NAME, TILES, PAGE} and all(n.endswith(".glb") for n in os.listdir(f"{folder}/{TILES}"))
        )
    except (OSError, ValueError, TypeError, LookupError):
        return False
