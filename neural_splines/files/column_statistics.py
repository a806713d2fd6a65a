"""What all values of a column have in common, which decides how each is read: the same at once and in pieces."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

Columns = dict[str, np.ndarray]  # by name, [n] each


@dataclass
class Statistics:
    """The range of a column, NaN where a value is; its largest value, NaN as 0; whether all are whole numbers."""

    low: float = math.inf
    high: float = -math.inf
    largest: float = 0.0
    integral: bool = True

    @classmethod
    def of(cls, values: np.ndarray) -> Statistics:
        found = cls()
        found.take(values)
        return found

    @np.errstate(all="ignore")  # signalling NaNs
    def take(self, values: np.ndarray) -> None:
        """Count further values [n] in."""
        if not len(values):
            return
        values = values.astype(np.float64, copy=False)
        self.low = float(np.minimum(self.low, values.min()))
        self.high = float(np.maximum(self.high, values.max()))
        self.largest = max(self.largest, float(np.nan_to_num(values).max()))
        self.integral = self.integral and bool((values == np.round(values)).all())

    def fit(self, type_: np.dtype | type) -> bool:
        """Whether all values are whole numbers of this type, and exact in double."""
        limits = np.iinfo(type_)
        return self.integral and self.low >= limits.min and self.high <= min(limits.max, 2**53)


Known = Mapping[str, Statistics]


def statistics_of(columns: Iterable[tuple[str, np.ndarray]], found: dict[str, Statistics]) -> None:
    """Count columns [n] in, by name."""
    for name, values in columns:
        found.setdefault(name, Statistics()).take(values)


def whole(column: np.ndarray, type_: np.dtype | type = np.int32, known: Statistics | None = None) -> np.ndarray:
    """Numbers as whole ones of this type where all are: such as classes, of which there is nothing between two."""
    return column.astype(type_) if (known or Statistics.of(column)).fit(type_) else column


@np.errstate(all="ignore")  # numbers that are no colours
def bytes_of_colours(colours: np.ndarray, largest: float | None = None) -> np.ndarray:
    """Colours [n, 3] in 0..255: of 16 bits where any is above 255, of fractions where all are at most 1.

    largest: of all colours, where these are some of them.
    """
    if colours.dtype == np.uint8:
        return colours
    values = np.nan_to_num(colours.astype(np.float64))
    most = values.max(initial=0.0) if largest is None else largest
    if most > 255:
        values = values / 257.0
    elif most <= 1.0 and colours.dtype.kind == "f":
        values = 255.0 * values
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
