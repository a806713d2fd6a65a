"""The dipole couplings of patches in PyTorch, by pairs of leaves, for a GPU; runs on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from .nearest import leaves_within
from .octree import LEAF, Octree

PAIRS_AT_ONCE = 1 << 25  # of points


def dipole_couplings(
    tree: Octree, points: Tensor, dipoles: Tensor, patch: Tensor, radius: float
) -> tuple[Tensor, Tensor]:
    """As `dipoles.dipole_couplings`: ascending keys p * patches + q of pairs p < q, and their sums, on the device."""
    device, patches = points.device, int(patch.max()) + 1
    x, m = points.float(), dipoles.float()
    first, last = (torch.from_numpy(part[tree.leaves]).long().to(device) for part in (tree.first, tree.last))
    lowest, highest = (torch.segment_reduce(patch.double(), kind, lengths=last - first) for kind in ("min", "max"))
    leaf, other = leaves_within(tree, torch.full((len(first),), radius, dtype=torch.float64, device=device))
    chosen = lowest[leaf] < highest[other]
    leaf, other = leaf[chosen], other[chosen]
    lane, keys, values = torch.arange(LEAF, device=device), [], []
    for begin, beside in _runs(first, last, leaf, other):
        rows = zip(begin.split(PAIRS_AT_ONCE // LEAF**2), beside.split(PAIRS_AT_ONCE // LEAF**2), strict=True)
        for here, there in rows:
            i, j = here[:, :1, None] + lane[:, None], there[:, :1, None] + lane
            inside = (i < here[:, 1:, None]) & (j < there[:, 1:, None])
            i, j = i.clamp_max(len(x) - 1), j.clamp_max(len(x) - 1)
            square = torch.zeros(inside.shape, device=device)
            for axis in x.unbind(1):
                square += (axis[j] - axis[i]).square_()
            place, a, b = (inside & (square <= radius * radius) & (patch[i] < patch[j])).nonzero().T
            key, value = _terms(x, m, patch, patches, here[place, 0] + a, there[place, 0] + b)
            key, value = summed_by(key, value)
            keys.append(key)
            values.append(value)
    if not keys:
        return torch.empty(0, dtype=torch.int64, device=device), torch.empty(0, dtype=torch.float64, device=device)
    return summed_by(torch.cat(keys), torch.cat(values))


def _terms(x: Tensor, m: Tensor, patch: Tensor, patches: int, i: Tensor, j: Tensor) -> tuple[Tensor, Tensor]:
    """Keys [k] and couplings [k] of pairs of points."""
    d, here, there = x[j] - x[i], m[i], m[j]
    inverse = 1.0 / (d.square().sum(1) + 1.0)
    value = (here * there).sum(1) - 3.0 * inverse * (here * d).sum(1) * (there * d).sum(1)
    return patch[i] * patches + patch[j], (inverse * inverse.sqrt() * value).double()


def _runs(first: Tensor, last: Tensor, leaf: Tensor, other: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Pairs of leaves as the first and past the last point [k, 2] of either, at most LEAF: larger ones, of many points
    in one of the smallest cubes, in all pairs of their runs.
    """
    most = int(((last - first + LEAF - 1) // LEAF).max())
    found = []
    for a in range(most):
        for b in range(most):
            ends = [
                torch.stack([begin, torch.minimum(last[which], begin + LEAF)], 1)
                for which, begin in ((leaf, first[leaf] + a * LEAF), (other, first[other] + b * LEAF))
            ]
            there = ((ends[0][:, 0] < ends[0][:, 1]) & (ends[1][:, 0] < ends[1][:, 1])).nonzero()[:, 0]
            if len(there):
                found.append((ends[0][there], ends[1][there]))
    return found


def summed_by(keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Distinct keys, ascending, and the sums of their values: by a sort, the same bits every time."""
    keys, order = keys.sort(stable=True)
    distinct, counts = keys.unique_consecutive(return_counts=True)
    values = values[order]
    return distinct, torch.segment_reduce(values, "sum", lengths=counts, unsafe=True) if len(keys) else values
