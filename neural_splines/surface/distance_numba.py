"""Distances from a mesh to the nearest triangle of another, in loops compiled for the CPU.

Triangles lie in a binary tree of boxes, the children of node i are 2 i + 1 and 2 i + 2, and its leaves have LEAF each,
in order. All distances are squared unless said otherwise.
"""

from __future__ import annotations

import numpy as np

from ..runtime.compiled import compiled

_jit = compiled(nogil=True, error_model="numpy")
LEAF = 4
BITS = 10  # of an axis, in the order along which triangles are put into the tree
DEEP = 64  # nodes or triangles that wait
SPLITS, PIECES = 60, 200_000  # of a triangle, one after another and in all, until its bound is taken as it is
CLOSE = 1.02  # of the largest distance at its corners, that a bound may be
HALVINGS = 8  # of the piece of an edge in which two triangles become equally near


@_jit
def keys(begin, end, x, faces, low, unit, found):
    """Write where the centres of a range of faces [f, 3] of places x [v, 3] come along Morton's curve, found [f]."""
    for f in range(begin, end):
        key = 0
        for axis in range(3):
            middle = (x[faces[f, 0], axis] + x[faces[f, 1], axis] + x[faces[f, 2], axis]) / 3.0
            cell = int((middle - low[axis]) / unit * (2**BITS - 1))
            for bit in range(BITS):
                key |= (cell >> bit & 1) << (3 * bit + axis)
        found[f] = key


