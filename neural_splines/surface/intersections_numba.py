"""Which triangles of a mesh meet others: boxes in grids of several sizes, and signs of determinants with a bound.

A sign is told where Shewchuk's bound for rounding allows it; else the pair is uncertain, and decided elsewhere with
whole numbers (intersections.py).
"""

from __future__ import annotations

import numpy as np

from ..runtime.compiled import compiled
from .box_grids_numba import found_in, key_of, overlap_begins

ROUNDING = 2.0**-53
BOUND_3D, BOUND_2D = (7.0 + 56.0 * ROUNDING) * ROUNDING, (3.0 + 16.0 * ROUNDING) * ROUNDING
BOUND_DOT = 8.0 * ROUNDING  # of differences, products and two sums
TINY = 1e-300
APART, MEET, UNCERTAIN = 0, 1, 2
UNKNOWN = 2  # of a sign: else -1, 0 never, 1


@compiled(nogil=True)
def side_3d(x, a, b, c, p):
    """The sign of the volume of a tetrahedron of four of the points x, or UNKNOWN."""
    ax, ay, az = x[a, 0] - x[p, 0], x[a, 1] - x[p, 1], x[a, 2] - x[p, 2]
    bx, by, bz = x[b, 0] - x[p, 0], x[b, 1] - x[p, 1], x[b, 2] - x[p, 2]
    cx, cy, cz = x[c, 0] - x[p, 0], x[c, 1] - x[p, 1], x[c, 2] - x[p, 2]
    one, other = bx * cy, cx * by
    two, fourth = cx * ay, ax * cy
    three, sixth = ax * by, bx * ay
    value = az * (one - other) + bz * (two - fourth) + cz * (three - sixth)
    size = (abs(one) + abs(other)) * abs(az) + (abs(two) + abs(fourth)) * abs(bz) + (abs(three) + abs(sixth)) * abs(cz)
    bound = BOUND_3D * size
    return 1 if value > bound else -1 if value < -bound else UNKNOWN


@compiled(nogil=True)
def side_2d(x, a, b, p, u, v):
    """The sign of the area of a triangle in the plane of two axes, or UNKNOWN."""
    left, right = (x[a, u] - x[p, u]) * (x[b, v] - x[p, v]), (x[a, v] - x[p, v]) * (x[b, u] - x[p, u])
    bound = BOUND_2D * (abs(left) + abs(right))
    value = left - right
    return 1 if value > bound else -1 if value < -bound else UNKNOWN


@compiled(nogil=True)
def crossing(x, p, q, t):
    """Whether a segment meets the triangle of the points t, t + 1 and t + 2."""
    first, last = side_3d(x, t, t + 1, t + 2, p), side_3d(x, t, t + 1, t + 2, q)
    if first == last and first != UNKNOWN:
        return APART
    one, two, three = side_3d(x, p, q, t, t + 1), side_3d(x, p, q, t + 1, t + 2), side_3d(x, p, q, t + 2, t)
    if one + two == 0 or two + three == 0 or three + one == 0:  # 1 and -1
        return APART
    if first != UNKNOWN and last != UNKNOWN and one != UNKNOWN and one == two and two == three:
        return MEET
    return UNCERTAIN


@compiled(nogil=True)
def parted(x):
    """Whether an edge of a triangle, in the plane of two axes, has its own tip and the other triangle on two sides."""
    for t in (0, 3):
        for u in range(3):
            v = (u + 1) % 3
            for e in range(3):
                a, b = t + e, t + (e + 1) % 3
                own = side_2d(x, a, b, t + (e + 2) % 3, u, v)
                if own == UNKNOWN:
                    continue
                apart = True
                for k in range(3 - t, 6 - t):
                    if side_2d(x, a, b, k, u, v) != -own:
                        apart = False
                        break
                if apart:
                    return True
    return False


@compiled(nogil=True)
def on_one_side(x, t):
    """Whether the plane of the triangle t has all of the other one on one side."""
    a = side_3d(x, t, t + 1, t + 2, 3 - t)
    if a == UNKNOWN or side_3d(x, t, t + 1, t + 2, 4 - t) != a:
        return False
    return side_3d(x, t, t + 1, t + 2, 5 - t) == a


@compiled(nogil=True)
def parted_at(x, v, a1, a2, b1, b2):
    """Whether a plane through a corner has the rest of one triangle on one side and that of the other on the other:
    across the difference of their middles.
    """
    n = np.zeros(3)
    for p, sign in ((a1, 1.0), (a2, 1.0), (b1, -1.0), (b2, -1.0)):
        weight = sign / (length(x, v, p) + TINY)
        for c in range(3):
            n[c] += weight * (x[p, c] - x[v, c])
    return between(x, v, a1, a2, b1, b2, n)


@compiled(nogil=True)
def parted_in_plane(x, v, a1, a2, b1, b2):
    """The same of triangles in one plane: a line halfway from an edge of one to one of the other."""
    n, d, m = np.empty(3), np.empty(3), np.empty(3)
    for c in range(3):
        i, j = (c + 1) % 3, (c + 2) % 3
        m[c] = (x[a1, i] - x[v, i]) * (x[a2, j] - x[v, j]) - (x[a1, j] - x[v, j]) * (x[a2, i] - x[v, i])
    for p in (a1, a2):
        for q in (b1, b2):
            one, other = 1.0 / (length(x, v, p) + TINY), 1.0 / (length(x, v, q) + TINY)
            for c in range(3):
                d[c] = one * (x[p, c] - x[v, c]) + other * (x[q, c] - x[v, c])
            for c in range(3):
                n[c] = m[(c + 1) % 3] * d[(c + 2) % 3] - m[(c + 2) % 3] * d[(c + 1) % 3]
            if between(x, v, a1, a2, b1, b2, n) or between(x, v, b1, b2, a1, a2, n):
                return True
    return False


