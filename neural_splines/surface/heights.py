"""Heights of a surface above squares of the ground: the highest places of its mesh, on the field's zero set.

The triangles are run through by our own loop: rays of point-cloud-utils and Open3D (Embree) are in single precision.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingsError
from ..files.rasters import Heights, Line, Squares
from ..ranges import AUTO, Auto, check_number
from ..runtime import memory
from ..runtime.devices import map_on_devices, slices
from .heights_numba import cover
from .refinement import CLOSE, Brackets, Sloped

SQUARE_BYTES = 40  # of memory that a square takes while it is found and written
STEPS = (1.0, 2.0, 5.0)  # of the resolution that is chosen, times a power of ten
BEYOND = 1.5  # steps of Newton's method: where the zero should be behind
DOUBLINGS = 12  # of that, at most
LEVELS = 100_000  # of contour lines, at most
MOST = 10_000_000  # squares along a side


@dataclass(frozen=True, kw_only=True)
class AskedHeights:
    """resolution: the side of a square, in units of the cloud. interval: of contour lines, where some are asked for.
    breaklines [n, 3] each: what the heights follow.
    """

    resolution: float | Auto = AUTO
    interval: float | None = None
    breaklines: Sequence[np.ndarray] = ()

    def __post_init__(self) -> None:
        for name in ("resolution", "interval"):
            if (value := getattr(self, name)) not in (None, AUTO):
                object.__setattr__(self, name, check_number(f"--{name}", value, 0.0, strict=True))


def chosen_resolution(voxel_size: float) -> float:
    """The least of 1, 2 or 5 times a power of ten that is no finer than the mesh."""
    power = math.floor(math.log10(voxel_size))
    return next(n for k in (power, power + 1) for s in STEPS if (n := float(f"{s}e{k}")) >= voxel_size)


def squares_around(lower: Sequence[float], upper: Sequence[float], resolution: float) -> Squares:
    """The squares below a box of x and y; OutOfMemoryBudgetError where they are too many."""
    if max((high - low) / resolution for low, high in zip(lower, upper, strict=True)) > MOST:
        raise SettingsError(
            f"--resolution {resolution:g} makes more than {MOST} squares along a side; use a larger one"
        )
    found = Squares.covering(lower, upper, resolution)
    memory.check(
        f"{found.columns} x {found.rows} heights", SQUARE_BYTES * found.count, memory.CPU,
        lambda share: f"use a --resolution of at least {resolution / max(share, 1e-12) ** 0.5:.2g}",
    )  # fmt: skip
    return found


def topmost(vertices: np.ndarray, faces: np.ndarray, squares: Squares) -> Heights:
    """The largest z of a mesh of vertices [v, 3] and triangles [f, 3] above the middle of each square: where a ray
    from above meets it first.
    """
    u = vertices[:, 0] / squares.resolution - squares.left - 0.5
    v = squares.top - vertices[:, 1] / squares.resolution - 0.5
    values = np.full((squares.rows, squares.columns), -np.inf)
    cover(u, v, np.ascontiguousarray(vertices[:, 2]), np.ascontiguousarray(faces, np.int64), values)
    values[np.isneginf(values)] = np.nan
    return Heights(squares, values)


def on_the_field(heights: Heights, field: Sloped, reach: float, devices: Sequence[torch.device]) -> Heights:
    """The heights moved to the field's zero set, at most so far; where there is none so near they stay.

    The zero of the field along z is bracketed from the height that the mesh has, in the direction of Newton's step, and
    found as vertices are: by the parabolas of `refinement`.
    """
    rows, columns = heights.known.nonzero()
    start = torch.from_numpy(np.column_stack([heights.squares.middles(rows, columns), heights.values[rows, columns]]))
    found = heights.values.copy()

    def move(device: torch.device, chunk: slice) -> None:
        some = start[chunk].to(device)
        found[rows[chunk], columns[chunk]] = (some[:, 2] + _rise(some, field, reach)).cpu().numpy()

    map_on_devices(devices, move, slices(len(start), devices[0]))
    return Heights(heights.squares, found)


def _rise(places: Tensor, field: Sloped, reach: float) -> Tensor:
    """How far above places [n, 3] the field is zero [n], 0 where it is not within reach."""

    def above(rows: Tensor, rise: Tensor) -> Tensor:
        moved = places[rows].clone()
        moved[:, 2] += rise
        return moved

    low, slope = field.gradient(places)
    step = -low / slope[:, 2]
    way = torch.sign(step) * (BEYOND * step.abs()).clamp(CLOSE * reach, reach)
    left = way.isfinite().nonzero()[:, 0]
    high = torch.full_like(low, torch.nan)
    for _ in range(DOUBLINGS):  # until the zero is behind
        high[left] = field.evaluate(above(left, way[left]))
        left = left[(torch.sign(high[left]) == torch.sign(low[left])) & (way[left].abs() < reach)]
        if not len(left):
            break
        way[left] = (2.0 * way[left]).clamp(-reach, reach)
    rise = torch.zeros_like(low)
    left = (low * high < 0.0).nonzero()[:, 0]
    if not len(left):
        return rise
    length, low, high = way[left], low[left], high[left]
    brackets = Brackets(torch.zeros_like(low), torch.ones_like(low), low, high)
    t = (step[left] / length).clamp(CLOSE, 1.0 - CLOSE)
    for _ in range(DOUBLINGS):
        value, slope = field.gradient(above(left, t * length))
        moved = brackets.step(t, value, slope[:, 2] * length)
        t = t + moved
        rise[left] = t * length
        far = moved.abs() > CLOSE
        if not bool(far.any()):
            break
        left, length, t, brackets = left[far], length[far], t[far], brackets.part(far)
    return rise


def levels(heights: Heights, interval: float) -> range:
    """Which multiples of an interval lie among the heights; SettingsError where they are too many to mean it."""
    known = heights.values[heights.known]
    if not len(known):
        return range(0)
    with np.errstate(over="ignore"):
        low, high = known.min() / interval, known.max() / interval
    if not (np.isfinite([low, high]).all() and high - low <= LEVELS):
        raise SettingsError(f"--interval {interval:g} makes more than {LEVELS} contour lines; use a larger one")
    return range(math.ceil(low), math.floor(high) + 1)


def contours(heights: Heights, interval: float) -> Iterator[Line]:
    """Lines [n, 2] on the ground of equal height, at whole multiples of an interval; open where heights end.

    By scikit-image: between the middles of squares heights are linear along x and along y.
    """
    from skimage.measure import find_contours  # not before: it takes a third of a second

    if min(heights.values.shape) < 2:
        return
    for k in levels(heights, interval):
        for line in find_contours(heights.values, k * interval):
            yield k * interval, heights.squares.middles(*line.T)
