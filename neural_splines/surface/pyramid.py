"""A mesh in tiles, and coarser tiles over them: a tree whose leaves are the mesh itself.

Borders match wherever tiles of any levels meet. A vertex whose faces are in several tiles of a level keeps its place in
all of them, there and on every finer level; so the border of a coarse tile is the edges of the mesh itself, and the
finer tile beyond it has the same ones. What stays fine for that grows with the square root of the faces below a tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .collapse import Stage, apart, collapsed
from .distance import Tree, largest_distance

DIGITS = 31  # levels that a number of 62 bits has room for


@dataclass
class Node:
    """A tile of the tree. name: the digits of its path; rows: its faces, of a leaf; parts: those below it."""

    name: str
    rows: np.ndarray | None = None
    parts: list[Node] = field(default_factory=list)

    @property
    def depth(self) -> int:
        return len(self.name)

    @property
    def below(self) -> np.ndarray:
        """The faces of all leaves below it, or its own."""
        return np.concatenate([node.rows for node in self.all() if node.rows is not None])

    @property
    def count(self) -> int:
        """How many faces there are below it, or its own."""
        return sum(len(node.rows) for node in self.all() if node.rows is not None)

    def all(self) -> Iterator[Node]:
        """This one and all below it."""
        yield self
        for part in self.parts:
            yield from part.all()

    def blocks(self, most: int) -> list[Node]:
        """The highest nodes with at most so many faces below them, or leaves: together all faces, each once."""
        if not self.parts or self.count <= most:
            return [self]
        return [block for part in self.parts for block in part.blocks(most)]


@dataclass(frozen=True)
class Tile:
    """The mesh of a node: vertices [v, 3], faces [f, 3], and of each vertex which one of the mesh it was [v], numbers
    [v, k], and how many vertices these are the mean of [v]. error: what no point of it is farther from the mesh, and no
    point of its part of the mesh from it.
    """

    vertices: np.ndarray
    faces: np.ndarray
    ids: np.ndarray
    values: np.ndarray
    weights: np.ndarray
    error: float = 0.0


def divided(vertices: np.ndarray, faces: np.ndarray, most: int) -> Node:
    """The tree of a mesh whose leaves have at most so many faces, and half as many at least: faces are halved by their
    centres along the longest side of these, twice for each level, so that flat scenes have a quadtree of even tiles.
    """
    centres = np.zeros((len(faces), 3), np.float32)  # half the memory, and good enough to halve
    for corner in faces.T:
        for axis in range(3):
            centres[:, axis] += vertices[:, axis].astype(np.float32)[corner]
    root = Node("", np.arange(len(faces), dtype=np.int32))
    waiting = [root]
    while waiting:
        node = waiting.pop()
        rows = node.rows
        if rows is None or len(rows) <= most or node.depth >= DIGITS:
            continue
        halves = _halves(rows, centres)
        if len(rows) > 2 * most:
            halves = [quarter for half in halves for quarter in _halves(half, centres)]
        node.rows, node.parts = None, [Node(f"{node.name}{k}", part) for k, part in enumerate(halves)]
        waiting += node.parts
    return root


def _halves(rows: np.ndarray, centres: np.ndarray) -> list[np.ndarray]:
    some = centres[rows]
    order = np.argpartition(some[:, np.ptp(some, axis=0).argmax()], len(rows) // 2)
    return [np.sort(rows[half]) for half in np.split(order, [len(rows) // 2])]


def shared_depth(root: Node, faces: np.ndarray, count: int) -> np.ndarray:
    """The depth [v] down to which one tile of each level has all faces of a vertex: it is on a border below."""
    code = np.zeros(len(faces), np.int64)  # the path of a face, two bits a level from the highest
    depth = 0
    for node in root.all():
        if node.rows is not None:
            code[node.rows] = sum(int(digit) << 2 * (DIGITS - 1 - at) for at, digit in enumerate(node.name))
            depth = max(depth, node.depth)
    low, high = np.full(count, np.iinfo(np.int64).max), np.zeros(count, np.int64)
    for corner in faces.T:
        np.minimum.at(low, corner, code)
        np.maximum.at(high, corner, code)
    shared = np.full(count, depth)
    for level in range(depth, 0, -1):
        shift = 2 * (DIGITS - level)
        shared[low >> shift != high >> shift] = level - 1
    return shared


def leaf(vertices: np.ndarray, faces: np.ndarray, values: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> Tile:
    """The tile of these faces of a mesh. values: the numbers [n, k] of some of its vertices [n]."""
    ids, corners = np.unique(faces[rows], return_inverse=True)
    return Tile(vertices[ids], corners.reshape(-1, 3), ids, values(ids), np.ones(len(ids)))


def joined(tiles: Sequence[Tile]) -> Tile:
    """Tiles of one level as one mesh: a vertex of several is one, since it is at the same place in all."""
    given = np.concatenate([tile.ids for tile in tiles])
    ids, first, place = np.unique(given, return_index=True, return_inverse=True)
    starts = np.cumsum([0, *(len(tile.ids) for tile in tiles)])
    faces = [place[tile.faces + start] for tile, start in zip(tiles, starts, strict=False)]
    vertices, values, weights = (
        np.concatenate(arrays)[first]
        for arrays in zip(*((tile.vertices, tile.values, tile.weights) for tile in tiles), strict=True)
    )
    return Tile(vertices, np.concatenate(faces), ids, values, weights, max(tile.error for tile in tiles))


def coarser(
    tile: Tile, border: np.ndarray, count: int, part: tuple[np.ndarray, np.ndarray] | None, enough: float
) -> Tile:
    """The tile with at most `count` faces, or as few as can be; vertices of `border` [v] stay as they are.

    Numbers are means of those of the vertices that became one. Its error is the distance of both from each other, the
    new tile and its part of the mesh, vertices and faces [f, 3]; distances below `enough` count as that. Without the
    part, it is the error of the tile and the distance of the new one from that, which together are no less.
    """
    first = Stage.first(tile.vertices, tile.faces)
    stages = [replace(first, kept=first.kept | border)]
    last = apart(collapsed(stages, count), count)[-1]
    if len(last.faces) == len(tile.faces):
        return tile
    used = last.became >= 0
    became, weight = last.became[used], tile.weights[used]
    left = len(last.vertices)
    ids = np.empty(left, np.int64)
    ids[became] = tile.ids[used]
    weights = np.bincount(became, weight, left)
    sums = [np.bincount(became, weight * column, left) for column in tile.values[used].T]
    values = np.stack(sums, 1) / weights[:, None] if sums else np.empty((left, 0))
    vertices, faces = part or (tile.vertices, tile.faces)
    there = largest_distance(vertices, faces, Tree.of(last.vertices, last.faces), enough)
    back = largest_distance(last.vertices, last.faces, Tree.of(vertices, faces), max(there, enough))
    error = max(there, back) + (0.0 if part else tile.error)
    return Tile(last.vertices, last.faces, ids, values, weights, error)
