"""The points of a file, cleaned and sorted into nodes on disk, in passes that hold one piece at a time.

The box of the points; counts in its cubes, once, or oftener where a far point makes the box large; the nodes' points.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..clouds import CleaningReport, OrientedCloud, check_range, usable
from ..errors import CloudError, OutputError
from ..files.atomic import shown
from ..files.scans import ScannedCloud, class_counts
from ..files.streams import CloudStream
from ..files.work_directory import WorkDirectory
from ..geometry import Box
from ..octree import MORTON_BITS
from ..runtime.monitor import Monitor
from ..runtime.threads import share_out
from .attributes import ATTRIBUTES_FILE, Records
from .nodes import Nodes, counted

POINT = np.dtype((np.float64, (6,)))  # three coordinates and three components of the normal
POINTS_FILE = "points.bin"
PARTITION = "partition"  # the result that stands for it
OF_NODES = ("first", "level", "counts", "checksums")
SAMPLE = 100_000  # points that say where most are


@dataclass(frozen=True)
class Partition:
    """The nodes and their points, and what cleaning dropped (repeated points are dropped later).

    sample [k, 3]: points that are spread over the file. classes, files: how many points are of each class, and in each
    file of several.
    """

    nodes: Nodes
    source: StoredPoints
    sample: Tensor
    report: CleaningReport
    classes: dict[int, int]
    files: dict[str, int]


@dataclass(frozen=True)
class StoredPoints:
    """The points of a file, in the places of their nodes in a file of the work directory; and their attributes."""

    store: WorkDirectory
    nodes: Nodes
    records: Records | None

    def points_of(self, node: int) -> OrientedCloud:
        rows = self.rows(node)
        if rows is None:
            raise self._damaged(POINTS_FILE)
        table = torch.from_numpy(rows)
        return OrientedCloud(table[:, :3].contiguous(), table[:, 3:].contiguous())

    def rows(self, node: int) -> np.ndarray | None:
        """The rows of a node; None where they are damaged."""
        nodes = self.nodes
        place = int(nodes.starts[node]), int(nodes.counts[node])
        return self.store.rows(POINTS_FILE, POINT, *place, int(nodes.checksums[node]))

    def attributes_of(self, node: int) -> np.ndarray:
        """The records of a node's attributes, as its points are ordered."""
        assert self.records
        found = self.records.of_node(self.store, self.nodes, node)
        if found is None:
            raise self._damaged(ATTRIBUTES_FILE)
        return found

    def sound(self, node: int) -> bool:
        """Whether what is kept of a node is not damaged."""
        records = self.records
        return self.rows(node) is not None and (
            records is None or records.of_node(self.store, self.nodes, node) is not None
        )

    def _damaged(self, file: str) -> OutputError:
        """The error of a file that is damaged; the partition is forgotten."""
        self.store.remove(PARTITION)
        path = shown(self.store.file(file))
        return OutputError(f"{path}: was damaged; run the same command again, which makes it anew")


def partition(
    stream: CloudStream, name: str, scale: float, most: int, store: WorkDirectory, monitor: Monitor
) -> Partition:
    """The nodes, of at most so many points each; their points are in the store's POINTS_FILE, node by node."""
    found = kept_partition(scale, store)
    if found is None:
        monitor.phase("partition")
        _make(stream, name, scale, most, store, monitor)
        found = _read(scale, store)
    return found


def kept_partition(scale: float, store: WorkDirectory) -> Partition | None:
    """The partition that is kept; None where there is none, or one of points that are damaged."""
    if not store.has(PARTITION):
        return None
    found = _read(scale, store)
    return found if all(share_out(found.source.sound, range(len(found.nodes)))) else None


def _read(scale: float, store: WorkDirectory) -> Partition:
    found = store.load(PARTITION)
    box, (read, non_finite, zero) = Box(*found["box"]), found["read"].tolist()
    nodes = Nodes(box.scaled(scale), *(found[name] for name in OF_NODES))
    report = CleaningReport(read, non_finite, zero, 0, int(nodes.counts.sum()))
    classes = {int(code): count for code, count in json.loads(found["classes"]).items()}
    source = StoredPoints(store, nodes, Records.read(found))
    return Partition(nodes, source, found["sample"], report, classes, json.loads(found["files"]))


class _Passes:
    """Passes over a file: its usable points with their normals, piece by piece, what the others lack, and the piece."""

    def __init__(self, stream: CloudStream, monitor: Monitor):
        self.stream, self.monitor = stream, monitor
        self.done, self.expected = 0, 3

    def pieces(self) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, ScannedCloud]]:
        for piece in self.stream.pieces():
            assert piece.normals is not None
            yield *usable(torch.from_numpy(piece.points), torch.from_numpy(piece.normals)), piece
            self.done += len(piece.points)
            self.monitor.progress(self.done, self.expected * self.stream.count)


