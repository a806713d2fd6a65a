"""Signs of patches, several proposals, and the one whose normals agree best with the field that they make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..runtime.arrays import dots
from ..runtime.threads import parallel
from .dipoles import dipole_couplings
from .graph import PointGraph
from .patches import Pairs, Patches, chained, summed
from .signs import best_signs
from .treecode import Treecode
from .winding import total

# Continuity, and dipole couplings within a radius (in spacings) with so much continuity. Longer ranges do harm.
MIXES = ((0.0, 1.0), (6.0, 1.0), (10.0, 3.0))
VOTES = (3e-4, 3e-3, 3e-2, 3e-1)  # weights of the field's opinion of a patch
SENSORS = 0.1  # weight of what sensors say: some see through gaps
ENERGY_WIDTH = 1.5  # spacings


@dataclass(frozen=True)
class Votes:
    """For each point what the field says (its normal there, times its area), and what sensors say; [n, 3]."""

    field: np.ndarray
    sensors: np.ndarray | None = None


def choose_signs(graph: PointGraph, sums: Treecode, patches: Patches, votes: Votes) -> np.ndarray:
    """Normals [n, 3]: the directions of the patches with the signs that score best; also the field's own signs."""
    directions, of = (torch.from_numpy(part).to(graph.x.device) for part in (patches.directions, patches.of))
    sensors = None if votes.sensors is None else torch.from_numpy(votes.sensors).to(graph.x.device)
    by_field = torch.from_numpy(np.where(dots(patches.directions, votes.field) < 0.0, -1.0, 1.0))
    distinct = {signs.tobytes(): signs for signs in _proposals(graph, patches, votes)}
    highest = -np.inf
    for signs in (by_field, *(torch.from_numpy(signs).to(of.device)[of] for signs in distinct.values())):
        normals = directions * signs.to(directions.device)[:, None]
        score = _score(graph, sums, normals, sensors)
        if score > highest:
            chosen, highest = normals, score
    return chosen.cpu().numpy()


def _proposals(graph: PointGraph, patches: Patches, votes: Votes) -> list[np.ndarray]:
    """Signs [p] of the patches, one array for each mix and weight."""
    field = patches.sums(dots(patches.directions, votes.field))
    sensors = None if votes.sensors is None else patches.sums(dots(patches.directions, votes.sensors))
    dipoles = patches.directions * graph.areas[:, None]
    p, q, continuity = patches.continuity
    mixes: list[Pairs] = []
    for radius, weight in MIXES:
        mixes.append((p, q, weight * continuity))
        if radius:
            near = dipole_couplings(graph.tree, graph.x, dipoles, patches.of, radius)
            a, b, values = chained([mixes[-1], near])
            mixes[-1] = summed(a * patches.count + b, values, patches.count, graph.x.device)
    tasks = [(pairs, vote) for pairs in mixes for vote in VOTES]
    signs: list[np.ndarray] = [np.empty(0)] * len(tasks)

    def solve(begin: int, end: int) -> None:
        for k in range(begin, end):
            pairs, vote = tasks[k]
            signs[k] = _signs(patches.count, pairs, vote * field, sensors)

    parallel(solve, len(tasks))
    return signs


def _signs(count: int, pairs: Pairs, field: np.ndarray, sensors: np.ndarray | None) -> np.ndarray:
    """Signs [count] of patches; the field, and the sensors, are one more node each, whose edges are their votes."""
    nodes, edges = count, [pairs]
    for votes in [field] if sensors is None else [field, SENSORS * sensors]:
        edges.append((np.arange(count), np.full(count, nodes), votes))
        nodes += 1
    signs = best_signs(nodes, *chained(edges))
    return signs[:count] * signs[nodes - 1]  # what was voted last decides on the side


def _score(graph: PointGraph, sums: Treecode, normals: Tensor, sensors: Tensor | None) -> float:
    """How well normals agree with the gradient of the winding number that they make, and with sensors."""
    dipoles = graph.a * normals
    energy = total(dipoles * sums.gradient(dipoles, ENERGY_WIDTH))
    return energy if sensors is None else energy + total(normals * sensors)
