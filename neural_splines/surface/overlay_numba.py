"""How far a face is at most from a mesh that lies over it, in loops compiled for the CPU.

Both are looked at along the normal of the face. Triangles of the mesh are gathered from one across their edges, as long
as these pass over the inside of the face. Triangles over a place count 1 where they are turned as the face, -1 where
they are turned back. If no edge over the face is a border, this sum is the same for all places: at an edge, its two
triangles come and go together. If it is not zero, every place has a triangle above or below it. So no place is farther
away than the largest height of triangles over the face. It is at a corner of their common parts, since heights are
linear there.

Places are given as x and y: in units of the face's edges from its first corner.
"""

from __future__ import annotations

import numpy as np

from ..runtime.compiled import compiled
from .quadrics_numba import next_corner

_jit = compiled(nogil=True, error_model="numpy")
INSIDE = 1e-9  # of a face, along its border, that no triangle need be over
TIE = 1e-12  # of a triangle's area, below which a place is on its border
STEPS = 200  # of a walk from triangle to triangle
FIRST, SECOND = 0.3307, 0.3174  # x and y of the place whose signs are summed: no symmetric mesh has an edge there
ROOM = 9  # corners of a triangle that is cut three times


@_jit
def beside(begin, end, flat, first, after, found):
    """Write the triangles across the edges at a range of corners, -1 at a border or an edge of more: found [3 t]."""
    for c in range(begin, end):
        a, b, there, here = flat[c], flat[next_corner(c)], 0, 0
        o = first[b]
        while o >= 0:
            if flat[next_corner(o)] == a:
                found[c] = o // 3
                there += 1
            o = after[o]
        o = first[a]
        while o >= 0:
            here += flat[next_corner(o)] == b
            o = after[o]
        if there != 1 or here != 1:
            found[c] = -1


@_jit
def _seen(t, base, frame, g):
    """Write x, y and the height of the corners of a triangle t [3, 3] to g [3, 3]."""
    for k in range(3):
        px, py, pz = t[k, 0] - base[0], t[k, 1] - base[1], t[k, 2] - base[2]
        for j in range(3):
            g[k, j] = frame[j, 0] * px + frame[j, 1] * py + frame[j, 2] * pz


@_jit
def _side(g, k, x, y):
    """Twice the area between edge k of g and a place, which is left of it where that is more than 0."""
    j = (k + 1) % 3
    return (g[j, 0] - g[k, 0]) * (y - g[k, 1]) - (g[j, 1] - g[k, 1]) * (x - g[k, 0])


@_jit
def _frame(points, a, b, c, base, frame):
    """Write the first corner, and what x, y and the height grow along; return the longest side, 0 without an area."""
    longest = 0.0
    bx, by, bz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
    cx, cy, cz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
    nx, ny, nz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
    square = nx * nx + ny * ny + nz * nz
    if not square > 0.0:
        return longest
    longest = bx * bx + by * by + bz * bz
    longest = max(longest, cx * cx + cy * cy + cz * cz)
    longest = max(longest, (bx - cx) ** 2 + (by - cy) ** 2 + (bz - cz) ** 2)
    for k in range(3):
        base[k] = points[a, k]
    frame[0, 0], frame[0, 1], frame[0, 2] = cy * nz - cz * ny, cz * nx - cx * nz, cx * ny - cy * nx
    frame[1, 0], frame[1, 1], frame[1, 2] = ny * bz - nz * by, nz * bx - nx * bz, nx * by - ny * bx
    frame[2, 0], frame[2, 1], frame[2, 2] = nx, ny, nz
    root = np.sqrt(square)
    for k in range(3):
        frame[0, k] /= square
        frame[1, k] /= square
        frame[2, k] /= root
    return np.sqrt(longest)


@_jit
def _walk(start, corners, across, base, frame, g):
    """The triangle over the place whose signs are summed, or -1."""
    t = start
    for _ in range(STEPS):
        _seen(corners[t], base, frame, g)
        turned = 1.0 if _side(g, 0, g[2, 0], g[2, 1]) >= 0.0 else -1.0
        worst, least = -1, 0.0
        for k in range(3):
            side = turned * _side(g, k, FIRST, SECOND)
            if side < least:
                worst, least = k, side
        if worst < 0:
            return t
        t = across[3 * t + worst]
        if t < 0:
            break
    return -1


