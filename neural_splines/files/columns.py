"""What the columns of a table without names hold: by what normals, colours and counts must satisfy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import CloudError
from .scans import COLOURS, COORDINATES, NORMALS, POSITIONS, ScannedCloud, from_columns, group, listed, whole

LOOKED_AT = 20_000  # rows
OFF_UNIT, UNIT_SHARE = 0.05, 0.95  # so near to 1 is the length of so many normals
PTS_MARGIN = 0.2  # of correlation: where neither end follows the others more, the order is that of PTS files
RETURNS, CLASSES = 15, 31  # the largest number of a return, and of a class, in LAS files
WORDS = "x y z nx ny nz r g b i, or any other name for a number, and - for what is not needed"
SHORT = {"i": "intensity"}
SKIPPED = "-"


def from_table(
    table: np.ndarray,
    wanted: Sequence[str] = (),
    words: str = "",
    fractional: Sequence[bool] = (),
    colours_only: bool = False,
) -> ScannedCloud:
    """A cloud of a table [n, 3 or more] of numbers; `reading` says what its columns were taken for.

    words: the names that a user gives to the columns, else `by_values`.
    """
    count = table.shape[1]
    names = by_words(words, count) if words else by_values(table, fractional, colours_only)
    named = {name: column for name, column in zip(names, table.T, strict=True) if name != SKIPPED}
    cloud = from_columns(named, wanted, f"columns read as {listed(names)}")
    return replace(cloud, scalars={name: whole(column) for name, column in cloud.scalars.items()})


@np.errstate(all="ignore")  # numbers that are not finite, or whose squares are not
def by_values(table: np.ndarray, fractional: Sequence[bool] = (), colours_only: bool = False) -> list[str]:
    """Names for the columns of a table [n, k] of numbers: x y z, behind the number of a point where there is one.

    Three further columns are normals where nearly all of them have length 1; colours where all are whole and in 0..255,
    or of 16 bits, or in 0..1. What stands alone behind the coordinates is an intensity, the rest has its number for a
    name. fractional: which columns are written with a decimal point. colours_only: there are no normals.
    """
    count = table.shape[1]
    if count < 3:
        raise CloudError(f"has {count} columns, and a point needs three; export it with x, y and z")
    some = table[:: -(-len(table) // LOOKED_AT) or 1].astype(np.float64)
    names = ["id"] if count > 3 and _counts(table[:, 0]) else []
    names += COORDINATES
    start = len(names)
    while len(names) < count:
        place = len(names)
        three = some[:, place : place + 3]
        if "nx" not in names and not colours_only and _normals(three):
            names += NORMALS[0]
        elif "red" not in names and _colours(three) and not _intensity_first(some, fractional, place):
            names += COLOURS[0]
        else:
            names.append("intensity" if place == start else f"column_{place + 1}")
    return names


def by_words(words: str, count: int) -> list[str]:
    """The names that a user gives to the columns of a table of `count`; CloudError where they are not as many."""
    names = words.replace(",", " ").split()
    if len(names) != count:
        raise CloudError(f"has {count} columns and --columns names {len(names)} ({listed(names)}); use {WORDS}")
    doubled = next((name for name in names if name != SKIPPED and names.count(name) > 1), None)
    if doubled:
        raise CloudError(f"--columns names two columns {doubled!r}; use {WORDS}")
    if not group(names, POSITIONS):
        raise CloudError(f"--columns {listed(names)!r} names no x, y and z; use {WORDS}")
    return [SHORT.get(name, name) for name in names]


def refuse_words(words: str) -> None:
    """CloudError where a user names columns that have names."""
    if words:
        raise CloudError("has names for its columns, which --columns does not change; leave --columns out")


def _counts(column: np.ndarray) -> bool:
    """Whether whole numbers count the points."""
    first = column[:LOOKED_AT]
    if len(first) < 3 or not first[0] >= 0.0 or first[0] % 1.0 != 0.0 or (np.diff(first) != 1.0).any():
        return False
    return bool((np.diff(column) == 1.0).all())


def _normals(three: np.ndarray) -> bool:
    """Whether nearly all rows [n, 3] that are not zero have length 1."""
    if three.shape[1] < 3:
        return False
    length = np.linalg.norm(three, axis=1)
    there = length[~(length == 0.0)]  # NaN counts
    return bool(len(there) and (np.abs(there - 1.0) <= OFF_UNIT).mean() >= UNIT_SHARE)


def _colours(three: np.ndarray) -> bool:
    """Whether columns [n, 3] can be colours."""
    if three.shape[1] < 3 or not np.isfinite(three).all() or three.min() < 0.0 or not three.any():
        return False
    most = three.max(0)
    if not (three == np.round(three)).all():
        return bool(most.max() <= 1.0)
    returns = three[:, 1].min() >= 1.0 and most[1] <= RETURNS and most[2] <= CLASSES  # intensity, return and class
    return bool(1.0 < most.max() <= 255.0 and not returns) or bool(most.min() > 255.0 and most.max() <= 65535.0)


def _intensity_first(some: np.ndarray, fractional: Sequence[bool], place: int) -> bool:
    """Whether of four columns that can all be colours the first is an intensity, as in PTS files, and not the last.

    The intensity is the one that is written with a decimal point; else the one that follows the other columns less.
    A last one that is the same everywhere is an opacity.
    """
    four = some[:, place : place + 4]
    if not _colours(four[:, 1:]):
        return False
    written = list(fractional[place : place + 4])
    if any(written) and not all(written):
        return written[0]
    if np.ptp(four[:, 3]) == 0.0 and four[0, 3] in (1.0, 255.0) and np.ptp(four) > 0.0:
        return False
    centred = four - four.mean(0)
    size = np.linalg.norm(centred, axis=0)
    first, last = ((centred[:, k] @ centred[:, 1:3] / np.maximum(size[k] * size[1:3], 1e-300)).mean() for k in (0, 3))
    return bool(first <= last + PTS_MARGIN)
