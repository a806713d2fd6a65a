"""Edges of a mesh collapsed by quadrics: fewer triangles for the same surface (Garland and Heckbert 1997).

Own code, since no library keeps what a scan is: fast-simplification 0.2 gives one of a room 13 to 200 edges of three
faces or more; docs/simplification.md has that of Open3D, PyMeshLab and trimesh, in which quality and time, too.

Quadrics are those of the planes of the faces there are, begun anew for every quarter of the faces that goes: a tenth
to a sixth less error than with sums since the first mesh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..runtime.threads import parallel
from .intersections import intersections

STAGE = 0.75  # of the faces are left when quadrics are begun anew
ROUNDS = 10  # in which vertices are kept whose faces would meet others


@dataclass(frozen=True)
class Stage:
    """A mesh on the way to one with fewer faces: vertices [v, 3], float64, faces [f, 3], int32, and which vertices stay
    as they are [v]. became: the vertex here that each one of the first mesh became, -1 without a face.
    """

    vertices: np.ndarray
    faces: np.ndarray
    kept: np.ndarray
    became: np.ndarray

    @classmethod
    def first(cls, vertices: np.ndarray, faces: np.ndarray) -> Stage:
        """Of a mesh: vertices stay around which is no single fan of faces that are turned alike."""
        from . import collapse_numba, quadrics_numba  # not before: Numba takes half a second to import

        x, f = np.ascontiguousarray(vertices, np.float64), np.ascontiguousarray(faces, np.int32)
        corners, odd = quadrics_numba.lists(f.reshape(-1), len(x)), np.empty(len(x), bool)
        parallel(collapse_numba.odd, len(x), f.reshape(-1), *corners, odd)
        return cls(x, f, odd, np.arange(len(x)))

    def least(self, count: int) -> int:
        """How many faces the next one has where nothing is in the way: `count`, but a quarter fewer at most."""
        return max(count, int(STAGE * len(self.faces)))

    def next(self, count: int) -> tuple[Stage, np.ndarray]:
        """With as few faces as `least` says, or can be; and the vertex [v] that each one became, -1 without a face.

        The surface stays what it is up to homeomorphism: its components, handles and borders; no face turns far.
        """
        from . import collapse_numba, quadrics_numba

        x, flat = self.vertices.copy(), self.faces.reshape(-1).copy()
        first, after = quadrics_numba.lists(flat, len(x))
        middle, unit = x.mean(0), float(np.ptp(x, axis=0).max()) / len(self.faces) ** 0.5 or 1.0  # about an edge
        local = (x - middle) / unit
        q = quadrics_numba.quadrics(local, flat, first, after)
        cost, into = np.empty_like(flat), np.arange(len(x))
        parallel(quadrics_numba.price, len(flat), local, q, flat, first, after, self.kept, cost)
        collapse_numba.collapse(local, flat, first, after, q, self.kept, cost, into, self.least(count))
        gone = np.flatnonzero(into != np.arange(len(x)))
        x[into[gone]] = local[into[gone]] * unit + middle  # what did not move has its bits
        while len(gone):
            into[gone] = into[into[gone]]
            gone = gone[into[gone] != into[into[gone]]]
        used = first >= 0
        place = np.where(used, used.cumsum() - 1, -1)
        left = place[flat.reshape(-1, 3)[flat[::3] >= 0]].astype(np.int32)
        became = np.where(self.became >= 0, place[into][self.became], -1)
        return Stage(x[used], left, self.kept[used], became), place[into]


def collapsed(stages: Sequence[Stage], count: int) -> list[Stage]:
    """And those after them, of which the last has at most `count` faces, or as few as can be."""
    stages = [*stages]
    while len(stages[-1].faces) > count:
        found, _ = stages[-1].next(count)
        least = stages[-1].least(count)
        stages.append(found)
        if len(found.faces) > least:
            break
    return stages


def apart(stages: Sequence[Stage], count: int) -> list[Stage]:
    """The same where in the last stage no more pairs of faces meet than in the first.

    From the last that is so stages are made again, and each is looked at: vertices that became those of faces that meet
    stay from then on.
    """
    looked, allowed = [*stages], 0
    while len(looked) > 1 and len(pairs := _pairs(looked[-1])) > allowed:
        allowed = allowed or len(_pairs(looked[0]))
        if len(pairs) > allowed:
            looked.pop()
    if len(looked) == len(stages):
        return looked
    while len(looked[-1].faces) > count:
        stage = looked[-1]
        for _ in range(ROUNDS):
            found, became = stage.next(count)
            pairs = _pairs(found)
            if len(pairs) <= allowed:
                break
            wrong = np.zeros(len(found.vertices), bool)
            wrong[found.faces[np.unique(pairs)]] = True
            stage = replace(stage, kept=stage.kept | wrong[became] & (became >= 0))
        else:
            break
        looked.append(found)
        if len(found.faces) > stage.least(count):
            break
    return looked


def _pairs(stage: Stage) -> np.ndarray:
    return intersections(stage.vertices, stage.faces)
