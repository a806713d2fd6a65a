"""Oriented point clouds in."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ..cloud.clouds import NO_NORMALS, CleaningReport, OrientedCloud, clean
from ..errors import CloudError, warn
from ..geometry import Box
from ..runtime import interrupts
from . import colmap, column_statistics, numpy_clouds, obj_off, openmvs, ply, ptx, scans, surveys, text_tables
from .atomic import STANDARD, PathLike, shown
from .bounds import within
from .columns import refuse_words
from .placing import OFFSET
from .ply_clouds import read_ply
from .reading import errors_name, first_bytes, read_bytes
from .scans import ScannedCloud

COARSE_STEP = 1e-4  # of the cloud's length: coarser float32 coordinates are worth a warning


def clouds_in(folder: PathLike) -> list[str]:
    """The clouds of a folder, by their extensions, in the order of their names."""
    with errors_name(folder):
        paths = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in EXTENSIONS or colmap.is_model(p))
        found = [str(path) for path in colmap.clouds_of(paths) if not path.name.endswith(OUTPUTS)]
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
    for line in step_lines(cloud.box, name) if scanned.single else ():
        warn(line)
    return cloud, report


def load_scanned_cloud(
    path: PathLike, attributes: Sequence[str] = (), columns: str = "", classes: Sequence[int] = (),
    bounds: Sequence[float] = (),
) -> ScannedCloud:  # fmt: skip
    """The points of a file as they are, with normals, viewpoints, colours and the wanted attributes where it has them.

    The format is that of the extension, or of the first bytes where there is none that is known; `-`: standard input.
    attributes: names of further numbers of every point, or ("all",). columns: what those of a table without names are,
    as "x y z i r g b". classes: the points of these alone, or none for all. bounds: those in this box alone
    (bounds.py).
    """
    with errors_name(path):
        return scans.of_classes(within(_scanned(path, attributes, columns, classes, bounds), bounds), classes)


def _scanned(
    path: PathLike, attributes: Sequence[str], columns: str, classes: Sequence[int], bounds: Sequence[float]
) -> ScannedCloud:
    suffix = Path(path).suffix.lower()
    survey = suffix in SURVEYS and not ply.is_ply(first_bytes(path, ply.HEADER_LIMIT))
    data = b"" if survey else read_bytes(path)
    kind = kind_of_data(suffix, data)
    model = colmap.is_model(path) and kind != ".ply"
    if model or (kind and kind not in TABLES):
        refuse_words(columns)
    if model:
        return colmap.read_model(path, data, attributes)
    if kind == ".ply":
        return read_ply(data, shown(path), attributes)
    if kind == ".mvs":
        return openmvs.read_scene(data, shown(path), attributes)
    if survey:
        return SURVEYS[kind](path, attributes, classes, bounds)
    if kind in SURVEYS:
        with _kept(path, data) as place:
            return SURVEYS[kind](place, attributes, classes, bounds)
    if kind in TABLES or (path == STANDARD and not kind):
        return TABLES.get(kind, text_tables.read_text)(data, attributes, columns)
    if kind:
        return READERS[kind](data, attributes)
    if suffix == ".stl":
        raise CloudError("STL files have no vertex normals; sample the mesh with normals and export it as PLY")
    there = ", ".join((*EXTENSIONS, "points3D.bin"))
    raise CloudError(f"is not in a known format; give it the extension of its format ({there})")


def kind_of_data(suffix: str, start: bytes) -> str:
    """The format of a file of that extension whose first bytes are these, as one of EXTENSIONS; or nothing."""
    if ply.is_ply(start):
        return ".ply"
    if suffix in EXTENSIONS:
        return suffix
    return next((kind for kind, first in MAGIC.items() if start.startswith(first)), "")


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


def _read_obj(data: bytes, wanted: Sequence[str]) -> ScannedCloud:
    scans.chosen_scalars((), wanted)
    points, normals, colours = obj_off.read_obj(data)
    faces = None
    if normals is None:
        with contextlib.suppress(CloudError):
            faces = scans.face_sums(*obj_off.read_obj_mesh(data))
    colours = None if colours is None else column_statistics.bytes_of_colours(colours)
    return ScannedCloud(points, normals, colours=colours, faces=faces)


def _read_pcd(data: bytes, wanted: Sequence[str]) -> ScannedCloud:
    from . import pcd  # not before: Numba takes a second to import

    return pcd.read_pcd(data, wanted)


def _read_off(data: bytes, wanted: Sequence[str]) -> ScannedCloud:
    scans.chosen_scalars((), wanted)
    points, normals, colours = obj_off.read_off(data)
    return ScannedCloud(
        points, normals, colours=None if colours is None else column_statistics.bytes_of_colours(colours)
    )


# whose columns a user may name
TABLES: dict[str, Callable[[bytes, Sequence[str], str], ScannedCloud]] = {
    **dict.fromkeys((".xyz", ".xyzn", ".pts", ".pwn", ".csv", ".txt", ".asc"), text_tables.read_text),
    ".xyzrgb": partial(text_tables.read_text, colours_only=True),
    ".npy": numpy_clouds.read_npy,
}
READERS: dict[str, Callable[[bytes, Sequence[str]], ScannedCloud]] = {
    ".obj": _read_obj,
    ".off": _read_off,
    ".ptx": ptx.read_ptx,
    ".npz": numpy_clouds.read_npz,
    ".pcd": _read_pcd,
}
# by path, since what decodes them does so in a process of its own
SURVEYS: dict[str, Callable[[PathLike, Sequence[str], Sequence[int], Sequence[float]], ScannedCloud]] = {
    ".las": surveys.read_las,
    ".laz": surveys.read_las,
    ".e57": lambda path, wanted, *_: surveys.read_e57(path, wanted),  # which has no classes
}
EXTENSIONS = (".ply", *READERS, ".mvs", *TABLES, *SURVEYS)  # what is read, also of a folder
OUTPUTS = (".pts.npz", ".grid.npy", OFFSET)  # of --save-points, --save-grid and --shift, which are no inputs
MAGIC = {".npy": b"\x93NUMPY", ".npz": b"PK\x03\x04", ".pcd": b"# .PCD"}  # where no name tells
MAGIC |= {".las": b"LASF", ".e57": b"ASTM-E57", ".mvs": b"MVSI"}


def step_lines(box: Box, name: str) -> list[str]:
    """One line where the float32 coordinates of points in a box are so far from the origin that their steps show."""
    largest = max(float(box.lower.abs().max()), float(box.upper.abs().max()))
    step, side = float(np.spacing(np.float32(largest))), float(box.sides.max())
    if step <= COARSE_STEP * side:
        return []
    return [
        f"{name}: its float32 coordinates are so far from the origin that they go in steps of {step:.3g}, and the "
        f"cloud is {side:.3g} long; subtract an offset before it is exported, or export as double"
    ]
