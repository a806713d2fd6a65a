"""Patches: groups of points whose signs to each other are sure, and what neighbours among them say of each other's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..runtime.arrays import dots
from .continuity import STEPS, couplings, grow_patches
from .dipoles_torch import summed_by
from .forest import bounded_forest, sure_edges
from .graph import PointGraph

EDGES = 12  # of a point, to its nearest neighbours
SURE = 0.9  # couplings that grow patches, where the field agrees
SURE_NOISY = 0.8
CPU = torch.device("cpu")
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
    def grown(cls, graph: PointGraph, directions: Tensor, field: Tensor, noisy: bool) -> Patches:
        """Along edges on which the couplings of the directions [n, 3] and the signs of the field [n, 3] agree."""
        edges = graph.neighbours[:, :EDGES].contiguous()
        couples = couplings(graph.x, directions, edges)
        on_side = (directions * field).sum(1) >= 0.0
        sure, most = SURE_NOISY if noisy else SURE, max(PATCH, len(graph) // PATCHES)
        if edges.is_cuda:
            patch, sign, pairs = tensor_patches(edges, couples, on_side, sure, most)
            return cls(patch.cpu().numpy(), (directions * sign[:, None]).cpu().numpy(), int(patch.max()) + 1, pairs)
        near, coupling, side = edges.cpu().numpy(), couples.cpu().numpy(), on_side.cpu().numpy()
        agreed = np.where((coupling > 0.0) == (side[:, None] == side[near]), coupling, np.float32(0.0))
        of, signs = grow_patches(near, agreed, sure, most)
        number = int(of.max()) + 1
        i, k = np.nonzero(of[:, None] != of[near])
        here, there = of[i], of[near[i, k]]
        keys = np.minimum(here, there) * number + np.maximum(here, there)
        weight = coupling[i, k] * signs[i] * signs[near[i, k]]
        return cls(of, directions.cpu().numpy() * signs[:, None], number, summed(keys, weight, number))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums [p] over the patches of values [n] of the points."""
        return np.bincount(self.of, values, self.count)

    def signs_of(self, normals: np.ndarray) -> np.ndarray:
        """Signs [p] of the patches of normals [n, 3]."""
        return np.where(self.sums(dots(self.directions, normals)) < 0.0, -1.0, 1.0)

    def oriented(self, signs: np.ndarray) -> np.ndarray:
        """Normals [n, 3] for signs [p] of the patches."""
        return self.directions * signs[self.of, None]


def tensor_patches(
    near: Tensor, couples: Tensor, on_side: Tensor, sure: float, most: int
) -> tuple[Tensor, Tensor, Pairs]:
    """The patch [n] of each point, its sign [n] there, and the continuity of pairs, on the device of edges [n, k]."""
    near = near.long()
    agreed = torch.where((couples > 0.0) == (on_side[:, None] == on_side[near]), couples, 0.0)
    of, signs = bounded_forest(len(near), *sure_edges(near, agreed, sure, STEPS), most)
    i, k = (of[:, None] != of[near]).nonzero().T
    j, number = near[i, k], int(of.max()) + 1
    keys = torch.minimum(of[i], of[j]) * number + torch.maximum(of[i], of[j])
    return of, signs, _summed(keys, (couples[i, k] * (signs[i] * signs[j])).double(), number)


def _summed(keys: Tensor, values: Tensor, patches: int) -> Pairs:
    """As `summed`, on a device: on a GPU in a twentieth of the time."""
    found, total = (part.cpu().numpy() for part in summed_by(keys, values))
    return found // patches, found % patches, total


def summed(keys: np.ndarray, values: np.ndarray, patches: int, device: torch.device = CPU) -> Pairs:
    """The sums of values under keys p * patches + q, in the order of these."""
    if device.type == "cuda":
        return _summed(torch.from_numpy(keys).to(device), torch.from_numpy(values).to(device), patches)
    distinct, place = np.unique(keys, return_inverse=True)
    return distinct // patches, distinct % patches, np.bincount(place, values, len(distinct))


def chained(parts: Sequence[Pairs]) -> Pairs:
    """The pairs of all parts, of which there is one at least."""
    p, q, weight = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return p, q, weight
