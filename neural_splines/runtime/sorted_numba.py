"""The loops of `sorted_sets`, compiled for the CPU."""

from __future__ import annotations

import numpy as np

from .compiled import compiled

_jit = compiled(nogil=True)


@_jit
def merge(one, other):
    """The union of two sorted arrays, without repetitions; each may have some."""
    out = np.empty(len(one) + len(other), one.dtype)
    i = j = count = 0
    while i < len(one) or j < len(other):
        if j == len(other) or (i < len(one) and one[i] <= other[j]):
            value = one[i]
            i += 1
        else:
            value = other[j]
            j += 1
        if count == 0 or out[count - 1] != value:
            out[count] = value
            count += 1
    return out[:count].copy()


@_jit
def seek(ids, table):
    """The first place of the sorted table that is not less than each of ids [q, k], which are sorted along q.

    From where the one before was found, in steps that double, and then by halving.
    """
    out = np.empty(ids.shape, np.int64)
    ids, places = ids.reshape(len(ids), -1), out.reshape(len(ids), -1)
    for k in range(ids.shape[1]):
        low = 0
        for q in range(len(ids)):
            step, high = 1, low
            while high < len(table) and table[high] < ids[q, k]:
                low, high, step = high + 1, high + step, 2 * step
            high = min(high, len(table))
            while low < high:
                middle = (low + high) // 2
                if table[middle] < ids[q, k]:
                    low = middle + 1
                else:
                    high = middle
            places[q, k] = low
    return out
