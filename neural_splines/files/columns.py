"""What the columns of a table without names hold: by what normals, colours and counts must satisfy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import CloudError
from .column_statistics import Known, Statistics, whole
from .scans import COLOURS, COORDINATES, NORMALS, POSITIONS, ScannedCloud, from_columns, group, listed

LOOKED_AT = 20_000  # rows
FEWEST_COUNTED = 3  # rows
OFF_UNIT, UNIT_SHARE = 0.05, 0.95  # so near to 1 is the length of so many normals
PTS_MARGIN = 0.2  # of correlation: where neither end follows the others more, the order is that of PTS files
RETURNS, CLASSES = 15, 31  # the largest number of a return, and of a class, in LAS files
WORDS = "x y z nx ny nz r g b i, or any other name for a number, and - for what is not needed"
SHORT = {"i": "intensity"}
SKIPPED = "-"


@dataclass
class Survey:
    """What a table [n, k] of numbers is told by, of which parts come in their order.

    rows: how many there are. sample [at most LOOKED_AT, k]: every row whose number is a multiple of `step`, a power of
    two. counting: whether the first column counts the rows. there [k]: which columns hold a number. statistics: of each
    column, where they are wanted.
    """

    rows: int = 0
    sample: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    step: int = 1
    counting: bool = True
    there: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    statistics: list[Statistics] | None = None
    _last: float = np.nan

    @classmethod
    def of(cls, table: np.ndarray) -> Survey:
        """Of a whole table."""
        found = cls()
        found.take(table)
        return found

    @np.errstate(all="ignore")  # numbers that are not finite
    def take(self, table: np.ndarray) -> None:
        """Look at the next rows [m, k]."""
        if not self.there.size:
            self.sample, self.there = np.empty((0, table.shape[1])), np.zeros(table.shape[1], bool)
        if not len(table):
            return
        first, self.rows = self.rows, self.rows + len(table)
        while self.rows > LOOKED_AT * self.step:
            self.sample, self.step = self.sample[::2], 2 * self.step
        self.sample = np.concatenate([self.sample, table[-first % self.step :: self.step].astype(np.float64)])
        self.counting = self.counting and _counts(table[:, 0].astype(np.float64, copy=False), self._last)
        self._last = float(table[-1, 0])
        for k in (~self.there).nonzero()[0]:
            self.there[k] = not np.isnan(table[:, k]).all()
        if self.statistics is not None:
            self.statistics = self.statistics or [Statistics() for _ in range(table.shape[1])]
            for known, column in zip(self.statistics, table.T, strict=True):
                known.take(column)


@dataclass(frozen=True)
class Meaning:
    """What the columns of a table are: a name of each, SKIPPED for those that are not needed, and a line about it.

    known: what decides by all rows where tables are parts of one, by name.
    """

    names: list[str]
    reading: str
    known: Known | None = None

    def cloud(self, table: np.ndarray, wanted: Sequence[str] = ()) -> ScannedCloud:
        """The cloud of a table [n, k]."""
        named = {name: column for name, column in zip(self.names, table.T, strict=True) if name != SKIPPED}
        cloud, known = from_columns(named, wanted, self.reading, self.known), self.known or {}
        return replace(
            cloud, scalars={name: whole(column, known=known.get(name)) for name, column in cloud.scalars.items()}
        )


def named(names: Sequence[str], survey: Survey, reading: str) -> Meaning:
    """The meaning of columns that have names."""
    known = None if survey.statistics is None else dict(zip(names, survey.statistics, strict=True))
    return Meaning(list(names), reading, known)


def meaning(
    survey: Survey, words: str = "", fractional: Sequence[bool] = (), colours_only: bool = False, sparse: bool = False
) -> Meaning:
    """What the columns of a table without names are taken for.

    words: the names that a user gives to the columns, else `by_values`. sparse: columns without a number are none.
    """
    kept = survey.there if sparse else np.ones_like(survey.there)
    count, written = int(kept.sum()), [part for part, there in zip(fractional, kept, strict=False) if there]
    if words:
        names = by_words(words, count)
    else:
        counting = survey.counting and survey.rows >= FEWEST_COUNTED and bool(kept[:1].all())
        names = by_values(survey.sample[:, kept], counting, written, colours_only)
    left = iter(names)
    return named([next(left) if there else SKIPPED for there in kept], survey, f"columns read as {listed(names)}")


@np.errstate(all="ignore")  # numbers that are not finite, or whose squares are not
def by_values(
    sample: np.ndarray, counting: bool, fractional: Sequence[bool] = (), colours_only: bool = False
) -> list[str]:
    """Names for the columns of a table, of which there are some rows [n, k]: x y z, behind the number of a point where
    the first column counts.

    Three further columns are normals where nearly all of them have length 1; colours where all are whole and in 0..255,
    or of 16 bits, or in 0..1. What stands alone behind the coordinates is an intensity, the rest has its number for a
    name. fractional: which columns are written with a decimal point. colours_only: there are no normals.
    """
    count = sample.shape[1]
    if count < 3:
        raise CloudError(f"has {count} columns, and a point needs three; export it with x, y and z")
    names = ["id"] if count > 3 and counting else []
    names += COORDINATES
    start = len(names)
    while len(names) < count:
        place = len(names)
        three = sample[:, place : place + 3]
        if "nx" not in names and not colours_only and _normals(three):
            names += NORMALS[0]
        elif "red" not in names and _colours(three) and not _intensity_first(sample, fractional, place):
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


def _counts(column: np.ndarray, last: float) -> bool:
    """Whether whole numbers count the points on from the last one, or from a number that is NaN before them."""
    first = column[0]
    begins = first >= 0.0 and first % 1.0 == 0.0 if np.isnan(last) else first - last == 1.0
    return bool(begins) and bool((np.diff(column) == 1.0).all())


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
