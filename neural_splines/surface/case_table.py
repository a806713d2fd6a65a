"""The table of marching cubes: the triangles of each of the 256 sign patterns of a cube's corners.

It is derived here from one rule, so cracks cannot occur: on every face of a cube the inside corners are cut off run by
run, which both cubes of the face see alike; the segments chain to loops, and a loop is triangulated without diagonals
in a face of the cube where that is possible.
"""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter

import numpy as np
import torch
from torch import Tensor

from .cubes import EDGES

# Corners of the six faces, anticlockwise seen from outside.
OUTLINES = [(0, 4, 6, 2), (1, 3, 7, 5), (0, 1, 5, 4), (2, 6, 7, 3), (0, 2, 3, 1), (4, 5, 7, 6)]


@lru_cache(maxsize=1)
def case_table() -> list[list[tuple[int, int, int]]]:
    """Triangles of each of the 256 sign patterns (bit c: corner c is inside) as triples of edges."""
    edge_of = {frozenset(corners): e for e, corners in enumerate(EDGES)}
    faces_of = [{f for f, face in enumerate(OUTLINES) if set(corners) <= set(face)} for corners in EDGES]
    return [_triangles(case, edge_of, faces_of) for case in range(256)]


def _triangles(case: int, edge_of: dict, faces_of: list[set[int]]) -> list[tuple[int, int, int]]:
    follow = {}  # directed segments: edge -> next edge
    for face in OUTLINES:
        inside = [case >> c & 1 for c in face]
        for i in range(4):
            if inside[i] and not inside[(i + 1) % 4]:  # the boundary leaves the inside here
                start = i
                while inside[start - 1]:
                    start -= 1
                leave = edge_of[frozenset((face[i], face[(i + 1) % 4]))]
                enter = edge_of[frozenset((face[start - 1], face[start]))]
                follow[leave] = enter
    triangles = []
    while follow:
        edge, loop = next(iter(follow)), []
        while edge in follow:
            loop.append(edge)
            edge = follow.pop(edge)
        triangles += _triangulate(tuple(loop), faces_of)[1]
    return triangles


def _triangulate(loop: tuple[int, ...], faces_of: list[set[int]]) -> tuple[int, list[tuple[int, int, int]]]:
    """(diagonals that lie in a face, triangles): the triangulation of a loop with the fewest of those."""
    if len(loop) < 3:
        return 0, []
    choices = []
    for k in range(1, len(loop) - 1):  # the triangle on the side from the last to the first vertex
        cost = sum(
            bool(faces_of[a] & faces_of[b])
            for a, b, is_side in ((loop[0], loop[k], k == 1), (loop[k], loop[-1], k == len(loop) - 2))
            if not is_side
        )
        left, right = _triangulate(loop[: k + 1], faces_of), _triangulate(loop[k:], faces_of)
        choices.append((cost + left[0] + right[0], [(loop[0], loop[-1], loop[k]), *left[1], *right[1]]))
    return min(choices, key=itemgetter(0))  # the first of these


@lru_cache(maxsize=1)
def padded_table() -> Tensor:
    """The table as [256, 5, 3], -1 where a case has fewer triangles."""
    table = case_table()
    flat = np.full((256, max(map(len, table)), 3), -1)
    for case, triangles in enumerate(table):
        flat[case, : len(triangles)] = np.asarray(triangles, dtype=int).reshape(-1, 3)
    return torch.from_numpy(flat)
