"""Points from LAS and LAZ, by laspy, and from E57, by pye57: extras, which only those install who need them."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import CloudError, first_line
from .atomic import PathLike
from .ply import TRUNCATED
from .scans import ScannedCloud, from_columns

MOST_POINTS = 16  # that one byte of LAZ can hold: measured files have a byte or more for each
E57_COLUMNS = {"cartesianX": "x", "cartesianY": "y", "cartesianZ": "z", "colorRed": "red", "colorGreen": "green"}
E57_COLUMNS |= {"colorBlue": "blue", "intensity": "intensity"}
E57_NORMALS = ("nor:normalX", "nor:normalY", "nor:normalZ")  # of the extension E57_EXT_surface_normals


def read_las(data: bytes, wanted: Sequence[str] = ()) -> ScannedCloud:
    """LAS and LAZ: coordinates scaled and offset, in double; colours of 16 bits; normals as extra dimensions nx, ..."""
    try:
        import laspy
    except ImportError as error:
        raise CloudError(f"LAS and LAZ need laspy ({first_line(error)}); pip install 'neural-splines[las]'") from None
    _check_records(data)
    try:
        with laspy.open(io.BytesIO(data)) as reader:
            _check(reader.header, data)
        las = laspy.read(io.BytesIO(data))
        names = [name for name in las.point_format.dimension_names if name.lower() not in ("x", "y", "z")]
        columns = {axis: np.asarray(getattr(las, axis), np.float64) for axis in "xyz"}
        columns |= {name: np.asarray(las[name]) for name in names}
    except (CloudError, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # laspy and its decompressors, which are not Python, raise what they like
        raise CloudError(f"is not read as LAS or LAZ ({first_line(error)}); export it again") from None
    columns = {name: values for name, values in columns.items() if values.ndim == 1}
    if "red" in columns and not any(columns[name].any() for name in ("red", "green", "blue")):
        for name in ("red", "green", "blue"):  # a format with room for colours that nobody filled
            del columns[name]
    return from_columns(columns, wanted)


def _check_records(data: bytes) -> None:
    """Refuse more variable-length records than the bytes can hold: laspy would look for all of them, for minutes."""
    if len(data) < 227:
        raise CloudError(f"is not read as LAS or LAZ, it has {len(data)} bytes; {TRUNCATED}")
    size, start, records = struct.unpack_from("<HII", data, 94)
    (further,) = struct.unpack_from("<I", data, 243) if data[25] >= 4 and size >= 375 and len(data) >= 375 else (0,)
    if start > len(data) or size + 54 * records > start or 60 * further > len(data):
        raise CloudError(f"is not read as LAS or LAZ: its header declares more than is there; {TRUNCATED}")


def _check(header: Any, data: bytes) -> None:
    """Refuse counts that the bytes cannot hold: what decompresses LAZ ends the process where it gets no memory."""
    count, start = header.point_count, header.offset_to_point_data
    if not header.are_points_compressed:
        if start + count * header.point_format.size > len(data):
            raise CloudError(f"the header declares {count} points, which {len(data)} bytes cannot hold; {TRUNCATED}")
        return
    if count > MOST_POINTS * len(data):
        raise CloudError(f"the header declares {count} points, which {len(data)} bytes cannot hold; {TRUNCATED}")
    (table,) = struct.unpack_from("<q", data, start)
    table = table if table >= 0 else struct.unpack_from("<q", data, len(data) - 8)[0]
    _, chunks = struct.unpack_from("<II", data, table)
    if chunks > len(data):
        raise CloudError(f"its table declares {chunks} chunks, which {len(data)} bytes cannot hold; {TRUNCATED}")


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
                parts.append(found | _e57_normals(file, header))
    except Exception as error:  # libE57 raises its own
        raise CloudError(f"is not read as E57 ({first_line(error)}); export it again") from None
    if not parts:
        raise CloudError("holds no scans; export it again")
    common = [name for name in parts[0] if all(name in part for part in parts)]
    return from_columns({name: np.concatenate([part[name] for part in parts]) for name in common}, wanted)


def _e57_normals(file: Any, header: Any) -> dict[str, np.ndarray]:
    """Normals of one scan where it has some, turned as its points are: pye57's own reader knows no extension."""
    from pye57 import libe57

    if not set(E57_NORMALS) <= set(header.point_fields):
        return {}
    names = [*E57_NORMALS, *(name for name in header.point_fields if name == "cartesianInvalidState")]
    rows, buffers = np.zeros((len(names), header.point_count)), libe57.VectorSourceDestBuffer()
    for name, row in zip(names, rows, strict=True):
        buffers.append(libe57.SourceDestBuffer(file.image_file, name, row, len(row), True, True))
    header.points.reader(buffers).read()
    normals = rows[:3, ~rows[3:].astype(bool).any(0)]  # invalid points are left out as by pye57
    normals = header.rotation_matrix @ normals if header.has_pose() else normals
    return dict(zip(("nx", "ny", "nz"), normals, strict=True))
