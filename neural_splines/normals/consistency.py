"""Which of given normals contradict the points around them: turned round, or not across the surface at all.

A sample of the points and their neighbours is enough. Two neighbours on one surface ask for signs that agree: the
coupling of `continuity` is near 1 where they do and near -1 where one of them is turned round, over creases too. The
two sides of a thin thing have opposite normals as well, and are told by three things: each lies behind the other, or
in front of it; a neighbour of the point's own side lies in the same direction; and most of such neighbours are so.
Signs that turn as few couplings as possible into contradictions then say which normals are wrong, by the share of
them: a whole patch as well as one here and one there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..cloud.clouds import OrientedCloud
from ..geometry import principal_axes

SAMPLE = 20_000  # points
NEIGHBOURS = 12
SURE = 0.5  # |coupling| below which two normals say nothing of each other; |cosine| of those that are parallel
SAME_WAY = 0.5  # cosine of two directions
BEHIND = 0.05  # sine of an angle to the tangent plane that is no rounding and no curvature
FEW = 5e-4  # share of contradicting couplings: the seam around 3 % of 20,000 points has four times as many
FLAT, ROUND = 0.05, 0.1  # squared thickness to width of neighbours on a plane, width to length of those not on a line
OFF = 0.5  # cosine between a normal and that of the plane: 60 degrees


@dataclass(frozen=True)
class Consistency:
    """turned: share of the normals whose signs contradict those around them, at most a half. agreement: how far the
    couplings across agree on that, 1 where all do; noise has less than 0.9. off: share of the normals that lie in the
    surface rather than stand on it.
    """

    turned: float = 0.0
    agreement: float = 1.0
    off: float = 0.0


def consistency(cloud: OrientedCloud, order: Tensor) -> Consistency:
    """Of a cloud whose points lie along a curve in that order, of which every k-th is looked at."""
    chosen = order[:: -(-len(order) // SAMPLE)]
    if len(chosen) <= NEIGHBOURS:
        return Consistency()
    sample = cloud.part(chosen)
    near = sample.sampling.near.nearest(sample.points, NEIGHBOURS + 1)[1][:, 1:].cpu()
    x, n = sample.points.cpu() - cloud.box.center, sample.normals.cpu()
    turned, agreement = _turned(_couplings(x, n, near), near.numpy())
    return Consistency(turned, agreement, _off(x, n, near))


def _couplings(x: Tensor, n: Tensor, near: Tensor) -> np.ndarray:
    """Of each point with its neighbours [n, k]: 0 where they say nothing of one another's sign."""
    ray = x[near] - x[:, None]
    ray /= ray.norm(dim=2, keepdim=True).clamp_min(1e-300)
    parallel = (n[near] * n[:, None]).sum(2)
    across = -(ray * n[:, None]).sum(2) * (ray * n[near]).sum(2)  # positive where each is behind the other, or before
    coupling = parallel + 2.0 * across
    # Of parallel normals above one another, as noise has them, the coupling says the contrary.
    told = (coupling.abs() >= SURE) & ((parallel.abs() < SURE) | (parallel * coupling > 0.0))
    told &= (coupling > 0.0) | (across < BEHIND**2)
    coupling[~told] = 0.0
    rows = (coupling < 0.0).any(1).nonzero()[:, 0]
    values, directions = coupling[rows], ray[rows]
    against = values < 0.0
    beside = (directions @ directions.mT > SAME_WAY) & (values > 0.0)[:, None]
    hidden = against & beside.any(2)
    thin = 2 * hidden.sum(1) >= against.sum(1)
    coupling[rows] = values.masked_fill(hidden | against & thin[:, None], 0.0)
    return coupling.numpy()


def _turned(coupling: np.ndarray, near: np.ndarray) -> tuple[float, float]:
    """The share of points whose signs are to be turned, in each connected part the fewer, and the agreement on it."""
    against = float(-coupling[coupling < 0.0].sum())
    if against <= FEW * float(np.abs(coupling).sum()):
        return 0.0, 1.0
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    from .signs import best_signs

    count = len(near)
    p, k = coupling.nonzero()
    q, weight = near[p, k], coupling[p, k]
    signs = best_signs(count, p, q, weight)
    graph = coo_array((np.ones(len(p), np.int8), (p, q)), shape=(count, count))
    part = connected_components(graph, directed=False)[1]
    fewer = np.minimum(np.bincount(part, signs > 0.0), np.bincount(part, signs < 0.0)).sum()
    cut = weight[signs[p] != signs[q]]
    return float(fewer) / count, float(-cut.sum() / np.abs(cut).sum()) if len(cut) else 1.0


def _off(x: Tensor, n: Tensor, near: Tensor) -> float:
    """The share of points that lie on a plane with their neighbours, but whose normals are not perpendicular to it."""
    square, axes = principal_axes(x[near])
    plane = (square[:, 0] < FLAT * square[:, 1]) & (square[:, 1] > ROUND * square[:, 2])
    return float((plane & ((axes[:, :, 0] * n).sum(1).abs() < OFF)).double().mean())
