"""What a file says of its points: positions, normals, where they were seen from, colours, and other numbers."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import CloudError
from .column_statistics import Known, Statistics, bytes_of_colours
from .georeference import CoordinateSystem
from .records import block

COORDINATES = ("x", "y", "z")
Triple = tuple[str, str, str]


def _axes(*patterns: str) -> list[Triple]:
    """The names of three columns for each pattern: of axes, or of components where it ends with 0."""
    ends = (("0", "1", "2") if pattern.endswith("0") else COORDINATES for pattern in patterns)
    return [(p[:-1] + a, p[:-1] + b, p[:-1] + c) for p, (a, b, c) in zip(patterns, ends, strict=True)]


# Names without regard to case, units in brackets, and whether : or _ or a blank parts them (`plain`). Surveyors' names,
# ParaView's (points_0), CloudCompare's (rf: a fraction) and PCL's (vp_x) are among them.
SURVEYED = (("easting", "east", "e"), ("northing", "north", "n"), ("height", "elevation", "elev", "altitude", "z", "h"))
POSITIONS = [COORDINATES, *_axes("points_0", "coordinates_0", "pos_x", "position_x", "coord_x")]
POSITIONS += itertools.product(*SURVEYED)
NORMALS = _axes("nx", "normal_x", "normalx", "normals_0", "normal_0", "n_x")
VIEWPOINTS = _axes("vx", "viewpoint_x", "vp_x")
COLOURS = [("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue")]
COLOURS += [("rf", "gf", "bf"), *_axes("colors_0", "rgb_0", "color_0")]
SPLATS = _axes("f_dc_0")  # 3D Gaussian splats: the first spherical harmonic of each channel
DEGREES = ("longitude", "lon", "lng", "latitude", "lat")
SH_CONSTANT = 0.28209479177387814  # 1 / (2 sqrt(pi)), which that harmonic is everywhere
TRANSPARENT = 0.05  # a splat of less opacity shows no surface
# What a laser's file tells of each pulse, by what it is called here: `Guidance.laser` of the normals.
LASER = {
    "returns": ("number_of_returns", "numberofreturns"),
    "angles": ("scan_angle", "scan_angle_rank", "scananglerank"),
}
LASER |= {"strips": ("point_source_id", "pointsourceid")}
CLASSES = ("classification", "class", "scalar_classification")
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
    normals of the faces around each point, of a mesh. upright: z is up in files of this format. codes [n]: the class of
    each point. classes: how many points of those that were asked for. parts: name and number of points of each file,
    of a cloud of several, in order. stations [n, 3]: where each point was seen from, as a user says. crs: the system
    that its coordinates are in, where the file says it.
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
    codes: np.ndarray | None = None
    classes: Mapping[int, int] = field(default_factory=dict)
    parts: tuple[tuple[str, int], ...] = ()
    stations: np.ndarray | None = None
    crs: CoordinateSystem | None = None


def plain(name: str) -> str:
    """A column's name as it is compared: `Normals:0`, "normals 0" and `NORMALS_0 [m]` are one."""
    return re.sub(r"[\s:._-]+", "_", re.sub(r"[(\[].*", "", name.strip().strip("\"'")).strip()).lower()


def group(names: Iterable[str], choices: Iterable[Triple]) -> tuple[str, ...]:
    """The first three names of which all are there, as they are written."""
    there = {plain(name): name for name in names}
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


def laser_columns(columns: Mapping[str, np.ndarray], known: Known | None = None) -> dict[str, np.ndarray]:
    """What columns tell of a laser that flew: nothing where all pulses have one return and one angle."""
    names = laser_names(columns)
    found = {kind: np.asarray(columns[name], np.float64) for kind, name in names.items()}
    range_of = {kind: known[names[kind]] if known else Statistics.of(values) for kind, values in found.items()}
    angles = names.get("angles", "")
    if angles.lower() == "scan_angle" and columns[angles].dtype.kind in "iu":
        found["angles"] *= ANGLE_STEP
    if "returns" in found and not range_of["returns"].high > 1.0:
        del found["returns"]
    if "angles" in found and not range_of["angles"].high > range_of["angles"].low:
        del found["angles"]
    return found if {"returns", "angles"} & set(found) else {}


def class_name(names: Iterable[str]) -> str:
    """The column of the points' classes, or nothing."""
    there = {plain(name): name for name in names}
    return next((there[name] for name in CLASSES if name in there), "")


def class_counts(codes: np.ndarray | None) -> dict[int, int]:
    """How many points [n] are of each class."""
    if codes is None:
        return {}
    found, counts = np.unique(codes[np.isfinite(codes)], return_counts=True)
    return {int(code): int(count) for code, count in zip(found, counts, strict=True)}


