"""The arrays of a saved field, checked before anything is made of them: loops that are compiled trust what they get."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

State = Mapping[str, np.ndarray]
FLOATS = "float64", "float32"


def array(state: State, name: str, *shape: int, types: tuple[str, ...] = ("float64",)) -> Tensor:
    """The array of that shape and of one of these types, with finite values; -1: any length. ValueError else."""
    found = state[name]
    fits = found.ndim == len(shape) and all(want in (-1, have) for want, have in zip(shape, found.shape, strict=True))
    if not fits or found.dtype.name not in types:
        raise ValueError(f"{name} is {list(found.shape)} of {found.dtype}")
    if not np.isfinite(found).all():
        raise ValueError(f"{name} has values that are not finite")
    return torch.from_numpy(np.ascontiguousarray(found).reshape(found.shape))


def number(state: State, name: str, low: float = 0.0) -> float:
    """A finite number of at least `low`."""
    found = float(array(state, name))
    if found < low:
        raise ValueError(f"{name} is {found:g}")
    return found


def corners(state: State, name: str) -> tuple[Tensor, Tensor]:
    """The lower and the upper corner of a box."""
    lower, upper = array(state, name, 2, 3)
    if not bool((lower <= upper).all()):
        raise ValueError(f"{name} has corners in the wrong order")
    return lower, upper


def offsets(state: State, name: str, parts: int, total: int) -> Tensor:
    """Where `parts` runs begin that together are range(total), and where the last ends."""
    found = array(state, name, parts + 1, types=("int64",))
    if int(found[0]) or int(found[-1]) != total or bool((found[1:] < found[:-1]).any()):
        raise ValueError(f"{name} do not share out {total} rows")
    return found


def positive(state: State, name: str, count: int) -> Tensor:
    """Numbers above 0, so many."""
    found = array(state, name, count)
    if not bool((found > 0.0).all()):
        raise ValueError(f"{name} has values that are not above 0")
    return found


def indices(state: State, name: str, count: int, below: int) -> Tensor:
    """So many indices, each from 0 up to `below` without it."""
    found = array(state, name, count, types=("int64",))
    if count and (int(found.min()) < 0 or int(found.max()) >= below):
        raise ValueError(f"{name} has indices beyond {below}")
    return found
