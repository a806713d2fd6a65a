"""Files read in pieces, and clouds that are the same."""

import dataclasses

import numpy as np

from neural_splines.files.merging import stacked
from neural_splines.files.scans import ScannedCloud
from neural_splines.files.streams import ReadOptions, open_stream

ALL = ReadOptions(attributes=("all",))


def in_pieces(path, options=ALL, rows=7, memory=None) -> ScannedCloud:
    """The pieces of a file, joined."""
    stream = open_stream(path, memory, options, rows)
    parts = list(stream.pieces())
    assert all(len(part.points) <= rows for part in parts)
    return stacked([stream.form, *parts])


def same(one: ScannedCloud, other: ScannedCloud, but=("reading", "faces", "classes")) -> bool:
    """Whether two clouds have the same values in the same types."""

    def equal(a, b) -> bool:
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
            return a.dtype.newbyteorder("=") == b.dtype.newbyteorder("=") and np.array_equal(
                a, b, equal_nan=a.dtype.kind == "f"
            )
        if isinstance(a, dict) and isinstance(b, dict):
            return list(a) == list(b) and all(equal(a[name], b[name]) for name in a)
        return a is b if a is None or b is None else a == b

    names = [f.name for f in dataclasses.fields(ScannedCloud) if f.name not in but]
    return all(equal(getattr(one, name), getattr(other, name)) for name in names)
