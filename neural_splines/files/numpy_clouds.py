"""Points in NumPy's files: a table or named columns in .npy; arrays by name in .npz."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from ..errors import CloudError
from .columns import Survey, meaning, refuse_words
from .numpy_files import Archive, layout, view
from .scans import ScannedCloud, from_columns, listed

POINTS = ("points", "positions", "xyz", "vertices", "pos")
PARTS = {"normals": "nx ny nz", "colors": "red green blue", "colours": "red green blue", "viewpoints": "vx vy vz"}
NUMBERS = "fiub"  # kinds of dtypes
MOST_ROWS = 12  # of an array that has points in its columns


def read_npy(data: bytes, wanted: Sequence[str] = (), words: str = "") -> ScannedCloud:
    """An array [n, 3 or more], read by how its columns look, or a structured one, by its names.

    An array [k, n] of few rows and many columns is one of k numbers of n points.
    """
    array = view(data, layout(data, len(data)))
    if array.dtype.names:
        refuse_words(words)
        columns = {name: array[name].reshape(-1) for name in array.dtype.names}
        return from_columns(
            {name: c for name, c in columns.items() if c.dtype.kind in NUMBERS and c.size == array.size}, wanted
        )
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise CloudError(
            f"holds an array {array.shape} of {array.dtype}; save numbers as [n, 3], or [n, 6] with normals"
        )
    if MOST_ROWS >= array.shape[0] >= 3 and array.shape[1] > MOST_ROWS:
        array = array.T
    with np.errstate(invalid="ignore"):  # signalling NaNs
        table = array.astype(np.float64)
    found = meaning(Survey.of(table), words).cloud(table, wanted)
    return found if array.dtype != np.float32 else ScannedCloud(**{**vars(found), "single": True})


def read_npz(data: bytes, wanted: Sequence[str] = ()) -> ScannedCloud:
    """`points` (or positions, xyz, vertices) [n, 3], with `normals`, `colors`, `viewpoints` [n, 3] and scalars [n]; or
    columns x, y, z, ... [n].
    """
    archive = Archive(io.BytesIO(data), len(data))
    columns: dict[str, np.ndarray] = {}
    for name, parts in arrays_of(archive)[1].items():
        columns |= dict(zip(parts, archive[name].T, strict=True)) if len(parts) > 1 else {name: archive[name]}
    return from_columns(columns, wanted)


def arrays_of(archive: Archive) -> tuple[int, dict[str, list[str]]]:
    """How many points there are, and the columns of those arrays that have numbers of each: three, or its own name."""
    names = {name.lower(): name for name in archive.names}
    layouts = {low: archive.layout(name) for low, name in names.items()}
    first = next((name for name in ("x", *POINTS) if name in names), None)
    if first is None:
        raise CloudError(f"has no array 'points' (arrays: {listed(archive.names, ', ') or 'none'}); save it with one")
    count = layouts[first].shape[0] if layouts[first].shape else 0
    found: dict[str, list[str]] = {}
    for low, name in names.items():
        parts = ("x y z" if low == first else PARTS.get(low, "")).split() if first != "x" else []
        number = layouts[low].dtype.kind in NUMBERS
        if parts and (layouts[low].shape != (count, 3) or not number):
            what = f"has the shape {layouts[low].shape}" if number else f"is of {layouts[low].dtype}"
            raise CloudError(f"its array {name!r} {what}; it must be numbers [{count}, 3]")
        if parts:
            found[name] = parts
        elif number and layouts[low].shape == (count,):
            found[name] = [name]
    return count, found
