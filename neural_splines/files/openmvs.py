"""OpenMVS scenes in its exchange format (.mvs, "MVSI"): points, and which images saw them from where.

Numbers are little-endian; a string or a list is its length (8 bytes) and its items. The scene has, in this order,
platforms (their cameras and poses), images, points, the points' normals and colours, lines, a transform, a box. A
platform in the pose (R, C) maps a place X to R (X - C); its camera (R_c, C_c) stands at C_c of the platform, so at
C + R' C_c in the world. A viewpoint is chosen among the images of a point as for COLMAP (colmap.py).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import CloudError, warn
from .colmap import BROKEN, HEAD, LISTED, VIEW, Cameras, Points, viewpoints
from .column_statistics import Columns
from .ply import TRUNCATED, quoted
from .reading import printable
from .scans import COLOURS, COORDINATES, NORMALS, ScannedCloud, from_columns

MAGIC, START = b"MVSI", 12  # then the version, and four bytes that say nothing
PROJECT = b"MVS\0"  # how the format that OpenMVS keeps for itself begins
LATEST = 7
NONE = 2**32 - 1  # the number of no platform, camera or pose
MATRIX, PLACE = 9, 3  # doubles
SCORE, VIEW_BYTES = 24, 8  # bytes of how well another image goes with one; of a view of a point


@dataclass
class Platform:
    """cameras: their places [3]. poses: R [3, 3] and C [3] of each."""

    cameras: list[np.ndarray] = field(default_factory=list)
    poses: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)


@dataclass(frozen=True)
class Image:
    name: str
    platform: int
    camera: int
    pose: int


class Archive:
    """The bytes of a scene, and the place in them."""

    def __init__(self, data: bytes):
        self.data, self.at = data, START
        (self.version,) = struct.unpack_from("<I", data, 4)

    def skip(self, count: int, what: str) -> int:
        """The place before so many bytes, behind which the next item begins."""
        before, self.at = self.at, self.at + count
        if self.at > len(self.data):
            raise CloudError(f"ends within its {what}; {TRUNCATED}")
        return before

    def numbers(self, form: str, what: str) -> tuple[int, ...]:
        return struct.unpack_from(form, self.data, self.skip(struct.calcsize(form), what))

    def doubles(self, count: int, what: str) -> np.ndarray:
        return np.frombuffer(self.data, "<f8", count, self.skip(8 * count, what))

    def length(self, least: int, what: str) -> int:
        """Of a list whose items have so many bytes at least."""
        (count,) = self.numbers("<Q", what)
        if count * least > len(self.data) - self.at:
            raise CloudError(f"declares {count} {what}, which {len(self.data)} bytes cannot hold; {TRUNCATED}")
        return count

    def text(self, what: str) -> str:
        count = self.length(1, f"letters of {what}")
        place = self.skip(count, what)
        return self.data[place : place + count].decode("utf-8", "replace")

    def rows(self, type_: str, width: int, what: str) -> np.ndarray:
        """A list of rows [n, width]."""
        size = np.dtype(type_).itemsize * width
        count = self.length(size, what)
        return np.frombuffer(self.data, type_, count * width, self.skip(count * size, what)).reshape(count, width)

    def tracks(self, head: int, what: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A list of items of so many bytes and a list of views: where each begins [n], how many views it has [n], and
        the bytes of all views [v, 8], item after item.
        """
        count, data, size = self.length(head + 8, what), self.data, len(self.data)
        starts, views, at = [], [], self.at
        read = struct.Struct("<Q").unpack_from
        for number in range(count):
            if at + head + 8 > size:
                raise CloudError(f"ends within number {number + 1} of its {what}; {TRUNCATED}")
            starts.append(at)
            (several,) = read(data, at + head)
            views.append(several)
            at += head + 8 + VIEW_BYTES * several
        if at > size:
            raise CloudError(f"ends within its {what}; {TRUNCATED}")
        self.at = at
        start, length = np.array(starts, np.int64), np.array(views, np.int64)
        first = np.repeat(start + head + 8 - VIEW_BYTES * (np.cumsum(length) - length), length)
        first += VIEW_BYTES * np.arange(len(first))
        return start, length, np.frombuffer(data, np.uint8)[first[:, None] + np.arange(VIEW_BYTES)]


