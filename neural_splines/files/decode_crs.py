"""The coordinate system of LAS and LAZ by laspy and pyproj, in a process of its own (see isolation.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np

from ..errors import CloudError
from .column_statistics import Columns
from .georeference import described
from .isolation import confine, serve


def decode(path: str, wanted: Sequence[str]) -> Iterator[Columns]:
    """One column, of the bytes of JSON that a `CoordinateSystem` is made of; none where there is no such record."""
    import laspy
    from pyproj.exceptions import CRSError

    confine(path)
    with laspy.open(path) as reader:
        try:
            crs = reader.header.parse_crs()
        except CRSError as error:
            raise CloudError(" ".join(str(error).split())[:200]) from None
    if crs is not None:
        yield {"told": np.frombuffer(json.dumps(asdict(described(crs))).encode(), np.uint8)}


def main() -> None:
    serve("LAS or LAZ", decode)
