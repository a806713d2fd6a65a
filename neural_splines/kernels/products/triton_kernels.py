"""The Triton kernels of the GPU backend, and what bounds them.

A thread owns some rows; columns come one after another, the same for all, as scalars. So sums stay in
registers and no thread waits for another. Long sums are split over programs and added up in order: no
result depends on the order in which programs run, and every result is reproducible bit by bit.

The bound, by an H200's counters: a scheduler starts one instruction a cycle, and one in float64 takes it
for two (its operands fill the registers' ports). `apply_kernel` does with 23 of these a pair for
neural-spline, where the plain formula takes some 35, and with 9 others: 55 cycles.
  - z = 1/2 - 2 u.v is 4 operations where |u - v|^2 is 8. It has lost its digits where u and v are
    close: when a thread finds z < NEAR, its warp takes these columns again by differences.
  - 2 sqrt z is 3: a float32 reciprocal root, which other units compute, and one Newton step.
  - an even part that is linear in z is summed before the loop: sum_j w_j (1, v_j) is all it needs.
"""

import triton
import triton.language as tl

if tuple(int(part) for part in triton.__version__.split(".")[:2]) < (3, 4):
    raise ImportError(f"needs Triton 3.4 or later for tuples in kernels, got {triton.__version__}")

SPAN = tl.constexpr(64)  # columns at a time in the sums before the loop
NEAR = tl.constexpr(0x3ED00000)  # 2^-18, the upper half of its bits: below, 1/2 - 2 u.v costs sqrt z over 6e-14
TINY = tl.constexpr(1e-36)  # added to z, so that 1 / sqrt z exists; sqrt z changes by no more than 1e-18