def require_classes(there: Mapping[int, int], classes: Sequence[int]) -> None:
    """CloudError where one of the classes that are asked for has no points."""
    missing = [code for code in classes if not there.get(code)]
    if missing and not there:
        raise CloudError("has no classes of points (a column classification); drop --classes")
    if missing:
        counted = listed([f"{code}: {count} points" for code, count in sorted(there.items())], ", ")
        raise CloudError(f"has no points of class {missing[0]} (classes: {counted}); choose others with --classes")


def of_classes(cloud: ScannedCloud, classes: Sequence[int]) -> ScannedCloud:
    """The points of these classes alone, where any are asked for; CloudError where one is not there."""
    if not classes:
        return cloud
    there = class_counts(cloud.codes)
    require_classes(there, classes)
    return replace(rows_of(cloud, in_classes(cloud, classes)), classes={code: there[code] for code in classes})


def rows_of(cloud: ScannedCloud, rows: np.ndarray | slice) -> ScannedCloud:
    """Some of the points."""
    return replace(
        cloud,
        points=cloud.points[rows],
        normals=_taken(cloud.normals, rows),
        viewpoints=_taken(cloud.viewpoints, rows),
        colours=_taken(cloud.colours, rows),
        scalars={name: values[rows] for name, values in cloud.scalars.items()},
        laser={name: values[rows] for name, values in cloud.laser.items()},
        faces=_taken(cloud.faces, rows),
        stations=_taken(cloud.stations, rows),
        codes=_taken(cloud.codes, rows),
    )


def in_classes(cloud: ScannedCloud, classes: Sequence[int]) -> np.ndarray:
    """Mask [n] of the points of these classes, or of all where none are asked for."""
    return np.isin(cloud.codes, classes) if classes and cloud.codes is not None else np.ones(len(cloud.points), bool)


def _taken(values: np.ndarray | None, rows: np.ndarray | slice) -> np.ndarray | None:
    return None if values is None else values[rows]


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
    xyz = group(names, POSITIONS)
    if not xyz and any(plain(name) in DEGREES for name in names):
        raise CloudError("has longitudes and latitudes, which are no lengths; project the points to metres first (UTM)")
    if not xyz:
        there = listed(names, ", ") or "none"
        raise CloudError(f"has no columns x, y and z (columns: {there}); export it with coordinates")
    normals, viewpoints, colours = (group(names, choices) for choices in (NORMALS, VIEWPOINTS, [*COLOURS, *SPLATS]))
    used = {*xyz, *normals, *viewpoints, *colours}
    return xyz, normals, viewpoints, colours, chosen_scalars((name for name in names if name not in used), wanted)


@np.errstate(invalid="ignore", over="ignore")  # signalling NaNs
def from_columns(
    columns: Mapping[str, np.ndarray], wanted: Sequence[str] = (), reading: str = "", known: Known | None = None
) -> ScannedCloud:
    """A cloud of named columns [n]; CloudError where there is no x, y or z.

    Of splats those that are nearly transparent are left out. known: where these are some of the rows, what decides by
    all of them (`deciding`).
    """
    xyz, *groups, further = roles(columns, wanted)
    splats = bool(groups[2]) and groups[2] == group(columns, SPLATS)
    if splats and "opacity" in columns:
        opaque = 1.0 / (1.0 + np.exp(-columns["opacity"].astype(np.float64))) >= TRANSPARENT
        left_out = f"{int((~opaque).sum())} of {len(opaque)}" if known is None else "those"
        reading = f"3D Gaussian splats, {left_out} left out: opacity below {TRANSPARENT:g}"
        columns = {name: column[opaque] for name, column in columns.items()}
    normals = block(columns, groups[0]) if groups[0] else None
    colours = np.stack([columns[name] for name in groups[2]], axis=1) if groups[2] else None
    if splats and colours is not None:
        colours = np.clip(0.5 + SH_CONSTANT * colours.astype(np.float64), 0.0, 1.0)
    largest = max((known[name].largest for name in groups[2] if name in known), default=None) if known else None
    return ScannedCloud(
        points=block(columns, xyz),
        normals=normals if normals is None else centred(normals, columns[groups[0][0]].dtype),
        viewpoints=block(columns, groups[1]) if groups[1] else None,
        single=all(columns[name].dtype == np.float32 for name in xyz),
        colours=None if colours is None else bytes_of_colours(colours, 1.0 if splats else largest),
        scalars={name: columns[name] for name in further},
        reading=reading,
        laser=laser_columns(columns, known),
        codes=columns.get(class_name(columns)),
    )


def deciding(columns: Mapping[str, np.ndarray], all_types: bool = False) -> list[str]:
    """The columns of which all values decide how each is read: colours that are no bytes, and what a laser tells."""
    colours = [name for name in group(columns, COLOURS) if all_types or columns[name].dtype != np.uint8]
    return [*colours, *laser_names(columns).values()]


def centred(normals: np.ndarray, written: np.dtype) -> np.ndarray:
    """Normals [n, 3]; as unsigned whole numbers from 0 to the largest they mean -1 to 1."""
    return normals / (0.5 * np.iinfo(written).max) - 1.0 if written.kind == "u" else normals