@_jit
def _passes(g, k):
    """Whether edge k of g passes over the inside of the face."""
    j = (k + 1) % 3
    if max(g[k, 0], g[j, 0]) <= INSIDE or max(g[k, 1], g[j, 1]) <= INSIDE:
        return False
    if max(1.0 - g[k, 0] - g[k, 1], 1.0 - g[j, 0] - g[j, 1]) <= INSIDE:
        return False
    s, t, u = _side(g, k, 0.0, 0.0), _side(g, k, 1.0, 0.0), _side(g, k, 0.0, 1.0)
    return not ((s >= 0.0 and t >= 0.0 and u >= 0.0) or (s <= 0.0 and t <= 0.0 and u <= 0.0))


@_jit
def _sign(g):
    """1 or -1 where g is over the place whose signs are summed, else 0; 2 where it cannot be told."""
    for k in range(2):
        at = SECOND if k else FIRST
        if min(g[0, k], g[1, k], g[2, k]) > at or max(g[0, k], g[1, k], g[2, k]) < at:
            return 0
    above = below = 0
    for k in range(3):
        side = _side(g, k, FIRST, SECOND)
        above += side > TIE
        below += side < -TIE
    if above and below:
        return 0
    return 1 if above == 3 else -1 if below == 3 else 2


@_jit
def _highest(g, one, other, where):
    """The largest height of what of g is over the face, and write its x and y; one, other [ROOM, 3]: scratch."""
    n = 3
    one[:3] = g
    for k in range(3):
        m = 0
        for i in range(n):
            j = (i + 1) % n
            if k < 2:
                s, t = one[i, k], one[j, k]
            else:
                s, t = 1.0 - one[i, 0] - one[i, 1], 1.0 - one[j, 0] - one[j, 1]
            if s >= 0.0:
                other[m] = one[i]
                m += 1
            if (s > 0.0 and t < 0.0) or (s < 0.0 and t > 0.0):
                u = s / (s - t)
                for c in range(3):
                    other[m, c] = one[i, c] + u * (one[j, c] - one[i, c])
                m += 1
        one, other, n = other, one, m
    most = 0.0
    for i in range(n):
        if abs(one[i, 2]) > most:
            most = abs(one[i, 2])
            where[0], where[1] = one[i, 0], one[i, 1]
    return most


@_jit
def over(begin, end, points, flat, near, corners, across, limit, most, place):
    """Write a bound on how far each face of a range is from the mesh, most [f], inf where that is not known; and where
    more than `limit` the place that it was found at, place [f, 3].

    near: a triangle of the mesh for each of the points, from which those over the face are looked for; across [3 t]:
    the triangles across their edges.
    """
    base, frame, g, where = np.empty(3), np.empty((3, 3)), np.empty((3, 3)), np.empty(2)
    one, other = np.empty((ROOM, 3)), np.empty((ROOM, 3))
    mark, queue = np.full(len(corners), -1, np.int32), np.empty(len(corners), np.int32)
    for f in range(begin, end):
        most[f] = np.inf
        for k in range(3):
            place[f, k] = points[flat[3 * f], k]
        longest = _frame(points, flat[3 * f], flat[3 * f + 1], flat[3 * f + 2], base, frame)
        if longest == 0.0:
            continue
        start = -1
        for k in range(3):
            if start < 0:
                start = _walk(near[flat[3 * f + k]], corners, across, base, frame, g)
        if start < 0:
            continue
        queue[0], mark[start], size, done, signs, highest = start, f, 1, 0, 0, 0.0
        while done < size:
            t = queue[done]
            done += 1
            _seen(corners[t], base, frame, g)
            sign = _sign(g)
            signs += sign
            closed = sign < 2
            for k in range(3):
                if _passes(g, k):
                    next_ = across[3 * t + k]
                    closed &= next_ >= 0
                    if next_ >= 0 and mark[next_] != f:
                        mark[next_] = f
                        queue[size] = next_
                        size += 1
            if not closed:
                signs = 0
                break
            height = max(abs(g[0, 2]), abs(g[1, 2]), abs(g[2, 2]))
            if height > limit:
                height = _highest(g, one, other, where)
                if height > limit and height > highest:
                    x, y = where[0], where[1]
                    for k in range(3):
                        b, c = points[flat[3 * f + 1], k] - base[k], points[flat[3 * f + 2], k] - base[k]
                        place[f, k] = base[k] + x * b + y * c
            highest = max(highest, height)
        if signs != 0:
            most[f] = highest + 4.0 * INSIDE * longest
