"""A finished mesh as 3D Tiles: the pyramid of its tiles, written level by level from the finest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from ..errors import OutOfMemoryBudgetError, warn
from ..files.atomic import atomic_folder, shown
from ..files.gltf import linear
from ..files.mesh_content import Content
from ..files.tileset import TILES, TileFile, described, write_tile, write_tileset
from ..files.tileset_page import write_page
from ..pictures.tiles_page import TilesPage
from ..runtime import memory
from ..runtime.budget import TILED_BLOCK_BYTES, TILED_FACE_BYTES, TILED_PROCESS_BYTES
from ..runtime.monitor import Monitor
from ..runtime.threads import limit, parallel_map
from ..surface.pyramid import Node, Tile, coarser, divided, joined, leaf, shared_depth

PER_EDGE = 64  # steps of the lattice of vertices, at least, in the median edge: a vertex moves by a hundredth of it
EDGES = 1_000_000  # that the median is of
ROOT_BYTES = 2_000_000  # of the tile that every viewer loads first
BLOCK = 1 << 20  # faces at most that are compared at once; errors above are sums
BLOCK_TILES = 2  # that a block has room for, at least
WHOLE_BYTES = 20_000_000  # of all tiles, up to which the page has them in it


@dataclass(frozen=True)
class Tiled:
    """What was written: tiles and their levels, bytes of all and of the root, faces of the root, and its error; and
    whether the page has all of it.
    """

    tiles: int
    levels: int
    size: int
    root_size: int
    root_faces: int
    error: float
    whole: bool

    def summary(self) -> str:
        return (
            f"{self.tiles} in {self.levels} levels, {self.size / 1e6:.1f} MB; the root {self.root_size / 1e6:.2f} MB, "
            f"{self.root_faces} faces, at most {self.error:.3g} off"
        )


def write_tiles(
    folder: str,
    vertices: np.ndarray,
    faces: np.ndarray,
    colours: np.ndarray | None,
    most: int,
    matrix: np.ndarray,
    page: TilesPage,
    monitor: Monitor,
    max_memory: int | None = None,
    draco: bool = False,
) -> Tiled:
    """A folder of tiles with at most so many faces each, of a mesh: vertices [v, 3], z up, which are moved, faces
    [f, 3], colours [v, 3] in 0..255. matrix [4, 4]: brings its coordinates to those of the world. page: shows it.

    Blocks of faces are made into tiles, as many at once as there are threads and max_memory allows, bytes; None: what
    is free. draco: compress tiles.
    """
    from ..surface.quadrics_numba import normals as mean_normals  # not before: Numba takes half a second to import

    block, at_once = blocks_of(len(faces), most, max_memory)
    monitor.phase("divide")
    step = step_of(vertices, faces)
    centre = step * np.rint((vertices.min(0) + vertices.max(0)) / (2.0 * step))
    local = np.subtract(vertices, centre, out=vertices)
    normals, light = mean_normals(local, faces), linear()
    closed = Content(local, None, faces).closed
    root = divided(local, faces, most)
    shared = shared_depth(root, faces, len(local))
    blocks = root.blocks(block)
    within = {node.name for part in blocks for node in part.all()}
    above = [node for node in root.all() if node.name not in within]
    total = len(within) + len(above)
    meshes: dict[str, Tile] = {}
    files: dict[str, TileFile] = {}
    errors: dict[str, float] = {}
    monitor.phase("tiles")

    def values(ids: np.ndarray) -> np.ndarray:
        tints = [] if colours is None else [light[colours[ids]].astype(np.float64)]
        return np.concatenate([normals[ids].astype(np.float64), *tints], axis=1)

    def make(node: Node) -> None:
        if node.rows is not None:
            tile = leaf(local, faces, values, node.rows)
        else:
            tile = joined([meshes.pop(part.name) for part in node.parts])
            count = len(tile.faces) // len(node.parts)
            border = shared[tile.ids] < node.depth
            tile = coarser(tile, border, count, part_of(node) if node.name in within else None, step)
        length = np.linalg.norm(tile.values[:, :3], axis=1, keepdims=True)
        turned = np.where(length > 0.0, tile.values[:, :3] / np.maximum(length, 1e-300), (0.0, 0.0, 1.0))
        path = os.path.join(inside, TILES, file_of(node))
        tints = None if colours is None else tile.values[:, 3:]
        file = write_tile(path, tile.vertices, tile.faces, turned, tints, step, closed, draco)
        meshes[node.name], files[node.name], errors[node.name] = tile, file, tile.error + file.moved
        monitor.progress(len(files), total)

    def part_of(node: Node) -> tuple[np.ndarray, np.ndarray]:
        used, part = np.unique(faces[node.below], return_inverse=True)
        return local[used], part.reshape(-1, 3)

    with atomic_folder(folder) as inside:
        os.mkdir(os.path.join(inside, TILES))
        groups = [blocks[k : k + at_once] for k in range(0, len(blocks), at_once)]
        for nodes in [*([node for part in group for node in part.all()] for group in groups), above]:
            for _, level in groupby(sorted(nodes, key=lambda node: -node.depth), key=lambda node: node.depth):
                parallel_map(make, list(level))
        moved = np.eye(4)
        moved[:3, 3] = centre
        stated, *_ = _stated(root, files, errors)
        write_tileset(inside, stated, matrix @ moved)
        size = sum(file.size for file in files.values())
        write_page(inside, *page.around(), whole=size <= WHOLE_BYTES)
    first = files[""]
    if first.size > ROOT_BYTES:
        warn(
            f"{shown(folder)}: the tile that is loaded first has {first.size / 1e6:.1f} MB, more than "
            f"{ROOT_BYTES / 1e6:g}; use a smaller --tile-faces, or drop small pieces of the mesh (--min-component)"
        )
    return Tiled(
        total, 1 + max(node.depth for node in root.all()), size, first.size,
        len(meshes[""].faces), stated["geometricError"], size <= WHOLE_BYTES,
    )  # fmt: skip


def blocks_of(faces: int, most: int, max_memory: int | None) -> tuple[int, int]:
    """How many faces a block may have, of a mesh of so many, and how many blocks there is room for at once;
    OutOfMemoryBudgetError where there is no memory for one.
    """
    free = memory.available(memory.CPU) if max_memory is None else max_memory - TILED_PROCESS_BYTES
    least = min(faces, BLOCK_TILES * most)
    if free is None:
        return BLOCK, limit()
    needed = TILED_FACE_BYTES * faces + TILED_BLOCK_BYTES * least
    if needed > free:
        whole = free // (TILED_FACE_BYTES + TILED_BLOCK_BYTES)  # where all is one block
        fewer = max(0, min(whole, least), (free - TILED_BLOCK_BYTES * least) // TILED_FACE_BYTES)
        remedy = f"reduce the mesh to {fewer} faces (--faces), or make a tileset of each part"
        if max_memory is not None:
            raise OutOfMemoryBudgetError(
                f"a tileset of {faces} faces takes {(needed + TILED_PROCESS_BYTES) / 1e9:.3g} GB, more than "
                f"--max-memory, {max_memory / 1e9:.3g} GB; {remedy if fewer else 'use a larger one'}"
            )
        memory.refuse(f"a tileset of {faces} faces", needed, free, memory.CPU, remedy)
    room = max(least, (free - TILED_FACE_BYTES * faces) // TILED_BLOCK_BYTES)
    block = min(BLOCK, room)
    return block, min(limit(), room // block)


def step_of(vertices: np.ndarray, faces: np.ndarray) -> float:
    """The step of the lattice: a power of two, so that its multiples are exact, and at most 1/64 of the median edge."""
    some = faces[:: max(1, len(faces) // EDGES)]
    edges = np.linalg.norm(vertices[some[:, 1]] - vertices[some[:, 0]], axis=1)
    edges = edges[edges > 0.0]
    length = float(np.median(edges)) if len(edges) else float(np.ptp(vertices, axis=0).max()) or 1.0
    return float(2.0 ** np.floor(np.log2(length / PER_EDGE)))


def file_of(node: Node) -> str:
    """The name of a tile's file: the root, or the path from there."""
    return f"{node.name or 'root'}.glb"


def _stated(
    node: Node, files: Mapping[str, TileFile], errors: Mapping[str, float]
) -> tuple[dict[str, Any], np.ndarray, np.ndarray, float]:
    """A tile and those below it for tileset.json, and its box and error, which are at least theirs."""
    below = [_stated(part, files, errors) for part in node.parts]
    file = files[node.name]
    lower = np.min([file.lower, *(part[1] for part in below)], axis=0)
    upper = np.max([file.upper, *(part[2] for part in below)], axis=0)
    error = max([errors[node.name], *(part[3] for part in below)])
    return described(file_of(node), lower, upper, error, [part[0] for part in below]), lower, upper, error
