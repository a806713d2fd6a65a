"""What a mesh is as a shape: closed, oriented, manifold, of which genus, area and volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .intersections import intersections

AT_ONCE = 1 << 18  # faces whose areas are computed together


@dataclass(frozen=True)
class Checked:
    """A triangle mesh, looked at. Lengths, areas and volumes are in the units of its vertices.

    border_edges: with one face; border_loops: that these make, and the length of the longest. nonmanifold_edges: with
    three faces or more. nonmanifold_vertices: whose faces are several fans. turned_edges: that two faces pass the same
    way. flat_faces: without area. components: of faces joined by edges. genus: handles of all components together, and
    volume: both None where the mesh has no inside: an edge that is not manifold or is turned; for the volume a border,
    too. intersecting: pairs of faces that meet beside common corners; None where that was not looked at.
    """

    vertices: int
    faces: int
    components: int
    border_edges: int
    border_loops: int
    longest_border: float
    nonmanifold_edges: int
    nonmanifold_vertices: int
    turned_edges: int
    flat_faces: int
    area: float
    volume: float | None
    genus: int | None
    intersecting: int | None

    @property
    def closed(self) -> bool:
        return self.border_edges == 0

    def summary(self) -> str:
        """One line."""
        if self.closed:
            words = ["closed"]
        else:
            loops = f"{self.border_loops} loops" if self.border_loops > 1 else "1 loop"
            words = [f"open at {self.border_edges} edges in {loops}, the longest {self.longest_border:.4g}"]
        words += [] if self.components == 1 else [f"{self.components} components"]
        words += [] if self.genus is None else [f"genus {self.genus}"]
        words += [f"area {self.area:.4g}", *([] if self.volume is None else [f"volume {self.volume:.4g}"])]
        return ", ".join([*words, *self.faults()])

    def lines(self) -> list[str]:
        """A line for each thing that keeps it from being the surface of a body."""
        found = [] if self.closed else [f"{self.border_edges} edges have one face"]
        found += self.faults()
        if self.volume is not None and self.volume < 0.0:
            found.append("its faces look inwards")
        return found

    def faults(self) -> list[str]:
        """What no surface of a body has, but for borders."""
        counted = [
            (self.nonmanifold_edges, "edge of three faces or more", "edges of three faces or more"),
            (self.nonmanifold_vertices, "vertex where several fans meet", "vertices where several fans meet"),
            (self.turned_edges, "edge where faces are turned", "edges where faces are turned"),
            (self.flat_faces, "face without area", "faces without area"),
            (self.intersecting or 0, "pair of faces that intersect", "pairs of faces that intersect"),
        ]
        return [f"{count} {one if count == 1 else many}" for count, one, many in counted if count]


def checked(vertices: np.ndarray, faces: np.ndarray, *, intersecting: bool = False) -> Checked:
    """Look at vertices [v, 3] and faces [f, 3]; `intersecting`: also at pairs of faces, which takes longer."""
    v, count = np.asarray(vertices, np.float64), len(vertices)
    f = np.asarray(faces, np.int32 if max(count, 3 * len(faces)) < 2**31 else np.int64)
    edges = _Edges.of(f, count)
    one, three = edges.uses == 1, edges.uses > 2
    turned = (edges.uses == 2) & (np.abs(edges.turns) == 2)
    fans, parts = _fans(f, edges)
    there = np.zeros(count, bool)
    there[f.reshape(-1)] = True
    used = int(there.sum())
    loops, longest = _loops(edges.ends[one], v)
    area, volume, flat = _measures(v, f)
    oriented = not three.any() and not turned.any()
    genus = None
    if oriented and fans == used:
        characteristic = used - len(edges.uses) + len(f)
        genus = (2 * parts - loops - characteristic) // 2
    return Checked(
        vertices=count,
        faces=len(f),
        components=parts,
        border_edges=int(one.sum()),
        border_loops=loops,
        longest_border=longest,
        nonmanifold_edges=int(three.sum()),
        nonmanifold_vertices=fans - used,
        turned_edges=int(turned.sum()),
        flat_faces=flat,
        area=area,
        volume=volume if oriented and not one.any() and len(f) else None,
        genus=genus,
        intersecting=len(intersections(v, f)) if intersecting else None,
    )


def _measures(vertices: np.ndarray, faces: np.ndarray) -> tuple[float, float, int]:
    """The area of faces, the volume that they enclose, if they do, and how many have no area."""
    middle = vertices.mean(0) if len(vertices) else np.zeros(3)
    area, volume, flat = 0.0, 0.0, 0
    for first in range(0, len(faces), AT_ONCE):
        a, b, c = (vertices[corner] - middle for corner in faces[first : first + AT_ONCE].T)
        cross = np.cross(b - a, c - a)
        double = np.sqrt((cross * cross).sum(1))
        area += float(double.sum()) / 2.0
        volume += float((a * np.cross(b, c)).sum()) / 6.0
        flat += int((double == 0.0).sum())
    return area, volume, flat


@dataclass(frozen=True)
class _Edges:
    """The different edges [e, 2] of faces; how many of these use each, and by how many more from its lower vertex to
    its higher one than back [e]; sides [3 f]: the half edges, as 3 face + corner, sorted by their edge.
    """

    ends: np.ndarray
    uses: np.ndarray
    turns: np.ndarray
    sides: np.ndarray

    @classmethod
    def of(cls, faces: np.ndarray, count: int) -> _Edges:
        start, end = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
        key = np.minimum(start, end) * np.int64(max(count, 1)) + np.maximum(start, end)
        sides = key.argsort(kind="stable").astype(faces.dtype)
        key = key[sides]
        first = np.flatnonzero(np.append(True, key[1:] != key[:-1])) if len(key) else np.empty(0, np.int64)
        uses = np.diff(np.append(first, len(key)))
        key = key[first]
        forward = np.where(start < end, np.int8(1), np.int8(-1))[sides]
        turns = np.add.reduceat(forward, first, dtype=np.int32) if len(first) else np.empty(0, np.int32)
        ends = np.stack([key // max(count, 1), key % max(count, 1)], 1)
        return cls(ends, uses, turns, sides)


def _fans(faces: np.ndarray, edges: _Edges) -> tuple[int, int]:
    """How many fans of faces there are about vertices, and how many components of faces joined by edges.

    Two faces at an edge belong together at both of its ends: corners 3 face + k of a vertex are joined so.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(faces):
        return 0, 0
    group = np.repeat(np.arange(len(edges.uses), dtype=edges.sides.dtype), edges.uses)
    same = np.flatnonzero(group[1:] == group[:-1])
    one, other = edges.sides[same], edges.sides[same + 1]  # half edges of one edge
    starts, ends = _corners(faces, one), _corners(faces, other)
    crossed = (starts[0] != ends[0])[:, None]  # the vertex where one begins, the other ends
    left = np.stack([one, _next(one)], 1)
    right = np.where(crossed, np.stack([_next(other), other], 1), np.stack([other, _next(other)], 1))
    pairs = np.stack([left.reshape(-1), right.reshape(-1)])

    def pieces(links: np.ndarray, nodes: int) -> int:
        ones = np.ones(links.shape[1], np.int8)
        return int(connected_components(coo_array((ones, tuple(links)), shape=(nodes, nodes)), directed=False)[0])

    return pieces(pairs, faces.size), pieces(np.stack([one // 3, other // 3]), len(faces))


def _next(sides: np.ndarray) -> np.ndarray:
    """The half edges, or corners, that follow in their faces."""
    return sides - sides % 3 + (sides + 1) % 3


def _corners(faces: np.ndarray, sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat = faces.reshape(-1)
    return flat[sides], flat[_next(sides)]


def _loops(ends: np.ndarray, vertices: np.ndarray) -> tuple[int, float]:
    """How many pieces edges [e, 2] make, and the length of the longest."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(ends):
        return 0, 0.0
    used, place = np.unique(ends, return_inverse=True)
    place = place.reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), np.int8), (place[:, 0], place[:, 1])), shape=(len(used), len(used)))
    count, label = connected_components(graph, directed=False)
    length = np.linalg.norm(vertices[ends[:, 0]] - vertices[ends[:, 1]], axis=1)
    return int(count), float(np.bincount(label[place[:, 0]], length).max())
