"""The blend of the cells' splines, compiled for the CPU: which cells take part at a point, how much, and the sums over
their centres in one pass, with no table of pairs.

As `BlendedField.by_tensors`, which serves other backends and GPUs, to rounding. The value at a point depends on that
point alone, to the bit, and not on those that it is computed with.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..kernels.kernels import Kernel
from ..kernels.products.numba_rows import Polynomials, columns, lifted, options, row_gradient, row_value, run
from ..runtime.compiled import compiled
from .lookup_numba import bucket_of
from .partition import ENOUGH, REACH_WEIGHT, Cells
from .weights import NEGLIGIBLE

_jit = compiled(**options)
# Inlined by LLVM, not by Numba, which would infer the types of every copy anew: that took most of six seconds a kernel.
_part = compiled(**options, forceinline=True)


class Boxes(NamedTuple):
    """The cells as arrays: the grid of buckets, the lists of boxes there, and of each box its walls and margins.

    origin [3], side, shape [3], starts and members: as `Cells.buckets`. reach, ramp [c, 8]: the lower and the upper
    corner of a box with that margin around it, half the inverse of the margin, and whether it yields: a line of the
    cache.
    """

    origin: Any
    side: float
    shape: Any
    starts: Any
    members: Any
    reach: Any
    ramp: Any


class Splines(NamedTuple):
    """The splines of a field: that of box c is model[c].

    Spline m has its centres, offsets[m]:offsets[m + 1], about origin[m] and scale[m] times as large as in the world.
    v [4, k], w [k]: their half unit vectors and coefficients, as `numba_rows.columns`.
    """

    model: Any
    offsets: Any
    origin: Any
    scale: Any
    v: Any
    w: Any


def boxes_of(cells: Cells) -> Boxes:
    origin, side, *lists = cells.buckets
    return Boxes(
        _array(origin), float(side), *map(_array, lists), *(_around(cells, m) for m in (cells.reach, cells.ramp))
    )


def _around(cells: Cells, margin: Tensor) -> Any:
    margin = margin[:, None]
    half, yields = 0.5 / margin.clamp_min(1e-300), cells.yields[:, None].to(margin)
    return torch.cat([cells.lower - margin, cells.upper + margin, half, yields], 1).numpy()


def splines_of(kernel: Kernel, splines: Any, model: Tensor) -> Splines:
    """splines: of a field; model [c]: the number of each box' own."""
    v, w = columns(kernel, splines.centers, splines.coefficients)
    return Splines(_array(model), _array(splines.offsets), _array(splines.origin), _array(splines.scale), v, w)


def blend(points: Tensor, boxes: Boxes, splines: Splines, kernel: Kernel, with_gradient: bool) -> tuple[Tensor, Any]:
    """Values [n] and slopes [n, 3], None without, at points [n, 3]; NaN where no box is."""
    polynomials, x = Polynomials.of(kernel, torch.from_numpy(splines.w).dtype), _array(points)
    field, limits, p = (x, boxes, splines), (REACH_WEIGHT, NEGLIGIBLE, ENOUGH), kernel.homogeneity
    values = torch.empty(len(x), dtype=torch.float64)
    if not with_gradient:
        run(_values, len(x), *field, *polynomials.values, p, *limits, values.numpy())
        return values, None
    slopes = torch.empty(len(x), 3, dtype=torch.float64)
    run(_gradients, len(x), *field, *polynomials.all, p, *limits, values.numpy(), slopes.numpy())
    return values, slopes


def _array(tensor: Tensor) -> Any:
    return tensor.contiguous().numpy()


@_part
def _within(x, i, boxes, cell):
    """The boxes within reach of point i, or with it on their walls, in order; how many there are."""
    p, q, r = x[i, 0], x[i, 1], x[i, 2]
    bucket, count = bucket_of(x, i, boxes.origin, boxes.side, boxes.shape), 0
    for j in range(boxes.starts[bucket], boxes.starts[bucket + 1]):
        box = boxes.reach[boxes.members[j]]
        inside = (p >= box[0]) & (q >= box[1]) & (r >= box[2]) & (p <= box[3]) & (q <= box[4]) & (r <= box[5])
        cell[count] = boxes.members[j]
        count += inside  # the next takes its place where it is not: no branch, which would be guessed
    return count


@_part
def _step(x, box, axis):
    """smoothstep(depth / (2 margin)) along one axis, and its slope."""
    below, above = x - box[axis], box[axis + 3] - x
    t = min(max(min(below, above) * box[6], 0.0), 1.0)
    slope = 6.0 * t * (1.0 - t) * box[6]
    return t * t * (3.0 - 2.0 * t), slope if below <= above else -slope


@_part
def _bump(x, i, box):
    """The product of the three steps of a box at point i, and its gradient."""
    u, du = _step(x[i, 0], box, 0)
    v, dv = _step(x[i, 1], box, 1)
    w, dw = _step(x[i, 2], box, 2)
    return u * v * w, du * (v * w), dv * (u * w), dw * (u * v)


