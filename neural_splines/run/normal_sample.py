"""What is decided of the whole before nodes get normals: how far apart points are, which side was seen.

Of a sample, every k-th point of all nodes. It is as large as a node, so that it takes no more memory than a task.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from ..cloud.distinct import distinct_points, merging_distance, separate_points
from ..cloud.sampling import Sampling
from ..errors import CloudError
from ..normals.estimate import Signed
from ..normals.evidence import SENSORS, Guidance, Known, decided, voted
from ..normals.graph import NEIGHBOURS, PointGraph
from ..normals.orient import device_of, guidance_of
from ..normals.sensors import turned_away
from ..runtime.monitor import Monitor
from .normals import NormalTasks, arrays_of, state_of

HALO = 3.5  # times as far as the farthest neighbour of a plane fit: 14 spacings of an even surface
SPACED = 300_000, 5_000  # points of some nodes, and how many of these say how far apart points are
COLUMNS, FEW = 64, 100  # along lines of sight, and the least number of points on a surface across one


def spaced(tasks: NormalTasks) -> NormalTasks:
    """With how close copies of a point are, and how far the neighbours of points reach, by the points of some nodes."""
    order = torch.randperm(len(tasks.nodes), generator=torch.Generator().manual_seed(0)).tolist()
    enough, probes = SPACED
    parts: list[torch.Tensor] = []
    while order and sum(map(len, parts)) < enough:
        points = torch.from_numpy(tasks.scan.scan_of(order.pop()).points)
        parts.append(points[distinct_points(points)])
    sampling = Sampling(torch.cat(parts))
    close = merging_distance(sampling)
    sampling = sampling.part(separate_points(sampling, close).nonzero()[:, 0])
    points = sampling.points
    count = min(NEIGHBOURS, len(points) - 1)
    if not count:
        raise CloudError("its points all coincide; a surface needs at least 2 distinct points")
    reach = sampling.near.nearest(points[:: max(1, len(points) // probes)], count + 1)[0][:, -1]
    return replace(tasks, close=close, halo=HALO * float(reach.median()))


def known_of_all(tasks: NormalTasks, monitor: Monitor) -> Known:
    """What is known of the sides of the whole, after a sample of it has its normals."""
    store = tasks.store
    if not store.has("sample"):
        parts = [arrays_of(store, f"thinned-{node}") for node in tasks.items]
        starts = np.cumsum([0, *(len(part["row"]) for part in parts)])
        rows = np.concatenate([part["row"] for part in parts])
        store.save("sample", starts=starts, row=rows, **_sample(tasks, parts, monitor))
        store.sync(["sample"])
    found = store.load("sample", "source", "doubts", "above", "at_origin", "own")
    lines = tuple(str(found["doubts"]).splitlines())
    above, at_origin, own = (bool(found[name]) for name in ("above", "at_origin", "own"))
    return Known(str(found["source"]), own=own, doubts=lines, above=above, at_origin=at_origin)


def _sample(tasks: NormalTasks, parts: list[dict[str, np.ndarray]], monitor: Monitor) -> dict[str, Any]:
    """The estimate of a sample of the whole. dipoles [s, 3]: normals times the area that each point stands for.

    side: +1 where the winding field has the sign of the normals, -1 where it has the other, as in a room. Where several
    sensors saw it also the confidence: parts do not know what stands before their points.
    """
    scan = tasks.scan.layout.scan(np.concatenate([part["told"] for part in parts]))
    guidance = guidance_of(scan, tasks.settings)

    def known_of(graph: PointGraph) -> Known:
        return voted(graph, guidance, decided(graph, guidance, partial(_columns, tasks, scan.points, graph, guidance)))

    signed = Signed.of(scan.points, guidance, device_of(tasks.settings.device), monitor, known_of)
    graph, known, normals = signed.graph, signed.known, signed.refined(guidance)
    if known.own and known.votes is not None:
        normals = np.where(turned_away(normals, known.votes)[:, None], -normals, normals)
    side = 1.0 if (normals * signed.votes.field).sum() >= 0.0 else -1.0
    dipoles = graph.in_input_order(tasks.step * graph.areas[:, None] * normals)
    judged = state_of(signed.judged(normals, guidance)) if known.source == SENSORS else {}
    return judged | {
        "dipoles": dipoles, "side": side, "source": known.source,
        "doubts": "\n".join(known.doubts), "above": known.above, "at_origin": known.at_origin, "own": known.own,
    }  # fmt: skip


def _columns(
    tasks: NormalTasks, sample: np.ndarray, graph: PointGraph, guidance: Guidance, place: np.ndarray | None
) -> Iterator[PointGraph]:
    """All points of the cloud within some columns through points of the sample; see `evidence.Columns`."""
    if tasks.step == 1:
        return
    starts = sample[(2 * np.arange(COLUMNS) + 1) * len(sample) // (2 * COLUMNS)]
    lines = np.tile(guidance.up, (COLUMNS, 1)) if place is None else starts - place
    lines = lines / np.maximum(np.linalg.norm(lines, axis=1, keepdims=True), 1e-300)
    across = max(FEW, len(sample) // COLUMNS)  # points of one surface
    radius = graph.spacing * np.sqrt(across / (np.pi * tasks.step))
    middle, reach = tasks.nodes.lower + 0.5 * tasks.nodes.sides[:, None], np.sqrt(0.75) * tasks.nodes.sides.numpy()
    met = np.stack([_from_line(middle.numpy(), *one) <= radius + reach for one in zip(starts, lines, strict=True)])
    found: list[list[np.ndarray]] = [[] for _ in lines]
    for node in np.flatnonzero(met.any(0)).tolist():
        points = tasks.scan.scan_of(node).points
        points = points[distinct_points(torch.from_numpy(points)).numpy()]
        for k in np.flatnonzero(met[:, node]):
            found[k].append(points[_from_line(points, starts[k], lines[k]) <= radius])
    for parts in found:
        points = np.concatenate(parts)
        if len(points) > NEIGHBOURS:
            yield PointGraph.of(points)


def _from_line(points: np.ndarray, start: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Distances [n] of points [n, 3] from the line through a point [3] along a unit vector [3]."""
    offset = points - start
    return np.linalg.norm(offset - (offset @ line)[:, None] * line, axis=1)
