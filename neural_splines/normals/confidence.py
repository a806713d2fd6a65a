"""How far the signs can be trusted, and where not: two witnesses that fail in different places.

The field of winding numbers knows closed shapes and thin ones, and is wrong where a surface is open; continuity knows
smooth surfaces, open or not, and is wrong across gaps and creases. A patch is doubted where the field, or the sensors,
would turn it round, or where it contradicts its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .candidates import Votes
from .graph import PointGraph
from .patches import Patches
from .sensors import GRAZING

SURE_ENOUGH = 0.95
OPEN = 0.25  # of the area, which normals of a closed surface sum up to 0 of: half a knot .14, a street from within .47


@dataclass(frozen=True)
class Confidence:
    """agreement: share of the area where the field, or what saw it, agrees with the signs. continuity: 1 - share of the
    couplings between patches that the signs break. doubted [n]: points of patches that either witness doubts. where:
    world box [2, 3] of the middle nine tenths of the doubted points, None where there are none. down: share of the area
    that looks down, of an open surface whose opening looks up: it may have been seen through that, and be inside out.
    """

    agreement: float
    continuity: float
    doubted: np.ndarray
    where: np.ndarray | None
    down: float = 0.0

    @property
    def value(self) -> float:
        return self.agreement * self.continuity * (1.0 - self.down)

    @property
    def share(self) -> float:
        """Of the area that may be on the wrong side: where only half of it is right no side is, and a confidence of .7
        without a patch that stands out is as little as with one.
        """
        return min(0.5, max(float(self.doubted.mean()), 1.0 - self.value))


def judge(
    graph: PointGraph,
    patches: Patches,
    normals: np.ndarray,
    votes: Votes,
    own: bool = False,
    up: np.ndarray | None = None,
) -> Confidence:
    """Of normals [n, 3] that came from those patches and votes; own: what voted saw each point, so that a side is only
    uncertain where it was seen at a grazing angle, and there by continuity alone. up [3]: where no side was known.
    """
    opinion = (normals * votes.field).sum(1)
    for_it = opinion * (1.0 if opinion.sum() >= 0.0 else -1.0) > 0.0  # which side the whole shows is asked elsewhere
    decided = np.zeros(len(graph), bool)
    if votes.sensors is not None:
        seen, toward = (votes.sensors != 0.0).any(1), (normals * votes.sensors).sum(1)
        for_it = np.where(seen, toward > 0.0, for_it)
        if own:
            decided = np.abs(toward) > GRAZING * np.linalg.norm(votes.sensors, axis=1)
    undecided = 1.0 - patches.sums(decided * graph.areas) / patches.sums(graph.areas)
    signs = np.where(patches.sums((patches.directions * normals).sum(1)) < 0.0, -1.0, 1.0)
    p, q, weight = patches.continuity
    signed = weight * signs[p] * signs[q]
    broken, total = np.zeros(patches.count), np.zeros(patches.count)
    for end in (p, q):
        np.add.at(broken, end, np.maximum(-signed, 0.0) * np.maximum(undecided[p], undecided[q]))
        np.add.at(total, end, np.abs(signed))
    continuity = 1.0 - float(broken.sum() / max(total.sum(), 1e-300))
    torn = (2.0 * broken > total)[patches.of]
    for_it = decided | ~torn if own else for_it
    agreement = float(graph.areas[for_it].sum() / graph.areas.sum())
    doubted = ~for_it | (torn & ~decided)
    where = None
    if doubted.any():
        where = np.quantile(graph.points[doubted], [0.05, 0.95], axis=0) * graph.spacing + graph.center
    return Confidence(agreement, continuity, doubted, where, 0.0 if up is None else _down(graph, normals @ up))


def _down(graph: PointGraph, rise: np.ndarray) -> float:
    """The share of the area with a rise [n] of its normals below 0, where the whole has an opening that looks up."""
    whole = graph.areas.sum()
    return float(graph.areas[rise < 0.0].sum() / whole) if graph.areas @ rise < -OPEN * whole else 0.0