@compiled(nogil=True)
def between(x, v, a1, a2, b1, b2, n):
    """Whether the plane through v across n has the first two points above it and the others below."""
    return above(x, v, a1, n) and above(x, v, a2, n) and above(x, b1, v, n) and above(x, b2, v, n)


@compiled(nogil=True)
def length(x, a, b):
    return np.sqrt((x[a, 0] - x[b, 0]) ** 2 + (x[a, 1] - x[b, 1]) ** 2 + (x[a, 2] - x[b, 2]) ** 2)


@compiled(nogil=True)
def above(x, low, high, n):
    """Whether one point is surely farther along n than another."""
    value = size = 0.0
    for c in range(3):
        part = n[c] * (x[high, c] - x[low, c])
        value, size = value + part, size + abs(part)
    return value > BOUND_DOT * size


@compiled(nogil=True)
def opened(x, a, b, one, other):
    """Whether two points lie on different sides of a line, in the plane of two axes."""
    for u in range(3):
        here, there = side_2d(x, a, b, one, u, (u + 1) % 3), side_2d(x, a, b, other, u, (u + 1) % 3)
        if here != UNKNOWN and here == -there:
            return True
    return False


@compiled(nogil=True)
def meeting(f, g, faces, x):
    """How two triangles meet beside the corners that they have in common. x [6, 3]: the corners of both."""
    shared, at_f, at_g = 0, 0, 0
    for a in range(3):
        for b in range(3):
            if faces[f, a] == faces[g, b]:
                shared, at_f, at_g = shared + 1, at_f + a, at_g + b
    if shared == 3:
        return MEET
    if shared == 2:  # folded onto each other
        if side_3d(x, 0, 1, 2, 6 - at_g) != UNKNOWN:
            return APART
        tip = 3 - at_f
        return APART if opened(x, (tip + 1) % 3, (tip + 2) % 3, tip, 6 - at_g) else UNCERTAIN
    if shared == 1:  # what they have in common ends on an edge across from the corner
        a1, a2, b1, b2 = (at_f + 1) % 3, (at_f + 2) % 3, 3 + (at_g + 1) % 3, 3 + (at_g + 2) % 3
        if parted_at(x, at_f, a1, a2, b1, b2):
            return APART
        there, back = crossing(x, a1, a2, 3), crossing(x, b1, b2, 0)
        if there == MEET or back == MEET:
            return MEET
        if there == back == APART or parted_in_plane(x, at_f, a1, a2, b1, b2):
            return APART
        return UNCERTAIN
    if on_one_side(x, 0) or on_one_side(x, 3) or parted(x):
        return APART
    found = APART
    for e in range(6):  # an edge of one of them meets the other
        t = e // 3 * 3
        now = crossing(x, e, t + (e + 1) % 3, 3 - t)
        if now == MEET:
            return MEET
        found = max(found, now)
    return found


@compiled(nogil=True)
def put(rows, first, values):
    """rows[first:] = values [n, 3]: what NumPy's own assignment checks takes Numba seconds to compile."""
    for k in range(len(values)):
        for a in range(3):
            rows[first + k, a] = values[k, a]


@compiled(nogil=True)
def pairs_of(first, last, faces, corners, lower, upper, level, origin, size, levels, keys, starts, owners, table, most):
    """Pairs [k, 3] of triangles, of which the first of each is in first..last, that meet (MEET) or may (UNCERTAIN); at
    most so many.
    """
    room = 256
    found, count = np.empty((room, 3), np.int64), 0
    lowest, highest = np.empty(3, np.int64), np.empty(3, np.int64)
    x = np.empty((6, 3))
    for f in range(first, last):
        put(x, 0, corners[f])
        for step in range(level[f], levels):
            side = size * 2.0**step
            for a in range(3):
                lowest[a] = int((lower[f, a] - origin[a]) / side)
                highest[a] = int((upper[f, a] - origin[a]) / side)
            for i in range(lowest[0], highest[0] + 1):
                for j in range(lowest[1], highest[1] + 1):
                    for k in range(lowest[2], highest[2] + 1):
                        cell = found_in(table, keys, key_of(step, i, j, k))
                        if cell < 0:
                            continue
                        for at in range(starts[cell], starts[cell + 1]):
                            g = owners[at]
                            if step == level[f] and g <= f:
                                continue
                            if not overlap_begins(f, g, lower, upper, origin, side, i, j, k):
                                continue
                            put(x, 3, corners[g])
                            now = meeting(f, g, faces, x)
                            if now == APART:
                                continue
                            if count == room:
                                room *= 2
                                larger = np.empty((room, 3), np.int64)
                                put(larger, 0, found)
                                found = larger
                            found[count, 0], found[count, 1], found[count, 2] = f, g, now
                            count += 1
                            if count == most:
                                return found[:count]
    return found[:count]