def _make(stream: CloudStream, name: str, scale: float, most: int, store: WorkDirectory, monitor: Monitor) -> None:
    passes = _Passes(stream, monitor)
    box, near, read, sample, (classes, files) = _boxes(passes, name)
    scaled, inner = box.scaled(scale), _Hull()

    def count(parents: Tensor, level: int, steps: int) -> Tensor:
        passes.expected += bool(level)
        histogram = torch.zeros(len(parents), 8**steps, dtype=torch.int64)
        for points, *_ in passes.pieces():
            histogram += counted(scaled, points, parents, level, steps)
            inner.take(points[near.contains(points)])
        return histogram

    found = Nodes.of(scaled, most, count)
    if float(inner.box.sides.max()) < float(box.sides.max()) / 2**MORTON_BITS:  # they share the finest cube
        raise CloudError(
            f"{name}: most points lie in a box of side {float(inner.box.sides.max()):.3g}, and others so far away that "
            f"all lie in one of side {float(box.sides.max()):.3g}; remove these"
        )
    nodes, records = _scatter(passes, found, store)
    parts = {name: getattr(nodes, name) for name in OF_NODES}
    kept = {"classes": json.dumps(classes), "files": json.dumps(files)} | (records.state() if records else {})
    store.save(
        PARTITION, box=torch.stack([box.lower, box.upper]), read=torch.tensor(read), sample=sample, **parts, **kept
    )
    store.sync([PARTITION])


class _Hull:
    """The box of points that come in pieces."""

    def __init__(self) -> None:
        self.box = Box(torch.full((3,), torch.inf, dtype=torch.float64), torch.full((3,), -torch.inf).double())

    def take(self, points: Tensor) -> None:
        if len(points):
            more = Box.around(points)
            self.box = Box(self.box.lower.minimum(more.lower), self.box.upper.maximum(more.upper))


def _boxes(passes: _Passes, name: str) -> tuple[Box, Box, list[int], Tensor, tuple[Counter[int], Counter[str]]]:
    """The box of the points; one around most of them, with room for all that are not far from these; how many
    points there are, not finite and without a normal; a sample of the points; and how many are of each class, and in
    each file.
    """
    hull, read, sample = _Hull(), [0, 0, 0], []
    classes, files = Counter[int](), Counter[str]()
    step = max(1, passes.stream.count // SAMPLE)
    for points, _, finite, oriented, piece in passes.pieces():
        classes.update(class_counts(piece.codes))
        files.update(dict(piece.parts))
        for place, mask in enumerate((torch.ones_like(finite), ~finite, finite & ~oriented)):
            read[place] += int(mask.sum())
        hull.take(points)
        sample.append(points[::step])
    kept, box = read[0] - read[1] - read[2], hull.box
    if kept < 2 or not bool((box.upper > box.lower).any()):
        raise CloudError(f"{name}: {kept} of its {read[0]} points are usable; a surface needs at least 2 distinct")
    check_range(torch.stack([box.lower, box.upper]), name)
    spread = torch.cat(sample)
    most = Box.around_most(spread)
    room = 0.5 * most.sides.max()
    return box, Box(most.lower - room, most.upper + room), read, spread, (classes, files)


def _scatter(passes: _Passes, nodes: Nodes, store: WorkDirectory) -> tuple[Nodes, Records | None]:
    """Write every point, and its attributes where there are some, into the place of its node, in the order of the file;
    the nodes and the attributes with their checksums.
    """
    place, records = nodes.starts.clone(), Records.of(passes.stream.form)
    sums, sums_of_attributes = torch.zeros(2, len(nodes), dtype=torch.int64)
    with contextlib.ExitStack() as stack:
        put = stack.enter_context(store.rows_into(POINTS_FILE, POINT))
        put_attributes = records and stack.enter_context(store.rows_into(ATTRIBUTES_FILE, records.type))
        for kept, units, finite, oriented, piece in passes.pieces():
            node = nodes.of_points(kept)
            if bool((node < 0).any()):
                raise CloudError("the file changed while it was read; leave it alone and run again")
            node, order = node.sort(stable=True)
            rows = torch.cat([kept, units], 1)[order].numpy()
            packed = records.pack(piece)[(finite & oriented).numpy()][order.numpy()] if records else None
            which, counts = node.unique_consecutive(return_counts=True)
            ends = counts.cumsum(0).tolist()
            for k, end, count in zip(which.tolist(), ends, counts.tolist(), strict=True):
                _append(put, rows[end - count : end], sums, place, k)
                if packed is not None and put_attributes:
                    _append(put_attributes, packed[end - count : end], sums_of_attributes, place, k)
                place[k] += count
    if not torch.equal(place, nodes.starts + nodes.counts):
        raise CloudError("the file changed while it was read; leave it alone and run again")
    return replace(nodes, checksums=sums), replace(records, checksums=sums_of_attributes) if records else None


def _append(put: Callable[[int, np.ndarray], None], rows: np.ndarray, sums: Tensor, place: Tensor, node: int) -> None:
    """Write rows behind those of a node that are there, and count them into its checksum."""
    put(int(place[node]), rows)
    sums[node] = zlib.crc32(rows.data, int(sums[node]))
