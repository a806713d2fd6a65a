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

from ..cloud.clouds import CleaningReport, check_range
from ..cloud.octree import MORTON_BITS
from ..errors import CloudError, OutputError
from ..files.atomic import shown
from ..files.scans import ScannedCloud, class_counts
from ..files.streams import CloudStream
from ..files.work_directory import WorkDirectory
from ..geometry import Box
from ..runtime.monitor import Monitor
from ..runtime.threads import parallel_map
from .attributes import ATTRIBUTES_FILE, Records
from .layout import Layout
from .nodes import Nodes, counted

POINTS_FILE = "points.bin"
PARTITION = "partition"  # the result that stands for it
OF_NODES = ("first", "level", "counts", "checksums")
SAMPLE = 100_000  # points that say where most are


@dataclass(frozen=True)
class Partition:
    """The nodes and their points, and what cleaning dropped (repeated points are dropped later).

    sample [k, 3]: points that are spread over the file. lacking: how many of those that are kept have no normal.
    classes, files: how many points are of each class, and in each file of several.
    """

    nodes: Nodes
    source: StoredPoints
    sample: Tensor
    report: CleaningReport
    lacking: int
    classes: dict[int, int]
    files: dict[str, int]


@dataclass(frozen=True)
class StoredPoints:
    """The points of a file as it has them, in the places of their nodes in a file of the work directory; and their
    attributes.
    """

    store: WorkDirectory
    nodes: Nodes
    layout: Layout
    records: Records | None

    def scan_of(self, node: int) -> ScannedCloud:
        """The points of a node, with what the file tells of their sides."""
        rows = self.rows(node)
        if rows is None:
            raise self._damaged(POINTS_FILE)
        return self.layout.scan(rows)

    def rows(self, node: int) -> np.ndarray | None:
        """The rows of a node; None where they are damaged."""
        nodes = self.nodes
        place = int(nodes.starts[node]), int(nodes.counts[node])
        return self.store.rows(POINTS_FILE, self.layout.type, *place, int(nodes.checksums[node]))

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
    stream: CloudStream, name: str, scale: float, most: int, store: WorkDirectory, monitor: Monitor,
    oriented: bool = True,
) -> Partition:  # fmt: skip
    """The nodes, of at most so many points each; their points are in the store's POINTS_FILE, node by node.

    oriented: points without a normal are left out, and so is what else is known of the sides of the others.
    """
    layout = Layout.of(stream.form, oriented)
    found = kept_partition(scale, store, layout)
    if found is None:
        monitor.phase("partition")
        _make(_Passes(stream, layout, monitor), name, scale, most, store)
        found = _read(scale, store, layout)
    return found


def kept_partition(scale: float, store: WorkDirectory, layout: Layout) -> Partition | None:
    """The partition that is kept; None where there is none, or one of points that are damaged."""
    if not store.has(PARTITION):
        return None
    found = _read(scale, store, layout)
    return found if all(parallel_map(found.source.sound, range(len(found.nodes)))) else None


def _read(scale: float, store: WorkDirectory, layout: Layout) -> Partition:
    found = store.load(PARTITION)
    box, (read, non_finite, lacking) = Box(*found["box"]), found["read"].tolist()
    dropped, kept = (lacking, 0) if layout.oriented else (0, lacking)
    nodes = Nodes(box.scaled(scale), *(found[name] for name in OF_NODES))
    report = CleaningReport(read, non_finite, dropped, 0, int(nodes.counts.sum()))
    classes = {int(code): count for code, count in json.loads(found["classes"]).items()}
    source = StoredPoints(store, nodes, layout, Records.read(found))
    return Partition(nodes, source, found["sample"], report, kept, classes, json.loads(found["files"]))


class _Passes:
    """Passes over a file, piece by piece: the points that are kept, and how many were there, are not finite, and are
    finite without a normal.
    """

    def __init__(self, stream: CloudStream, layout: Layout, monitor: Monitor):
        self.stream, self.layout, self.monitor = stream, layout, monitor
        self.done, self.expected = 0, 3

    def pieces(self) -> Iterator[tuple[Tensor, ScannedCloud, tuple[int, int, int]]]:
        for piece in self.stream.pieces():
            kept, counts = self.layout.kept(piece)
            yield torch.from_numpy(kept.points), kept, counts
            self.done += len(piece.points)
            self.monitor.progress(self.done, self.expected * self.stream.count)


def _make(passes: _Passes, name: str, scale: float, most: int, store: WorkDirectory) -> None:
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
    for points, piece, counts in passes.pieces():
        classes.update(class_counts(piece.codes))
        files.update(dict(piece.parts))
        read = [total + count for total, count in zip(read, counts, strict=True)]
        hull.take(points)
        sample.append(points[::step])
    kept, box = read[0] - read[1] - (read[2] if passes.layout.oriented else 0), hull.box
    if kept < 2 or not bool((box.upper > box.lower).any()):
        found = f"{kept} of its {read[0]} points are usable{', all at one place' if kept > 1 else ''}"
        raise CloudError(f"{name}: {found}; a surface needs at least 2 distinct")
    check_range(torch.stack([box.lower, box.upper]), name)
    spread = torch.cat(sample)
    if len(spread) < min(kept, SAMPLE) // 2:  # of a few of many points, by class or bounds
        passes.expected += 1
        step = max(1, kept // SAMPLE)
        spread = torch.cat([points[::step] for points, *_ in passes.pieces()])
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
        put = stack.enter_context(store.rows_into(POINTS_FILE, passes.layout.type))
        put_attributes = records and stack.enter_context(store.rows_into(ATTRIBUTES_FILE, records.type))
        for points, piece, _ in passes.pieces():
            node = nodes.of_points(points)
            if bool((node < 0).any()):
                raise CloudError("the file changed while it was read; leave it alone and run again")
            node, order = node.sort(stable=True)
            rows = passes.layout.rows(piece)[order.numpy()]
            packed = records.pack(piece)[order.numpy()] if records else None
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
