"""Loops that gather the sides around a place, and the value of each.

A side is a set of points near a place that links join. Its value is the blend of their fits,

    f_S(x) = sum_i phi_i(x) f_i(x) / sum_i phi_i(x),   phi_i = (1 - |x - x_i|^2 / r^2)^3,

with r the reach of the nearest point and the distance from it. cloud: the arrays of a `Sides`, in its order. grid: its
buckets. scratch: of `scratch_of`.
"""

from __future__ import annotations

import math

import numpy as np

from ..runtime.compiled import compiled

MOST, SIDES = 256, 8  # points and sides around a place
LINKS = 12  # of a point that are followed
RANGE = 3.0  # times its spacing from the nearest point: farther off nothing is known


@compiled(nogil=True)
def scratch_of(count):
    """Of all points: by which place each was found, and as which there. Of those found: which, squares of their
    distances, a link to another of its side, and its side.
    """
    mark, place = np.full(count, -1, np.int64), np.empty(count, np.int64)
    chosen, squares = np.empty(MOST, np.int64), np.empty(MOST)
    return mark, place, chosen, squares, np.empty(MOST, np.int64), np.empty(MOST, np.int64)


@compiled(nogil=True)
def bucket_of(x, low, side):
    return math.floor((x[0] - low[0]) / side), math.floor((x[1] - low[1]) / side), math.floor((x[2] - low[2]) / side)


@compiled(nogil=True)
def around(x, radius, points, grid, chosen, squares):
    """How many points, now in `chosen`, are nearer to a place than a radius; the squares of their distances; -1 where
    there are more than it holds.
    """
    low, side, shape, starts, order = grid
    i, j, k = bucket_of(x, low, side)
    ring = math.ceil(radius / side)
    count = 0
    for a in range(max(i - ring, 0), min(i + ring + 1, shape[0])):
        for b in range(max(j - ring, 0), min(j + ring + 1, shape[1])):
            row = (a * shape[1] + b) * shape[2]
            first, last = max(k - ring, 0), min(k + ring + 1, shape[2])
            if first >= last:
                continue
            for t in range(starts[row + first], starts[row + last]):
                p = order[t]
                d0, d1, d2 = points[p, 0] - x[0], points[p, 1] - x[1], points[p, 2] - x[2]
                square = d0 * d0 + d1 * d1 + d2 * d2
                if square < radius * radius:
                    if count == len(chosen):
                        return -1
                    chosen[count], squares[count] = p, square
                    count += 1
    return count


@compiled(nogil=True)
def nearest(x, points, grid):
    """The nearest point within a bucket's side of a place, and the distance; -1 where there is none."""
    low, side, shape, starts, order = grid
    i, j, k = bucket_of(x, low, side)
    best, least = -1, side * side
    for a in range(max(i - 1, 0), min(i + 2, shape[0])):
        for b in range(max(j - 1, 0), min(j + 2, shape[1])):
            row = (a * shape[1] + b) * shape[2]
            first, last = max(k - 1, 0), min(k + 2, shape[2])
            if first >= last:
                continue
            for t in range(starts[row + first], starts[row + last]):
                p = order[t]
                d0, d1, d2 = points[p, 0] - x[0], points[p, 1] - x[1], points[p, 2] - x[2]
                square = d0 * d0 + d1 * d1 + d2 * d2
                if square < least:
                    best, least = p, square
    return best, math.sqrt(least)


@compiled(nogil=True)
def root(parent, t):
    while parent[t] != t:
        t = parent[t]
    return t


@compiled(nogil=True)
def sides_at(x, cloud, grid, stamp, scratch):
    """Numbers of points and of sides around a place, 0 where no weight is; r; the nearest point and its distance."""
    points, _, reach, weights, _, links = cloud[:6]
    mark, place, chosen, squares, parent, label = scratch
    near, distance = nearest(x, points, grid)
    if near < 0 or distance >= RANGE * reach[near, 1]:
        return 0, 0, 0.0, near, distance
    radius = reach[near, 0] + distance
    count = around(x, radius, points, grid, chosen, squares)
    while count < 0:  # so many of dense points: those that are nearer
        radius = 0.8 * radius
        count = around(x, radius, points, grid, chosen, squares)
    counts = False
    for t in range(count):
        parent[t] = t
        mark[chosen[t]], place[chosen[t]] = stamp, t
        counts |= weights[chosen[t]] > 0.0
    if not counts:
        return 0, 0, radius, near, distance
    for t in range(count):
        for q in range(min(LINKS, links.shape[1])):
            j = links[chosen[t], q]
            if j >= 0 and mark[j] == stamp:
                one, other = root(parent, t), root(parent, place[j])
                if one < other:
                    parent[other] = one
                elif other < one:
                    parent[one] = other
    sides = 0
    for t in range(count):
        if parent[t] == t:
            label[t] = sides if sides < SIDES else -1
            sides += sides < SIDES
        else:
            label[t] = label[root(parent, t)]
    return count, sides, radius, near, distance


@compiled(nogil=True)
def values_of(x, cloud, count, sides, radius, near, distance, scratch, value, slope, phi, lean):
    """The value and slope of every side at a place, and phi and its slope at every point."""
    points, frames, coefficients = cloud[0], cloud[6], cloud[7]
    chosen, squares, label = scratch[2], scratch[3], scratch[5]
    weight = np.zeros(sides)
    turn = np.zeros((sides, 3))  # of the sums of phi
    value[:sides] = 0.0
    slope[:sides] = 0.0
    out = np.zeros(3)  # of the radius
    if distance > 0.0:
        for k in range(3):
            out[k] = (x[k] - points[near, k]) / distance
    for t in range(count):
        p, a = chosen[t], label[t]
        rest = 1.0 - squares[t] / (radius * radius)
        phi[t] = rest * rest * rest
        along = 6.0 * rest * rest / (radius * radius)
        u = v = z = 0.0
        for k in range(3):
            e = x[k] - points[p, k]
            lean[t, k] = along * (squares[t] / radius * out[k] - e)
            u += e * frames[p, 0, k]
            v += e * frames[p, 1, k]
            z += e * frames[p, 2, k]
        if a < 0:
            continue
        c = coefficients[p]
        scale = 1.0 / math.sqrt(1.0 + c[1] * c[1] + c[2] * c[2])
        f = scale * (z - (c[0] + c[1] * u + c[2] * v + 0.5 * c[3] * u * u + c[4] * u * v + 0.5 * c[5] * v * v))
        along_u, along_v = c[1] + c[3] * u + c[4] * v, c[2] + c[4] * u + c[5] * v
        weight[a] += phi[t]
        value[a] += phi[t] * f
        for k in range(3):
            turn[a, k] += lean[t, k]
            own = scale * (frames[p, 2, k] - along_u * frames[p, 0, k] - along_v * frames[p, 1, k])
            slope[a, k] += lean[t, k] * f + phi[t] * own
    for a in range(sides):
        value[a] /= weight[a]
        for k in range(3):
            slope[a, k] = (slope[a, k] - value[a] * turn[a, k]) / weight[a]
