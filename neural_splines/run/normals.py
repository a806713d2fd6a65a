"""Normals of points in nodes: a task for each node with a halo, and one that compares it with its neighbours.

What the tasks leave in the store: `thinned-K`, every k-th point of a node; `normals-K`, the estimate of a node
and of its halo, in pieces; `shared-K`, what its pieces and others say of each other by the points that both have;
`filled-K`, normals of a node of which the file lacks some.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
import torch

from ..cloud.distinct import distinct_points, separate_points
from ..cloud.octree import morton_order
from ..cloud.sampling import Sampling
from ..files.merging import stacked
from ..files.scans import ScannedCloud, rows_of
from ..normals.confidence import Confidence, Witnesses
from ..normals.estimate import FEWEST
from ..normals.evidence import Known
from ..normals.joining import shared
from ..normals.orient import device_of, guidance_of
from ..normals.parts import Part, Probes, estimate_part
from ..normals.patches import Pairs
from ..normals.repair import filled, has_normal
from ..settings import NormalSettings
from .layout import Layout
from .nodes import Nodes
from .store import Store

OF_COMPARED = ("row", "normals", "piece", "field", "halo_owner", "halo_row", "halo_piece", "halo_dipoles")
OF_PROBES = ("points", "piece", "areas", "rise")
NO_SCAN = ScannedCloud(np.empty((0, 3)), None)
SAID = tuple(f.name for f in fields(Witnesses))


class Scan(Protocol):
    """The points of a run as its file has them, with what it tells of them."""

    @property
    def layout(self) -> Layout:
        """How this lies in rows."""

    def scan_of(self, node: int) -> ScannedCloud:
        """Those of a node, which are finite."""


@dataclass(frozen=True)
class NormalTasks:
    """What tasks about the normals of nodes share. Can be pickled where its store can.

    step: every k-th point is one of a sample of the whole. close: points so close are one. halo: around a node,
    world units. decided: what is known of the sides of the whole.
    """

    store: Store
    scan: Scan
    nodes: Nodes
    settings: NormalSettings
    step: int
    close: float = 0.0
    halo: float = 0.0
    decided: Known = field(default_factory=Known)

    @property
    def items(self) -> range:
        """All nodes."""
        return range(len(self.nodes))


@dataclass(frozen=True)
class Gathered:
    """Distinct points of a node, `own` of them, and behind these those around it.

    owner [n], row [n]: the node of each, and its place among the points of that. repeated: points of the node that are
    where another is.
    """

    scan: ScannedCloud
    owner: np.ndarray
    row: np.ndarray
    own: int
    repeated: int


def thin(tasks: NormalTasks, node: int, device: str | None = None) -> None:
    """Store every k-th point of a node, evenly in space, with its row."""
    scan = tasks.scan.scan_of(node)
    points = torch.from_numpy(scan.points)
    distinct = distinct_points(points).nonzero()[:, 0]
    order = distinct[morton_order(tasks.nodes.box, points[distinct])]
    first = -int(tasks.nodes.starts[node]) % tasks.step  # as along the curve through all nodes
    rows = order[first :: tasks.step].sort().values.numpy()
    tasks.store.save(f"thinned-{node}", row=rows, told=tasks.scan.layout.rows(rows_of(scan, rows)))


def gathered(tasks: NormalTasks, node: int) -> Gathered:
    """The points of a node with its halo, without those that repeat others, as every node sees them."""
    own = tasks.scan.scan_of(node)
    scans, owners, rows = [], [], []
    for k, scan, inside in _near(tasks, node, own):
        index = inside[distinct_points(torch.from_numpy(scan.points[inside])).numpy()]
        scans.append(rows_of(scan, index))
        owners.append(np.full(len(index), k))
        rows.append(index)
    scan, owner, row = stacked(scans), np.concatenate(owners), np.concatenate(rows)
    keep = separate_points(Sampling(torch.from_numpy(scan.points)), tasks.close).numpy()
    return Gathered(
        rows_of(scan, keep), owner[keep], row[keep], int((owner[keep] == node).sum()), len(own.points) - len(rows[0])
    )


def _near(tasks: NormalTasks, node: int, own: ScannedCloud) -> Iterator[tuple[int, ScannedCloud, np.ndarray]]:
    """A node and those around it: the points of each, and which of these are within the halo."""
    lower, upper = (torch.from_numpy(end) for end in (own.points.min(0) - tasks.halo, own.points.max(0) + tasks.halo))
    for k in [node, *(k for k in tasks.nodes.meeting(lower, upper) if k != node)]:
        scan = own if k == node else tasks.scan.scan_of(k)
        inside = (scan.points >= lower.numpy()) & (scan.points <= upper.numpy())
        yield k, scan, np.flatnonzero(inside.all(1))


def estimate_node(tasks: NormalTasks, node: int, device: str | None = None) -> None:
    """Store the normals of a node and of its halo, and what is said of the signs of their pieces."""
    found = gathered(tasks, node)
    own, guidance = found.own, guidance_of(found.scan, tasks.settings)
    if len(found.owner) < FEWEST:  # points of no surface
        part = lone(len(found.owner), guidance.up)
    else:
        target = device or device_of(tasks.settings.device)
        part = estimate_part(found.scan.points, own, guidance, tasks.decided, tasks.step, target)
    probes = {f"probe_{name}": getattr(part.probes, name) for name in OF_PROBES}
    said = {f"said_{name}": getattr(part.probes.said, name) for name in SAID}
    p, q, weight = part.pairs
    tasks.store.save(
        f"normals-{node}", points=found.scan.points[:own], normals=part.normals[:own],
        row=found.row[:own], repeated=found.repeated, piece=part.piece[:own].astype(np.int32), clear=part.clear[:own],
        halo_owner=found.owner[own:], halo_row=found.row[own:], halo_piece=part.piece[own:].astype(np.int32),
        halo_dipoles=(part.areas[own:, None] * part.normals[own:]).astype(np.float32),
        p=p, q=q, weight=weight, field=part.field, evidence=part.evidence, noise=part.noise, **probes, **said,
    )  # fmt: skip


def fill_node(tasks: NormalTasks, node: int, device: str | None = None) -> None:
    """Store the normals of a node, of which its file lacks some; nothing where it has all."""
    own = tasks.scan.scan_of(node)
    assert own.normals is not None
    normals = own.normals[:0]
    if not has_normal(own.normals).all():
        around = stacked([rows_of(scan, inside) for _, scan, inside in _near(tasks, node, own)])
        assert around.normals is not None
        normals = filled(around.points, around.normals)[: len(own.points)]
    tasks.store.save(f"filled-{node}", normals=normals)


def state_of(c: Confidence) -> dict[str, Any]:
    """A confidence as arrays; `confidence_from` makes it again."""
    where = np.empty((0, 3)) if c.where is None else c.where
    return {
        "agreement": c.agreement, "continuity": c.continuity, "doubted": c.doubted, "where": where, "down": c.down,
    }  # fmt: skip


def confidence_from(state: dict[str, np.ndarray]) -> Confidence:
    """What `state_of` was made of."""
    agreement, continuity, down = (float(state[name]) for name in ("agreement", "continuity", "down"))
    return Confidence(agreement, continuity, state["doubted"], state["where"] if len(state["where"]) else None, down)


def lone(count: int, up: np.ndarray) -> Part:
    """The estimate of so few points that there is none: each looks up, is a piece, and says nothing."""
    none, zeros = np.empty(0), np.zeros(count)
    pairs = np.empty(0, np.int64), np.empty(0, np.int64), none
    said = Witnesses(none, none, np.empty(0, bool), np.empty(0, bool), 0.0, 0.0)
    probes = Probes(np.empty((0, 3)), np.empty(0, np.int64), none, none, said)
    return Part(
        np.tile(up, (count, 1)), zeros, np.arange(count), zeros.astype(np.int8), pairs, zeros, zeros, probes, 0.0
    )


def compare_node(tasks: NormalTasks, node: int, device: str | None = None) -> None:
    """Store what the pieces of a node say of those of its neighbours, and the sample of the whole of the pieces.

    Neighbours are compared at their own points, of which this node has some in its halo.
    """
    mine = arrays_of(tasks.store, f"normals-{node}", *OF_COMPARED)
    others, links = np.unique(mine["halo_owner"]).tolist(), list[Pairs]()
    for other in others:
        theirs = arrays_of(tasks.store, f"normals-{other}", "row", "normals", "piece")
        halo = np.flatnonzero(mine["halo_owner"] == other)
        here, there = _same(mine["halo_row"][halo], theirs["row"])
        here = halo[here]
        products = (mine["halo_dipoles"][here] * theirs["normals"][there]).sum(1)
        links.append(shared(mine["halo_piece"][here].astype(np.int64), theirs["piece"][there], products))
    p, q, weight = (np.concatenate([pairs[k] for pairs in links] or [np.empty(0)]) for k in range(3))
    tasks.store.save(
        f"shared-{node}", other=np.repeat(others, [len(pairs[0]) for pairs in links]).astype(np.int64),
        p=p.astype(np.int64), q=q.astype(np.int64), weight=weight, sample=_by_sample(tasks.store, node, mine),
    )  # fmt: skip


def _by_sample(store: Store, node: int, mine: dict[str, np.ndarray]) -> np.ndarray:
    """What the sample of the whole says of each piece of a node [p]."""
    sample = arrays_of(store, "sample", "starts", "row", "dipoles")
    part = slice(*sample["starts"][node : node + 2])
    here, there = _same(mine["row"], sample["row"][part])
    products = (mine["normals"][here] * sample["dipoles"][part][there]).sum(1)
    return np.bincount(mine["piece"][here], products, len(mine["field"]))


def _same(rows: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where rows [n] and ascending others [m] are the same: places in both."""
    place = np.searchsorted(others, rows)
    found = np.flatnonzero(place < len(others))
    found = found[others[place[found]] == rows[found]]
    return found, place[found]


def arrays_of(store: Store, name: str, *only: str) -> dict[str, np.ndarray]:
    """The values of a result as arrays."""
    return {key: np.asarray(values) for key, values in store.load(name, *only).items()}
