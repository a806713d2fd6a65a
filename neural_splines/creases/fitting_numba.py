"""Loops that fit the side of a surface that a point lies on: a plane or a quadric over its tangent plane.

With u, v, z the coordinates of neighbours in the frame (t, b, n) of a point, weights w = (1 - |x|^2 / R^2)^2 and slopes
(p, q) = -(n_t, n_b) / n_n of the neighbours' normals: minimise

    sum w (h - z)^2 + w eta^2 ((h_u - p)^2 + (h_v - q)^2),
    h = c_0 + c_1 u + c_2 v + c_3 u^2 / 2 + c_4 u v + c_5 v^2 / 2.
"""

from __future__ import annotations

import math

import numpy as np

from ..runtime.compiled import compiled
from .finding_numba import product, square

MOST = 1024  # points of a fit
FACING = 0.5  # cosine: normals that turn farther belong to no function over a tangent plane
GRAZING = 0.3  # of a normal: slopes above 3 are not used
RIDGE = 1e-10
EXCESS = 3.0  # standard errors: so much more than the noise is no noise
WORSE = 9.0  # times the least mean square error: that way there is nothing to find
BENT = 6.0  # a slope that is off by e as far as R puts the value off by about e R / 6


@compiled(nogil=True)
def grown(i, points, normals, links, radius, mark, stamp, region):
    """How many points, now in `region`, are linked to a point by ways within a radius."""
    region[0], mark[i] = i, stamp
    count, at = 1, 0
    while at < count:
        here = region[at]
        at += 1
        for q in range(links.shape[1]):
            j = links[here, q]
            if j < 0 or mark[j] == stamp or square(points, i, j) > radius * radius:
                continue
            if product(normals, i, normals, j) < FACING:
                continue
            mark[j] = stamp
            if count < len(region):
                region[count] = j
                count += 1
    return count


@compiled(nogil=True)
def set_frame(normal, frame):
    """Rows t, b, n, orthonormal."""
    a = 0
    for k in range(1, 3):
        if abs(normal[k]) < abs(normal[a]):
            a = k
    length = math.sqrt(1.0 - normal[a] * normal[a])
    for k in range(3):
        frame[0, k] = ((1.0 if k == a else 0.0) - normal[a] * normal[k]) / length
        frame[2, k] = normal[k]
    for k in range(3):
        k1, k2 = (k + 1) % 3, (k + 2) % 3
        frame[1, k] = normal[k1] * frame[0, k2] - normal[k2] * frame[0, k1]


@compiled(nogil=True)
def gather(region, count, i, points, given, frame, local):
    """Rows u, v, z, p, q, n_n, |x|^2 of the points of a region."""
    for t in range(count):
        j = region[t]
        for a in range(6):
            local[t, a] = 0.0
        for k in range(3):
            along = points[j, k] - points[i, k]
            for a in range(3):
                local[t, a] += along * frame[a, k]
                local[t, 3 + a] += given[j, k] * frame[a, k]
        local[t, 6] = local[t, 0] ** 2 + local[t, 1] ** 2 + local[t, 2] ** 2


@compiled(nogil=True)
def solved(A, b, m, x):
    """x = A^-1 b by Cholesky's factor, in the lower half of A; whether there is one."""
    for j in range(m):
        pivot = A[j, j] * (1.0 + RIDGE)
        for k in range(j):
            pivot -= A[j, k] * A[j, k]
        if not pivot > 1e-300:
            return False
        A[j, j] = math.sqrt(pivot)
        for i in range(j + 1, m):
            t = A[i, j]
            for k in range(j):
                t -= A[i, k] * A[j, k]
            A[i, j] = t / A[j, j]
    for i in range(m):
        t = b[i]
        for k in range(i):
            t -= A[i, k] * x[k]
        x[i] = t / A[i, i]
    for i in range(m - 1, -1, -1):
        t = x[i]
        for k in range(i + 1, m):
            t -= A[k, i] * x[k]
        x[i] = t / A[i, i]
    return True


@compiled(nogil=True)
def value_variance(A, m):
    """(A^-1)_00 of a factor."""
    y = np.zeros(6)
    total = 0.0
    for a in range(m):
        t = 1.0 if a == 0 else 0.0
        for c in range(a):
            t -= A[a, c] * y[c]
        y[a] = t / A[a, a]
        total += y[a] * y[a]
    return total


@compiled(nogil=True)
def fit(local, count, skip, radius, eta, m, A, b, x):
    """The m coefficients x, in units of the radius, of the points after the first `skip`; how many are used, or 0."""
    A[:, :] = 0.0
    b[:] = 0.0
    row = np.empty(6)
    used, scale = 0, 1.0 / radius
    for t in range(skip, count):
        far = local[t, 6] * scale * scale
        if far >= 1.0:
            continue
        used += 1
        w = (1.0 - far) ** 2
        u, v, z = local[t, 0] * scale, local[t, 1] * scale, local[t, 2] * scale
        row[0], row[1], row[2], row[3], row[4], row[5] = 1.0, u, v, 0.5 * u * u, u * v, 0.5 * v * v
        for a in range(m):
            b[a] += w * row[a] * z
            for c in range(a + 1):
                A[a, c] += w * row[a] * row[c]
        up = local[t, 5]
        if up < GRAZING:
            continue
        s = w * (eta * scale) ** 2
        p, q = -local[t, 3] / up, -local[t, 4] / up
        A[1, 1] += s
        A[2, 2] += s
        b[1] += s * p
        b[2] += s * q
        if m == 6:
            A[3, 1] += s * u
            A[4, 1] += s * v
            A[4, 2] += s * u
            A[5, 2] += s * v
            A[3, 3] += s * u * u
            A[4, 3] += s * u * v
            A[4, 4] += s * (u * u + v * v)
            A[5, 4] += s * u * v
            A[5, 5] += s * v * v
            b[3] += s * u * p
            b[4] += s * (v * p + u * q)
            b[5] += s * v * q
    x[:] = 0.0
    return used if used > m and solved(A, b, m, x) else 0


