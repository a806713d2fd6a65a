"""The points of a file, cleaned and sorted into nodes on disk, in three passes that hold one piece at a time."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..clouds import CleaningReport, usable
from ..errors import CloudError
from ..files.streams import CloudStream
from ..files.work_directory import WorkDirectory
from ..geometry import Box
from ..runtime.monitor import Monitor
from ..runtime.threads import share_out
from .nodes import COUNTED_LEVEL, Nodes, counted_cubes
from .plan import PARTITION, POINT_WIDTH, POINTS_FILE, rows_of

OF_NODES = ("first", "level", "counts", "checksums")


@dataclass(frozen=True)
class Partition:
    """The nodes, the box of the points, and what cleaning dropped (repeated points are dropped later)."""

    nodes: Nodes
    box: Box
    report: CleaningReport


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
    whole = share_out(lambda node: rows_of(store, found.nodes, node) is not None, range(len(found.nodes)))
    return found if all(whole) else None


def _read(scale: float, store: WorkDirectory) -> Partition:
    found = {key: torch.from_numpy(values) for key, values in store.load(PARTITION).items()}
    box, (read, non_finite, zero) = Box(*found["box"]), found["read"].tolist()
    nodes = Nodes(box.scaled(scale), *(found[name] for name in OF_NODES))
    return Partition(nodes, box, CleaningReport(read, non_finite, zero, 0, int(nodes.counts.sum())))


def _make(stream: CloudStream, name: str, scale: float, most: int, store: WorkDirectory, monitor: Monitor) -> None:
    low, high = torch.full((2, 3), torch.inf, dtype=torch.float64)
    high = -high
    read = non_finite = zero = 0
    total = 3 * stream.count
    for points, normals in stream.pieces():
        kept, _, finite, oriented = _usable(points, normals)
        read += len(points)
        non_finite, zero = non_finite + int((~finite).sum()), zero + int((finite & ~oriented).sum())
        if len(kept):
            low, high = low.minimum(kept.amin(0)), high.maximum(kept.amax(0))
        monitor.progress(read, total)
    kept_count = read - non_finite - zero
    if kept_count < 2 or not bool((high > low).any()):
        raise CloudError(f"{name}: {kept_count} of its {read} points are usable; a surface needs at least 2 distinct")
    box = Box(low, high)
    scaled = box.scaled(scale)
    histogram, done = torch.zeros(8**COUNTED_LEVEL, dtype=torch.int64), read
    for points, normals in stream.pieces():
        kept, *_ = _usable(points, normals)
        histogram += torch.bincount(counted_cubes(scaled, kept), minlength=len(histogram))
        monitor.progress(done := done + len(points), total)
    nodes = Nodes.of(scaled, histogram, most)
    nodes = _scatter(stream, nodes, store, monitor)
    parts = {name: getattr(nodes, name) for name in OF_NODES}
    store.save(PARTITION, box=torch.stack([low, high]), read=np.array([read, non_finite, zero]), **parts)
    store.sync([PARTITION])


def _usable(points: np.ndarray, normals: np.ndarray) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return usable(torch.from_numpy(points), torch.from_numpy(normals))


def _scatter(stream: CloudStream, nodes: Nodes, store: WorkDirectory, monitor: Monitor) -> Nodes:
    """Write every point into the place of its node, in the order of the file; the nodes with their checksums."""
    place, done, total = nodes.starts.clone(), 2 * stream.count, 3 * stream.count
    checksums = nodes.checksums.clone()
    with store.rows_into(POINTS_FILE, POINT_WIDTH) as put:
        for points, normals in stream.pieces():
            kept, units, *_ = _usable(points, normals)
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
            monitor.progress(done := done + len(points), total)
    if not torch.equal(place, nodes.starts + nodes.counts):
        raise CloudError("the file changed while it was read; leave it alone and run again")
    return replace(nodes, checksums=checksums)
