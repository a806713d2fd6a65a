"""What a file says of its points: positions, normals, where they were seen from, colours, and other numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import CloudError

COORDINATES = ("x", "y", "z")
NORMALS = (("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z"), ("normalx", "normaly", "normalz"))
VIEWPOINTS = (("vx", "vy", "vz"), ("viewpoint_x", "viewpoint_y", "viewpoint_z"))
COLOURS = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))
# What a laser's file tells of each pulse, by what it is called here: `Guidance.laser` of the normals.
LASER = {
    "returns": ("number_of_returns", "numberofreturns"),
    "angles": ("scan_angle", "scan_angle_rank", "scananglerank"),
}
LASER |= {"strips": ("point_source_id", "pointsourceid")}
ANGLE_STEP = 0.006  # degrees, of whole numbers called scan_angle: the point formats of LAS 1.4
OPPOSITE = 0.02  # of the edges of a mesh that two faces use the same way: more, and it is not turned alike
ALL = "all"
LISTED = 24  # names in a message
Names = Sequence[str]


@dataclass(frozen=True)
class ScannedCloud:
    """The points of a file as it has them: arrays [n, 3] of float64, in the units of the file.

    normals, viewpoints: None where it has none. single: coordinates are float32. colours [n, 3] uint8. scalars [n]: the
    other numbers that were asked for, by name. reading: how columns were read whose meaning the file does not say.
    laser: columns [n] `returns`, `angles` in degrees and `strips`, of a laser that flew. faces [n, 3]: sums of the
    normals of the faces around each point, of a mesh. upright: z is up in files of this format.
    """

    points: np.ndarray
    normals: np.ndarray | None
    viewpoints: np.ndarray | None = None
    single: bool = False
    colours: np.ndarray | None = None
    scalars: Mapping[str, np.ndarray] = field(default_factory=dict)
    reading: str = ""
    laser: Mapping[str, np.ndarray] = field(default_factory=dict)
    faces: np.ndarray | None = None
    upright: bool = False


def group(names: Iterable[str], choices: Sequence[tuple[str, str, str]]) -> tuple[str, ...]:
    """The first three names of which all are there; names are compared without regard to case."""
    there = {name.lower(): name for name in names}
    return next((tuple(there[n] for n in choice) for choice in choices if all(n in there for n in choice)), ())


def listed(names: Sequence[str], separator: str = " ") -> str:
    """The first of the names, for a line: a file may have thousands."""
    return separator.join(names[:LISTED]) + (f"{separator}..." if len(names) > LISTED else "")


def chosen_scalars(names: Iterable[str], wanted: Sequence[str]) -> list[str]:
    """Those of the further columns that are wanted; CloudError says what there is where one is missing."""
    names = list(names)
    known = {name.lower(): name for name in names}
    if list(wanted) == [ALL]:
        return names
    missing = [name for name in wanted if name.lower() not in known]
    if missing:
        there = listed(names, ", ") or "none"
        raise CloudError(f"has no attribute {missing[0]!r} (attributes: {there}); choose others with --attributes")
    return [known[name.lower()] for name in wanted]


def laser_names(names: Iterable[str]) -> dict[str, str]:
    """Which of the columns are those of LASER."""
    there = {name.lower(): name for name in names}
    found = {kind: next((there[n] for n in choices if n in there), "") for kind, choices in LASER.items()}
    return {kind: name for kind, name in found.items() if name}


def laser_columns(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What columns tell of a laser that flew: nothing where all pulses have one return and one angle."""
    found = {kind: np.asarray(columns[name], np.float64) for kind, name in laser_names(columns).items()}
    angles = laser_names(columns).get("angles", "")
    if angles.lower() == "scan_angle" and columns[angles].dtype.kind in "iu":
        found["angles"] *= ANGLE_STEP
    if "returns" in found and not found["returns"].max(initial=0.0) > 1.0:
        del found["returns"]
    if "angles" in found and not np.ptp(found["angles"]) > 0.0:
        del found["angles"]
    return found if {"returns", "angles"} & set(found) else {}


