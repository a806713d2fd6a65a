"""The loops of `collapse`, compiled for the CPU; corners and their lists as in `quadrics_numba`."""

from __future__ import annotations

import numpy as np

from ..runtime.compiled import compiled
from .quadrics_numba import NONE, last_corner, next_corner, place

_jit = compiled(nogil=True, error_model="numpy")
TURN = 0.5  # cosine: a face may turn by 60 degrees in one collapse
ROOM = 64


@_jit
def odd(begin, end, flat, first, after, found):
    """Write which vertices of a range have around them what is no single fan of faces, found [v]."""
    for v in range(begin, end):
        faces, start, single = 0, first[v], True
        o = first[v]
        while o >= 0:
            n, same, before = flat[next_corner(o)], 0, 0
            p = first[v]
            while p >= 0:
                same += flat[next_corner(p)] == n
                before += flat[last_corner(p)] == n
                p = after[p]
            single &= n != v and same == 1 and before <= 1
            start = start if before else o  # a border begins there
            faces += 1
            o = after[o]
        o, met = start, 0
        while single and o >= 0:
            met += 1
            p = first[v]
            while p >= 0 and flat[next_corner(p)] != flat[last_corner(o)]:
                p = after[p]
            o = -1 if p == start else p
        found[v] = not single or met != faces


@_jit
def linked(a, b, flat, first, after, mark):
    """The link condition: whether what an edge becomes as a vertex leaves the surface as it is (Dey, Edelsbrunner,
    Guha, Nekhayev 1999): Lk a and Lk b have Lk ab in common and nothing else, a cone over the border included.

    a and b are ends of an edge, and what is around each is one fan. mark [v + 1]: scratch, of which the last entry
    grows.
    """
    token = mark[-1] + 2  # what neighbours of a have, and those of b one more
    mark[-1] = token
    around = faces = shared = 0
    c = d = -1  # opposite the edge
    o = first[a]
    while o >= 0:
        n, m = flat[next_corner(o)], flat[last_corner(o)]
        faces += 1
        around += (mark[n] < token) + (mark[m] < token)
        mark[n] = mark[m] = token
        if n == b or m == b:
            shared += 1
            c, d = m if n == b else n, c
        o = after[o]
    open_a = around > faces
    common = around = faces = closed_b = at_c_b = 0
    o = first[b]
    while o >= 0:
        n, m = flat[next_corner(o)], flat[last_corner(o)]
        faces += 1
        around += (mark[n] <= token) + (mark[m] <= token)
        common += (mark[n] == token) + (mark[m] == token)
        mark[n] = mark[m] = token + 1
        closed_b += (n == c and m == d) or (n == d and m == c)
        at_c_b += n == c or m == c
        o = after[o]
    if common != shared:
        return False
    if shared == 2 and open_a and around > faces:
        return False  # across, from border to border
    closed_a = at_c_a = 0
    o = first[a]
    while o >= 0:
        n, m = flat[next_corner(o)], flat[last_corner(o)]
        closed_a += (n == c and m == d) or (n == d and m == c)
        at_c_a += n == c or m == c
        o = after[o]
    if shared == 2:
        return not (closed_a and closed_b)  # a tetrahedron
    return not (at_c_a == 1 and at_c_b == 1)  # one triangle


@_jit
def _fits(a, b, p, x, flat, first, after):
    """Whether the faces of a that stay may have that corner at p: none turns far, or loses its area."""
    o = first[a]
    while o >= 0:
        n, m = flat[next_corner(o)], flat[last_corner(o)]
        o = after[o]
        if n == b or m == b:
            continue
        ex, ey, ez = x[m, 0] - x[n, 0], x[m, 1] - x[n, 1], x[m, 2] - x[n, 2]
        ux, uy, uz = x[a, 0] - x[n, 0], x[a, 1] - x[n, 1], x[a, 2] - x[n, 2]
        wx, wy, wz = p[0] - x[n, 0], p[1] - x[n, 1], p[2] - x[n, 2]
        ox, oy, oz = ey * uz - ez * uy, ez * ux - ex * uz, ex * uy - ey * ux
        nx, ny, nz = ey * wz - ez * wy, ez * wx - ex * wz, ex * wy - ey * wx
        old, new = np.sqrt(ox * ox + oy * oy + oz * oz), np.sqrt(nx * nx + ny * ny + nz * nz)
        if not new > 0.0 or ox * nx + oy * ny + oz * nz < TURN * old * new:
            return False
    return True


