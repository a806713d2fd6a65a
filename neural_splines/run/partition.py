"""The points of a file, cleaned and sorted into nodes on disk, in passes that hold one piece at a time.

The box of the points; counts in its cubes, once, or oftener where a far point makes the box large; the nodes' points.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..clouds import CleaningReport, OrientedCloud, check_range, usable
from ..errors import CloudError, OutputError
from ..files.atomic import shown
from ..files.streams import CloudStream
from ..files.work_directory import WorkDirectory
from ..geometry import MORTON_BITS, Box
from ..runtime.monitor import Monitor
from ..runtime.threads import share_out
from .nodes import Nodes, counted

POINT_WIDTH = 6  # three coordinates and three components of the normal
POINTS_FILE = "points.bin"
PARTITION = "partition"  # the result that stands for it
OF_NODES = ("first", "level", "counts", "checksums")
SAMPLE = 100_000  # points that say where most are


@dataclass(frozen=True)
class Partition:
    """The nodes and their points, and what cleaning dropped (repeated points are dropped later).

    sample [k, 3]: points that are spread over the file.
    """

    nodes: Nodes
    source: StoredPoints
    sample: Tensor
    report: CleaningReport


@dataclass(frozen=True)
class StoredPoints:
    """The points of a file, in the places of their nodes in a file of the work directory."""

    store: WorkDirectory
    nodes: Nodes

    def points_of(self, node: int) -> OrientedCloud:
        rows = self.rows(node)
        if rows is None:
            self.store.remove(PARTITION)
            raise OutputError(
                f"{shown(self.store.file(POINTS_FILE))}: was damaged; run the same command again, which makes it anew"
            )
        table = torch.from_numpy(rows)
        return OrientedCloud(table[:, :3].contiguous(), table[:, 3:].contiguous())

    def rows(self, node: int) -> np.ndarray | None:
        """The rows of a node; None where they are damaged."""
        nodes = self.nodes
        place = int(nodes.starts[node]), int(nodes.counts[node])
        return self.store.rows(POINTS_FILE, POINT_WIDTH, *place, int(nodes.checksums[node]))


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
    whole = share_out(lambda node: found.source.rows(node) is not None, range(len(found.nodes)))
    return found if all(whole) else None


def _read(scale: float, store: WorkDirectory) -> Partition:
    found = store.load(PARTITION)
    box, (read, non_finite, zero) = Box(*found["box"]), found["read"].tolist()
    nodes = Nodes(box.scaled(scale), *(found[name] for name in OF_NODES))
    report = CleaningReport(read, non_finite, zero, 0, int(nodes.counts.sum()))
    return Partition(nodes, StoredPoints(store, nodes), found["sample"], report)


class _Passes:
    """Passes over a file: its usable points with their normals, piece by piece, and what the others lack."""

    def __init__(self, stream: CloudStream, monitor: Monitor):
        self.stream, self.monitor = stream, monitor
        self.done, self.expected = 0, 3

    def pieces(self) -> Iterator[tuple[Tensor, ...]]:
        for piece in self.stream.pieces():
            assert piece.normals is not None
            yield usable(torch.from_numpy(piece.points), torch.from_numpy(piece.normals))
            self.done += len(piece.points)
            self.monitor.progress(self.done, self.expected * self.stream.count)


def _make(stream: CloudStream, name: str, scale: float, most: int, store: WorkDirectory, monitor: Monitor) -> None:
    passes = _Passes(stream, monitor)
    box, near, read, sample = _boxes(passes, name)
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
    nodes = _scatter(passes, found, store)
    parts = {name: getattr(nodes, name) for name in OF_NODES}
    store.save(PARTITION, box=torch.stack([box.lower, box.upper]), read=torch.tensor(read), sample=sample, **parts)
    store.sync([PARTITION])


class _Hull:
    """The box of points that come in pieces."""

    def __init__(self) -> None:
        self.box = Box(torch.full((3,), torch.inf, dtype=torch.float64), torch.full((3,), -torch.inf).double())

    def take(self, points: Tensor) -> None:
        if len(points):
            more = Box.around(points)
            self.box = Box(self.box.lower.minimum(more.lower), self.box.upper.maximum(more.upper))


def _boxes(passes: _Passes, name: str) -> tuple[Box, Box, list[int], Tensor]:
    """The box of the points; one around most of them, with room for all that are not far from these; how many
    points there are, not finite and without a normal; and a sample of the points.
    """
    hull, read, sample = _Hull(), [0, 0, 0], []
    step = max(1, passes.stream.count // SAMPLE)
    for points, _, finite, oriented in passes.pieces():
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
    return box, Box(most.lower - room, most.upper + room), read, spread


def _scatter(passes: _Passes, nodes: Nodes, store: WorkDirectory) -> Nodes:
    """Write every point into the place of its node, in the order of the file; the nodes with their checksums."""
    place, checksums = nodes.starts.clone(), nodes.checksums.clone()
    with store.rows_into(POINTS_FILE, POINT_WIDTH) as put:
        for kept, units, *_ in passes.pieces():
            node = nodes.of_points(kept)
            if bool((node < 0).any()):
                raise CloudError("the file changed while it was read; leave it alone and run again")
            node, order = node.sort(stable=True)
            rows = torch.cat([kept, units], 1)[order].numpy()
            which, counts = node.unique_consecutive(return_counts=True)
            ends = counts.cumsum(0).tolist()
            for k, end, count in zip(which.tolist(), ends, counts.tolist(), strict=True):
                mine = rows[end - count : end]
                put(int(place[k]), mine)
                checksums[k] = zlib.crc32(mine.data, int(checksums[k]))
                place[k] += count
    if not torch.equal(place, nodes.starts + nodes.counts):
        raise CloudError("the file changed while it was read; leave it alone and run again")
    return replace(nodes, checksums=checksums)
