"""Loops that find creases: links between points of one smooth side, and turns of normals that curvature does not make.

near [n, k]: the nearest points of each, from near to far, itself first. spacing [n]: of the points around each.
"""

from __future__ import annotations

import math

from ..runtime.compiled import compiled

TURN = math.cos(math.radians(30.0))  # neighbours of one side turn less
OPPOSITE = math.cos(math.radians(160.0))  # the two sides of a sheet, which no crease joins
ALIKE = 1.0 - math.cos(math.radians(20.0))  # normals that are averaged
WIDTH = 1.5  # spacings, of that average
OFF = 0.5  # of their distance, or of a spacing: so far may linked points be off each other's tangent planes
CLOSE = 1.5  # spacings between the middle of two points and the line where their tangent planes meet
UNEXPLAINED = 0.6  # of a turn: what the curvature of both sides leaves over at a crease


@compiled(nogil=True)
def product(a, i, b, j):
    """The scalar product of two rows."""
    return a[i, 0] * b[j, 0] + a[i, 1] * b[j, 1] + a[i, 2] * b[j, 2]


@compiled(nogil=True)
def square(points, i, j):
    """The squared distance of two points."""
    x, y, z = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1], points[j, 2] - points[i, 2]
    return x * x + y * y + z * z


@compiled(nogil=True)
def smooth(first, last, points, normals, near, spacing, out):
    """Normals averaged with those of neighbours that are alike (a bilateral filter)."""
    for i in range(first, last):
        x = y = z = 0.0
        for q in range(near.shape[1]):
            j = near[i, q]
            turned = (1.0 - product(normals, i, normals, j)) / ALIKE
            w = math.exp(-square(points, i, j) / (WIDTH * spacing[i]) ** 2 - turned * turned)
            x += w * normals[j, 0]
            y += w * normals[j, 1]
            z += w * normals[j, 2]
        length = max(math.sqrt(x * x + y * y + z * z), 1e-300)
        out[i, 0], out[i, 1], out[i, 2] = x / length, y / length, z / length


@compiled(nogil=True)
def link(first, last, points, normals, near, spacing, out):
    """Which neighbours lie on one smooth side with a point: out [n, k] has them, and -1 in the place of others."""
    for i in range(first, last):
        for q in range(near.shape[1]):
            j = near[i, q]
            out[i, q] = -1
            if j == i or product(normals, i, normals, j) < TURN:
                continue
            off = OFF * max(math.sqrt(square(points, i, j)), spacing[i], spacing[j])
            here = there = 0.0
            for a in range(3):
                along = points[j, a] - points[i, a]
                here += along * normals[i, a]
                there += along * normals[j, a]
            if abs(here) < off and abs(there) < off:
                out[i, q] = j


@compiled(nogil=True)
def turned(i, j, points, normals, spacing):
    """Whether normals turn between two points about a line that passes near both."""
    cosine = product(normals, i, normals, j)
    if cosine >= TURN or cosine < OPPOSITE:
        return False
    a = b = 0.0
    for k in range(3):
        half = 0.5 * (points[j, k] - points[i, k])
        a -= normals[i, k] * half
        b += normals[j, k] * half
    away = (a * a - 2.0 * cosine * a * b + b * b) / (1.0 - cosine * cosine)
    return away <= (CLOSE * spacing[i]) ** 2


@compiled(nogil=True)
def turning(first, last, points, normals, near, spacing, out):
    """Which points have neighbours beyond a turn of the normals."""
    for i in range(first, last):
        out[i] = False
        for q in range(1, near.shape[1]):
            if turned(i, near[i, q], points, normals, spacing):
                out[i] = True
                break


@compiled(nogil=True)
def predicted(i, j, t, points, normals, frames, coefficients):
    """The cosine of the normal at a point and that of another point's quadric t there."""
    u = v = 0.0
    for k in range(3):
        along = points[j, k] - points[i, k]
        u += along * frames[t, 0, k]
        v += along * frames[t, 1, k]
    c = coefficients[t]
    slope_u, slope_v = c[1] + c[3] * u + c[4] * v, c[2] + c[4] * u + c[5] * v
    total = 0.0
    for k in range(3):
        total += normals[j, k] * (frames[t, 2, k] - slope_u * frames[t, 0, k] - slope_v * frames[t, 1, k])
    return total / math.sqrt(1.0 + slope_u * slope_u + slope_v * slope_v)


@compiled(nogil=True)
def creased(first, last, rows, row, points, normals, near, spacing, frames, coefficients, out):
    """Which points rows [m] have at least two turns that the curvature of neither side makes, and half of all so.

    row [n]: the place of a point in rows, or -1 where it has no quadric.
    """
    for t in range(first, last):
        i = rows[t]
        found = count = 0
        for q in range(1, near.shape[1]):
            j = near[i, q]
            if row[j] < 0 or not turned(i, j, points, normals, spacing):
                continue
            count += 1
            rest = math.cos(UNEXPLAINED * math.acos(product(normals, i, normals, j)))
            if (
                predicted(i, j, t, points, normals, frames, coefficients) < rest
                and predicted(j, i, row[j], points, normals, frames, coefficients) < rest
            ):
                found += 1
        out[t] = found >= 2 and 2 * found >= count
