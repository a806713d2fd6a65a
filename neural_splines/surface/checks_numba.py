"""The loops of `checks`, compiled for the CPU: a vertex at a time, by the corners of faces around it."""

from __future__ import annotations

import numpy as np

from ..runtime.compiled import compiled

_jit = compiled(nogil=True, error_model="numpy")


@_jit
def corners_of(flat, count):
    """The corners 3 face + k of faces, whose vertices are flat [3 f], by vertex: starts [v + 1], corners [3 f]."""
    starts = np.zeros(count + 1, flat.dtype)
    for c in range(len(flat)):
        starts[flat[c] + 1] += 1
    for v in range(count):
        starts[v + 1] += starts[v]
    corners, at = np.empty(len(flat), flat.dtype), starts[:-1].copy()
    for c in range(len(flat)):
        v = flat[c]
        corners[at[v]] = c
        at[v] += 1
    return starts, corners


@_jit
def look(first, last, flat, starts, corners, fan, fans, single):
    """Look at the vertices of a range: write the fan of each of their corners, fan [3 f], how many fans each vertex
    has, fans [v], and the half edges, as the corner they begin at, that no other face has, single [3 f]; return how
    many edges there are to higher vertices, with three faces or more, passed twice the same way.

    Two faces at an edge belong to one fan at both of its ends.
    """
    edges = three = turned = 0
    room = 64
    other, corner = np.empty(room, flat.dtype), np.empty(room, np.int64)
    way, root = np.empty(room, np.int64), np.empty(room, np.int64)
    for v in range(first, last):
        begin, here = starts[v], starts[v + 1] - starts[v]
        if 2 * here > room:
            room = 4 * here
            other, corner = np.empty(room, flat.dtype), np.empty(room, np.int64)
            way, root = np.empty(room, np.int64), np.empty(room, np.int64)
        n = 0
        for k in range(here):
            c = corners[begin + k]
            root[k] = k
            base = c - c % 3
            after, before = flat[base + (c + 1) % 3], flat[base + (c + 2) % 3]
            other[n], corner[n], way[n] = after, k, 1 if after > v else -1
            n += 1
            if before != v:  # an edge from a vertex to itself is there once
                other[n], corner[n], way[n] = before, k, -1 if before > v else 1
                n += 1
        gap = 1  # Shell's sort: insertion for the few neighbours that most vertices have
        while gap < n // 9:
            gap = 3 * gap + 1
        while gap > 0:
            for i in range(gap, n):
                x, y, z, j = other[i], corner[i], way[i], i
                while j >= gap and other[j - gap] > x:
                    other[j], corner[j], way[j] = other[j - gap], corner[j - gap], way[j - gap]
                    j -= gap
                other[j], corner[j], way[j] = x, y, z
            gap //= 3
        i = 0
        while i < n:
            j, turns = i, 0
            while j < n and other[j] == other[i]:
                turns += way[j]
                one, two = corner[i], corner[j]
                while root[one] != one:
                    one = root[one]
                while root[two] != two:
                    two = root[two]
                root[max(one, two)] = min(one, two)
                j += 1
            if other[i] >= v:
                edges += 1
                uses = j - i
                three += uses > 2
                turned += uses == 2 and abs(turns) == 2
                if uses == 1:
                    c = corners[begin + corner[i]]
                    single[c if way[i] == 1 or other[i] == v else c - c % 3 + (c + 2) % 3] = 1
            i = j
        count = 0
        for k in range(here):  # a root comes before all that it is the root of
            if root[k] == k:
                fan[corners[begin + k]] = count
                count += 1
            else:
                fan[corners[begin + k]] = fan[corners[begin + root[k]]]
        fans[v] = count
    return edges, three, turned


@_jit
def pieces(flat, fan, first_fan):
    """How many components faces joined by edges have, by the fans of their corners, of which first_fan [v] is a vertex'
    first: union-find with halved paths.
    """
    count = first_fan[-1]
    root = np.arange(count, dtype=flat.dtype)
    for f in range(len(flat) // 3):
        low = -1
        for k in range(3):
            c = 3 * f + k
            node = first_fan[flat[c]] + fan[c]
            while root[node] != node:
                root[node] = root[root[node]]
                node = root[node]
            if low < 0 or node == low:
                low = node
            else:
                low, high = min(low, node), max(low, node)
                root[high] = low
                count -= 1
    return count


@_jit
def measure(first, last, vertices, faces, middle, found):
    """Area, volume and number of flat faces, found [b, 3], of blocks of 2^16 faces."""
    for block in range(first, last):
        area = volume = 0.0
        flat = 0
        for f in range(block << 16, min((block + 1) << 16, len(faces))):
            p = vertices[faces[f, 0]]
            q, r = vertices[faces[f, 1]], vertices[faces[f, 2]]
            ax, ay, az = p[0] - middle[0], p[1] - middle[1], p[2] - middle[2]
            ux, uy, uz = q[0] - p[0], q[1] - p[1], q[2] - p[2]
            wx, wy, wz = r[0] - p[0], r[1] - p[1], r[2] - p[2]
            x, y, z = uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx
            double = np.sqrt(x * x + y * y + z * z)
            area += double
            volume += ax * x + ay * y + az * z
            flat += double == 0.0
        found[block, 0], found[block, 1], found[block, 2] = area / 2.0, volume / 6.0, flat
