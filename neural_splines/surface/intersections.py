"""Pairs of triangles of a mesh that meet beside their common corners: exact, whatever the rounding.

Own code: what libraries offer is slower by far (Open3D 0.19 compares all pairs), or is no wheel that a program under
the MIT license may depend on (CGAL, MeshLab, MeshFix). tests/surface/test_intersections.py compares with a loop over
all pairs in fractions.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from ..runtime.threads import parallel

MOST = 1_000_000  # pairs that are listed: a mesh with more is no surface
LEVELS = 16  # sizes of triangles are told apart by powers of two
Point = Sequence[int]


def intersections(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Pairs [k, 2] of faces [f, 3] that have a point in common which is not of a common corner or edge; at most MOST.

    Faces that only touch meet. Those with a repeated corner are no triangles, and are left out. The vertices [v, 3] are
    taken as they are, in float64.
    """
    from . import box_grids_numba as grids  # not before: Numba takes half a second to import
    from . import intersections_numba as numba

    if not len(faces):
        return np.empty((0, 2), np.int64)
    vertices, faces = np.ascontiguousarray(vertices, np.float64), np.ascontiguousarray(faces, np.int64)
    proper = (faces != np.roll(faces, 1, axis=1)).all(1)
    if not proper.all():
        rows = np.flatnonzero(proper)
        return np.asarray(rows[intersections(vertices, faces[rows])])
    corners = vertices[faces]
    a, b, c = corners.transpose(1, 0, 2)
    lower, upper = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
    sides = (upper - lower).max(1)
    origin = lower.min(0)
    whole = float((upper.max(0) - origin).max())
    size = max(float(np.median(sides)), whole / 2.0**grids.AXIS_BITS * 2.0, 1e-300)
    level = np.ceil(np.log2(np.maximum(sides / size, 1.0))).astype(np.int64).clip(0, LEVELS - 1)
    keys, owners = grids.entries(lower, upper, level, origin, size)
    order = np.argsort(keys, kind="stable")
    owners = owners[order]
    keys, starts = np.unique(keys[order], return_index=True)
    starts = np.append(starts, len(owners))
    table, levels = grids.table_of(keys), int(level.max()) + 1
    found = []

    def look(first: int, last: int) -> None:
        found.append(
            numba.pairs_of(
                first, last, faces, corners, lower, upper, level, origin, size, levels, keys, starts, owners, table,
                MOST,
            )
        )  # fmt: skip

    parallel(look, len(faces))
    pairs = np.concatenate(found)
    sure = pairs[pairs[:, 2] == numba.MEET, :2]
    unsure = [
        pair for pair in pairs[pairs[:, 2] == numba.UNCERTAIN, :2].tolist() if meet(pair[0], pair[1], vertices, faces)
    ]
    pairs = np.sort(np.concatenate([sure, np.array(unsure, np.int64).reshape(-1, 2)]), axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))][:MOST]


def meet(f: int, g: int, vertices: np.ndarray, faces: np.ndarray) -> bool:
    """Whether two faces meet beside their common corners, in whole numbers."""
    one, other = faces[f].tolist(), faces[g].tolist()
    common = [v for v in one if v in other]
    points = dict(zip([*one, *other], whole_numbers(vertices[[*one, *other]]), strict=True))
    a, b = [points[v] for v in one], [points[v] for v in other]
    if len(common) == 3:
        return True
    if len(common) == 2:
        tips = [points[next(v for v in face if v not in common)] for face in (one, other)]
        return folded(*(points[v] for v in common), *tips)
    if len(common) == 1:
        edges = [[points[v] for v in face if v not in common] for face in (one, other)]
        return _segment_meets(edges[0], b) or _segment_meets(edges[1], a)
    return any(_segment_meets(edge, b) for edge in combinations(a, 2)) or any(
        _segment_meets(edge, a) for edge in combinations(b, 2)
    )


def whole_numbers(points: np.ndarray) -> list[Point]:
    """Points [n, 3], each coordinate times the same power of two."""
    ratios = [[value.as_integer_ratio() for value in point] for point in points.tolist()]
    largest = max(under for point in ratios for _, under in point)
    return [[over * (largest // under) for over, under in point] for point in ratios]


def folded(a: Point, b: Point, p: Point, q: Point) -> bool:
    """Whether the triangles a b p and a b q lie in one plane, on one side of a b."""
    one, other = _cross(_less(b, a), _less(p, a)), _cross(_less(b, a), _less(q, a))
    return not any(_cross(one, other)) and _dot(one, other) > 0


def _segment_meets(edge: Sequence[Point], triangle: Sequence[Point]) -> bool:
    """Whether a segment and a triangle, which may have no area, have a point in common."""
    p, q = edge
    a, b, c = triangle
    normal = _cross(_less(b, a), _less(c, a))
    if not any(normal):
        return any(_segments_meet(p, q, *side) for side in combinations(triangle, 2))
    high, low = _dot(normal, _less(p, a)), _dot(normal, _less(q, a))
    if high * low > 0:
        return False
    if high == low == 0:
        return _in_plane(p, triangle, normal) or any(_segments_meet(p, q, *side) for side in combinations(triangle, 2))
    # the point where it passes, times high - low
    scale = high - low
    point = [(high * y - low * x) for x, y in zip(p, q, strict=True)]
    scaled = [[scale * x for x in corner] for corner in triangle]
    return _in_plane(point, scaled, normal)


def _in_plane(p: Point, triangle: Sequence[Point], normal: Point) -> bool:
    """Whether a point of its plane is in a triangle."""
    a, b, c = triangle
    turns = [_dot(normal, _cross(_less(y, x), _less(p, x))) for x, y in ((a, b), (b, c), (c, a))]
    return all(turn >= 0 for turn in turns) or all(turn <= 0 for turn in turns)


def _segments_meet(p: Point, q: Point, a: Point, b: Point) -> bool:
    """Whether two segments in space have a point in common."""
    along, other, between = _less(q, p), _less(b, a), _less(a, p)
    normal = _cross(along, other)
    if _dot(normal, between) != 0:
        return False
    if any(normal):
        t, u, under = _dot(_cross(between, other), normal), _dot(_cross(between, along), normal), _dot(normal, normal)
        return 0 <= t <= under and 0 <= u <= under
    if any(_cross(along, between)) or any(_cross(other, between)):
        return False
    return all(max(min(x, y), min(v, w)) <= min(max(x, y), max(v, w)) for x, y, v, w in zip(p, q, a, b, strict=True))


def _less(one: Point, other: Point) -> list[int]:
    return [x - y for x, y in zip(one, other, strict=True)]


def _cross(a: Point, b: Point) -> list[int]:
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def _dot(a: Point, b: Point) -> int:
    return sum(x * y for x, y in zip(a, b, strict=True))
