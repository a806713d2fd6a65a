"""Loops that make one field of the sides around places, and find where sides meet.

Where normals turn apart from one side to the other, the edge is convex, and max(f, f') is the body that both bound;
else min(f, f'). Of several sides those that are alike to all others are joined first, which is the tree of a cograph;
where there is none, the farthest side is left out.
"""

from __future__ import annotations

import math

import numpy as np

from ..runtime.compiled import compiled
from .gathering_numba import MOST, SIDES, scratch_of, sides_at, values_of

STRAIGHT, CLEAR, FEW = 0.2, 0.6, 3  # of their distance points turn apart at an edge; so much where a side has few
ENOUGH = 0.15  # of the largest singular value: sides whose planes differ by less do not meet in a point


@compiled(nogil=True)
def add_pair(points, normals, i, j, a, b, spacing, turn, weight):
    """Add a pair of points to what is known of their sides."""
    square, apart = 1e-300, 0.0
    for k in range(3):
        along = points[j, k] - points[i, k]
        square += along * along
        apart += along * (normals[j, k] - normals[i, k])
    near = 1.0 / (square + spacing * spacing) ** 2
    turn[a, b] += near * apart
    weight[a, b] += near * math.sqrt(square)


@compiled(nogil=True)
def relations(cloud, count, sides, spacing, stamp, scratch, convex, far, alive):
    """Which pairs of sides meet in a convex edge, and how far each is. Left out are sides that no neighbours join to
    the nearest one; of two that turn nowhere, as sheets one behind the other do, the farther; and what a few points say
    unclearly.

    Normals turn apart along a convex edge: (x_j - x_i) . (n_j - n_i) > 0, of neighbours, else of all pairs, weighted by
    (|x_j - x_i|^2 + spacing^2)^-2.
    """
    points, normals, near, links = cloud[0], cloud[1], cloud[4], cloud[5]
    mark, place, chosen, squares, _, label = scratch
    turn, weight = np.zeros((sides, sides)), np.zeros((sides, sides))
    far[:sides] = math.inf
    size = np.zeros(sides)
    for s in range(count):
        a, i = label[s], chosen[s]
        if a < 0:
            continue
        size[a] += 1
        far[a] = min(far[a], squares[s])
        for q in range(near.shape[1]):
            j = near[i, q]
            if links[i, q] < 0 and j >= 0 and mark[j] == stamp:
                b = label[place[j]]
                if b >= 0 and b != a:
                    add_pair(points, normals, i, j, a, b, spacing, turn, weight)
    here = 0
    for a in range(sides):
        alive[a] = False
        if far[a] < far[here]:
            here = a
    alive[here] = True
    for _ in range(sides):
        for a in range(sides):
            for b in range(sides):
                alive[b] |= alive[a] and weight[a, b] + weight[b, a] > 0.0
    for a in range(sides):
        for b in range(a):
            if not (alive[a] and alive[b]):
                continue
            if weight[a, b] + weight[b, a] == 0.0:
                for s in range(count):
                    for t in range(count):
                        if label[s] == a and label[t] == b:
                            add_pair(points, normals, chosen[s], chosen[t], a, b, spacing, turn, weight)
            turned = (turn[a, b] + turn[b, a]) / max(weight[a, b] + weight[b, a], 1e-300)
            convex[a, b] = convex[b, a] = turned > 0.0
            if abs(turned) < STRAIGHT:
                alive[a if far[a] > far[b] else b] = False
            elif abs(turned) < CLEAR and min(size[a], size[b]) < FEW:
                alive[a if size[a] < size[b] else b] = False


@compiled(nogil=True)
def deciding(convex, far, alive, sides, value):
    """The side whose value is that of the tree of maxima and minima, of the nearest sides that have one."""
    while True:
        which = leaf(convex, alive, sides, value)
        if which >= 0:
            return which
        last = -1
        for a in range(sides):
            if alive[a] and (last < 0 or far[a] > far[last]):
                last = a
        alive[last] = False


