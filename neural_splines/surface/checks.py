"""What a mesh is as a shape: closed, oriented, manifold, of which genus, area and volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..quantities import counted, plain
from ..runtime.threads import parallel
from .intersections import intersections


@dataclass(frozen=True)
class Checked:
    """A triangle mesh, looked at. Lengths, areas and volumes are in the units of its vertices.

    border_edges: with one face; border_loops: that these make, and the length of the longest; border_length: of all.
    nonmanifold_edges: with three faces or more. nonmanifold_vertices: whose faces are several fans. turned_edges: that
    two faces pass the same way. flat_faces: without area. components: of faces joined by edges. genus: handles of all
    components together, and volume: both None where the mesh has no inside: an edge that is not manifold or is turned;
    for the volume a border, too. intersecting: pairs of faces that meet beside common corners; None where that was not
    looked at.
    """

    vertices: int
    faces: int
    components: int
    border_edges: int
    border_loops: int
    longest_border: float
    border_length: float
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
            edges, loops = counted(self.border_edges, "edge"), counted(max(self.border_loops, 1), "loop")
            words = [f"open at {edges} in {loops}, the longest {plain(self.longest_border, 4)}"]
        words += [] if self.components == 1 else [counted(self.components, "component")]
        words += [] if self.genus is None else [f"genus {self.genus:,}"]
        words += [f"area {plain(self.area, 4)}", *([] if self.volume is None else [f"volume {plain(self.volume, 4)}"])]
        return ", ".join([*words, *self.faults()])

    def lines(self) -> list[str]:
        """A line for each thing that keeps it from being the surface of a body."""
        found = [] if self.closed else [f"{counted(self.border_edges, 'edge has', 'edges have')} one face"]
        found += self.faults()
        if self.volume is not None and self.volume < 0.0:
            found.append("its faces look inwards")
        return found

    def faults(self) -> list[str]:
        """What no surface of a body has, but for borders."""
        found = [
            (self.nonmanifold_edges, "edge of three faces or more", "edges of three faces or more"),
            (self.nonmanifold_vertices, "vertex where several fans meet", "vertices where several fans meet"),
            (self.turned_edges, "edge where faces are turned", "edges where faces are turned"),
            (self.flat_faces, "face without area", "faces without area"),
            (self.intersecting or 0, "pair of faces that intersect", "pairs of faces that intersect"),
        ]
        return [counted(count, one, many) for count, one, many in found if count]


def checked(vertices: np.ndarray, faces: np.ndarray, *, intersecting: bool = False) -> Checked:
    """Look at vertices [v, 3] and faces [f, 3]; `intersecting`: also at pairs of faces, which takes longer."""
    v, count = np.ascontiguousarray(vertices, np.float64), len(vertices)
    f = np.ascontiguousarray(faces, np.int32 if max(count, 3 * len(faces)) < 2**31 else np.int64)
    around = _Around.of(f, count)
    loops, longest, border = _loops(around.border, v)
    area, volume, flat = _measures(v, f)
    oriented = not around.three and not around.turned
    genus = None
    if oriented and around.fans == around.used:
        characteristic = around.used - around.edges + len(f)
        genus = (2 * around.components - loops - characteristic) // 2
    return Checked(
        vertices=count,
        faces=len(f),
        components=around.components,
        border_edges=len(around.border),
        border_loops=loops,
        longest_border=longest,
        border_length=border,
        nonmanifold_edges=around.three,
        nonmanifold_vertices=around.fans - around.used,
        turned_edges=around.turned,
        flat_faces=flat,
        area=area,
        volume=volume if oriented and not len(around.border) and len(f) else None,
        genus=genus,
        intersecting=len(intersections(v, f)) if intersecting else None,
    )


@dataclass(frozen=True)
class _Around:
    """What is around the vertices of faces: how many of these are used and how many fans of faces they have; how many
    edges there are, with three faces or more, and passed the same way by two; those [e, 2] with one; how many
    components of faces joined by edges.
    """

    used: int
    fans: int
    edges: int
    three: int
    turned: int
    border: np.ndarray
    components: int

    @classmethod
    def of(cls, faces: np.ndarray, count: int) -> _Around:
        from . import checks_numba  # not before: a mesh that is not looked at needs no Numba

        flat = faces.reshape(-1)
        starts, corners = checks_numba.corners_of(flat, count)
        fan, fans, found = np.empty(len(flat), np.int32), np.zeros(count, flat.dtype), []
        single = np.zeros(len(flat), np.int8)

        def look(first: int, last: int) -> None:
            found.append(checks_numba.look(first, last, flat, starts, corners, fan, fans, single))

        parallel(look, count)
        edges, three, turned = (sum(int(part[k]) for part in found) for k in range(3))
        side = np.flatnonzero(single)
        border = np.stack([flat[side], flat[side - side % 3 + (side + 1) % 3]], 1)
        first_fan = np.append(flat.dtype.type(0), fans.cumsum(dtype=flat.dtype))
        components = int(checks_numba.pieces(flat, fan, first_fan))
        used = int(np.count_nonzero(fans))
        return cls(used, int(first_fan[-1]), edges, three, turned, border, components)


def _measures(vertices: np.ndarray, faces: np.ndarray) -> tuple[float, float, int]:
    """The area of faces, the volume that they enclose, if they do, and how many have no area."""
    from . import checks_numba

    middle = vertices.mean(0) if len(vertices) else np.zeros(3)
    found = np.empty((-(-len(faces) >> 16), 3))
    parallel(checks_numba.measure, len(found), vertices, faces, middle, found)
    area, volume, flat = found.sum(0)
    return float(area), float(volume), int(flat)


def _loops(ends: np.ndarray, vertices: np.ndarray) -> tuple[int, float, float]:
    """How many pieces edges [e, 2] make, and the lengths of the longest and of all."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(ends):
        return 0, 0.0, 0.0
    used, place = np.unique(ends, return_inverse=True)
    place = place.reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), np.int8), (place[:, 0], place[:, 1])), shape=(len(used), len(used)))
    count, label = connected_components(graph, directed=False)
    length = np.linalg.norm(vertices[ends[:, 0]] - vertices[ends[:, 1]], axis=1)
    return int(count), float(np.bincount(label[place[:, 0]], length).max()), float(length.sum())