@_jit
def boxed(corners, lower, upper):
    """Write the boxes of a tree over triangles [t, 3, 3]: lower and upper [2^k - 1, 3], which begin as inf and -inf."""
    first = len(lower) // 2
    for t in range(len(corners)):
        node = first + t // LEAF
        for k in range(3):
            for axis in range(3):
                lower[node, axis] = min(lower[node, axis], corners[t, k, axis])
                upper[node, axis] = max(upper[node, axis], corners[t, k, axis])
    for node in range(len(lower) - 1, 0, -1):
        for axis in range(3):
            lower[(node - 1) // 2, axis] = min(lower[(node - 1) // 2, axis], lower[node, axis])
            upper[(node - 1) // 2, axis] = max(upper[(node - 1) // 2, axis], upper[node, axis])


@_jit
def to_triangle(x, y, z, t):
    """The distance of a point from a triangle t [3, 3] (Ericson, Real-Time Collision Detection, 5.1.5)."""
    abx, aby, abz = t[1, 0] - t[0, 0], t[1, 1] - t[0, 1], t[1, 2] - t[0, 2]
    acx, acy, acz = t[2, 0] - t[0, 0], t[2, 1] - t[0, 1], t[2, 2] - t[0, 2]
    px, py, pz = x - t[0, 0], y - t[0, 1], z - t[0, 2]
    d1 = abx * px + aby * py + abz * pz
    d2 = acx * px + acy * py + acz * pz
    if d1 <= 0.0 and d2 <= 0.0:
        return px * px + py * py + pz * pz
    bb = abx * abx + aby * aby + abz * abz
    cc = acx * acx + acy * acy + acz * acz
    bc = abx * acx + aby * acy + abz * acz
    d3, d4 = d1 - bb, d2 - bc
    d5, d6 = d1 - bc, d2 - cc
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    if d3 >= 0.0 and d4 <= d3:
        v, w = 1.0, 0.0
    elif d6 >= 0.0 and d5 <= d6:
        v, w = 0.0, 1.0
    elif vc <= 0.0 and d1 >= 0.0 and d3 <= 0.0:
        v, w = d1 / (d1 - d3), 0.0
    elif vb <= 0.0 and d2 >= 0.0 and d6 <= 0.0:
        v, w = 0.0, d2 / (d2 - d6)
    elif va <= 0.0 and d4 - d3 >= 0.0 and d5 - d6 >= 0.0:
        w = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        v = 1.0 - w
    else:
        v, w = vb / (va + vb + vc), vc / (va + vb + vc)
    if not (v >= 0.0 and w >= 0.0):  # a triangle without an area: its corners are near enough
        v, w = 0.0, 0.0
    px, py, pz = px - v * abx - w * acx, py - v * aby - w * acy, pz - v * abz - w * acz
    return px * px + py * py + pz * pz


@_jit
def _to_box(x, y, z, lower, upper, node):
    dx = max(lower[node, 0] - x, 0.0, x - upper[node, 0])
    dy = max(lower[node, 1] - y, 0.0, y - upper[node, 1])
    dz = max(lower[node, 2] - z, 0.0, z - upper[node, 2])
    return dx * dx + dy * dy + dz * dz


@_jit
def nearest(x, y, z, corners, lower, upper, guess):
    """The triangle of corners [t, 3, 3] that is nearest to a point, and its distance; `guess`: one that may be near."""
    nodes, best = np.empty(DEEP, np.int64), guess
    apart = np.empty(DEEP)
    least, leaves = to_triangle(x, y, z, corners[guess]), (len(lower) + 1) // 2
    nodes[0], apart[0], size = 0, 0.0, 1
    while size > 0:
        size -= 1
        node = nodes[size]
        if apart[size] >= least:
            continue
        if node >= leaves - 1:
            first = LEAF * (node - leaves + 1)
            for t in range(first, min(first + LEAF, len(corners))):
                d = to_triangle(x, y, z, corners[t])
                if d < least:
                    least, best = d, t
            continue
        one, other = 2 * node + 1, 2 * node + 2
        near, far = _to_box(x, y, z, lower, upper, one), _to_box(x, y, z, lower, upper, other)
        if near > far:
            one, other, near, far = other, one, far, near
        if far < least:
            nodes[size], apart[size], size = other, far, size + 1
        if near < least:
            nodes[size], apart[size], size = one, near, size + 1
    return best, least


@_jit
def of_points(begin, end, points, corners, lower, upper, found, distance):
    """Write the nearest triangles of a range of points [n, 3], and their distances."""
    guess = 0
    for i in range(begin, end):
        guess, distance[i] = nearest(points[i, 0], points[i, 1], points[i, 2], corners, lower, upper, guess)
        found[i] = guess


@_jit
def _kept(p, n, d, a, b, c, limit, corners):
    """Of the nearest triangles n of corners of p, at distances d, what corners a, b and c are from one of them at most:
    from one that is within the limit, or else the least.
    """
    least = np.inf
    for k in range(3):
        if k > 0 and (n[k] == n[k - 1] or n[k] == n[0]):
            continue
        most = 0.0
        for v in (a, b, c):
            t = d[v] if n[v] == n[k] else to_triangle(p[v, 0], p[v, 1], p[v, 2], corners[n[k]])
            most = max(most, t)
            if most >= least:
                break
        least = min(least, most)
        if least <= limit:
            break
    return least


@_jit
def _across(p, a, b, s, t, corners):
    """Where between corners a and b of p, from 0 to 1, the triangles s, nearest to a, and t, to b, are equally near."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        u = 0.5 * (low + high)
        x = p[a, 0] + u * (p[b, 0] - p[a, 0])
        y = p[a, 1] + u * (p[b, 1] - p[a, 1])
        z = p[a, 2] + u * (p[b, 2] - p[a, 2])
        if to_triangle(x, y, z, corners[s]) <= to_triangle(x, y, z, corners[t]):
            low = u
        else:
            high = u
    return 0.5 * (low + high)


@_jit
def of_faces(begin, end, points, flat, near, apart, corners, lower, upper, enough, most):
    """Write to most [f] a bound on how far each face of a range is from the mesh, or on `enough` where that is more.

    near, apart: the triangles nearest to points, and how far they are. The distance from one triangle is convex, so no
    point of a piece of a face is farther from it than a corner of the piece. A face that passes from one nearest
    triangle to another is split where both are equally near, until each piece keeps to one: the overlay of both
    meshes, as far as it matters.
    """
    p, n, d = np.empty((DEEP, 3, 3)), np.empty((DEEP, 3), np.int64), np.empty((DEEP, 3))
    level = np.empty(DEEP, np.int64)
    for f in range(begin, end):
        for k in range(3):
            v = flat[3 * f + k]
            p[0, k], n[0, k], d[0, k] = points[v], near[v], apart[v]
        level[0], size, largest, pieces = 0, 1, 0.0, 1
        while size > 0:
            top = size - 1
            limit = max(enough, largest, CLOSE * max(d[top, 0], d[top, 1], d[top, 2]))
            bound = _kept(p[top], n[top], d[top], 0, 1, 2, limit, corners)
            if bound <= limit or level[top] >= SPLITS or pieces >= PIECES:
                largest = max(largest, bound)
                size -= 1
                continue
            a, longest, mixed = 0, -1.0, False
            for k in range(3):  # the longest edge of those that do not keep to one triangle, where there is one
                j = (k + 1) % 3
                length = 0.0
                for c in range(3):
                    length += (p[top, j, c] - p[top, k, c]) ** 2
                other = _kept(p[top], n[top], d[top], k, j, k, limit, corners) > limit
                if (other and not mixed) or (other == mixed and length > longest):
                    a, longest, mixed = k, length, other
            b = (a + 1) % 3
            u = _across(p[top], a, b, n[top, a], n[top, b], corners) if mixed else 0.5
            x = p[top, a, 0] + u * (p[top, b, 0] - p[top, a, 0])
            y = p[top, a, 1] + u * (p[top, b, 1] - p[top, a, 1])
            z = p[top, a, 2] + u * (p[top, b, 2] - p[top, a, 2])
            s, far = nearest(x, y, z, corners, lower, upper, n[top, a])
            p[size], n[size], d[size] = p[top], n[top], d[top]
            level[top] += 1
            level[size] = level[top]
            p[top, b, 0], p[top, b, 1], p[top, b, 2], n[top, b], d[top, b] = x, y, z, s, far
            p[size, a, 0], p[size, a, 1], p[size, a, 2], n[size, a], d[size, a] = x, y, z, s, far
            size += 1
            pieces += 1
        most[f] = largest