@compiled(nogil=True)
def leaf(convex, alive, sides, value):
    """The same for the sides that are alive; -1 where they have no tree."""
    left = 0
    chosen, open_ = np.arange(sides), alive[:sides].copy()
    for a in range(sides):
        left += open_[a]
    while left > 1:
        joined = False
        for a in range(sides):
            for b in range(a + 1, sides):
                if joined or not (open_[a] and open_[b]):
                    continue
                alike = True
                for c in range(sides):
                    if open_[c] and c != a and c != b and convex[a, c] != convex[b, c]:
                        alike = False
                if alike:
                    one, other = value[chosen[a]], value[chosen[b]]
                    if (other > one) == convex[a, b]:
                        chosen[a] = chosen[b]
                    open_[b] = False
                    left -= 1
                    joined = True
        if not joined:
            return -1
    for a in range(sides):
        if open_[a]:
            return chosen[a]
    return -1


@compiled(nogil=True)
def evaluate(first, last, x, cloud, grid, value, slope, share, rise, count):
    """At places [q, 3]: the value and slope [q, 3] of the sides, the share of their weights, 0 where none is near, with
    its slope [q, 3], and how many sides there are.
    """
    scratch, reach, weights = scratch_of(len(cloud[0])), cloud[2], cloud[3]
    chosen = scratch[2]
    phi, lean = np.empty(MOST), np.empty((MOST, 3))
    values, slopes = np.empty(SIDES), np.empty((SIDES, 3))
    convex, far, alive = np.zeros((SIDES, SIDES), np.bool_), np.empty(SIDES), np.empty(SIDES, np.bool_)
    for q in range(first, last):
        share[q], count[q] = 0.0, 0
        n, sides, radius, near, distance = sides_at(x[q], cloud, grid, q, scratch)
        if not n:
            continue
        values_of(x[q], cloud, n, sides, radius, near, distance, scratch, values, slopes, phi, lean)
        which = 0
        if sides > 1:
            relations(cloud, n, sides, reach[near, 1], q, scratch, convex, far, alive)
            which = deciding(convex, far, alive, sides, values)
        total = weighted = 0.0
        for t in range(n):
            total += phi[t]
            weighted += phi[t] * weights[chosen[t]]
        share[q], value[q], count[q] = weighted / total, values[which], sides
        for k in range(3):
            slope[q, k] = slopes[which, k]
            rise[q, k] = 0.0
            for t in range(n):
                rise[q, k] += lean[t, k] * (weights[chosen[t]] - share[q]) / total


@compiled(nogil=True)
def meet(first, last, x, within, steps, cloud, grid, out, count):
    """The places near places [q, 3] where those sides meet that pass within a distance of them, and how many these are.

    Newton's steps of least length, each at most `within`.
    """
    scratch = scratch_of(len(cloud[0]))
    phi, lean = np.empty(MOST), np.empty((MOST, 3))
    values, slopes = np.empty(SIDES), np.empty((SIDES, 3))
    near_values, near_slopes = np.empty(SIDES), np.empty((SIDES, 3))
    for q in range(first, last):
        at = x[q].copy()
        count[q] = 0
        for step in range(steps):
            n, sides, radius, near, distance = sides_at(at, cloud, grid, q * steps + step, scratch)
            if sides < 2:
                count[q] = 0
                break
            values_of(at, cloud, n, sides, radius, near, distance, scratch, values, slopes, phi, lean)
            m = 0
            for a in range(sides):
                if abs(values[a]) < within:
                    near_values[m] = values[a]
                    for c in range(3):  # a row at once takes Numba seconds to compile
                        near_slopes[m, c] = slopes[a, c]
                    m += 1
            count[q] = m
            if m < 2:
                break
            left, size, right = np.linalg.svd(np.ascontiguousarray(near_slopes[:m]), full_matrices=False)
            move = np.zeros(3)
            for c in range(len(size)):
                if size[c] > ENOUGH * size[0]:
                    along = 0.0
                    for a in range(m):
                        along += left[a, c] * near_values[a]
                    for k in range(3):
                        move[k] -= right[c, k] * along / size[c]
            length = math.sqrt(move[0] ** 2 + move[1] ** 2 + move[2] ** 2)
            for k in range(3):
                at[k] += move[k] * min(1.0, within / max(length, 1e-300))
            if length < 1e-9 * radius:
                break
        for k in range(3):
            out[q, k] = at[k]
