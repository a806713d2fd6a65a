"""The points of a file in pieces of which each is read as all would be at once: what decides is looked up before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import numpy as np

from ..errors import CloudError
from .column_statistics import Columns, Known, Statistics
from .columns import Meaning, Survey
from .scans import ScannedCloud, deciding

Piece = TypeVar("Piece")


@dataclass(frozen=True)
class Source(Generic[Piece]):
    """Pieces of a file, and the clouds that they are.

    count: points of the file, or a few more. first: a piece of few points. read: all pieces, from the start. cloud: the
    points of a piece.
    """

    count: int
    first: Piece
    read: Callable[[], Iterator[Piece]]
    cloud: Callable[[Piece], ScannedCloud]


@dataclass
class ColumnSurvey:
    """What named columns are told by, of which parts come in their order.

    first: one row or none. types: of the columns that all parts have, wide enough for all. known: of those of which all
    values decide something. rows: how many were looked at.
    """

    first: Columns
    types: dict[str, np.dtype]
    known: dict[str, Statistics]
    rows: int = 0

    @classmethod
    def of(cls, pieces: Iterable[Columns], alike: bool = True, further: Collection[str] = ()) -> ColumnSurvey:
        """Of pieces of columns [n].

        alike: all have the same ones, in the same types; then one is enough where nothing is decided by all values.
        further: columns of which something is, beside `scans.deciding`.
        """
        found: ColumnSurvey | None = None
        for columns in pieces:
            names = [*deciding(columns, all_types=not alike), *further]
            if found is None:
                first = {name: values[:1] for name, values in columns.items()}
                found = cls(first, {name: values.dtype for name, values in columns.items()}, {})
                if alike and not names:
                    break
            found.rows += len(columns[next(iter(columns))])
            found.types = {n: np.result_type(t, columns[n].dtype) for n, t in found.types.items() if n in columns}
            for name in names:
                found.known.setdefault(name, Statistics()).take(columns[name])
        if found is None:
            raise CloudError("contains no points; check how it was exported")
        return found

    def common(self, columns: Columns) -> Columns:
        """Those columns that all pieces have, in the types of all."""
        return {name: columns[name].astype(type_, copy=False) for name, type_ in self.types.items()}

    def source(
        self, count: int, read: Callable[[], Iterator[Columns]], cloud: Callable[[Columns, Known], ScannedCloud]
    ) -> Source[Columns]:
        """The pieces that were surveyed. cloud: the points of one, by what is known of all."""
        first = {name: self.first[name] for name in self.types}
        return Source(count, first, read, lambda columns: cloud(self.common(columns), self.known))


def of_columns(
    count: int, read: Callable[[], Iterator[Columns]], cloud: Callable[[Columns, Known], ScannedCloud]
) -> Source[Columns]:
    """Pieces of columns, the same in each. cloud: the points of one, by what is known of all."""
    return ColumnSurvey.of(read()).source(count, read, cloud)


def sliced(pieces: Iterable[Columns], rows: int) -> Iterator[Columns]:
    """The same columns in pieces of so many rows at most."""
    for columns in pieces:
        count = len(columns[next(iter(columns))])
        for start in range(0, max(1, count), rows):
            yield {name: values[start : start + rows] for name, values in columns.items()}


def surveyed(pieces: Iterable[np.ndarray]) -> Survey:
    """What the pieces of a table are told by."""
    survey = Survey(statistics=[])
    for table in pieces:
        survey.take(table)
    return survey


def of_tables(
    survey: Survey, read: Callable[[], Iterator[np.ndarray]], meaning: Meaning, wanted: Sequence[str]
) -> Source[np.ndarray]:
    """Pieces of a table, whose columns mean this."""
    return Source(survey.rows, survey.sample[:1], read, partial(meaning.cloud, wanted=wanted))
