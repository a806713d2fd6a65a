"""Oriented point clouds in."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from ..clouds import NO_NORMALS, CleaningReport, OrientedCloud, clean
from ..errors import CloudError, warn
from ..runtime import interrupts
from . import numpy_clouds, obj_off, ply, records, scans, surveys, text_tables
from .atomic import STANDARD, PathLike, shown
from .polygons import triangles
from .reading import COORDINATES, errors_name, first_bytes, read_bytes, require
from .scans import ScannedCloud

COARSE_STEP = 1e-4  # of the cloud's length: coarser float32 coordinates are worth a warning


def clouds_in(folder: PathLike) -> list[str]:
    """The clouds of a folder, by their extensions, in the order of their names."""
    with errors_name(folder):
        paths = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in EXTENSIONS)
        found = [str(path) for path in paths if not path.name.endswith(OUTPUTS)]
        if not found:
            raise CloudError(f"holds no cloud ({', '.join(EXTENSIONS)}); give another folder")
    return found


def load_point_cloud(path: PathLike) -> tuple[OrientedCloud, CleaningReport]:
    """The cleaned oriented cloud of a file, and what cleaning dropped.

    PLY: text or binary of either byte order, any scalar types and order of properties, normals as
    nx ny nz or normal_x normal_y normal_z. Coordinates are float64 from here on. Warns
    (ReconstructionWarning) of data that the header does not declare, and of float32 coordinates so
    far from the origin that their steps show.
    """
    return oriented(load_scanned_cloud(path), shown(path))


def oriented(scanned: ScannedCloud, name: str) -> tuple[OrientedCloud, CleaningReport]:
    """The cloud with the normals that came with it. `name` opens the message of a CloudError: it has none."""
    if scanned.normals is None:
        raise CloudError(f"{name}: {NO_NORMALS}")
    cloud, report = clean(torch.from_numpy(scanned.points), torch.from_numpy(scanned.normals), name)
    if scanned.single:
        warn_of_steps(cloud, name)
    return cloud, report


def load_scanned_cloud(path: PathLike, attributes: Sequence[str] = ()) -> ScannedCloud:
    """The points of a file as they are, with normals, viewpoints, colours and the wanted attributes where it has them.

    The format is that of the extension, or of the first bytes where there is none that is known; `-`: standard input.
    attributes: names of further numbers of every point, or ("all",).
    """
    with errors_name(path):
        suffix = Path(path).suffix.lower()
        if suffix in SURVEYS and not ply.is_ply(first_bytes(path, ply.HEADER_LIMIT)):
            return SURVEYS[suffix](path, attributes)
        data = read_bytes(path)
        kind = suffix if suffix in EXTENSIONS else next((k for k, first in MAGIC.items() if data.startswith(first)), "")
        if ply.is_ply(data) or kind == ".ply":
            return _parse_ply(data, shown(path), attributes)
        if kind in SURVEYS:
            with _kept(path, data) as place:
                return SURVEYS[kind](place, attributes)
        if suffix == ".stl":
            raise CloudError("STL files have no vertex normals; sample the mesh with normals and export it as PLY")
        if kind or path == STANDARD:
            return READERS.get(kind, text_tables.read_text)(data, attributes)
        there = ", ".join(EXTENSIONS)
        raise CloudError(f"is of no format that is read; give it the extension of its format ({there})")


@contextlib.contextmanager
def _kept(path: PathLike, data: bytes) -> Iterator[PathLike]:
    """A path to these bytes, for what reads nothing else."""
    if path != STANDARD:
        yield path
        return
    number, place = tempfile.mkstemp()
    with interrupts.temporary(place):
        with open(number, "wb") as stream:
            stream.write(data)
        yield place


def _parse_ply(data: bytes, name: str, wanted: Sequence[str]) -> ScannedCloud:
    header = ply.parse_header(data)
    vertex = header.find("vertex")
    require(vertex, COORDINATES)
    numbers = [p.name for p in vertex.properties if p.count_type is None]
    groups = [COORDINATES, *(scans.group(numbers, kind) for kind in (scans.NORMALS, scans.VIEWPOINTS, scans.COLOURS))]
    for names in groups:
        require(vertex, names)
    used = [name for names in groups for name in names]
    further = scans.chosen_scalars((name for name in numbers if name not in used), wanted)
    pulses = scans.laser_names(numbers).values()
    columns, left_over = records.read(data, header, {"vertex": [*dict.fromkeys((*used, *further, *pulses))]})
    found = columns["vertex"]
    points, normals, viewpoints = (records.block(found, names) if names else None for names in groups[:3])
    assert points is not None
    if left_over and not header.ascii and b"\r\n" in data[: header.size]:
        raise CloudError("its bytes were changed when it was transferred as text; transfer it as binary")
    if left_over:
        warn(f"{name}: ignored {left_over} bytes after the {len(points)} points that the header declares; check it")
    x = vertex.find("x")
    single = not header.ascii and x is not None and x.type.str[1:] == "f4"
    colours = scans.bytes_of_colours(np.stack([found[name] for name in groups[3]], axis=1)) if groups[3] else None
    scalars = {name: np.asarray(found[name]) for name in further}
    laser = scans.laser_columns({name: records.block(found, (name,))[:, 0] for name in pulses})
    faces = _ply_faces(data, header, points) if normals is None else None
    return ScannedCloud(points, normals, viewpoints, single, colours, scalars, laser=laser, faces=faces)


def _ply_faces(data: bytes, header: ply.Header, points: np.ndarray) -> np.ndarray | None:
    """What the faces say of the sides of the points; faces that are not read say nothing."""
    with contextlib.suppress(CloudError):
        corners = header.find("face").find("vertex_indices", "vertex_index")
        if corners is not None and corners.count_type is not None:
            columns, _ = records.read(data, header, {"face": (corners.name,)})
            return scans.face_sums(points, triangles(columns["face"][corners.name]))
    return None


def _read_obj(data: bytes, wanted: Sequence[str]) -> ScannedCloud:
    scans.chosen_scalars((), wanted)
    points, normals, colours = obj_off.read_obj(data)
    faces = None
    if normals is None:
        with contextlib.suppress(CloudError):
            faces = scans.face_sums(*obj_off.read_obj_mesh(data))
    colours = None if colours is None else scans.bytes_of_colours(colours)
    return ScannedCloud(points, normals, colours=colours, faces=faces)


def _read_pcd(data: bytes, wanted: Sequence[str]) -> ScannedCloud:
    from . import pcd  # not before: Numba takes a second to import

    return pcd.read_pcd(data, wanted)


def _read_off(data: bytes, wanted: Sequence[str]) -> ScannedCloud:
    scans.chosen_scalars((), wanted)
    points, normals, colours = obj_off.read_off(data)
    return ScannedCloud(points, normals, colours=None if colours is None else scans.bytes_of_colours(colours))


READERS: dict[str, Callable[[bytes, Sequence[str]], ScannedCloud]] = {
    ".obj": _read_obj,
    ".off": _read_off,
    **dict.fromkeys((".xyz", ".xyzn", ".xyzrgb", ".pts", ".csv", ".txt", ".asc"), text_tables.read_text),
    ".npy": numpy_clouds.read_npy,
    ".npz": numpy_clouds.read_npz,
    ".pcd": _read_pcd,
}
# by path, since what decodes them does so in a process of its own
SURVEYS: dict[str, Callable[[PathLike, Sequence[str]], ScannedCloud]] = {
    ".las": surveys.read_las,
    ".laz": surveys.read_las,
    ".e57": surveys.read_e57,
}
EXTENSIONS = (".ply", *READERS, *SURVEYS)  # what is read, also of a folder
OUTPUTS = (".pts.npz", ".grid.npy")  # of --save-points and --save-grid, which are no inputs
MAGIC = {".npy": b"\x93NUMPY", ".npz": b"PK\x03\x04", ".pcd": b"# .PCD"}  # where no name tells
MAGIC |= {".las": b"LASF", ".e57": b"ASTM-E57"}


def warn_of_steps(cloud: OrientedCloud, name: str) -> None:
    largest = max(float(cloud.box.lower.abs().max()), float(cloud.box.upper.abs().max()))
    step, side = float(np.spacing(np.float32(largest))), float(cloud.box.sides.max())
    if step > COARSE_STEP * side:
        warn(
            f"{name}: its float32 coordinates are so far from the origin that they go in steps of {step:.3g}, and the "
            f"cloud is {side:.3g} long; subtract an offset before it is exported, or export as double"
        )