@np.errstate(invalid="ignore", over="ignore")
def face_sums(points: np.ndarray, faces: np.ndarray) -> np.ndarray | None:
    """Sums [n, 3] of the normals of the triangles [f, 3] around each point, by area; None where they tell no side:
    there are none, they refer to points that are not there, or neighbours are turned opposite ways.
    """
    if not len(faces) or faces.min() < 0 or faces.max() >= len(points):
        return None
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    directed = edges[:, 0].astype(np.int64) * len(points) + edges[:, 1]
    if len(np.unique(directed)) < (1.0 - OPPOSITE) * len(directed):  # faces turned alike use an edge once each way
        return None
    a, b, c = (points[faces[:, k]] for k in range(3))
    sums, normals = np.zeros_like(points), np.cross(b - a, c - a)
    for k in range(3):
        np.add.at(sums, faces[:, k], normals)
    return sums


def roles(names: Iterable[str], wanted: Sequence[str] = ()) -> tuple[Names, Names, Names, Names, Names]:
    """The names of coordinates, normals, viewpoints, colours and the wanted further numbers among those of columns.

    CloudError where there is no x, y or z, or none of a wanted name.
    """
    names = list(names)
    xyz = group(names, (COORDINATES,))
    if not xyz:
        there = listed(names, ", ") or "none"
        raise CloudError(f"has no columns x, y and z (columns: {there}); export it with coordinates")
    normals, viewpoints, colours = (group(names, choices) for choices in (NORMALS, VIEWPOINTS, COLOURS))
    used = {*xyz, *normals, *viewpoints, *colours}
    return xyz, normals, viewpoints, colours, chosen_scalars((name for name in names if name not in used), wanted)


@np.errstate(invalid="ignore", over="ignore")  # signalling NaNs
def from_columns(columns: Mapping[str, np.ndarray], wanted: Sequence[str] = (), reading: str = "") -> ScannedCloud:
    """A cloud of named columns [n]; CloudError where there is no x, y or z."""
    xyz, *groups, further = roles(columns, wanted)
    normals, viewpoints, colours = (_block(columns, names) for names in groups)
    return ScannedCloud(
        points=np.stack([columns[name].astype(np.float64) for name in xyz], axis=1),
        normals=None if normals is None else normals.astype(np.float64),
        viewpoints=None if viewpoints is None else viewpoints.astype(np.float64),
        single=all(columns[name].dtype == np.float32 for name in xyz),
        colours=None if colours is None else bytes_of_colours(colours),
        scalars={name: columns[name] for name in further},
        reading=reading,
        laser=laser_columns(columns),
    )


def _block(columns: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray | None:
    return np.stack([columns[name] for name in names], axis=1) if names else None


def bytes_of_colours(colours: np.ndarray) -> np.ndarray:
    """Colours [n, 3] in 0..255: of 16 bits where any is above 255, of fractions where all are at most 1."""
    if colours.dtype == np.uint8:
        return colours
    values = np.nan_to_num(colours.astype(np.float64))
    most = values.max(initial=0.0)
    if most > 255:
        values = values / 257.0
    elif most <= 1.0 and colours.dtype.kind == "f":
        values = 255.0 * values
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def from_table(table: np.ndarray, wanted: Sequence[str] = ()) -> ScannedCloud:
    """A cloud of columns [n, 3 or more] without names, by how they look; `reading` says what they were taken for."""
    names = guess(table)
    return from_columns(dict(zip(names, table.T, strict=True)), wanted, f"columns read as {listed(names)}")


def guess(table: np.ndarray) -> list[str]:
    """Names for columns: x y z, then colours where three are whole numbers in 0..255 of which some exceed 1, or normals
    where they are not; one number before them is an intensity, others are columns by number.
    """
    count = table.shape[1]
    if count < 3:
        raise CloudError(f"has {count} columns, and a point needs three; export it with x, y and z")
    names, place = ["x", "y", "z"], 3
    colours = normals = False  # whether they were found
    while place < count:
        three = table[:, place : place + 3]
        if three.shape[1] == 3 and not colours and _colours(three):
            colours = True
            names += ["red", "green", "blue"]
        elif three.shape[1] == 3 and not normals and not _colours(table[:, place + 1 : place + 4]):
            normals = True
            names += ["nx", "ny", "nz"]
        else:
            names.append("intensity" if place == 3 else f"column_{place + 1}")
        place = len(names)
    return names


def _colours(three: np.ndarray) -> bool:
    """Whether columns [n, 3] look like colours."""
    if three.shape[1] < 3 or not len(three):
        return False
    whole = np.isfinite(three).all() and (three == np.round(three)).all()
    return bool(whole and three.min() >= 0 and 1 < three.max() <= 255)
