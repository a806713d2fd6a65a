"""What compiled loops over rows share: lifted points, polynomials, and the sums of one row over its columns.

Helpers are inlined: a call that passes a dozen arrays takes as long as ten pairs.
"""

from __future__ import annotations

import math
from glob import glob
from typing import Any, NamedTuple

import numpy as np
import torch
from numba.extending import overload
from torch import Tensor

from ...runtime.compiled import compiled, logger
from ...runtime.threads import parallel
from ..kernels import Kernel
from .contract import Segments

# Sums may be reordered and contracted into FMAs; NaN and infinity keep their meaning. Loops over a range of tasks,
# which `parallel` deals out to threads of ours: Numba's own parallel loops take three times as long to compile.
options = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
_jit, inlined = compiled(**options), compiled(**options, inline="always")


class Polynomials(NamedTuple):
    """Coefficients as tuples of the dtype's numbers, of the kernel's polynomials a, b and their derivatives."""

    a: tuple[Any, ...]
    b: tuple[Any, ...]
    da: tuple[Any, ...]
    db: tuple[Any, ...]
    shift: Any

    @classmethod
    def of(cls, kernel: Kernel, dtype: torch.dtype) -> Polynomials:
        number, p = np.float64 if dtype == torch.float64 else np.float32, kernel.polynomials(dtype)
        a, b, da, db = (tuple(number(c) for c in part) for part in (p.a, p.b, p.da, p.db))
        return cls(a, b, da, db, number(p.shift))

    @property
    def values(self) -> tuple[Any, ...]:
        return self.a, self.b, self.shift

    @property
    def all(self) -> tuple[Any, ...]:
        return tuple(self)


def run(loop: Any, tasks: int, *args: Any) -> None:
    """The loop over all tasks; says so where it must be compiled first, which takes a second or two."""
    if not loop.overloads and not glob(f"{loop.stats.cache_path}/*.{loop.py_func.__name__}-*.nbi"):
        logger.info("compiling %s for this machine, once: the next run finds it", loop.py_func.__name__.strip("_"))
    parallel(loop, tasks, *args)


