"""Boxes of triangles in grids of several sizes, found by hashed keys of the cells that they overlap."""

from __future__ import annotations

import numpy as np

from ..runtime.compiled import compiled

AXIS_BITS = 20  # of a key, for each axis; the rest has the level


@compiled(nogil=True)
def key_of(level, i, j, k):
    return ((((np.int64(level) << AXIS_BITS) | i) << AXIS_BITS) | j) << AXIS_BITS | k


@compiled(nogil=True)
def entries(lower, upper, level, origin, size):
    """The keys of all cells that the boxes of triangles overlap, at the level of each, and their triangles."""
    count = 0
    for f in range(len(lower)):
        cells = 1
        side = size * 2.0 ** level[f]
        for a in range(3):
            cells *= int((upper[f, a] - origin[a]) / side) - int((lower[f, a] - origin[a]) / side) + 1
        count += cells
    keys, owners = np.empty(count, np.int64), np.empty(count, np.int64)
    at = 0
    for f in range(len(lower)):
        side = size * 2.0 ** level[f]
        for i in range(int((lower[f, 0] - origin[0]) / side), int((upper[f, 0] - origin[0]) / side) + 1):
            for j in range(int((lower[f, 1] - origin[1]) / side), int((upper[f, 1] - origin[1]) / side) + 1):
                for k in range(int((lower[f, 2] - origin[2]) / side), int((upper[f, 2] - origin[2]) / side) + 1):
                    keys[at], owners[at] = key_of(level[f], i, j, k), f
                    at += 1
    return keys, owners


@compiled(nogil=True)
def spread(key):
    """A number that is far for keys that are near."""
    x = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return x ^ (x >> np.uint64(29))


@compiled(nogil=True)
def table_of(keys):
    """Where each of different keys stands: an open table of twice as many places, a power of two."""
    places = 1
    while places < 2 * len(keys) + 1:
        places *= 2
    table = np.full(places, -1, np.int64)
    mask = np.uint64(places - 1)
    for n in range(len(keys)):
        at = spread(keys[n]) & mask
        while table[at] >= 0:
            at = (at + np.uint64(1)) & mask
        table[at] = n
    return table


@compiled(nogil=True)
def found_in(table, keys, key):
    mask = np.uint64(len(table) - 1)
    at = spread(key) & mask
    while table[at] >= 0:
        if keys[table[at]] == key:
            return table[at]
        at = (at + np.uint64(1)) & mask
    return np.int64(-1)


@compiled(nogil=True)
def overlap_begins(f, g, lower, upper, origin, side, i, j, k):
    """Whether two boxes overlap, and the lower corner of what they have in common is in this cell: once for a pair."""
    for a in range(3):
        low = max(lower[f, a], lower[g, a])
        if low > min(upper[f, a], upper[g, a]):
            return False
        cell = int((low - origin[a]) / side)
        if cell != (i if a == 0 else j if a == 1 else k):
            return False
    return True
