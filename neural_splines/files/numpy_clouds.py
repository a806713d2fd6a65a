"""Points in NumPy's files: a table or named columns in .npy; arrays by name in .npz. Nothing in them is executed."""

from __future__ import annotations

import io
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import CloudError
from .scans import ScannedCloud, from_columns, from_table

POINTS = ("points", "positions", "xyz", "vertices", "pos")
PARTS = {"normals": "nx ny nz", "colors": "red green blue", "colours": "red green blue", "viewpoints": "vx vy vz"}
# what NumPy and the parsers that it uses raise for broken headers and archives
BROKEN: tuple[type[Exception], ...] = (ValueError, EOFError, KeyError, OSError, RuntimeError, SyntaxError)
BROKEN += (struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error)


def read_npy(data: bytes, wanted: Sequence[str] = ()) -> ScannedCloud:
    """An array [n, 3 or more], read by how its columns look, or a structured one, by its names."""
    array = _load(data)
    if array.dtype.names:
        return from_columns({name: array[name].reshape(-1) for name in array.dtype.names}, wanted)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise CloudError(
            f"holds an array {array.shape} of {array.dtype}; save numbers as [n, 3], or [n, 6] with normals"
        )
    found = from_table(array.astype(np.float64), wanted)
    return found if array.dtype != np.float32 else ScannedCloud(**{**vars(found), "single": True})


def read_npz(data: bytes, wanted: Sequence[str] = ()) -> ScannedCloud:
    """`points` (or positions, xyz, vertices) [n, 3], with `normals`, `colors`, `viewpoints` [n, 3] and scalars [n]; or
    columns x, y, z, ... [n].
    """
    arrays = _load(data)
    names = {name.lower(): name for name in arrays.files}
    try:
        found = {low: arrays[name] for low, name in names.items()}
    except BROKEN as error:
        raise CloudError("is not an .npz file of arrays; save it again") from error
    if "x" in found:
        return from_columns({name: found[low] for low, name in names.items()}, wanted)
    first = next((name for name in POINTS if name in found), None)
    if first is None:
        raise CloudError(f"has no array 'points' (arrays: {', '.join(arrays.files) or 'none'}); save it with one")
    count = len(found[first]) if found[first].ndim else 0
    columns: dict[str, np.ndarray] = {}
    for low, name in names.items():
        array, parts = found[low], ("x y z" if low == first else PARTS.get(low, "")).split()
        if parts and array.shape != (count, 3):
            raise CloudError(f"its array {name!r} has the shape {array.shape}; it must be [{count}, 3]")
        if array.shape == (count,) and array.dtype.kind in "fiub":
            columns[name] = array
        columns |= dict(zip(parts, array.T, strict=False)) if parts else {}
    return from_columns(columns, wanted)


def _load(data: bytes) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            return np.load(io.BytesIO(data), allow_pickle=False)
    except BROKEN as error:
        raise CloudError("is not a file of NumPy arrays that can be read without pickle; save it again") from error
