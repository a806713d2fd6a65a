"""Points in nodes with their normals: those of the file, looked at and repaired, or estimated ones.

Estimates are made node by node, in pieces; the signs of all pieces are decided together.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from ..cloud.clouds import OrientedCloud, usable
from ..errors import CloudError, said
from ..normals.advice import sign_warnings
from ..normals.checks import contradictions
from ..normals.confidence import Confidence, Witnesses
from ..normals.evidence import Known
from ..normals.joining import oriented, signs_of_pieces, whole_confidence
from ..normals.orient import guidance_of, unused_sides
from ..normals.parts import Probes
from ..normals.patches import chained
from ..normals.repair import repair_line, too_many
from ..runtime.monitor import Monitor
from ..settings import NormalSettings
from .normal_sample import known_of_all, spaced
from .normals import (
    NO_SCAN,
    OF_PROBES,
    SAID,
    NormalTasks,
    arrays_of,
    compare_node,
    confidence_from,
    estimate_node,
    fill_node,
    state_of,
    thin,
)
from .partition import Partition, StoredPoints
from .plan import Source
from .store import Store
from .workers import Workers, each

SAMPLE = 20_000  # points at least of the sample of the whole, which take less than a process at rest
OF_POINTS = ("points", "normals", "piece", "clear")
OF_GRAPH = ("p", "q", "weight", "field", "evidence", "noise")


@dataclass(frozen=True)
class NodePoints:
    """Points of nodes with normals, which are in a file of a work directory. flip: turn all normals round."""

    stored: StoredPoints
    flip: bool

    @property
    def store(self) -> Store:
        return self.stored.store


@dataclass(frozen=True)
class GivenNormals(NodePoints):
    """With the normals of their file. filled: those that it lacks are in the store."""

    filled: bool

    def points_of(self, node: int) -> OrientedCloud:
        scan = self.stored.scan_of(node)
        assert scan.normals is not None
        normals = arrays_of(self.store, f"filled-{node}")["normals"] if self.filled else scan.normals
        given = torch.from_numpy(normals if len(normals) else scan.normals)
        points, units, *_ = usable(torch.from_numpy(scan.points), given)
        return OrientedCloud(points, -units if self.flip else units)

    def repeated_in(self, node: int) -> int:
        return 0


@dataclass(frozen=True)
class EstimatedNormals(NodePoints):
    """With estimated normals. signs [p] of pieces, starts [k + 1] of those of each node. one_sided: as of a cloud."""

    signs: np.ndarray
    starts: np.ndarray
    one_sided: bool

    def points_of(self, node: int) -> OrientedCloud:
        found = arrays_of(self.store, f"normals-{node}", *OF_POINTS)
        sign = self.signs[self.starts[node] + found["piece"]].astype(np.float64)
        normals = torch.from_numpy(oriented(found["normals"], sign, found["clear"]))
        return OrientedCloud(torch.from_numpy(found["points"]), -normals if self.flip else normals, self.one_sided)

    def repeated_in(self, node: int) -> int:
        return int(arrays_of(self.store, f"normals-{node}", "repeated")["repeated"])


@dataclass(frozen=True)
class Estimated:
    """What is known of estimated normals. noise: the median of the nodes, in spacings."""

    known: Known
    confidence: Confidence
    noise: float


@dataclass(frozen=True)
class OrientedNodes:
    """Points with normals, how these were estimated (None: those of the file), and lines that a user should read."""

    source: Source
    estimated: Estimated | None
    notes: list[str] = field(default_factory=list)


def orient_nodes(
    found: Partition, settings: NormalSettings, store: Store, most: int, name: str, team: Workers, monitor: Monitor
) -> OrientedNodes:
    """The normals of the file, or estimated ones, as the settings say. most: of points at a time.

    `name` opens the message of a CloudError: too few points.
    """
    given, count = "normals" in found.source.layout.vectors, int(found.nodes.counts.sum())
    lines = [repair_line(found.lacking, count)] if given and found.lacking and settings.source != "estimate" else []
    tasks = NormalTasks(store, found.source, found.nodes, settings, -(-count // max(most, SAMPLE)))
    each(team, thin, tasks, tasks.store, "thinned", tasks.items, "neighbours", monitor)
    if given and settings.source != "estimate" and not too_many(found.lacking, count):
        return _given(tasks, found, lines, team, monitor)
    try:
        return _estimated(spaced(tasks), found.source, lines, team, monitor)
    except CloudError as error:
        raise CloudError(f"{name}: {said(error)}") from None


def _given(tasks: NormalTasks, found: Partition, lines: list[str], team: Workers, monitor: Monitor) -> OrientedNodes:
    """The normals of the file; what contradicts the points is found in a sample of the whole, as in a whole run."""
    if found.lacking:
        tasks = spaced(tasks)
        each(team, fill_node, tasks, tasks.store, "filled", tasks.items, "normals", monitor)
    told = [arrays_of(tasks.store, f"thinned-{node}", "told")["told"] for node in tasks.items]
    scan = found.source.layout.scan(np.concatenate(told))
    assert scan.normals is not None
    points, units, *_ = usable(torch.from_numpy(scan.points), torch.from_numpy(scan.normals))
    flip = tasks.settings.flip
    sample = OrientedCloud(points, -units if flip else units)
    notes = [*lines, *unused_sides(tasks.settings), *(contradictions(sample, scan.normals) if len(points) else [])]
    return OrientedNodes(GivenNormals(found.source, flip, bool(found.lacking)), None, notes)


def _estimated(
    tasks: NormalTasks, stored: StoredPoints, lines: list[str], team: Workers, monitor: Monitor
) -> OrientedNodes:
    tasks = replace(tasks, decided=known_of_all(tasks, monitor))
    settings, store = tasks.settings, tasks.store
    each(team, estimate_node, tasks, tasks.store, "normals", tasks.items, "normals", monitor)
    each(team, compare_node, tasks, tasks.store, "shared", tasks.items, "signs", monitor)
    if not store.has("signs"):
        store.save("signs", **_joined(tasks))
        store.sync(["signs"])
    found, known = arrays_of(store, "signs"), tasks.decided
    confidence = confidence_from(found)
    source = EstimatedNormals(stored, settings.flip, found["signs"], found["starts"], known.one_sided)
    notes = [*lines, *known.doubts, *sign_warnings(confidence, guidance_of(NO_SCAN, settings))]
    return OrientedNodes(source, Estimated(known, confidence, float(found["noise"])), notes)


def _joined(tasks: NormalTasks) -> dict[str, Any]:
    """The signs of all pieces, and how far they can be trusted."""
    store, count = tasks.store, len(tasks.nodes)
    parts = [arrays_of(store, f"normals-{node}", *OF_GRAPH) for node in range(count)]
    links = [arrays_of(store, f"shared-{node}") for node in range(count)]
    starts = np.cumsum([0, *(len(part["field"]) for part in parts)])
    within = [
        (first + part["p"], first + part["q"], part["weight"]) for first, part in zip(starts, parts, strict=False)
    ]
    between = [
        (first + link["p"], starts[link["other"]] + link["q"], link["weight"])
        for first, link in zip(starts, links, strict=False)
    ]
    pairs = chained([*within, *between])
    whole = arrays_of(store, "sample")
    field, evidence = (np.concatenate([part[name] for part in parts]) for name in ("field", "evidence"))
    sample = np.concatenate([link["sample"] for link in links])
    signs = signs_of_pieces(int(starts[-1]), pairs, sample, float(whole["side"]) * field, evidence)
    s, known = tasks.settings, tasks.decided
    unknown = not known.source and not s.inside
    confidence = whole_confidence(_probes(store, starts), signs, chained(between), known.own, unknown)
    if "agreement" in whole:
        confidence = min(confidence, confidence_from(whole), key=lambda one: one.agreement)
    noise = np.median([part["noise"] for part in parts])
    return state_of(confidence) | {"signs": signs.astype(np.int8), "starts": starts, "noise": noise}


def _probes(store: Store, starts: np.ndarray) -> list[Probes]:
    """Those of all nodes, with the numbers that their pieces have among all."""
    found = []
    for node, first in enumerate(starts[:-1]):
        names = [*(f"probe_{name}" for name in OF_PROBES), *(f"said_{name}" for name in SAID)]
        part = arrays_of(store, f"normals-{node}", *names)
        opinion, told, clear, torn, broken, total = (part[f"said_{name}"] for name in SAID)
        said = Witnesses(opinion, told, clear, torn, float(broken), float(total))
        found.append(
            Probes(part["probe_points"], first + part["probe_piece"], part["probe_areas"], part["probe_rise"], said)
        )
    return found
