"""E57 by pye57, in a process of its own (see isolation.py)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import CloudError, first_line
from .column_statistics import Columns
from .isolation import confine, serve

COLUMNS = {"cartesianX": "x", "cartesianY": "y", "cartesianZ": "z", "colorRed": "red", "colorGreen": "green"}
COLUMNS |= {"colorBlue": "blue", "intensity": "intensity"}
NORMALS = ("nor:normalX", "nor:normalY", "nor:normalZ")  # of the extension E57_EXT_surface_normals


def decode(path: str, wanted: Sequence[str]) -> Iterator[Columns]:
    """The columns of each scan in the common system; where a scanner stood is the viewpoint of its points."""
    try:
        import pye57
    except ImportError as error:
        raise CloudError(f"E57 needs pye57 ({first_line(error)}); pip install pye57") from None
    confine(path)
    with pye57.E57(path) as file:
        for k in range(file.scan_count):
            if not file.get_header(k).point_count:
                yield {"x": np.zeros(0)}  # libE57 refuses to read it
                continue
            scan = file.read_scan(k, intensity=True, colors=True, ignore_missing_fields=True)
            found = {new: np.asarray(scan[old]) for old, new in COLUMNS.items() if old in scan}
            header = file.get_header(k)
            stand = header.translation if header.has_pose() else (0.0, 0.0, 0.0)  # of a scanner's own frame
            views = zip(("vx", "vy", "vz"), stand, strict=True)
            found |= {name: np.full(len(found["x"]), float(value)) for name, value in views}
            yield found | _normals(file, header)


def _normals(file: Any, header: Any) -> Columns:
    """Normals of one scan where it has some, turned as its points are: pye57's own reader knows no extension."""
    from pye57 import libe57

    if not set(NORMALS) <= set(header.point_fields):
        return {}
    names = [*NORMALS, *(name for name in header.point_fields if name == "cartesianInvalidState")]
    rows, buffers = np.zeros((len(names), header.point_count)), libe57.VectorSourceDestBuffer()
    for name, row in zip(names, rows, strict=True):
        buffers.append(libe57.SourceDestBuffer(file.image_file, name, row, len(row), True, True))
    header.points.reader(buffers).read()
    normals = rows[:3, ~rows[3:].astype(bool).any(0)]  # invalid points are left out as by pye57
    normals = header.rotation_matrix @ normals if header.has_pose() else normals
    return dict(zip(("nx", "ny", "nz"), normals, strict=True))


def main() -> None:
    serve("E57", decode)
