"""Quadrics of the vertices of a mesh and what edges cost by them, in loops compiled for the CPU.

Corner 3 f + k is that of face f at its vertex flat[3 f + k], and stands for the edge to the face's next corner. The
corners of a vertex are a list: first [v], then after [3 f].
"""

from __future__ import annotations

import numpy as np

from ..runtime.compiled import compiled

_jit = compiled(nogil=True, error_model="numpy")
EVEN = 0.01  # what a step along a plane counts for one across it: flat parts have even faces, and no sum is singular
NONE = np.int32(-1)  # no cost is as small


@_jit
def next_corner(c):
    return c - 2 if c % 3 == 2 else c + 1


@_jit
def last_corner(c):
    return c + 2 if c % 3 == 0 else c - 1


@_jit
def lists(flat, count):
    """The corners of each of `count` vertices: first [v], after [3 f], in the order of faces; -1 where a list ends."""
    first, after = np.full(count, -1, flat.dtype), np.empty_like(flat)
    for c in range(len(flat) - 1, -1, -1):
        after[c] = first[flat[c]]
        first[flat[c]] = c
    return first, after


@_jit
def normals(x, faces):
    """Unit normals [v, 3], float32, of vertices x [v, 3]: means of those of faces [f, 3] by area, or 0."""
    total = np.zeros((len(x), 3))
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux, uy, uz = x[b, 0] - x[a, 0], x[b, 1] - x[a, 1], x[b, 2] - x[a, 2]
        wx, wy, wz = x[c, 0] - x[a, 0], x[c, 1] - x[a, 1], x[c, 2] - x[a, 2]
        for k in range(3):
            total[faces[f, k], 0] += uy * wz - uz * wy
            total[faces[f, k], 1] += uz * wx - ux * wz
            total[faces[f, k], 2] += ux * wy - uy * wx
    found = np.zeros((len(x), 3), np.float32)
    for v in range(len(x)):
        length = np.sqrt(total[v, 0] ** 2 + total[v, 1] ** 2 + total[v, 2] ** 2)
        for k in range(3):
            if length > 0.0:
                found[v, k] = total[v, k] / length
    return found


@_jit
def _add(q, v, w, x, y, z, d):
    """Add w (n . p + d)^2 for n = x, y, z to the quadric of a vertex: xx xy xz yy yz zz, then b, then c."""
    q[v, 0] += w * x * x
    q[v, 1] += w * x * y
    q[v, 2] += w * x * z
    q[v, 3] += w * y * y
    q[v, 4] += w * y * z
    q[v, 5] += w * z * z
    q[v, 6] += w * x * d
    q[v, 7] += w * y * d
    q[v, 8] += w * z * d
    q[v, 9] += w * d * d


@_jit
def quadrics(x, flat, first, after):
    """The quadric [v, 10] of each vertex: of the planes of its faces, by area; of its place, by EVEN^2 of that; and of
    the planes through its border edges across their faces, by the square of their length.
    """
    q = np.zeros((len(x), 10))
    for f in range(len(flat) // 3):
        a, b, c = flat[3 * f], flat[3 * f + 1], flat[3 * f + 2]
        ux, uy, uz = x[b, 0] - x[a, 0], x[b, 1] - x[a, 1], x[b, 2] - x[a, 2]
        wx, wy, wz = x[c, 0] - x[a, 0], x[c, 1] - x[a, 1], x[c, 2] - x[a, 2]
        nx, ny, nz = uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx
        double = np.sqrt(nx * nx + ny * ny + nz * nz)
        if double == 0.0:
            continue
        nx, ny, nz = nx / double, ny / double, nz / double
        d = -(nx * x[a, 0] + ny * x[a, 1] + nz * x[a, 2])
        for k in range(3):
            v, n = flat[3 * f + k], flat[3 * f + (k + 1) % 3]
            _add(q, v, double, nx, ny, nz, d)
            along = EVEN * EVEN * double
            _add(q, v, along, 1.0, 0.0, 0.0, -x[v, 0])
            _add(q, v, along, 0.0, 1.0, 0.0, -x[v, 1])
            _add(q, v, along, 0.0, 0.0, 1.0, -x[v, 2])
            shared = 0
            o = first[v]
            while o >= 0:
                shared += flat[next_corner(o)] == n or flat[last_corner(o)] == n
                o = after[o]
            if shared != 1:
                continue
            ex, ey, ez = x[n, 0] - x[v, 0], x[n, 1] - x[v, 1], x[n, 2] - x[v, 2]
            mx, my, mz = ey * nz - ez * ny, ez * nx - ex * nz, ex * ny - ey * nx  # as long as the edge
            off = -(mx * x[v, 0] + my * x[v, 1] + mz * x[v, 2])
            _add(q, v, 1.0, mx, my, mz, off)
            _add(q, n, 1.0, mx, my, mz, off)
    return q


@_jit
def place(q, a, b, x, p):
    """Write the place with the least sum of two vertices' quadrics to p [3], by Cholesky's factor; return the sum."""
    xx, xy, xz = q[a, 0] + q[b, 0], q[a, 1] + q[b, 1], q[a, 2] + q[b, 2]
    yy, yz, zz = q[a, 3] + q[b, 3], q[a, 4] + q[b, 4], q[a, 5] + q[b, 5]
    # about the middle of the edge: the step from there is short, and loses no digits
    mx, my, mz = 0.5 * (x[a, 0] + x[b, 0]), 0.5 * (x[a, 1] + x[b, 1]), 0.5 * (x[a, 2] + x[b, 2])
    bx, by, bz = q[a, 6] + q[b, 6], q[a, 7] + q[b, 7], q[a, 8] + q[b, 8]
    gx = xx * mx + xy * my + xz * mz + bx
    gy = xy * mx + yy * my + yz * mz + by
    gz = xz * mx + yz * my + zz * mz + bz
    least = q[a, 9] + q[b, 9] + mx * (gx + bx) + my * (gy + by) + mz * (gz + bz)
    l11 = np.sqrt(xx)
    l21, l31 = xy / l11, xz / l11
    l22 = np.sqrt(yy - l21 * l21)
    l32 = (yz - l31 * l21) / l22
    l33 = np.sqrt(zz - l31 * l31 - l32 * l32)
    u = -gx / l11
    v = (-gy - l21 * u) / l22
    w = (-gz - l31 * u - l32 * v) / l33
    least -= u * u + v * v + w * w
    sz = w / l33
    sy = (v - l32 * sz) / l22
    sx = (u - l21 * sy - l31 * sz) / l11
    p[0], p[1], p[2] = mx + sx, my + sy, mz + sz
    return max(least, 0.0)


@_jit
def price(begin, end, x, q, flat, first, after, locked, cost):
    """Write the cost [3 f] of the edges at corners of a range, each at one of the corners that stand for it."""
    box, p = np.empty(1, np.float32), np.empty(3)
    bits = box.view(np.int32)
    for h in range(begin, end):
        a, b = flat[h], flat[next_corner(h)]
        cost[h] = NONE
        waits = not (locked[a] or locked[b])
        o = first[b]
        while waits and a > b and o >= 0:
            waits = flat[next_corner(o)] != a  # else the corner of the other face stands for it
            o = after[o]
        if waits:
            box[0] = place(q, a, b, x, p)
            if box[0] < np.inf:
                cost[h] = bits[0]
