"""Points from LAS and LAZ, by laspy, and from E57, by pye57: extras, which only those install who need them."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence

import numpy as np

from ..errors import CloudError, first_line
from .atomic import PathLike
from .scans import ScannedCloud, from_columns

E57_COLUMNS = {"cartesianX": "x", "cartesianY": "y", "cartesianZ": "z", "colorRed": "red", "colorGreen": "green"}
E57_COLUMNS |= {"colorBlue": "blue", "intensity": "intensity"}


def read_las(data: bytes, wanted: Sequence[str] = ()) -> ScannedCloud:
    """LAS and LAZ: coordinates scaled and offset, in double; colours of 16 bits; normals as extra dimensions nx, ..."""
    try:
        import laspy
    except ImportError as error:
        raise CloudError(f"LAS and LAZ need laspy ({first_line(error)}); pip install 'neural-splines[las]'") from None
    try:
        las = laspy.read(io.BytesIO(data))
        names = [name for name in las.point_format.dimension_names if name.lower() not in ("x", "y", "z")]
        columns = {axis: np.asarray(getattr(las, axis), np.float64) for axis in "xyz"}
        columns |= {name: np.asarray(las[name]) for name in names}
    except Exception as error:  # laspy and its decompressors raise what they like for broken files
        raise CloudError(f"is not read as LAS or LAZ ({first_line(error)}); export it again") from None
    columns = {name: values for name, values in columns.items() if values.ndim == 1}
    if "red" in columns and not any(columns[name].any() for name in ("red", "green", "blue")):
        for name in ("red", "green", "blue"):  # a format with room for colours that nobody filled
            del columns[name]
    return from_columns(columns, wanted)


def read_e57(path: PathLike, wanted: Sequence[str] = ()) -> ScannedCloud:
    """All scans of an E57 file in its common system; where a scanner stood is the viewpoint of its points."""
    try:
        import pye57
    except ImportError as error:
        raise CloudError(f"E57 needs pye57 ({first_line(error)}); pip install 'neural-splines[e57]'") from None
    parts: list[dict[str, np.ndarray]] = []
    try:
        with pye57.E57(os.fspath(path)) as file:
            for k in range(file.scan_count):
                scan = file.read_scan(k, intensity=True, colors=True, ignore_missing_fields=True)
                found = {new: np.asarray(scan[old]) for old, new in E57_COLUMNS.items() if old in scan}
                header = file.get_header(k)
                if header.has_pose():
                    stand = zip(("vx", "vy", "vz"), header.translation, strict=True)
                    found |= {name: np.full(len(found["x"]), float(value)) for name, value in stand}
                parts.append(found)
    except Exception as error:  # libE57 raises its own
        raise CloudError(f"is not read as E57 ({first_line(error)}); export it again") from None
    if not parts:
        raise CloudError("holds no scans; export it again")
    common = [name for name in parts[0] if all(name in part for part in parts)]
    return from_columns({name: np.concatenate([part[name] for part in parts]) for name in common}, wanted)