def read_scene(data: bytes, name: str, wanted: Sequence[str] = ()) -> ScannedCloud:
    """The points of a scene, with viewpoints where images that saw them have poses, NaN where not.

    Attributes: views, how many images saw a point, and confidence, the mean of what they say. Warns of images without
    a pose. `name` opens the warnings.
    """
    if data[:4] == PROJECT:
        raise CloudError(
            "is a project that only OpenMVS reads, not its exchange format; export the points as PLY, or the scene as "
            "MVSI by InterfaceCOLMAP, InterfaceOpenMVG or the like"
        )
    if data[:4] != MAGIC or len(data) < START:
        raise CloudError(f"starts with {quoted(data[:4])}, where an OpenMVS scene has MVSI; {BROKEN}")
    archive = Archive(data)
    if not 1 <= archive.version <= LATEST:
        raise CloudError(f"is of version {archive.version}, and 1 to {LATEST} are read; export the points as PLY")
    platforms, images = _many(archive, _platform, 24, "platforms"), _many(archive, _image, 20, "images")
    start, views, seen = archive.tracks(12, "points")
    normals, colours = archive.rows("<f4", 3, "normals"), archive.rows("u1", 3, "colours")
    _rest(archive)
    if not len(start):
        raise CloudError("contains no points; check how it was exported")
    for what, rows in (("normals", normals), ("colours", colours)):
        if len(rows) not in (0, len(start)):
            raise CloudError(f"has {len(rows)} {what} of {len(start)} points; {BROKEN}")
    head = np.zeros(len(start), HEAD)
    head["xyz"] = np.frombuffer(data, np.uint8)[start[:, None] + np.arange(12)].view("<f4")
    head["views"] = views
    points = Points(head, seen[:, :4].copy().view("<u4")[:, 0].astype(np.int64))
    if len(points.images) and points.images.max() >= len(images):
        raise CloudError(f"a point was seen by image {points.images.max()}, and there are {len(images)}; {BROKEN}")
    columns: Columns = dict(zip(COORDINATES, head["xyz"].T.astype(np.float32), strict=True))
    if len(normals):
        columns |= dict(zip(NORMALS[0], normals.T, strict=True))
    if len(colours):
        columns |= dict(zip(COLOURS[0], colours[:, ::-1].T, strict=True))  # blue is the first
    confidence = np.bincount(np.repeat(np.arange(len(start)), views), seen[:, 4:].copy().view("<f4")[:, 0], len(start))
    columns |= {"views": views.astype(np.float64), "confidence": confidence / np.maximum(views, 1)}
    cameras = _cameras(platforms, images)
    _warn_of_missing(name, points, cameras, images)
    if len(cameras.ids) and len(points.images):
        columns |= dict(zip(VIEW, viewpoints(points, cameras).T, strict=True))
    return from_columns(columns, wanted, f"OpenMVS scene of {len(images)} images")


def _many(archive: Archive, read: Callable[[Archive], Platform | Image], least: int, what: str) -> list:
    return [read(archive) for _ in range(archive.length(least, what))]


def _platform(archive: Archive) -> Platform:
    archive.text("names of platforms")
    found = Platform()
    for _ in range(archive.length(8 + 8 * (2 * MATRIX + PLACE), "cameras")):
        archive.text("names of cameras")
        if archive.version > 3:
            archive.text("names of bands")
        archive.skip(8, "cameras")  # width and height
        archive.doubles(2 * MATRIX, "cameras")  # what it projects by, and how it is turned: neither moves it
        found.cameras.append(archive.doubles(PLACE, "cameras"))
    for _ in range(archive.length(8 * (MATRIX + PLACE), "poses")):
        turn = archive.doubles(MATRIX, "poses").reshape(3, 3)
        found.poses.append((turn, archive.doubles(PLACE, "poses")))
    return found


def _image(archive: Archive) -> Image:
    name = archive.text("names of images")
    if archive.version > 4:
        archive.text("names of masks")
    numbers = archive.numbers("<3I", "images")
    if archive.version > 2:
        archive.skip(4, "images")  # its number elsewhere
    if archive.version > 6:
        archive.skip(12, "images")  # depths
        archive.skip(SCORE * archive.length(SCORE, "scores of images"), "images")
    return Image(name, *numbers)


def _rest(archive: Archive) -> None:
    """What follows the points, which says nothing of them: it has to be there."""
    archive.tracks(24, "lines")
    archive.rows("<f4", 3, "normals of lines")
    archive.rows("u1", 3, "colours of lines")
    if archive.version > 1:
        archive.skip(8 * 16, "transform")
    if archive.version > 5:
        archive.skip(8 * (MATRIX + 2 * PLACE), "box")


@np.errstate(all="ignore")
def _cameras(platforms: Sequence[Platform], images: Sequence[Image]) -> Cameras:
    """Where the images that have a pose were taken."""
    ids, centres = [], []
    for number, image in enumerate(images):
        if image.pose == NONE:
            continue
        platform = platforms[image.platform] if image.platform < len(platforms) else Platform()
        if image.camera >= len(platform.cameras) or image.pose >= len(platform.poses):
            raise CloudError(f"image {number} refers to a platform, a camera or a pose that is not there; {BROKEN}")
        turn, place = platform.poses[image.pose]
        centre = place + (turn * platform.cameras[image.camera][:, None]).sum(0)
        if not (np.isfinite(centre).all() and np.isfinite(turn).all() and turn.any()):
            raise CloudError(f"image {number} has no finite pose; {BROKEN}")
        ids.append(number)
        centres.append(centre)
    return Cameras(np.array(ids, np.int64), np.array(centres, np.float64).reshape(-1, 3))


def _warn_of_missing(name: str, points: Points, cameras: Cameras, images: Sequence[Image]) -> None:
    known = np.isin(points.images, cameras.ids)
    missing = np.unique(points.images[~known])
    rows = np.repeat(np.arange(len(points.head)), points.head["views"].astype(np.int64))
    unseen = len(points.head) - len(np.unique(rows[known]))
    without = f"{unseen:,} of {len(points.head):,} points have no viewpoint"
    if len(missing):
        names = ", ".join(printable(images[number].name)[:80] or str(number) for number in missing[:LISTED])
        names += ", ..." if len(missing) > LISTED else ""
        warn(
            f"{name}: {len(missing)} images that saw points have no pose ({names}): {without}; export it with all poses"
        )
    elif unseen:
        warn(f"{name}: {without}: no image saw them; export the scene with its views")