@triton.jit(do_not_specialize=["points", "w", "n"])
def lift_kernel(points, w, packed, n, HOMOGENEITY: tl.constexpr, PADDING: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    x0 = tl.load(points + 3 * i, inside, other=0.0)
    x1 = tl.load(points + 3 * i + 1, inside, other=0.0)
    x2 = tl.load(points + 3 * i + 2, inside, other=0.0)
    norm = tl.sqrt(x0 * x0 + x1 * x1 + x2 * x2 + 1.0)
    half = 0.5 / norm
    weight = norm if HOMOGENEITY == 1 else tl.full([BLOCK], 1.0, norm.dtype)
    weight *= tl.load(w + i, inside, other=0.0) if w is not None else inside.to(norm.dtype)
    stored = i < n + PADDING
    tl.store(packed + 5 * i, half * x0, stored)
    tl.store(packed + 5 * i + 1, half * x1, stored)
    tl.store(packed + 5 * i + 2, half * x2, stored)
    tl.store(packed + 5 * i + 3, half, stored)
    tl.store(packed + 5 * i + 4, weight, stored)


@triton.jit
def _load4(pointer, inside):
    """A half vector; past the end 0, at a harmless distance from all."""
    return (
        tl.load(pointer, inside, other=0.0),
        tl.load(pointer + 1, inside, other=0.0),
        tl.load(pointer + 2, inside, other=0.0),
        tl.load(pointer + 3, inside, other=0.0),
    )


@triton.jit
def _task(tasks, n, m, ROWS: tl.constexpr):
    """This program's rows [ROWS], which of them exist, its first column, and how many of these it sums."""
    t, s, splits = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.num_programs(1)
    if tasks is None:
        first_row, last_row, first, last = t * ROWS, n.to(tl.int64), t * 0, m.to(tl.int64)
    else:
        first_row, last_row = tl.load(tasks + 4 * t), tl.load(tasks + 4 * t + 1)
        first, last = tl.load(tasks + 4 * t + 2), tl.load(tasks + 4 * t + 3)
        last = tl.where(first_row < last_row, last, first)  # no rows: nothing to sum
    i = first_row + tl.arange(0, ROWS)
    start, stop = (last - first) * s // splits, (last - first) * (s + 1) // splits
    return i, i < last_row, first + start, (stop - start).to(tl.int32)


@triton.jit
def _horner(C: tl.constexpr, SHIFT: tl.constexpr, z):
    if SHIFT != 0.0:
        z -= tl.full([], SHIFT, z.dtype)  # a bare number may pass through float32
    value = tl.full(z.shape, C[len(C) - 1], z.dtype)
    for k in tl.static_range(len(C) - 1):
        value = value * z + tl.full([], C[len(C) - 2 - k], z.dtype)
    return value


@triton.jit
def _roots(z):
    """2 s and 2 / s in float64, s and 1 / s in float32, of s = sqrt z; relative error 5e-14 and 2e-7."""
    if z.dtype == tl.float64:
        # z as float32, rounded down, with integers: a conversion would take longer
        single = ((z.to(tl.int64, bitcast=True) >> 29) - (896 << 23)).to(tl.int32).to(tl.float32, bitcast=True)
        y = tl.rsqrt(single).to(tl.float64)
        s = z * y
        newton = 3.0 - s * y
        return s * newton, y * newton
    else:
        return tl.sqrt(z), tl.rsqrt(z)


@triton.jit
def _products(u0, u1, u2, u3, columns, COLUMNS: tl.constexpr):
    """z of some columns by products, and whether any is too small for that; here u is -2 u."""
    zs = ()
    lowest = tl.full(u0.shape, 0x7FF00000, tl.int32)
    for k in tl.static_range(COLUMNS):
        v0, v1, v2, v3 = _load4(columns + 5 * k, True)
        z = u0 * v0 + (u1 * v1 + (u2 * v2 + (u3 * v3 + 0.5)))
        lowest = tl.minimum(lowest, (z.to(tl.int64, bitcast=True) >> 32).to(tl.int32))  # orders as z, below 0 too
        zs = zs + (z,)  # noqa: RUF005
    return zs, tl.min(lowest) < NEAR


@triton.jit
def _differences(u0, u1, u2, u3, columns, COLUMNS: tl.constexpr):
    zs = ()
    for k in tl.static_range(COLUMNS):
        v0, v1, v2, v3 = _load4(columns + 5 * k, True)
        zs = zs + (_distance(u0 - v0, u1 - v1, u2 - v2, u3 - v3),)  # noqa: RUF005
    return zs


@triton.jit
def _distance(d0, d1, d2, d3):
    return d3 * d3 + (d2 * d2 + (d1 * d1 + (d0 * d0 + tl.full([], TINY, d0.dtype))))


@triton.jit(do_not_specialize=["n", "m"])
def apply_kernel(
    rows, columns, tasks, partial, n, m,
    A: tl.constexpr, B: tl.constexpr, SHIFT: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    i, inside, first, count = _task(tasks, n, m, ROWS)
    columns += 5 * first
    u0, u1, u2, u3 = _load4(rows + 5 * i, inside)
    U0, U1, U2, U3 = -2.0 * u0, -2.0 * u1, -2.0 * u2, -2.0 * u3
    total = tl.zeros([ROWS], u0.dtype)

    if len(A) <= 2:  # sum_j w_j a(z_ij), with z_ij = 1/2 - 2 u_i.v_j; here a column is a thread's
        lanes = tl.arange(0, SPAN)
        t0 = tl.zeros([SPAN], u0.dtype)
        t1, t2, t3, t4 = t0, t0, t0, t0
        for j in range(0, count, SPAN):
            column = columns + 5 * (j + lanes)
            v0, v1, v2, v3 = _load4(column, j + lanes < count)
            w = tl.load(column + 4, j + lanes < count, other=0.0)
            t0, t1, t2, t3, t4 = t0 + w * v0, t1 + w * v1, t2 + w * v2, t3 + w * v3, t4 + w
        if len(A) == 2:
            total += tl.sum(t0) * U0 + tl.sum(t1) * U1 + tl.sum(t2) * U2 + tl.sum(t3) * U3
            total *= tl.full([], A[1], u0.dtype)
            total += tl.sum(t4) * tl.full([], A[0] + A[1] * (0.5 - SHIFT), u0.dtype)
        else:
            total += tl.sum(t4) * tl.full([], A[0], u0.dtype)

    for left in range(count, 0, -COLUMNS):
        if u0.dtype == tl.float64:
            zs, near = _products(U0, U1, U2, U3, columns, COLUMNS)
            if near:  # u from U, lest both stay in registers
                zs = _differences(-0.5 * U0, -0.5 * U1, -0.5 * U2, -0.5 * U3, columns, COLUMNS)
        else:
            zs = _differences(u0, u1, u2, u3, columns, COLUMNS)
        for k in tl.static_range(COLUMNS):
            w = tl.load(columns + 5 * k + 4, k < left, other=0.0) if k > 0 else tl.load(columns + 4)
            value = _roots(zs[k])[0] * _horner(B, SHIFT, zs[k])
            if len(A) > 2:
                value += _horner(A, SHIFT, zs[k])
            total += value * w
        columns += 5 * COLUMNS
    total *= tl.load(rows + 5 * i + 4, inside, other=0.0)
    tl.store(partial + tl.program_id(1).to(tl.int64) * n + i, total, inside)


@triton.jit(do_not_specialize=["n", "m"])
def gradient_kernel(
    rows, columns, tasks, partial, n, m,
    A: tl.constexpr, B: tl.constexpr, DA: tl.constexpr, DB: tl.constexpr, SHIFT: tl.constexpr,
    HOMOGENEITY: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    # With half vectors h = X / (2|X|): d phi / d h_u = g (h_u - h_v), g = 2 a' + b / s + 2 s b'; and dh_u / dX
    # projects off h_u and divides by 2|X|.
    i, inside, first, count = _task(tasks, n, m, ROWS)
    columns += 5 * first
    u0, u1, u2, u3 = _load4(rows + 5 * i, inside)
    total = tl.zeros([ROWS], u0.dtype)
    g0, g1, g2, g3 = total, total, total, total
    for _ in range(count):
        v0, v1, v2, v3 = _load4(columns, True)
        w = tl.load(columns + 4)
        columns += 5
        d0, d1, d2, d3 = u0 - v0, u1 - v1, u2 - v2, u3 - v3
        z = _distance(d0, d1, d2, d3)
        chord, inverse = _roots(z)
        odd = _horner(B, SHIFT, z)
        total += (_horner(A, SHIFT, z) + chord * odd) * w
        slope = (_horner(DA, SHIFT, z) + chord * _horner(DB, SHIFT, z) + inverse * odd) * w
        g0, g1, g2, g3 = g0 + slope * d0, g1 + slope * d1, g2 + slope * d2, g3 + slope * d3
    radial = 4.0 * (g0 * u0 + g1 * u1 + g2 * u2 + g3 * u3)  # |h|^2 = 1/4
    radial -= 4.0 * HOMOGENEITY * total
    scale = tl.load(rows + 5 * i + 4, inside, other=0.0)  # |X|^p
    slopes = u3 * scale  # |X|^p / (2|X|)
    partial += tl.program_id(1).to(tl.int64) * 4 * n + i
    tl.store(partial, total * scale, inside)
    tl.store(partial + n, slopes * (g0 - radial * u0), inside)
    tl.store(partial + 2 * n, slopes * (g1 - radial * u1), inside)
    tl.store(partial + 3 * n, slopes * (g2 - radial * u2), inside)


@triton.jit
def _block(columns, n, m, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Of a program that writes a block of matrices: the problem, its first row, its columns, whether these exist, where
    they are. A thread owns columns, so that neighbours in memory are written together.
    """
    blocks = tl.cdiv(n, ROWS)
    problem = tl.program_id(0).to(tl.int64) // blocks
    j = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    return problem, (tl.program_id(0) % blocks) * ROWS, j, j < m, columns + 5 * (problem * m + j)


@triton.jit(do_not_specialize=["n", "m"])
def dense_kernel(
    rows, columns, out, n, m,
    A: tl.constexpr, B: tl.constexpr, SHIFT: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    problem, first, j, inside, column = _block(columns, n, m, ROWS, COLUMNS)
    v0, v1, v2, v3 = _load4(column, inside)
    scale = tl.load(column + 4, inside, other=0.0)
    for i in range(first, tl.minimum(first + ROWS, n)):
        row = rows + 5 * (problem * n + i)
        u0, u1, u2, u3 = _load4(row, True)
        z = _distance(u0 - v0, u1 - v1, u2 - v2, u3 - v3)
        value = (_horner(A, SHIFT, z) + _roots(z)[0] * _horner(B, SHIFT, z)) * (scale * tl.load(row + 4))
        tl.store(out + (problem * n + i) * m + j, value, inside)


@triton.jit(do_not_specialize=["n", "m"])
def dense_gradient_kernel(
    rows, columns, out, n, m,
    A: tl.constexpr, B: tl.constexpr, DA: tl.constexpr, DB: tl.constexpr, SHIFT: tl.constexpr,
    HOMOGENEITY: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    # The formula of `gradient_kernel`, written out as by `dense_kernel`: values, then slopes.
    problem, first, j, inside, column = _block(columns, n, m, ROWS, COLUMNS)
    v0, v1, v2, v3 = _load4(column, inside)
    scale = tl.load(column + 4, inside, other=0.0)
    for i in range(first, tl.minimum(first + ROWS, n)):
        row = rows + 5 * (problem * n + i)
        u0, u1, u2, u3 = _load4(row, True)
        d0, d1, d2, d3 = u0 - v0, u1 - v1, u2 - v2, u3 - v3
        z = _distance(d0, d1, d2, d3)
        chord, inverse = _roots(z)
        odd = _horner(B, SHIFT, z)
        phi = _horner(A, SHIFT, z) + chord * odd
        g = _horner(DA, SHIFT, z) + chord * _horner(DB, SHIFT, z) + inverse * odd
        radial = 4.0 * (g * (d0 * u0 + d1 * u1 + d2 * u2 + d3 * u3) - HOMOGENEITY * phi)  # |h|^2 = 1/4
        size = scale * tl.load(row + 4)
        steep = size * u3  # over 2|X|
        place = out + (problem * n + i) * 4 * m + j
        tl.store(place, phi * size, inside)
        tl.store(place + m, (g * d0 - radial * u0) * steep, inside)
        tl.store(place + 2 * m, (g * d1 - radial * u1) * steep, inside)
        tl.store(place + 3 * m, (g * d2 - radial * u2) * steep, inside)