def columns(
    kernel: Kernel, y: Tensor, w: Tensor | None = None, segments: Segments | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Half unit vectors [4, m] of the columns, as `geometry.lift`, and w |Y|^homogeneity [m]; 1 in the place of no w.

    With segments only of the columns that meet a row: the others are never touched, nor is their memory.
    """
    y = y.reshape(-1, 3)
    points, weights = y.contiguous().numpy(), (y.new_ones(len(y)) if w is None else w.contiguous()).numpy()
    v, scaled = torch.empty(4, len(points), dtype=y.dtype).numpy(), torch.empty(len(points), dtype=y.dtype).numpy()
    runs = np.array([[0, len(points)]])
    if segments is not None:
        runs = torch.stack([segments.y_offsets[:-1], segments.y_offsets[1:]], 1)[segments.x_offsets.diff() > 0].numpy()
    run(_lift, len(runs), runs, points, weights, kernel.homogeneity, v, scaled)
    return v, scaled


def horner(coefficients, w):
    """The polynomial with these coefficients (a tuple, from low to high degree) at w."""
    raise NotImplementedError("compiled code only")


@overload(horner, inline="always")
def _horner_of_length(coefficients, w):
    """Straight-line code for the length of the tuple: LLVM gives up unrolling long loops, and then on SIMD."""
    steps = [f"    value = value * w + coefficients[{k}]" for k in range(coefficients.count - 2, -1, -1)]
    lines = ["def horner(coefficients, w):", f"    value = coefficients[{coefficients.count - 1}]", *steps]
    namespace: dict[str, Any] = {}
    exec("\n".join([*lines, "    return value"]), namespace)
    return namespace["horner"]


@_jit
def _lift(first_run, last_run, runs, y, w, homogeneity, v, scaled):
    half, one = w.dtype.type(0.5), w.dtype.type(1)
    for k in range(first_run, last_run):
        for j in range(runs[k, 0], runs[k, 1]):
            norm = math.sqrt(y[j, 0] * y[j, 0] + y[j, 1] * y[j, 1] + y[j, 2] * y[j, 2] + one)
            half_inverse = half / norm
            v[0, j], v[1, j], v[2, j] = y[j, 0] * half_inverse, y[j, 1] * half_inverse, y[j, 2] * half_inverse
            v[3, j] = half_inverse
            scaled[j] = w[j] * norm if homogeneity == 1 else w[j]


@inlined
def lifted(x, i, homogeneity):
    """The half unit vector of row i, its norm, and that to the power of the homogeneity."""
    half, one = x.dtype.type(0.5), x.dtype.type(1)
    norm = math.sqrt(x[i, 0] * x[i, 0] + x[i, 1] * x[i, 1] + x[i, 2] * x[i, 2] + one)
    half_inverse = half / norm
    power = norm if homogeneity == 1 else one
    return x[i, 0] * half_inverse, x[i, 1] * half_inverse, x[i, 2] * half_inverse, half_inverse, norm, power


@inlined
def value_row(u0, u1, u2, u3, r, v0, v1, v2, v3, scale, a, b, shift, row):
    """Fill a row of K: phi r scale at every column."""
    for j in range(row.shape[0]):
        d0, d1, d2, d3 = u0 - v0[j], u1 - v1[j], u2 - v2[j], u3 - v3[j]
        z = d0 * d0 + d1 * d1 + d2 * d2 + d3 * d3
        row[j] = (horner(a, z - shift) + math.sqrt(z) * horner(b, z - shift)) * (r * scale[j])


@inlined
def slope_rows(
    u0, u1, u2, u3, norm, r, v0, v1, v2, v3, scale, a, b, da, db, shift, homogeneity, value, slope0, slope1, slope2
):
    """As `value_row`, and the three of the gradient in the row's point; see `row_gradient`."""
    half, two, tiny = scale.dtype.type(0.5), scale.dtype.type(2), scale.dtype.type(1e-30)
    steep = half * r / norm
    for j in range(value.shape[0]):
        d0, d1, d2, d3 = u0 - v0[j], u1 - v1[j], u2 - v2[j], u3 - v3[j]
        z = d0 * d0 + d1 * d1 + d2 * d2 + d3 * d3
        s = math.sqrt(z)
        odd = horner(b, z - shift)
        phi = horner(a, z - shift) + s * odd
        g = two * (horner(da, z - shift) + s * horner(db, z - shift)) + odd / (s + tiny)
        radial = two * two * (g * (d0 * u0 + d1 * u1 + d2 * u2 + d3 * u3) - homogeneity * phi)
        value[j] = phi * (r * scale[j])
        slope0[j] = (g * d0 - radial * u0) * (steep * scale[j])
        slope1[j] = (g * d1 - radial * u1) * (steep * scale[j])
        slope2[j] = (g * d2 - radial * u2) * (steep * scale[j])


@inlined
def row_value(u0, u1, u2, u3, v, w, first, last, a, b, shift):
    """The sum over the columns from first to last of phi times w, for the half unit vector u of a row."""
    v0, v1, v2, v3, wt = v[0, first:last], v[1, first:last], v[2, first:last], v[3, first:last], w[first:last]
    total = w.dtype.type(0)
    for j in range(wt.shape[0]):
        d0, d1, d2, d3 = u0 - v0[j], u1 - v1[j], u2 - v2[j], u3 - v3[j]
        z = d0 * d0 + d1 * d1 + d2 * d2 + d3 * d3
        total += (horner(a, z - shift) + math.sqrt(z) * horner(b, z - shift)) * wt[j]
    return total


@inlined
def row_gradient(u0, u1, u2, u3, norm, r, v, w, first, last, a, b, da, db, shift, homogeneity, scratch):
    """As `row_value` times r, for a row with that norm, and its gradient in the row's point. scratch: [3, columns]."""
    # With half vectors h = X / (2|X|): d phi / d h_u = g (h_u - h_v), g = 2 a' + b / s + 2 s b'; and dh_u / dX
    # projects off h_u and divides by 2|X|. Three short loops: what one needs at a time does not fit into registers.
    half, two, tiny = w.dtype.type(0.5), w.dtype.type(2), w.dtype.type(1e-30)
    v0, v1, v2, v3, wt = v[0, first:last], v[1, first:last], v[2, first:last], v[3, first:last], w[first:last]
    centred, chord, steep = scratch[0, : last - first], scratch[1, : last - first], scratch[2, : last - first]
    total = g0 = g1 = g2 = g3 = w.dtype.type(0)
    for j in range(wt.shape[0]):
        d0, d1, d2, d3 = u0 - v0[j], u1 - v1[j], u2 - v2[j], u3 - v3[j]
        z = d0 * d0 + d1 * d1 + d2 * d2 + d3 * d3
        s = math.sqrt(z)
        odd = horner(b, z - shift)
        total += (horner(a, z - shift) + s * odd) * wt[j]
        centred[j], chord[j], steep[j] = z - shift, s, odd / (s + tiny)
    for j in range(wt.shape[0]):
        steep[j] = (two * (horner(da, centred[j]) + chord[j] * horner(db, centred[j])) + steep[j]) * wt[j]
    for j in range(wt.shape[0]):
        g0 += steep[j] * (u0 - v0[j])
        g1 += steep[j] * (u1 - v1[j])
        g2 += steep[j] * (u2 - v2[j])
        g3 += steep[j] * (u3 - v3[j])
    radial = two * two * (g0 * u0 + g1 * u1 + g2 * u2 + g3 * u3)  # |h|^2 = 1/4
    radial -= two * two * homogeneity * total
    factor = half * r / norm
    return total * r, factor * (g0 - radial * u0), factor * (g1 - radial * u1), factor * (g2 - radial * u2)
