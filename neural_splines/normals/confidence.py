"""How far the signs can be trusted, and where not: two witnesses that fail in different places.

The field of winding numbers knows closed shapes and thin ones, and is wrong where a surface is open; continuity knows
smooth surfaces, open or not, and is wrong across gaps and creases. A patch is doubted where the field, or the sensors,
would turn it round, or where it contradicts its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..runtime.arrays import dots
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


@dataclass(frozen=True)
class Witnesses:
    """What is said of normals: by the field, opinion [n], area times cosine; by what saw them, told [n], positive where
    it is for them, 0 where nothing saw. decided [n]: seen from a point's own place, not at a grazing angle. torn [n]:
    continuity is against the patch. broken, total: couplings between patches that the signs break, and all.
    """

    opinion: np.ndarray
    told: np.ndarray
    decided: np.ndarray
    torn: np.ndarray
    broken: float
    total: float

    @classmethod
    def of(cls, graph: PointGraph, patches: Patches, normals: np.ndarray, votes: Votes, own: bool) -> Witnesses:
        """Of normals [n, 3] that came from those patches and votes; own: what voted saw each point."""
        decided, toward = np.zeros(len(graph), bool), np.zeros(len(graph))
        if votes.sensors is not None:
            toward = dots(normals, votes.sensors)
            if own:
                decided = np.abs(toward) > GRAZING * np.sqrt(dots(votes.sensors, votes.sensors))
        undecided = 1.0 - patches.sums(decided * graph.areas) / patches.sums(graph.areas)
        signs = patches.signs_of(normals)
        p, q, weight = patches.continuity
        signed = weight * signs[p] * signs[q]
        broken, total = np.zeros(patches.count), np.zeros(patches.count)
        for end in (p, q):
            np.add.at(broken, end, np.maximum(-signed, 0.0) * np.maximum(undecided[p], undecided[q]))
            np.add.at(total, end, np.abs(signed))
        torn = (2.0 * broken > total)[patches.of]
        opinion = dots(normals, votes.field)
        return cls(opinion, toward, decided, torn, float(broken.sum()), float(total.sum()))

    def at(self, rows: np.ndarray) -> Witnesses:
        """Of some of the points."""
        return replace(
            self, opinion=self.opinion[rows], told=self.told[rows], decided=self.decided[rows], torn=self.torn[rows]
        )

    def turned(self, sign: np.ndarray) -> Witnesses:
        """Of the normals times signs [n]."""
        return replace(self, opinion=sign * self.opinion, told=sign * self.told)

    def agree(self, side: float, own: bool) -> np.ndarray:
        """Mask [n] of the normals that are right by what saw them, else by the field, whose sign is that of `side`."""
        if own:
            return self.decided | ~self.torn
        return np.where(self.told != 0.0, self.told > 0.0, self.opinion * side > 0.0)


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
    said = Witnesses.of(graph, patches, normals, votes, own)
    right = said.agree(1.0 if said.opinion.sum() >= 0.0 else -1.0, own)  # which side the whole shows is asked elsewhere
    agreement = float(graph.areas[right].sum() / graph.areas.sum())
    continuity = 1.0 - said.broken / max(said.total, 1e-300)
    doubted = ~right | (said.torn & ~said.decided)
    where = None
    if doubted.any():
        where = middle(graph.points[doubted]) * graph.spacing + graph.center
    down = 0.0 if up is None else looking_down(graph.areas, normals @ up)
    return Confidence(agreement, continuity, doubted, where, down)


def middle(points: np.ndarray) -> np.ndarray:
    """The box [2, 3] of the middle nine tenths of points [n, 3]."""
    return np.quantile(points, [0.05, 0.95], axis=0)


def looking_down(areas: np.ndarray, rise: np.ndarray) -> float:
    """The share of areas [n] with a rise of normals [n] below 0, where the whole has an opening that looks up."""
    whole = areas.sum()
    return float(areas[rise < 0.0].sum() / whole) if areas @ rise < -OPEN * whole else 0.0
