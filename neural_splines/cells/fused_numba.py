"""The systems of cells, made and solved by one compiled loop: the matrices of a cell never leave the caches.

As `batches`, for values and slopes on a CPU in float64. A batch's operations one after another go through memory with
every matrix, and threads that take turns at Python's lock between them: 16 of them fitted no faster than 8.
"""

from __future__ import annotations

import math

import numpy as np

from ..kernels.products.numba_rows import lifted, options, slope_rows, value_row
from ..runtime.compiled import compiled
from ..spline.solvers.lapack_numba import add_squares, factored, solve_by

ROWS = 32  # points whose rows are added to the matrix at once: 128 rows of 300 columns stay in a core's own cache

_jit = compiled(**options)


@_jit
def fit_cells(
    first, last, x, normals, counts, centers, columns, places, targets, weights, tight, judged, ridge, normal_weight,
    passes, cutoff, band, jitters, a, b, da, db, shift, homogeneity, syrk, potrf, potrs, solution, jitter, unseen,
):  # fmt: skip
    """Solutions [b, m] and relative jitter [b], NaN where there is none, of cells from first to last.

    x, normals [b, n, 3]: of which the first `counts` [b] are true; centers [b, m, 3], of which `columns` [b] are.
    places [b, t, 3], targets, weights, tight [b, t]: of ties, as `TieRows`. judged [b, s]: points of which `unseen`
    [b, s, 4] becomes what the rows' residuals were had each not been there, as `left_out`; or -1.
    Where a cell has no solution `unseen` stays as it was.
    """
    most, n, t = centers.shape[1], x.shape[1], places.shape[1]
    matrix, factor = _empty(most * most), _empty(most * most)
    block, tied = _empty(4 * ROWS * most), _empty(t * most)
    v, scale = _shaped(_empty(4 * most), 4, most), _empty(most)
    value_weight, slope_weight, values, slopes = _empty(n), _empty(n), _empty(n), _empty(n)
    right, found = _empty(most), _empty(most)
    for c in range(first, last):
        m, points = columns[c], counts[c]
        _fill(solution[c], 0.0)
        jitter[c] = 0.0
        if m == 0:
            continue
        A, L, T = _shaped(matrix, m, m), _shaped(factor, m, m), _shaped(tied, t, m)
        rhs, coefficients = right[:m], found[:m]
        _lift(centers[c], m, homogeneity, v, scale)
        base = 1.0 / (4.0 * points)
        _fill(value_weight, base)
        _fill(slope_weight, base * normal_weight)
        for remaining in range(passes, -1, -1):
            _ridge(centers[c], v, scale, ridge, a, b, shift, homogeneity, A)
            _fill(rhs, 0.0)
            for start in range(0, points, ROWS):
                stop = min(points, start + ROWS)
                B = _shaped(block, 4 * (stop - start), m)
                _rows(x[c], start, stop, v, scale, a, b, da, db, shift, homogeneity, B)
                _weigh(normals[c], start, stop, value_weight, slope_weight, B, rhs)
                add_squares(syrk, B, A)
            _tie_rows(places[c], weights[c], v, scale, a, b, shift, homogeneity, T)
            jitter[c] = _with_ties(
                A, rhs, T, targets[c], weights[c], tight[c], band, jitters, syrk, potrf, potrs, L, coefficients
            )
            if remaining:
                for start in range(0, points, ROWS):
                    stop = min(points, start + ROWS)
                    B = _shaped(block, 4 * (stop - start), m)
                    _rows(x[c], start, stop, v, scale, a, b, da, db, shift, homogeneity, B)
                    _residuals(normals[c], start, stop, B, coefficients, values, slopes)
                _reweigh(values, points, base, cutoff, value_weight)
                _reweigh(slopes, points, base * normal_weight, cutoff, slope_weight)
        for j in range(m):
            solution[c, j] = coefficients[j]
        X = _shaped(block, 4, m)
        for k in range(judged.shape[1]):
            i = judged[c, k]
            if i >= 0 and not math.isnan(jitter[c]):
                B = _shaped(block[4 * most :], 4, m)
                _rows(x[c], i, i + 1, v, scale, a, b, da, db, shift, homogeneity, B)
                _leave_out(normals[c, i], value_weight[i], slope_weight[i], B, coefficients, L, X, unseen[c, k])