@compiled(nogil=True)
def spread(local, count, used, radius, m, x, out):
    """Root mean squares: of the distances from a fit (unbiased), and of the angles between its normals and theirs."""
    total = heights = turns = 0.0
    for t in range(count):
        far = local[t, 6] / (radius * radius)
        if far >= 1.0:
            continue
        w = (1.0 - far) ** 2
        u, v, z = local[t, 0] / radius, local[t, 1] / radius, local[t, 2] / radius
        h = x[0] + x[1] * u + x[2] * v + 0.5 * x[3] * u * u + x[4] * u * v + 0.5 * x[5] * v * v
        p, q = x[1] + x[3] * u + x[4] * v, x[2] + x[4] * u + x[5] * v
        length = math.sqrt(1.0 + p * p + q * q)
        total += w
        heights += w * ((z - h) / length) ** 2
        turns += 2.0 * w * max(1.0 - (local[t, 5] - p * local[t, 3] - q * local[t, 4]) / length, 0.0)
    out[0] = radius * math.sqrt(heights / total * used / max(used - m, 1))
    out[1] = math.sqrt(turns / total)


@compiled(nogil=True)
def first_fits(first, last, rows, points, normals, given, links, spacing, radii, frames, coefficients, found):
    """The quadric of each point rows [m] within the least radius that has enough points, in world units.

    radii: spacings. found [m, 3]: that radius, or 0, and how far points and normals are spread about it.
    """
    mark = np.full(len(points), -1, np.int64)
    region, local = np.empty(MOST, np.int64), np.empty((MOST, 7))
    A, b, x, out = np.empty((6, 6)), np.empty(6), np.empty(6), np.empty(2)
    for t in range(first, last):
        i = rows[t]
        set_frame(normals[i], frames[t])
        count = grown(i, points, normals, links, radii[-1] * spacing[i], mark, t, region)
        gather(region, count, i, points, given, frames[t], local)
        found[t, 0] = 0.0
        for g in range(len(radii)):
            radius = radii[g] * spacing[i]
            used = fit(local, count, 0, radius, spacing[i], 6, A, b, x)
            if used:
                spread(local, count, used, radius, 6, x, out)
                found[t, 0], found[t, 1], found[t, 2] = radius, out[0], out[1]
                in_world(x, radius, coefficients[t])
                break


@compiled(nogil=True)
def best_fits(
    first, last, rows, points, normals, given, links, spacing, radii, noise, turn, frames, coefficients, found
):
    """The plane or quadric of each point whose mean square error, bias and variance as estimated, is least.

    noise, turn [m]: standard deviations of points and of normals. found [m, 3]: how many points it has, 0 where there
    is none; and what it would say had it not seen the point itself: the distance and the cosine of the normal there.
    """
    mark = np.full(len(points), -1, np.int64)
    region, local = np.empty(MOST, np.int64), np.empty((MOST, 7))
    A, b, x, out = np.empty((6, 6)), np.empty(6), np.empty(6), np.empty(2)
    for t in range(first, last):
        i = rows[t]
        set_frame(normals[i], frames[t])
        count = grown(i, points, normals, links, radii[-1] * spacing[i], mark, t, region)
        gather(region, count, i, points, given, frames[t], local)
        least, best_m, best_radius = math.inf, 0, 0.0
        found[t, :] = 0.0
        planes = quadrics = True
        for g in range(len(radii)):
            radius = radii[g] * spacing[i]
            eta, flat = weight_of_slopes(radius, noise[t], turn[t]), False
            for m in (3, 6):
                if not (planes if m == 3 else quadrics and not flat):
                    continue
                used = fit(local, count, 0, radius, eta, m, A, b, x)
                if not used:
                    continue
                spread(local, count, used, radius, m, x, out)
                off = max(0.0, out[0] ** 2 - noise[t] ** 2 * (1.0 + EXCESS * math.sqrt(2.0 / used)))
                bent = max(0.0, out[1] ** 2 - turn[t] ** 2 * (1.0 + EXCESS * math.sqrt(1.0 / used)))
                error = off + bent * (radius / BENT) ** 2 + noise[t] ** 2 * value_variance(A, m)
                flat = m == 3 and off == 0.0 and bent == 0.0  # a quadric could only vary more
                if error > WORSE * least and m == 3:
                    planes = False
                elif error > WORSE * least:
                    quadrics = False
                if error < least:
                    least, best_m, best_radius = error, m, radius
                    found[t, 0] = used
                    in_world(x, radius, coefficients[t])
        if best_m:
            eta = weight_of_slopes(best_radius, noise[t], turn[t])
            if fit(local, count, 1, best_radius, eta, best_m, A, b, x):
                length = math.sqrt(1.0 + x[1] * x[1] + x[2] * x[2])
                found[t, 1] = best_radius * x[0] / length
                found[t, 2] = (local[0, 5] - x[1] * local[0, 3] - x[2] * local[0, 4]) / length
            else:
                found[t, 0] = 0.0


@compiled(nogil=True)
def weight_of_slopes(radius, noise, turn):
    """eta: slopes count by what they know, but for no more than points a radius apart."""
    return radius if noise >= turn * radius else noise / turn


@compiled(nogil=True)
def in_world(x, radius, out):
    """Coefficients in world units of those in units of the radius."""
    out[0], out[1], out[2] = x[0] * radius, x[1], x[2]
    out[3], out[4], out[5] = x[3] / radius, x[4] / radius, x[5] / radius
