"""Clouds too large for the memory: read in pieces, as often as needed."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import CloudError
from . import colmap, numpy_pieces, obj_off_pieces, ply, ply_pieces, ptx, scans, surveys, text_tables
from .atomic import PathLike
from .bounds import pieces_within
from .columns import refuse_words
from .merging import Place, conformed, joined
from .point_clouds import TABLES, kind_of_data, load_scanned_cloud
from .reading import BYTE_ORDER_MARK, ROWS, errors_name, first_bytes, guarded
from .scans import ScannedCloud
from .sources import Source

WHOLE_BYTES = 15  # of memory at the peak, for each byte of a file that is read as a whole: OBJ 9, PWN 9, PLY 14


@dataclass(frozen=True)
class CloudStream:
    """A cloud in a file: `pieces()` reads it from the start.

    count: points of the file, of which some may be left out. form: a cloud of no points that has what all pieces have:
    normals, viewpoints, colours, scalars and what a laser tells, in their types.
    """

    count: int
    form: ScannedCloud
    pieces: Callable[[], Iterator[ScannedCloud]]


@dataclass(frozen=True)
class ReadOptions:
    """What is read of a file, as in `point_clouds.load_scanned_cloud`."""

    attributes: Sequence[str] = ()
    columns: str = ""
    classes: Sequence[int] = ()
    bounds: Sequence[float] = ()


EVERYTHING = ReadOptions()


def open_stream(
    path: PathLike, memory: int | None = None, options: ReadOptions = EVERYTHING, rows: int = ROWS,
    scratch: str | None = None,
) -> CloudStream:  # fmt: skip
    """The points of a file in pieces of so many rows: joined they are those of `load_scanned_cloud`.

    What has no such layout is read as a whole, then shared out: PCD that is compressed, OBJ with faces, PWN, COLMAP,
    OpenMVS, and PLY with lists before its points, or with faces where points have no normals. memory: bytes that this
    may take. scratch: a folder for pieces that take long to decode, kept there as long as the stream is there.
    CloudError names the path, also where a piece turns out to be unreadable.
    """
    with errors_name(path):
        if not os.path.exists(path):
            raise CloudError(f"cannot be read ({os.strerror(errno.ENOENT)}); check the path and its permissions")
        if not os.path.isfile(path):
            raise CloudError("is not a regular file; a scene is read several times, so save it to one")
        source = _source(path, options, rows, scratch)
        if source is None and memory is not None and WHOLE_BYTES * os.path.getsize(path) > memory:
            raise CloudError(
                "is written so that it is read as a whole, which takes more than --max-memory; save it as binary PLY "
                "with normals"
            )
        form = None if source is None else scans.rows_of(source.cloud(source.first), slice(0))
    if source is None or form is None:
        return _whole(path, options, rows)
    return CloudStream(source.count, form, guarded(path, lambda: _clouds(source, options)))


def merged(
    streams: Sequence[CloudStream], names: Sequence[str], stations: Sequence[Place] = (), left: bool = False
) -> tuple[CloudStream, list[str]]:
    """The points of several files as one cloud, file after file, and lines about what not all of them have.

    stations, left: as of `joined`.
    """
    if len(streams) == 1 and not left:
        return streams[0], []
    form, lines = joined([stream.form for stream in streams], names, stations, left)
    of_each = [()] * len(streams) if form.stations is None else stations

    def pieces() -> Iterator[ScannedCloud]:
        for name, stream, station in zip(names, streams, of_each, strict=True):
            for piece in stream.pieces():
                yield replace(conformed(piece, form, station), parts=((name, len(piece.points)),))

    return CloudStream(sum(stream.count for stream in streams), form, pieces), lines


def _source(path: PathLike, options: ReadOptions, rows: int, scratch: str | None) -> Source[Any] | None:
    """The pieces of a file; None where it is read as a whole."""
    data = first_bytes(path, ply.HEADER_LIMIT + 1)
    start = data.removeprefix(BYTE_ORDER_MARK)
    suffix, wanted, words = Path(path).suffix.lower(), options.attributes, options.columns
    kind = kind_of_data(suffix, start)
    model = colmap.is_model(path) and kind != ".ply"
    if kind and kind not in TABLES and not model:
        refuse_words(words)
    if model:
        return None
    if start is not data and kind in (".ply", ".npy", ".npz"):
        return None
    match kind:
        case ".ply":
            return ply_pieces.ply_source(path, ply.parse_header(start), wanted, rows)
        case ".las" | ".laz":
            return surveys.las_source(path, wanted, options.classes, rows, scratch, options.bounds)
        case ".e57":
            return surveys.e57_source(path, wanted, rows, scratch)
        case ".npy":
            return numpy_pieces.npy_source(path, wanted, words, rows)
        case ".npz":
            return numpy_pieces.npz_source(path, wanted, rows)
        case ".pcd":
            from . import pcd  # not before: Numba takes a second to import

            return pcd.pcd_source(path, wanted, rows)
        case ".ptx":
            return ptx.ptx_source(path, wanted, rows)
        case ".obj":
            return obj_off_pieces.obj_source(path, wanted, rows)
        case ".off":
            return obj_off_pieces.off_source(path, wanted, rows)
        case _ if kind in TABLES:
            return text_tables.text_source(path, wanted, words, rows, colours_only=kind == ".xyzrgb", scratch=scratch)
    return None


def _clouds(source: Source[Any], options: ReadOptions) -> Generator[ScannedCloud, None, None]:
    """The points of all pieces, or of some classes of them and within bounds."""
    there: Counter[int] = Counter()
    classes = options.classes
    for cloud in pieces_within(map(source.cloud, source.read()), options.bounds):
        if classes:
            there.update(scans.class_counts(cloud.codes))
            cloud = scans.rows_of(cloud, scans.in_classes(cloud, classes))
        yield cloud
    scans.require_classes(there, classes)


def _whole(path: PathLike, options: ReadOptions, rows: int) -> CloudStream:
    scanned = load_scanned_cloud(path, options.attributes, options.columns, options.classes, options.bounds)

    def pieces() -> Iterator[ScannedCloud]:
        for start in range(0, len(scanned.points), rows):
            yield scans.rows_of(scanned, slice(start, start + rows))

    return CloudStream(len(scanned.points), scans.rows_of(scanned, slice(0)), pieces)