@_jit
def _empty(size):
    return np.empty(size)


@_jit
def _shaped(buffer, rows, columns):
    """The beginning of a buffer as a matrix."""
    return buffer[: rows * columns].reshape(rows, columns)


@_jit
def _fill(x, value):
    """By a loop: NumPy's assignments take seconds to compile."""
    for j in range(x.shape[0]):
        x[j] = value


@_jit
def _lift(centers, m, homogeneity, v, scale):
    """Half unit vectors and powers of the norms of the centres."""
    for j in range(m):
        v[0, j], v[1, j], v[2, j], v[3, j], _, scale[j] = lifted(centers, j, homogeneity)


@_jit
def _ridge(centers, v, scale, ridge, a, b, shift, homogeneity, A):
    """The lower triangle of A becomes ridge times the kernel at the centres."""
    for i in range(A.shape[0]):
        u0, u1, u2, u3, _, r = lifted(centers, i, homogeneity)
        k = i + 1
        value_row(u0, u1, u2, u3, r * ridge, v[0, :k], v[1, :k], v[2, :k], v[3, :k], scale[:k], a, b, shift, A[i, :k])


@_jit
def _rows(x, start, stop, v, scale, a, b, da, db, shift, homogeneity, B):
    """Rows of values and slopes of points from start to stop."""
    m = B.shape[1]
    for i in range(start, stop):
        u0, u1, u2, u3, norm, r = lifted(x, i, homogeneity)
        k = 4 * (i - start)
        slope_rows(
            u0, u1, u2, u3, norm, r, v[0, :m], v[1, :m], v[2, :m], v[3, :m], scale[:m],
            a, b, da, db, shift, homogeneity, B[k], B[k + 1], B[k + 2], B[k + 3],
        )  # fmt: skip


@_jit
def _tie_rows(places, weights, v, scale, a, b, shift, homogeneity, T):
    """Rows of values at places, times the roots of their weights."""
    m = T.shape[1]
    for i in range(T.shape[0]):
        u0, u1, u2, u3, _, r = lifted(places, i, homogeneity)
        r *= math.sqrt(weights[i])
        value_row(u0, u1, u2, u3, r, v[0, :m], v[1, :m], v[2, :m], v[3, :m], scale[:m], a, b, shift, T[i])


@_jit
def _weigh(normals, start, stop, value_weight, slope_weight, B, rhs):
    """Rows times the roots of their weights; rhs += slopes times normals times weights."""
    for i in range(start, stop):
        k = 4 * (i - start)
        value, slope0, slope1, slope2 = B[k], B[k + 1], B[k + 2], B[k + 3]
        n0, n1, n2 = normals[i, 0], normals[i, 1], normals[i, 2]
        w, s = math.sqrt(value_weight[i]), math.sqrt(slope_weight[i])
        for j in range(B.shape[1]):
            rhs[j] += (n0 * slope0[j] + n1 * slope1[j] + n2 * slope2[j]) * (s * s)
            value[j] *= w
            slope0[j] *= s
            slope1[j] *= s
            slope2[j] *= s


@_jit
def _with_ties(A, rhs, T, targets, weights, tight, band, jitters, syrk, potrf, potrs, L, solution):
    """Solve with ties; where the solution makes a sheet, once more with tight ones. The relative jitter, or NaN."""
    t, m = T.shape
    if t:
        add_squares(syrk, T, A)
        for i in range(t):
            for j in range(m):
                rhs[j] += math.sqrt(weights[i]) * targets[i] * T[i, j]
    jitter = _solve(A, rhs, jitters, potrf, potrs, L, solution)
    broken = False
    for i in range(t):
        if weights[i] > 0.0:
            value = 0.0
            for j in range(m):
                value += T[i, j] * solution[j]
            value /= math.sqrt(weights[i])
            broken |= min(abs(targets[i]), abs(value)) > band and value * targets[i] < 0.0
    if broken:
        for i in range(t):
            more = math.sqrt(tight[i] / weights[i] - 1.0) if weights[i] > 0.0 else 0.0
            for j in range(m):
                T[i, j] *= more
                rhs[j] += more * math.sqrt(weights[i]) * targets[i] * T[i, j]
        add_squares(syrk, T, A)
        jitter = _solve(A, rhs, jitters, potrf, potrs, L, solution)
    return jitter


