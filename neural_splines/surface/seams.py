"""Both sides of a texture's seams made alike: texels beside them changed as little as that takes.

Renderers mix four texels, on either side of a seam others, in another direction; so the two sides show the same colours
at the texels' centres and others between. Least squares over places of all seams: min |A t|^2 + w |t - t0|^2 for the
texels t that were t0, with A t the difference of both sides at each place, by conjugate gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .charts import Charts

STEPS = 4.0  # places for each texel along a seam: with 2 others are twice as far off as these
WEIGHT = 0.003  # of staying as they were, against 1 for each difference
RESIDUAL, ABSOLUTE, ITERATIONS = 1e-3, 0.01, 200  # of conjugate gradients; ABSOLUTE: of each texel, in the mean


def seams(charts: Charts) -> tuple[np.ndarray, np.ndarray]:
    """The corners [s, 2] on either side of the edges whose two faces have others there, in the same order."""
    a, b, c = charts.places[charts.corners].transpose(1, 0, 2)
    flat = (b - a)[:, 0] * (c - a)[:, 1] == (b - a)[:, 1] * (c - a)[:, 0]
    corners = charts.corners[~flat]
    pairs = corners[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    ends = charts.parents[pairs]
    turned = ends[:, 0] > ends[:, 1]
    pairs[turned], ends[turned] = pairs[turned, ::-1], ends[turned, ::-1]
    order = np.lexsort(ends.T)
    pairs, ends = pairs[order], ends[order]
    twice = np.flatnonzero((ends[1:] == ends[:-1]).all(1))
    one, other = pairs[twice], pairs[twice + 1]
    cut = (one != other).any(1)
    return one[cut], other[cut]


def levelled(image: np.ndarray, charts: Charts) -> None:
    """Change the texels beside seams of a picture [size, size, 3] of uint8, so that both sides show the same."""
    from scipy.sparse import csr_matrix, identity
    from scipy.sparse.linalg import cg

    sides = seams(charts)
    if not len(sides[0]):
        return
    length = np.max([np.linalg.norm(np.diff(charts.places[side], axis=1)[:, 0], axis=1) for side in sides], 0)
    count = np.ceil(STEPS * length).astype(np.int64) + 1
    edge = np.repeat(np.arange(len(count)), count)
    t = (np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)) / np.maximum(count - 1, 1)[edge]
    rows: list[Any] = []
    for sign, side in zip((1.0, -1.0), sides, strict=True):
        start, end = charts.places[side[edge, 0]], charts.places[side[edge, 1]]
        texel, weight = _mixed(start + t[:, None] * (end - start), charts.size)
        rows.append((texel, sign * weight))
    texels, column = np.unique(np.concatenate([texel for texel, _ in rows], 1), return_inverse=True)
    weights = np.concatenate([weight for _, weight in rows], 1)
    shape = len(edge), len(texels)
    a = csr_matrix((weights.reshape(-1), column.reshape(-1), np.arange(0, weights.size + 1, 8)), shape)
    normal, flat = (a.T @ a + WEIGHT * identity(len(texels), format="csr")).tocsr(), image.reshape(-1, 3)
    before, least = flat[texels].astype(np.float64), ABSOLUTE * len(texels) ** 0.5
    for k in range(3):
        change, _ = cg(normal, -(a.T @ (a @ before[:, k])), rtol=RESIDUAL, atol=least, maxiter=ITERATIONS)
        flat[texels, k] = np.clip(np.round(before[:, k] + change), 0, 255)


def _mixed(places: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The four texels [n, 4] that renderers mix at places [n, 2], and their weights."""
    low = np.floor(places - 0.5).astype(np.int64)
    part = places - 0.5 - low
    low = np.clip(low, 0, size - 2)
    texel = low[:, 1] * size + low[:, 0]
    x, y = part.T
    weights = np.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], 1)
    return texel[:, None] + np.array([0, 1, size, size + 1]), weights