@_part
def _weigh(x, i, boxes, reach_weight, enough, cell, weight):
    """The boxes that point i is within reach of and their weights; how many there are, the sum of the weights, and
    how much of theirs is left to boxes that yield, as a root: 1 where there are no others.
    """
    count, firm, total = _within(x, i, boxes, cell), 0.0, 0.0
    for k in range(count):
        c = cell[k]
        weight[k] = _bump(x, i, boxes.ramp[c])[0] + reach_weight * _bump(x, i, boxes.reach[c])[0]
        firm += (1.0 - boxes.ramp[c, 7]) * weight[k]
    left = max(1.0 - firm / enough, 0.0)
    for k in range(count):
        weight[k] *= left * left if boxes.ramp[cell[k], 7] > 0.0 else 1.0
        total += weight[k]
    return count, total, left


@_part
def _weigh_slope(x, i, box, boxes, reach_weight, slope):
    """The gradient of a box' weight at point i."""
    near, far = _bump(x, i, boxes.ramp[box]), _bump(x, i, boxes.reach[box])
    for axis in range(3):
        slope[axis] = near[axis + 1] + reach_weight * far[axis + 1]


@_part
def _lean(x, i, boxes, count, reach_weight, cell, tilt, lean):
    """The gradient of the weights at point i of the boxes that do not yield, together."""
    lean[:] = 0.0
    for k in range(count):
        if boxes.ramp[cell[k], 7] == 0.0:
            _weigh_slope(x, i, cell[k], boxes, reach_weight, tilt)
            for axis in range(3):
                lean[axis] += tilt[axis]


@_part
def _into_model(x, i, m, splines, place):
    """Point i in the model space of a spline."""
    for axis in range(3):
        place[0, axis] = (x[i, axis] - splines.origin[m, axis]) * splines.scale[m]


@_jit
def _values(first, last, x, boxes, splines, a, b, shift, homogeneity, reach_weight, negligible, enough, out):
    most = (boxes.starts[1:] - boxes.starts[:-1]).max() + 1
    cell, weight, place = np.empty(most, np.int64), np.empty(most), np.empty((1, 3), splines.w.dtype)
    for i in range(first, last):
        count, near, _ = _weigh(x, i, boxes, reach_weight, enough, cell, weight)
        total, blended = 0.0, 0.0
        for k in range(count):
            if weight[k] > negligible * near:
                m = splines.model[cell[k]]
                _into_model(x, i, m, splines, place)
                u0, u1, u2, u3, _, r = lifted(place, 0, homogeneity)
                start, end = splines.offsets[m], splines.offsets[m + 1]
                value = row_value(u0, u1, u2, u3, splines.v, splines.w, start, end, a, b, shift) * r
                total += weight[k]
                blended += weight[k] * (np.float64(value) / splines.scale[m])
        out[i] = blended / total  # 0 / 0 = NaN where no cell is


@_jit
def _gradients(
    first, last, x, boxes, splines, a, b, da, db, shift, homogeneity, reach_weight, negligible, enough,
    values, slopes,
):  # fmt: skip
    most = (boxes.starts[1:] - boxes.starts[:-1]).max() + 1
    cell, weight, place = np.empty(most, np.int64), np.empty(most), np.empty((1, 3), splines.w.dtype)
    scratch = np.empty((3, (splines.offsets[1:] - splines.offsets[:-1]).max()), splines.w.dtype)
    tilt, lean, slope = np.empty(3), np.empty(3), np.empty(3)  # of a weight, of their sum, of the blend
    firm = np.empty(3)  # of the sum of the weights of boxes that do not yield
    for i in range(first, last):
        count, near, left = _weigh(x, i, boxes, reach_weight, enough, cell, weight)
        total, blended = 0.0, 0.0
        if 0.0 < left < 1.0:
            _lean(x, i, boxes, count, reach_weight, cell, tilt, firm)
        lean[:] = 0.0
        slope[:] = 0.0
        for k in range(count):
            if weight[k] > negligible * near:
                m = splines.model[cell[k]]
                _into_model(x, i, m, splines, place)
                u0, u1, u2, u3, norm, r = lifted(place, 0, homogeneity)
                start, end = splines.offsets[m], splines.offsets[m + 1]
                value, s0, s1, s2 = row_gradient(
                    u0, u1, u2, u3, norm, r, splines.v, splines.w, start, end, a, b, da, db, shift, homogeneity,
                    scratch,
                )  # fmt: skip
                world = np.float64(value) / splines.scale[m]
                _weigh_slope(x, i, cell[k], boxes, reach_weight, tilt)
                if boxes.ramp[cell[k], 7] > 0.0:  # its weight is w left^2
                    for axis in range(3):
                        tilt[axis] *= left * left
                        if left < 1.0:
                            tilt[axis] -= 2.0 * weight[k] / (left * enough) * firm[axis]
                total += weight[k]
                blended += weight[k] * world
                slope[0] += weight[k] * s0 + world * tilt[0]
                slope[1] += weight[k] * s1 + world * tilt[1]
                slope[2] += weight[k] * s2 + world * tilt[2]
                for axis in range(3):
                    lean[axis] += tilt[axis]
        field = blended / total
        values[i] = field
        for axis in range(3):
            slopes[i, axis] = (slope[axis] - field * lean[axis]) / total