@_jit
def _sift(heap, size, at):
    """Move the key at a place down a heap, in which a parent is at most its two children."""
    key = heap[at]
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = key


@_jit
def _heap(cost, heap, size):
    """Order the first `size` keys, those whose cost is still true."""
    kept = 0
    for at in range(size):
        key = heap[at]
        if cost[key & 0xFFFFFFFF] == key >> 32:
            heap[kept] = key
            kept += 1
    for at in range(kept // 2 - 1, -1, -1):
        _sift(heap, kept, at)
    return kept


@_jit
def collapse(x, flat, first, after, q, locked, cost, into, count):
    """Collapse the cheapest edges until `count` faces are left, or none can be; return how many there are.

    Changed: places x [v, 3], flat, where a face that is gone has -1, the lists of corners, quadrics q, costs, and into
    [v], what a vertex that is gone became. An edge waits under its cost and its corner; what it waits under is true as
    long as it is that corner's cost.
    """
    live = len(flat) // 3
    box, p = np.empty(1, np.float32), np.empty(3)
    bits, mark = box.view(np.int32), np.zeros(len(x) + 1, np.int64)
    heap, size = np.empty(len(flat) + ROOM, np.int64), 0
    for h in range(len(flat)):
        if cost[h] != NONE:
            heap[size] = (np.int64(cost[h]) << 32) | h
            size += 1
    size = _heap(cost, heap, size)
    while live > count and size > 0:
        key = heap[0]
        size -= 1
        heap[0] = heap[size]
        _sift(heap, size, 0)
        h = key & 0xFFFFFFFF
        if cost[h] != key >> 32:
            continue
        cost[h] = NONE
        a, b = flat[h], flat[next_corner(h)]
        if not linked(a, b, flat, first, after, mark):
            continue
        place(q, a, b, x, p)
        if not (_fits(a, b, p, x, flat, first, after) and _fits(b, a, p, x, flat, first, after)):
            continue
        live -= _merge(a, b, flat, first, after, cost)
        into[b] = a
        for k in range(3):
            x[a, k] = p[k]
        for k in range(10):
            q[a, k] += q[b, k]
        mark[-1] += 2
        token, n = mark[-1], 0
        o = first[a]
        while o >= 0:
            mark[flat[next_corner(o)]] = token
            cost[o] = cost[last_corner(o)] = NONE
            n += 2
            o = after[o]
        if size + n > len(heap):
            size = _heap(cost, heap, size)
        o, back = first[a], False  # the edges of a, at corners of a, and of borders to a
        while o >= 0:
            h = last_corner(o) if back else o
            other = flat[h] if back else flat[next_corner(o)]
            if size < len(heap) and not locked[other] and not (back and mark[other] == token):
                box[0] = place(q, a, other, x, p)
                if box[0] < np.inf:
                    cost[h] = bits[0]
                    key, at = (np.int64(bits[0]) << 32) | h, size
                    size += 1
                    while at > 0 and heap[(at - 1) // 2] > key:
                        heap[at] = heap[(at - 1) // 2]
                        at = (at - 1) // 2
                    heap[at] = key
            if back:
                o = after[o]
            back = not back
    return live


@_jit
def _merge(a, b, flat, first, after, cost):
    """Give the faces of b to a, but those that both have, which go; return how many these are."""
    gone = 0
    o = first[a]
    while o >= 0:
        n, m = flat[next_corner(o)], flat[last_corner(o)]
        if n == b or m == b:
            c, f = m if n == b else n, o // 3
            gone += 1
            back, at = -1, first[c]  # out of the list of c
            while at // 3 != f:
                back, at = at, after[at]
            if back < 0:
                first[c] = after[at]
            else:
                after[back] = after[at]
            for k in range(3):
                cost[3 * f + k] = NONE
            flat[3 * f] = -1
        o = after[o]
    head = -1
    for v in (b, a):
        o = first[v]
        while o >= 0:
            follow = after[o]
            if flat[o - o % 3] >= 0:
                flat[o] = a
                after[o] = head
                head = o
            o = follow
    first[a], first[b] = head, -1
    return gone
