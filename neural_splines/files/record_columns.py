"""The columns of the records of a PLY element, however they are written."""

from __future__ import annotations

import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .ply import Element


@dataclass(frozen=True)
class Lists:
    """A list property as groups of records of one length: (rows [k], items [k, length])."""

    groups: list[tuple[np.ndarray, np.ndarray]]


Columns = dict[str, Any]  # by property: an array [count] of scalars, or Lists


def grouped(lengths: np.ndarray, items: Callable[[np.ndarray, int], np.ndarray]) -> Lists:
    """Lists from the length of each; items(rows, length) -> [k, length]."""
    rows = [(lengths == length).nonzero()[0] for length in np.unique(lengths)]
    return Lists([(r, items(r, int(lengths[r[0]]))) for r in rows])


def numbers(values: array.array) -> np.ndarray:
    """An array of Python's as one of NumPy, which shares its memory."""
    return np.frombuffer(values, values.typecode)


def empty(element: Element, names: set[str]) -> Columns:
    """The named columns of an element without records."""
    return {p.name: Lists([]) if p.count_type else np.zeros(0) for p in element.properties if p.name in names}
