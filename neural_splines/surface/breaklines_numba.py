"""The loops of `breaklines`, compiled for the CPU: for each place, what is around it and on its side of the lines."""

from __future__ import annotations

import numpy as np

from ..runtime.compiled import compiled

_jit = compiled(nogil=True, error_model="numpy")

TERMS = 6  # of the surface: 1, x, y, x x, x y, y y
RIDGE = 1e-9  # of the trace of the system
BEFORE = 1.0 - 1e-6  # of the way to a place on a line, where the next segment begins
LINE = 10.0  # weight of a line against that of a point at the same distance: it is measured, and not scattered


@_jit
def _nearest(segments, s, x, y):
    """Where on a segment (x, y, z of both ends) the place nearest to another one is, from 0 to 1."""
    ux, uy = segments[s, 3] - segments[s, 0], segments[s, 4] - segments[s, 1]
    length = ux * ux + uy * uy
    if length == 0.0:
        return 0.0
    return min(1.0, max(0.0, ((x - segments[s, 0]) * ux + (y - segments[s, 1]) * uy) / length))


@_jit
def _turn(ax, ay, bx, by, cx, cy):
    return (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)


@_jit
def _crosses(segments, s, x, y, px, py):
    """Whether the way from a place to another one crosses a segment; not where it only begins or ends there."""
    ax, ay, bx, by = segments[s, 0], segments[s, 1], segments[s, 3], segments[s, 4]
    one, two = _turn(x, y, px, py, ax, ay), _turn(x, y, px, py, bx, by)
    three, four = _turn(ax, ay, bx, by, x, y), _turn(ax, ay, bx, by, px, py)
    return one * two <= 0.0 and three * four < 0.0


@_jit
def _add(system, right, weight, x, y, z):
    row = (1.0, x, y, x * x, x * y, y * y)
    for i in range(TERMS):
        right[i] += weight * row[i] * z
        for j in range(TERMS):
            system[i, j] += weight * row[i] * row[j]


@_jit
def _value(system, right, ridge, count):
    """The constant of the surface of so many terms, by Cholesky's factors; NaN where there are none."""
    factor = np.zeros((TERMS, TERMS))
    found = np.zeros(TERMS)
    for i in range(count):
        for j in range(i + 1):
            total = system[i, j] + (ridge if i == j else 0.0)
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            if i == j:
                if not total > 0.0:
                    return np.nan
                factor[i, i] = np.sqrt(total)
            else:
                factor[i, j] = total / factor[j, j]
    for i in range(count):
        total = right[i]
        for k in range(i):
            total -= factor[i, k] * found[k]
        found[i] = total / factor[i, i]
    for i in range(count - 1, -1, -1):
        total = found[i]
        for k in range(i + 1, count):
            total -= factor[k, i] * found[k]
        found[i] = total / factor[i, i]
    return found[0]


@_jit
def along(places, heights, points, first, cells, columns, segments, near, starts, radius, terms, found):
    """Heights [q] beside lines at places [q, 2], whose heights [q] are known; those farther than `radius` stay.

    points [n, 3], sorted by the squares of side `radius` that they lie in, row by row: those of square c are rows
    first[c] to first[c + 1]. cells [q]: the square of each place. near: numbers of the segments [s, 6] that may lie
    within the radius of a place of each square: rows starts[c] to starts[c + 1].
    """
    system, right = np.zeros((TERMS, TERMS)), np.zeros(TERMS)
    for q in range(len(places)):
        x, y = places[q, 0], places[q, 1]
        own = near[starts[cells[q]] : starts[cells[q] + 1]]
        least, height = np.inf, 0.0
        for s in own:
            t = _nearest(segments, s, x, y)
            dx = segments[s, 0] + t * (segments[s, 3] - segments[s, 0]) - x
            dy = segments[s, 1] + t * (segments[s, 4] - segments[s, 1]) - y
            away = dx * dx + dy * dy
            if away < least:
                least, height = away, segments[s, 2] + t * (segments[s, 5] - segments[s, 2])
        found[q] = heights[q]
        if least >= radius * radius:
            continue
        if least <= (1e-6 * radius) ** 2:
            found[q] = height
            continue
        system[:], right[:] = 0.0, 0.0
        count, base = 0, heights[q]
        for row in range(-1, 2):
            for column in range(-1, 2):
                cell = cells[q] + row * columns + column
                for p in range(first[cell], first[cell + 1]):
                    dx, dy = points[p, 0] - x, points[p, 1] - y
                    away = (dx * dx + dy * dy) / (radius * radius)
                    if away >= 1.0:
                        continue
                    seen = True
                    for s in own:
                        if _crosses(segments, s, x, y, points[p, 0], points[p, 1]):
                            seen = False
                            break
                    if seen:
                        count += 1
                        _add(system, right, (1.0 - away) ** 2, dx / radius, dy / radius, points[p, 2] - base)
        for s in own:
            t = _nearest(segments, s, x, y)
            dx = segments[s, 0] + t * (segments[s, 3] - segments[s, 0]) - x
            dy = segments[s, 1] + t * (segments[s, 4] - segments[s, 1]) - y
            away = (dx * dx + dy * dy) / (radius * radius)
            if away >= 1.0:
                continue
            seen = True
            for other in own:
                if other != s and _crosses(segments, other, x, y, x + BEFORE * dx, y + BEFORE * dy):
                    seen = False
                    break
            if seen:
                z = segments[s, 2] + t * (segments[s, 5] - segments[s, 2]) - base
                _add(system, right, LINE * (1.0 - away) ** 2 / away, dx / radius, dy / radius, z)
        trace = 0.0
        for i in range(TERMS):
            trace += system[i, i]
        value = np.nan
        for most in (terms, 3, 1):
            if value != value and (most == 1 or count >= 2 * most):
                value = _value(system, right, RIDGE * trace, most)
        if value == value:
            share = (1.0 - least / (radius * radius)) ** 2
            found[q] = heights[q] + share * value
