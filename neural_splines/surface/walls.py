"""What the walls of a lattice cut off, closed by them: along several walls, around edges and corners of the box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, product

import numpy as np
import torch

from .expand import ON_WALL
from .lattice import Lattice
from .mesh import Mesh

Triangulate = Callable[[list[np.ndarray]], np.ndarray]
Loop = list[int]


def closed_at_walls(mesh: Mesh, lattice: Lattice, triangulate: Triangulate) -> Mesh:
    """The mesh with faces on the walls of the lattice, where the inside of its surface ends at these.

    A border on a wall is a chain of edges from one side of the wall to another, or a loop. What is inside lies on its
    left, seen from without; so from where a chain ends it goes on along the sides of the wall, anticlockwise, to where
    the next one begins. A wall without chains is all inside or all outside, as its neighbours' sides say.
    triangulate: corners [t, 3] of polygons, of which outer ones run anticlockwise and holes clockwise.
    """
    at, top = lattice.coordinates(mesh.vertices).cpu().numpy(), np.array(lattice.shape) - 1.0
    corners = np.array(list(product(*((0.0, x) for x in top))))
    places, count = np.vstack([at, corners]), len(at)
    follow = border_steps(mesh.faces.cpu().numpy())
    walls = [_Wall(axis, upper, places, top) for axis in range(3) for upper in (False, True)]
    for one, other in follow.items():
        for wall in walls:
            if wall.on[one] and wall.on[other]:
                wall.follow[one] = other
                break
    for wall in walls:
        wall.close(count)
    sides: set[tuple[int, int]] = set()
    while True:
        now = {side for wall in walls for side in wall.sides(count)}
        if now == sides:
            break
        sides = now
        for wall in walls:
            if not wall.full and not wall.open and any((b, a) in sides for a, b in wall.rim(count)):
                wall.full = True
    found = [wall.faces(triangulate, count) for wall in walls]
    cap = np.concatenate(found).astype(np.int64)
    if not len(cap):
        return mesh
    used = np.zeros(8, bool)
    used[cap[cap >= count] - count] = True
    cap = np.where(cap >= count, count + (used.cumsum() - 1)[np.maximum(cap - count, 0)], cap)
    new = lattice.positions(torch.from_numpy(corners[used]).to(mesh.vertices))
    return Mesh(
        torch.cat([mesh.vertices, new]),
        torch.cat([mesh.normals, torch.zeros_like(new)]),
        torch.cat([mesh.faces, torch.from_numpy(cap).to(mesh.faces)]),
    )


def border_steps(faces: np.ndarray) -> dict[int, int]:
    """The edges of one face, in the direction against that of the face: the end of each by its start."""
    start, end = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
    count = int(faces.max()) + 1
    single = ~np.isin(start * count + end, end * count + start)
    return dict(zip(end[single].tolist(), start[single].tolist(), strict=True))


class _Wall:
    """One of the six walls, seen from without: places [v, 2] on it, of which the last eight are corners of the box."""

    def __init__(self, axis: int, upper: bool, places: np.ndarray, top: np.ndarray):
        level = places[:, axis] - (top[axis] if upper else 0.0)
        self.on = np.abs(level) < ON_WALL
        one, other = (axis + 1) % 3, (axis + 2) % 3
        first, second = (one, other) if upper else (other, one)
        self.places, self.size = places[:, [first, second]], top[[first, second]]
        self.follow: dict[int, int] = {}
        self.loops: list[Loop] = []
        self.open: list[Loop] = []
        self.full = False

    def along(self, v: int) -> float:
        """How far a place is along the sides, anticlockwise from the lower corner; -1 where it is on none."""
        (x, y), (w, h) = self.places[v], self.size
        if y < ON_WALL and x < w - ON_WALL:
            return float(x)
        if x > w - ON_WALL and y < h - ON_WALL:
            return float(w + y)
        if y > h - ON_WALL and x > ON_WALL:
            return float(w + h + (w - x))
        return float(2 * w + h + (h - y)) if x < ON_WALL else -1.0

    def close(self, count: int) -> None:
        """Join the edges to loops, and chains of them along the sides."""
        left, ends = dict(self.follow), set(self.follow.values())
        chains = [walked(start, left) for start in self.follow if start not in ends]
        while left:
            loop = walked(next(iter(left)), left)
            self.loops.append(loop[:-1] if loop[0] == loop[-1] else loop)
        chains = [chain for chain in chains if min(self.along(chain[0]), self.along(chain[-1])) >= 0.0]
        self.open = chains
        order = sorted((self.along(v), v) for v in [*self.corners(count), *(chain[0] for chain in chains)])
        following = {a: b for (_, a), (_, b) in pairwise([*order, *order[:1]])}
        begun = {chain[0]: chain for chain in chains}
        while begun:
            _, chain = begun.popitem()
            loop, first = [*chain], chain[0]
            while True:
                end = self.along(loop[-1])
                v = next((v for s, v in order if s > end), order[0][1])
                while v not in begun and v != first and v >= count:
                    loop.append(v)
                    v = following[v]
                if v == first or v not in begun:
                    break
                loop += begun.pop(v)
            self.loops.append(loop)
        if not chains and sum(map(self._area, self.loops)) < 0.0:
            self.full = True

    def corners(self, count: int) -> Loop:
        """The four of the box that are its own, anticlockwise."""
        own = [v for v in range(count, count + 8) if self.on[v]]
        return sorted(own, key=self.along)

    def rim(self, count: int) -> list[tuple[int, int]]:
        own = self.corners(count)
        return list(pairwise([*own, own[0]]))

    def sides(self, count: int) -> list[tuple[int, int]]:
        """Whole sides that the inside has, from corner to corner."""
        if self.full:
            return self.rim(count)
        steps = [(a, b) for loop in self.loops for a, b in pairwise([*loop, loop[0]])]
        return [(a, b) for a, b in steps if a >= count and b >= count]

    def faces(self, triangulate: Triangulate, count: int) -> np.ndarray:
        """Corners [t, 3] of the faces on it."""
        loops = [*self.loops, *([self.corners(count)] if self.full else [])]
        loops = [loop for loop in loops if len(loop) > 2]
        if not loops:
            return np.empty((0, 3), np.int64)
        order = np.concatenate([np.array(loop, np.int64) for loop in loops])
        return order[triangulate([np.ascontiguousarray(self.places[loop]) for loop in loops])]

    def _area(self, loop: Sequence[int]) -> float:
        x, y = self.places[loop].T
        return float(0.5 * (x * np.roll(y, -1) - y * np.roll(x, -1)).sum())


def walked(start: int, follow: dict[int, int]) -> Loop:
    """From a start as far as it goes; what was passed is taken out."""
    found = [start]
    while found[-1] in follow:
        found.append(follow.pop(found[-1]))
    return found
