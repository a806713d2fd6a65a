"""Several files of points, or the pieces of one, as one cloud."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from .bounds import OutsideError
from .georeference import common
from .scans import ScannedCloud, listed

Place = Sequence[float]  # three coordinates
Part = TypeVar("Part")


def together(names: Sequence[str]) -> str:
    """Several files in a message."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def some_within(paths: Sequence[str], read: Callable[[str], Part]) -> dict[int, Part]:
    """What `read` makes of each file, by its number, but for those that have no point within the bounds.

    OutsideError where none has.
    """
    found: dict[int, Part] = {}
    first: OutsideError | None = None
    for number, path in enumerate(paths):
        try:
            found[number] = read(path)
        except OutsideError as error:
            first = first or error
    if not found and first:
        raise first
    return found


def chosen(values: Sequence[Part], of: Sequence[object], numbers: Iterable[int]) -> list[Part]:
    """Those of some files, where there is one value for each of them; else all values."""
    return [values[k] for k in numbers] if len(values) == len(of) else list(values)


def counted(parts: Iterable[tuple[str, int]], names: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """The numbers of points of files, 0 of those that did not take part."""
    there = dict(parts)
    return tuple((name, there.get(name, 0)) for name in names)


def joined(
    parts: Sequence[ScannedCloud], names: Sequence[str], stations: Sequence[Place] = (), left: bool = False
) -> tuple[ScannedCloud, list[str]]:
    """The points of several files as one cloud, and lines about what not all of them have.

    stations: where each file was seen from, if as many are given as there are files. left: these are what is left of
    several; else one file is a cloud as it is.

    Normals, colours, scalars and what a laser tells are those that all have. Where a file says nothing of the sides of
    its points, those of the others are kept: their viewpoints are NaN, the sums of their faces 0.
    """
    if len(parts) == 1 and not left:
        return parts[0], []
    lines = []
    for what, consequence in (("normals", "normals are estimated for all points"), ("colours", "none are carried")):
        without = [name for name, part in zip(names, parts, strict=True) if getattr(part, what) is None]
        if 0 < len(without) < len(parts):
            lines.append(f"{listed(without, ', ')}: no {what}, as other files have: {consequence}")

    crs, further = common([part.crs for part in parts], names)
    lines += further

    def stacked(name: str, missing: float | None = None) -> np.ndarray | None:
        """The rows of all parts; None where none has them, or where one has not and nothing stands for them."""
        found = [getattr(part, name) for part in parts]
        if all(rows is None for rows in found) or (missing is None and any(rows is None for rows in found)):
            return None
        filled = [np.full(p.points.shape, missing) if f is None else f for p, f in zip(parts, found, strict=True)]
        return np.concatenate(filled)

    readings = [(name, part.reading) for name, part in zip(names, parts, strict=True)]
    each = listed([f"{name}: {reading}" for name, reading in readings if reading], "; ")
    keys = [{name.lower(): name for name in part.scalars} for part in parts]
    scalars = {
        name: np.concatenate([part.scalars[own[key]] for part, own in zip(parts, keys, strict=True)])
        for key, name in keys[0].items()
        if all(key in own for own in keys)
    }
    laser = {
        kind: np.concatenate([part.laser[kind] for part in parts])
        for kind in parts[0].laser
        if all(kind in part.laser for part in parts)
    }
    return ScannedCloud(
        points=np.concatenate([part.points for part in parts]),
        normals=stacked("normals"),
        viewpoints=stacked("viewpoints", np.nan),
        single=any(part.single for part in parts),
        colours=stacked("colours"),
        scalars=scalars,
        reading=readings[0][1] if len({reading for _, reading in readings}) == 1 else each,
        laser=laser if {"returns", "angles"} & set(laser) else {},
        faces=stacked("faces", 0.0),
        upright=all(part.upright for part in parts),
        codes=stacked("codes"),
        classes={code: sum(part.classes.get(code, 0) for part in parts) for part in parts for code in part.classes},
        parts=tuple((name, len(part.points)) for name, part in zip(names, parts, strict=True)),
        stations=_repeated(stations, [len(part.points) for part in parts]),
        crs=crs,
    ), lines


def _repeated(stations: Sequence[Place], counts: Sequence[int]) -> np.ndarray | None:
    """The station [n, 3] of each point of files of so many points, where there is one for each file."""
    if len(stations) != len(counts):
        return None
    return np.repeat(np.array(stations, np.float64), counts, axis=0)


def stacked(pieces: Sequence[ScannedCloud]) -> ScannedCloud:
    """The pieces of one cloud, at least one, which all have the same columns."""

    def rows(name: str) -> np.ndarray | None:
        parts = [getattr(piece, name) for piece in pieces]
        return None if parts[0] is None else np.concatenate(parts)

    first = pieces[0]
    return replace(
        first,
        points=np.concatenate([piece.points for piece in pieces]),
        scalars={name: np.concatenate([piece.scalars[name] for piece in pieces]) for name in first.scalars},
        laser={name: np.concatenate([piece.laser[name] for piece in pieces]) for name in first.laser},
        normals=rows("normals"),
        viewpoints=rows("viewpoints"),
        colours=rows("colours"),
        faces=rows("faces"),
        codes=rows("codes"),
        stations=rows("stations"),
    )


def conformed(piece: ScannedCloud, form: ScannedCloud, station: Place) -> ScannedCloud:
    """A piece of one of several files with the columns that `form` has, a cloud that `joined` made of theirs.

    station: of this file, where `form` has stations.
    """
    own = {name.lower(): values for name, values in piece.scalars.items()}

    def rows(name: str, missing: float | None = None) -> np.ndarray | None:
        found, asked = getattr(piece, name), getattr(form, name)
        if asked is None:
            return None
        values = np.full(piece.points.shape, missing) if found is None else found
        return np.asarray(values, asked.dtype)

    return replace(
        form,
        points=piece.points,
        normals=rows("normals"),
        viewpoints=rows("viewpoints", np.nan),
        colours=rows("colours"),
        scalars={name: own[name.lower()].astype(values.dtype, copy=False) for name, values in form.scalars.items()},
        laser={name: piece.laser[name] for name in form.laser},
        faces=rows("faces", 0.0),
        codes=rows("codes"),
        stations=None if form.stations is None else _repeated([station], [len(piece.points)]),
    )