@_jit
def _solve(A, rhs, jitters, potrf, potrs, L, solution):
    """The least of some relative jitters with which A, of which there is the lower triangle, has a factor; or NaN."""
    m, mean = A.shape[0], 0.0
    for j in range(m):
        mean += A[j, j] / m
    for jitter in jitters:
        for i in range(m):
            for j in range(i + 1):
                L[i, j] = A[i, j]
            L[i, i] += jitter * mean
        if factored(potrf, L):
            for j in range(m):
                solution[j] = rhs[j]
            solve_by(potrs, L, solution)
            finite = True
            for j in range(m):
                finite &= math.isfinite(solution[j])
            if finite:
                return jitter
    return math.nan


@_jit
def _residuals(normals, start, stop, B, solution, values, slopes):
    """|f| and |grad f - n| of points from start to stop, by their rows."""
    for i in range(start, stop):
        k = 4 * (i - start)
        r0, r1, r2, r3 = 0.0, -normals[i, 0], -normals[i, 1], -normals[i, 2]
        for j in range(B.shape[1]):
            r0 += B[k, j] * solution[j]
            r1 += B[k + 1, j] * solution[j]
            r2 += B[k + 2, j] * solution[j]
            r3 += B[k + 3, j] * solution[j]
        values[i], slopes[i] = abs(r0), math.sqrt(r1 * r1 + r2 * r2 + r3 * r3)


@_jit
def _leave_out(normal, value_weight, slope_weight, B, solution, L, X, r):
    """r [4] = (I - B A^-1 B' W)^-1 (y - B a) of the rows B of a point, by A = L L'; X [4, m] becomes B L'^-1."""
    M = np.empty((4, 4))
    for k in range(4):
        r[k] = normal[k - 1] if k else 0.0
        for j in range(X.shape[1]):
            r[k] -= B[k, j] * solution[j]
            left = B[k, j]
            for i in range(j):
                left -= L[j, i] * X[k, i]
            X[k, j] = left / L[j, j]
    for k in range(4):
        for i in range(4):
            product = 0.0
            for j in range(X.shape[1]):
                product += X[k, j] * X[i, j]
            M[k, i] = (1.0 if i == k else 0.0) - product * (slope_weight if i else value_weight)
    _eliminate(M, r)


@_jit
def _eliminate(M, r):
    """r becomes M^-1 r, by Gauss with the largest pivots."""
    n = len(r)
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            if abs(M[i, k]) > abs(M[best, k]):
                best = i
        for j in range(n):
            M[k, j], M[best, j] = M[best, j], M[k, j]
        r[k], r[best] = r[best], r[k]
        for i in range(k + 1, n):
            share = M[i, k] / M[k, k]
            r[i] -= share * r[k]
            for j in range(k, n):
                M[i, j] -= share * M[k, j]
    for k in range(n - 1, -1, -1):
        for j in range(k + 1, n):
            r[k] -= M[k, j] * r[j]
        r[k] /= M[k, k]


@_jit
def _reweigh(residuals, count, base, cutoff, weights):
    """base min(1, cutoff sigma / residual) of so many residuals, sigma from the median."""
    sigma = _lower_median(residuals[:count].copy()) / 0.6745
    for i in range(count):
        weights[i] = base * min(1.0, cutoff * sigma / max(residuals[i], 1e-300))


@_jit
def _lower_median(values):
    """By Hoare's selection; the values change places."""
    wanted, low, high = (len(values) - 1) // 2, 0, len(values) - 1
    while low < high:
        pivot, i, j = values[(low + high) // 2], low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i, j = i + 1, j - 1
        if wanted <= j:
            high = j
        elif wanted >= i:
            low = i
        else:
            break
    return values[wanted]
