"""Patches: groups of points whose signs to each other are sure, and what neighbours among them say of each other's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .continuity import couplings, grow_patches
from .graph import PointGraph

EDGES = 12  # of a point, to its nearest neighbours
SURE = 0.9  # couplings that grow patches, where the field agrees
SURE_NOISY = 0.8
PATCH, PATCHES = 64, 1500  # points of a patch, unless there would be more patches

Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]  # p < q and the weight of each pair


@dataclass(frozen=True)
class Patches:
    """The patch of each point [n], and directions [n, 3] of one sign within each patch.

    continuity: the sums of couplings over the edges between two patches.
    """

    of: np.ndarray
    directions: np.ndarray
    count: int
    continuity: Pairs

    @classmethod
    def grown(cls, graph: PointGraph, directions: np.ndarray, field: np.ndarray, noisy: bool) -> Patches:
        """Along edges on which the couplings of the directions [n, 3] and the signs of the field [n, 3] agree."""
        count = min(EDGES, graph.neighbours.shape[1])
        near = graph.neighbours[:, :count]
        coupling = couplings(graph.points, directions, graph.neighbours, count)
        side = np.where((directions * field).sum(1) < 0.0, -1.0, 1.0)
        agreed = np.where(coupling * side[:, None] * side[near] > 0.0, coupling, 0.0)
        most = max(PATCH, len(graph) // PATCHES)
        of, signs = grow_patches(near, agreed, SURE_NOISY if noisy else SURE, most)
        number = int(of.max()) + 1
        here, there = np.repeat(of, count), of[near.ravel()]
        between = here != there
        keys = np.minimum(here, there)[between] * number + np.maximum(here, there)[between]
        weight = coupling.ravel() * np.repeat(signs, count) * signs[near.ravel()]
        return cls(of, directions * signs[:, None], number, summed(keys, weight[between], number))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums [p] over the patches of values [n] of the points."""
        return np.bincount(self.of, values, self.count)

    def oriented(self, signs: np.ndarray) -> np.ndarray:
        """Normals [n, 3] for signs [p] of the patches."""
        return self.directions * signs[self.of, None]


def summed(keys: np.ndarray, values: np.ndarray, patches: int) -> Pairs:
    """The sums of values under keys p * patches + q."""
    distinct, place = np.unique(keys, return_inverse=True)
    return distinct // patches, distinct % patches, np.bincount(place, values, len(distinct))
