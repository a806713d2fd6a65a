"""The loop of `heights`, compiled for the CPU: a triangle at a time, the squares below it."""

from __future__ import annotations

import numpy as np

from ..runtime.compiled import compiled

_jit = compiled(nogil=True, error_model="numpy")


@_jit
def _side(u, v, i, j, column, row):
    """On which side of the edge between two vertices a place lies, by its sign; the same number, negated, from j to i:
    of two triangles that share the edge one has each place."""
    if u[i] < u[j] or (u[i] == u[j] and v[i] < v[j]):
        return (u[j] - u[i]) * (row - v[i]) - (v[j] - v[i]) * (column - u[i])
    return (v[i] - v[j]) * (column - u[j]) - (u[i] - u[j]) * (row - v[j])


@_jit
def cover(u, v, z, faces, heights):
    """Raise heights [rows, columns] to those of triangles [f, 3] above their places (column, row).

    u, v, z [n]: of the vertices; the first two in columns and rows.
    """
    rows, columns = heights.shape
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        first, last = max(0.0, np.ceil(min(u[a], u[b], u[c]))), min(columns - 1.0, np.floor(max(u[a], u[b], u[c])))
        top, bottom = max(0.0, np.ceil(min(v[a], v[b], v[c]))), min(rows - 1.0, np.floor(max(v[a], v[b], v[c])))
        for row in range(int(top), int(bottom) + 1):
            for column in range(int(first), int(last) + 1):
                of_c = _side(u, v, a, b, column, row)
                of_a = _side(u, v, b, c, column, row)
                of_b = _side(u, v, c, a, column, row)
                within = (of_a >= 0.0 and of_b >= 0.0 and of_c >= 0.0) or (of_a <= 0.0 and of_b <= 0.0 and of_c <= 0.0)
                whole = of_a + of_b + of_c
                if within and whole != 0.0:  # no upright triangle
                    height = (of_a * z[a] + of_b * z[b] + of_c * z[c]) / whole
                    heights[row, column] = max(heights[row, column], height)
