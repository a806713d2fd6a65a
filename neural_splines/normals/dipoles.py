"""Couplings between patches through space: the dipole sums of their points, within a radius.

    D_pq = sum_{i in p, j in q, |d| < R} a_i a_j (m_i . m_j / r^3 - 3 (m_i . d)(m_j . d) / r^5),  r^2 = |d|^2 + 1

in units of the spacing: what the gradient of q's winding number has to say about the signs of p.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..runtime.compiled import compiled
from ..runtime.threads import parallel
from . import dipoles_torch
from .octree import Octree
from .patches import Pairs, summed

_jit = compiled(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})


def dipole_couplings(tree: Octree, x: Tensor, dipoles: np.ndarray, patch: np.ndarray, radius: float) -> Pairs:
    """D of the patches that the points x [n, 3] of a tree belong to, with dipoles a_i m_i [n, 3]; each pair once."""
    if x.is_cuda:
        a, b = torch.from_numpy(dipoles).to(x.device), torch.from_numpy(patch).to(x.device)
        keys, sums = dipoles_torch.dipole_couplings(tree, x, a, b, radius)
        number, found = int(patch.max()) + 1, keys.cpu().numpy()
        return found // number, found % number, sums.cpu().numpy()
    return _couplings(tree, x.numpy(), dipoles, patch, radius)


def _couplings(tree: Octree, points: np.ndarray, dipoles: np.ndarray, patch: np.ndarray, radius: float) -> Pairs:
    """The same by Numba."""
    parts: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    x, m = np.ascontiguousarray(points, np.float32), np.ascontiguousarray(dipoles, np.float32)
    patches = int(patch.max()) + 1
    highest = np.zeros(len(tree), patch.dtype)
    highest[tree.leaves] = np.maximum.reduceat(patch, tree.first[tree.leaves])

    def work(begin: int, end: int) -> None:
        shape = (tree.leaves, tree.first, tree.last, tree.skip, tree.centers, tree.radius)
        parts[begin] = _pairs(begin, end, *shape, x, m, patch, highest, np.float32(radius), patches)

    parallel(work, len(tree.leaves))
    keys, values = (np.concatenate([parts[begin][k] for begin in sorted(parts)]) for k in range(2))
    return summed(keys, values, patches)


@_jit
def _pairs(begin, end, leaves, first, last, skip, centers, radius, x, m, patch, highest, reach, patches):
    """Keys p * patches + q of pairs p < q, with repetitions, and their sums over the points of leaves[begin:end]."""
    keys, values, count = np.empty(4096, np.int64), np.empty(4096), 0
    sums, touched = np.zeros(patches), np.empty(patches, np.int64)
    near = np.empty(1 << 12, np.int64)
    for k in range(begin, end):
        leaf = leaves[k]
        node, nears = 0, 0
        while node < len(skip):  # the leaves within reach
            dx, dy = centers[node, 0] - centers[leaf, 0], centers[node, 1] - centers[leaf, 1]
            dz = centers[node, 2] - centers[leaf, 2]
            if math.sqrt(dx * dx + dy * dy + dz * dz) > radius[node] + radius[leaf] + reach:
                node = skip[node]
            elif skip[node] == node + 1:
                if nears == len(near):
                    grown = np.empty(2 * nears, np.int64)
                    for t in range(nears):
                        grown[t] = near[t]
                    near = grown
                near[nears] = node
                nears += 1
                node += 1
            else:
                node += 1
        for i in range(first[leaf], last[leaf]):
            own, many = patch[i], 0
            for t in range(nears):
                if highest[near[t]] <= own:
                    continue
                for j in range(first[near[t]], last[near[t]]):
                    if patch[j] <= own:
                        continue
                    dx, dy, dz = x[j, 0] - x[i, 0], x[j, 1] - x[i, 1], x[j, 2] - x[i, 2]
                    square = dx * dx + dy * dy + dz * dz
                    if square > reach * reach:
                        continue
                    inverse = 1.0 / (square + 1.0)
                    here = m[i, 0] * dx + m[i, 1] * dy + m[i, 2] * dz
                    there = m[j, 0] * dx + m[j, 1] * dy + m[j, 2] * dz
                    dot = m[i, 0] * m[j, 0] + m[i, 1] * m[j, 1] + m[i, 2] * m[j, 2]
                    if sums[patch[j]] == 0.0:
                        touched[many] = patch[j]
                        many += 1
                    sums[patch[j]] += inverse * math.sqrt(inverse) * (dot - 3.0 * inverse * here * there)
            if count + many > len(keys):
                room = 2 * (count + many)
                more_keys, more_values = np.empty(room, np.int64), np.empty(room)
                for t in range(count):
                    more_keys[t], more_values[t] = keys[t], values[t]
                keys, values = more_keys, more_values
            for t in range(many):
                if sums[touched[t]] != 0.0:  # touched twice where a sum came to zero on the way
                    keys[count], values[count] = own * patches + touched[t], sums[touched[t]]
                    count += 1
                sums[touched[t]] = 0.0
    return keys[:count], values[:count]
