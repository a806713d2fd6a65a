"""Sorted sets of integers: their union, and where members of one stand in another.

On a CPU by compiled loops, which go through both once: a sort or a search for each member takes ten times as long.
"""

from __future__ import annotations

from itertools import zip_longest

import torch
from torch import Tensor


def union(*sets: Tensor) -> Tensor:
    """The distinct integers of tensors [n_k], each sorted, in order."""
    if sets[0].device.type != "cpu":
        return torch.unique(torch.cat(sets))
    from .sorted_numba import merge

    left, none = [each.numpy() for each in sets], sets[0][:0].numpy()
    while True:
        left = [merge(one, other) for one, other in zip_longest(left[::2], left[1::2], fillvalue=none)]
        if len(left) == 1:
            return torch.from_numpy(left[0])


def places(ids: Tensor, table: Tensor) -> Tensor:
    """Where each of ids [q] or [q, k], sorted along the first axis, is or would be in a sorted table [n]."""
    if ids.device.type != "cpu":
        return torch.searchsorted(table, ids)
    from .sorted_numba import seek

    return torch.from_numpy(seek(ids.contiguous().numpy(), table.contiguous().numpy()))
