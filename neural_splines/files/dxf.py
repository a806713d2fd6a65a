"""Lines in drawings: DXF by ezdxf, an extra."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable

import numpy as np

from ..errors import OutputError, first_line
from .atomic import PathLike, atomic

LAYER = "CONTOUR_{}"
LONGEST = 31  # letters of a layer's name in this version of the format
INSTALL = "pip install ezdxf"


def is_dxf(path: PathLike) -> bool:
    """By its name."""
    return os.fspath(path).lower().endswith(".dxf")


def require_dxf(option: str) -> None:
    """OutputError where ezdxf is not installed."""
    try:
        import ezdxf  # noqa: F401
    except ImportError as error:
        raise OutputError(f"{option} needs ezdxf for DXF ({first_line(error)}); {INSTALL}") from None


def layer_of(height: float) -> str:
    """The name of the layer of a height; R12 knows letters, digits, - and _, so _ is its decimal point."""
    return LAYER.format(f"{height:.10g}".replace(".", "_").replace("+", ""))[:LONGEST].upper()


def save_contours_dxf(path: PathLike, lines: Iterable[tuple[float, np.ndarray]], digits: int) -> int:
    """A drawing in DXF R12, which all programs read: a 3D polyline [n, 3] for each line, in a layer for each height;
    closed where its ends meet. How many there are.

    lines: a height and places [n, 2]; coordinates are rounded to so many digits, 6 at most.
    """
    from ezdxf.addons import r12writer

    count = 0
    with atomic(path) as (stream,):
        text = io.TextIOWrapper(stream, "ascii", newline="\n", write_through=True)
        with r12writer(text) as drawing:
            for height, places in lines:
                closed = len(places) > 2 and bool((places[0] == places[-1]).all())
                rows = np.round(places[:-1] if closed else places, digits).tolist()
                drawing.add_polyline([(x, y, height) for x, y in rows], closed, layer_of(height))
                count += 1
        text.flush()
        text.detach()
    return count
