"""COLMAP's sparse models: the points of points3D.txt or .bin, and where the images beside it saw them from.

The camera of an image with the rotation R and the translation t, x_camera = R x + t, stands at C = -R' t. A point's
track lists the images that saw it. Its viewpoint is one of their cameras: the one whose direction from the point is
nearest to the mean of all their directions, since the middle of what saw a surface is before it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..errors import CloudError, warn
from .atomic import STANDARD, PathLike, shown
from .ply import TRUNCATED
from .reading import errors_name, read_bytes
from .scans import COLOURS, COORDINATES, ScannedCloud, from_columns
from .text_tables import ENCODING

Part = TypeVar("Part")
POINTS, IMAGES = "points3d", "images"  # names without regard to case
PARTS = ("cameras", IMAGES, POINTS, "frames", "rigs")  # of a model
SUFFIXES = (".bin", ".txt")
VIEW = ("vp_x", "vp_y", "vp_z")
LISTED = 8  # images in a line
HEAD = np.dtype([("id", "<u8"), ("xyz", "<f8", 3), ("rgb", "u1", 3), ("error", "<f8"), ("views", "<u8")])
POSE = struct.Struct("<I7dI")
SEEN = 24  # bytes of a place in an image: x, y, and the point there
BROKEN = "export the model again"


@dataclass(frozen=True)
class Points:
    """head [n]: what the file says of each point. images [t]: who saw them, point after point."""

    head: np.ndarray
    images: np.ndarray


@dataclass(frozen=True)
class Cameras:
    """ids [c], ascending; centres [c, 3]."""

    ids: np.ndarray
    centres: np.ndarray


def is_model(path: PathLike) -> bool:
    """Whether a file has the name of the points of a model."""
    place = Path(path)
    return path != STANDARD and place.stem.lower() == POINTS and place.suffix.lower() in SUFFIXES


def images_beside(path: PathLike) -> str | None:
    """The file of the images of a model, of the same kind where both are there; None where there is none."""
    place = Path(path)
    if not is_model(path) or not place.parent.is_dir():
        return None
    there = {name.lower(): name for name in sorted(os.listdir(place.parent), reverse=True)}
    kinds = sorted(SUFFIXES, key=lambda suffix: suffix != place.suffix.lower())
    return next((str(place.parent / there[IMAGES + kind]) for kind in kinds if IMAGES + kind in there), None)


def clouds_of(paths: Sequence[Path]) -> list[Path]:
    """Of the files of a folder those that are clouds: of a model one file of points, .bin where both are there."""
    models = sorted(path for path in paths if is_model(path))
    if not models:
        return list(paths)
    parts = {path for path in paths if path.stem.lower() in PARTS and path.suffix.lower() in SUFFIXES}
    return sorted({models[0], *paths} - (parts - {models[0]}))


def read_model(path: PathLike, data: bytes, wanted: Sequence[str] = ()) -> ScannedCloud:
    """The points of a model, `data` its file's bytes; viewpoints where its images say them, NaN where they do not.

    Attributes: error, in pixels, and views, the number of images that saw a point. Warns of images that are missing.
    """
    points = _read(path, data, _points_bin, _points_txt)
    head = points.head
    if not len(head):
        raise CloudError("contains no points; check how it was exported")
    columns = dict(zip(COORDINATES, head["xyz"].T, strict=True)) | dict(zip(COLOURS[0], head["rgb"].T, strict=True))
    columns |= {"error": head["error"], "views": head["views"].astype(np.float64)}
    beside = images_beside(path)
    if beside is None:
        warn(
            f"{shown(path)}: no {IMAGES}.txt or {IMAGES}.bin is beside it, so where its points were seen from is not "
            "known and sides are guessed; put it there, or give --sensor-position"
        )
        return from_columns(columns, wanted, "COLMAP model without images")
    with errors_name(beside):
        cameras = _read(beside, read_bytes(beside), _images_bin, _images_txt)
    _warn_of_missing(path, beside, points, cameras)
    columns |= dict(zip(VIEW, viewpoints(points, cameras).T, strict=True))
    return from_columns(columns, wanted, f"COLMAP model of {len(cameras.ids)} images")


@np.errstate(all="ignore")  # what is not finite is dropped as in every file
def viewpoints(points: Points, cameras: Cameras) -> np.ndarray:
    """A camera's centre [n, 3] for each point: c of its track with the largest d_c . sum of d, where d_c is the unit
    vector from the point to c; the first of equals; NaN where no image of its track is known.
    """
    n = len(points.head)
    rows = np.repeat(np.arange(n), points.head["views"].astype(np.int64))
    camera = _numbers_of(cameras, points.images)
    rows, camera = rows[camera >= 0], camera[camera >= 0]
    ray = cameras.centres[camera] - points.head["xyz"][rows]
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    usable = np.isfinite(ray).all(1)
    rows, camera, ray = rows[usable], camera[usable], ray[usable]
    total = np.stack([np.bincount(rows, ray[:, k], n) for k in range(3)], axis=1)
    frontal = (ray * total[rows]).sum(1)
    order = np.lexsort((camera, -frontal, rows))
    first = order[np.flatnonzero(np.diff(rows[order], prepend=-1))]
    found = np.full((n, 3), np.nan)
    found[rows[first]] = cameras.centres[camera[first]]
    return found


def _numbers_of(cameras: Cameras, images: np.ndarray) -> np.ndarray:
    """The row of each image among the cameras; -1 of those that are not there."""
    if not len(cameras.ids):
        return np.full(len(images), -1)
    place = np.searchsorted(cameras.ids, images).clip(max=len(cameras.ids) - 1)
    return np.where(cameras.ids[place] == images, place, -1)


def _warn_of_missing(path: PathLike, beside: PathLike, points: Points, cameras: Cameras) -> None:
    known = _numbers_of(cameras, points.images) >= 0
    missing = np.unique(points.images[~known])
    rows = np.repeat(np.arange(len(points.head)), points.head["views"].astype(np.int64))
    unseen = len(points.head) - len(np.unique(rows[known]))
    without = f"{unseen:,} of {len(points.head):,} points have no viewpoint"
    if len(missing):
        names = ", ".join(str(number) for number in missing[:LISTED]) + (", ..." if len(missing) > LISTED else "")
        warn(
            f"{shown(path)}: {len(missing)} images of its tracks are not in {os.path.basename(beside)} ({names}): "
            f"{without}; export both files together"
        )
    elif unseen:
        warn(f"{shown(path)}: {without}: their tracks are empty; export the model with its tracks")


def _read(path: PathLike, data: bytes, binary: Callable[[bytes], Part], text: Callable[[bytes], Part]) -> Part:
    return (text if Path(path).suffix.lower() == ".txt" else binary)(data)


def _count(data: bytes, least: int, what: str) -> int:
    """The number at the start of a file of records of so many bytes at least."""
    count = int.from_bytes(data[:8], "little") if len(data) >= 8 else len(data) + 1
    if count * least > len(data) - 8:
        raise CloudError(f"declares {count} {what}, which {len(data)} bytes cannot hold; {TRUNCATED}")
    return count


def _all_read(data: bytes, at: int, what: str, number: int) -> None:
    if at > len(data):
        raise CloudError(f"ends within {what} {number}; {TRUNCATED}")


def _points_bin(data: bytes) -> Points:
    count, at, starts = _count(data, HEAD.itemsize, "points"), 8, []
    views = struct.Struct("<Q")
    for number in range(count):
        _all_read(data, at + HEAD.itemsize, "point", number + 1)
        starts.append(at)
        at += HEAD.itemsize + 8 * views.unpack_from(data, at + HEAD.itemsize - 8)[0]
    _all_read(data, at, "point", count)
    _end(data, at, "points")
    start, raw = np.array(starts, np.int64), np.frombuffer(data, np.uint8)
    head = raw[start[:, None] + np.arange(HEAD.itemsize)].view(HEAD)[:, 0] if count else np.empty(0, HEAD)
    length = head["views"].astype(np.int64)
    first = np.repeat(start + HEAD.itemsize - 8 * (np.cumsum(length) - length), length) + 8 * np.arange(length.sum())
    images = raw[first[:, None] + np.arange(4)].view("<u4")[:, 0] if len(first) else np.empty(0, "<u4")
    return Points(head, images.astype(np.int64))


def _images_bin(data: bytes) -> Cameras:
    count, at = _count(data, POSE.size + 1 + 8, "images"), 8
    ids, poses = [], []
    for number in range(count):
        _all_read(data, at + POSE.size, "image", number + 1)
        image, *pose, _ = POSE.unpack_from(data, at)
        end = data.find(b"\0", at + POSE.size)
        _all_read(data, end + 9 if end >= 0 else len(data) + 1, "image", number + 1)
        at = end + 9 + SEEN * int.from_bytes(data[end + 1 : end + 9], "little")
        ids.append(image)
        poses.append(pose)
    _all_read(data, at, "image", count)
    _end(data, at, "images")
    return _cameras(ids, poses)


def _end(data: bytes, at: int, what: str) -> None:
    if at < len(data):
        raise CloudError(f"has {len(data) - at} bytes behind its {what}; {BROKEN}")


def _lines(data: bytes) -> Iterator[tuple[int, str]]:
    """Numbers of lines, from 1, and the lines that are no comments: of images also empty ones say something."""
    for number, line in enumerate(data.decode(ENCODING).split("\n"), 1):
        if not line.lstrip().startswith("#"):
            yield number, line.strip()


def _points_txt(data: bytes) -> Points:
    heads: list[tuple[float, ...]] = []
    images: list[int] = []
    views: list[int] = []
    for number, line in _lines(data):
        words = line.split()
        if not words:
            continue
        track = words[8::2]
        try:
            if len(words) < 8 or len(words) % 2:
                raise ValueError
            heads.append(tuple(map(float, words[1:8])))
            images.extend(map(int, track))
        except ValueError:
            raise CloudError(
                f"line {number}: a point is its number, x y z, r g b, error, and pairs of an image and a place in it; "
                f"{BROKEN}"
            ) from None
        views.append(len(track))
    table = np.array(heads, np.float64).reshape(-1, 7)
    colours = table[:, 3:6]
    if not ((colours >= 0.0) & (colours <= 255.0) & (colours == np.floor(colours))).all():
        raise CloudError(f"its colours are no whole numbers from 0 to 255; {BROKEN}")
    head = np.zeros(len(table), HEAD)
    head["xyz"], head["rgb"], head["error"], head["views"] = table[:, :3], colours, table[:, 6], views
    return Points(head, _whole_numbers(images))


def _images_txt(data: bytes) -> Cameras:
    ids, poses = [], []
    lines = _lines(data)
    for number, line in lines:
        if not line:
            continue
        words = line.split(maxsplit=9)
        try:
            if len(words) < 10:
                raise ValueError
            ids.append(int(words[0]))
            poses.append(tuple(map(float, words[1:8])))
        except ValueError:
            raise CloudError(
                f"line {number}: an image is its number, qw qx qy qz, tx ty tz, its camera and its name; {BROKEN}"
            ) from None
        below, seen = next(lines, (number, ""))
        if len(seen.split()) % 3:
            raise CloudError(
                f"line {below}: below each image is a line of x y and the number of a point, as often as there are; an "
                f"empty line where there are none; {BROKEN}"
            )
    return _cameras(ids, poses)


def _whole_numbers(values: Sequence[int]) -> np.ndarray:
    try:
        return np.array(values, np.int64).reshape(-1)
    except OverflowError:
        raise CloudError(f"has an image whose number is too large; {BROKEN}") from None


@np.errstate(all="ignore")
def _cameras(numbers: Sequence[int], poses: Sequence[Sequence[float]]) -> Cameras:
    """Centres -R' t of poses (qw, qx, qy, qz, tx, ty, tz) [c, 7], whose quaternions need not be of unit length."""
    ids, table = _whole_numbers(numbers), np.array(poses, np.float64).reshape(-1, 7)
    length = np.linalg.norm(table[:, :4], axis=1)
    broken = ~(np.isfinite(table).all(1) & np.isfinite(length) & (length > 0.0))
    if broken.any():
        raise CloudError(f"image {ids[broken][0]} has no finite pose; {BROKEN}")
    order = np.argsort(ids, kind="stable")
    twice = np.flatnonzero(np.diff(ids[order]) == 0)
    if len(twice):
        raise CloudError(f"image {ids[order][twice[0]]} is there twice; {BROKEN}")
    w, v, t = table[:, :1] / length[:, None], -table[:, 1:4] / length[:, None], table[:, 4:]
    turned = t + 2.0 * np.cross(v, np.cross(v, t) + w * t)  # R' t, by the conjugate quaternion
    return Cameras(ids[order], -turned[order])
