"""Numbers of vertices in a run in parts: attributes of the points around them, and how well points support them.

A vertex gets what it would get from all points of the file: the points around it are looked for as far away as they
count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

from ..cloud.octree import morton_codes
from ..surface.attributes import MEASURES, Attributes, distances, interpolated, quality_of
from . import trust_in_parts
from .blocks import Surroundings
from .orientation import NodePoints
from .partition import StoredPoints
from .plan import Plan
from .points import cleaned
from .trust import named

FIRST_MARGIN = 4.0  # typical spacings around places: there are nearly always all points that count
NODES_AT_ONCE = 12  # in memory
QUALITY_TYPE = np.dtype(np.float32)
Node = tuple[np.ndarray, np.ndarray]  # points [n, 3], and something of each [n]
Of = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def wanted(plan: Plan) -> bool:
    """Whether points have attributes."""
    return _stored(plan).records is not None


def paint(plan: Plan, block: int, device: str | None = None) -> None:
    """Store the attributes of a block's vertices."""
    packed = attributes_at(plan, _vertices(plan, block), device)
    plan.store.save(f"attributes-{block}", packed=packed.view(np.uint8))


def stored_as(quality: str) -> str:
    """What a quality of blocks is called in the store, where `support` is that of components."""
    return quality if quality in MEASURES else f"quality-{quality}"


def measure(shared: tuple[Plan, Surroundings, str], block: int, device: str | None = None) -> None:
    """Store one of the qualities of a block's vertices."""
    plan, around, quality = shared
    if quality not in MEASURES:
        found = trust_in_parts.numbers(plan, around, block, quality, device)
        plan.store.save(f"{stored_as(quality)}-{block}", values=found)
        return

    def load(node: int) -> Node:
        points = cleaned(plan.store, node).points.numpy()
        return points, np.zeros(len(points), np.uint8)

    def of(points: np.ndarray, _: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return quality_of(points, places, quality)

    values = _at_places(plan, _vertices(plan, block), load, of, QUALITY_TYPE)
    plan.store.save(f"{quality}-{block}", values=values)


def painted(plan: Plan, block: int, rows: np.ndarray, qualities: tuple[str, ...]) -> Attributes:
    """What the mesh has of some vertices of a block: attributes, where points have some, and qualities."""
    records, found = _stored(plan).records, Attributes()
    if records is not None:
        packed = plan.store.load(f"attributes-{block}")["packed"].numpy().view(records.type)
        found = records.unpack(packed[rows])
    if qualities:
        names = [f"{stored_as(quality)}-{block}" for quality in qualities]
        values = [plan.store.load(name)["values"].numpy()[rows] for name in names]
        found = replace(found, scalars={**found.scalars, **named(qualities, values)})
    return found


def colours_at(plan: Plan, places: np.ndarray) -> np.ndarray | None:
    """Colours [q, 3] of places [q, 3], where points have some."""
    records = _stored(plan).records
    return None if records is None or not records.colours else records.unpack(attributes_at(plan, places)).colours


def attributes_at(plan: Plan, places: np.ndarray, device: str | None = None) -> np.ndarray:
    """The records [q] of places [q, 3], by the points of the file that are no outliers."""
    source = _stored(plan)
    records = source.records
    assert records

    def load(node: int) -> Node:
        points, packed = source.scan_of(node).points, source.attributes_of(node)
        out = plan.store.load(f"points-{node}", "out")["out"].numpy()
        rows = distances(out, points) > 0.0 if len(out) else slice(None)
        return points[rows], packed[rows]

    def of(points: np.ndarray, packed: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found, far = interpolated(points, records.unpack(packed), places, device or "cpu")
        return records.pack(found), far

    return _at_places(plan, places, load, of, records.type)


def _stored(plan: Plan) -> StoredPoints:
    assert isinstance(plan.parts.source, NodePoints)
    return plan.parts.source.stored


def _vertices(plan: Plan, block: int) -> np.ndarray:
    found = plan.store.load(f"block-{block}", "vertices")
    return found["vertices"].numpy() if "vertices" in found else np.empty((0, 3))


def _at_places(plan: Plan, places: np.ndarray, load: Callable[[int], Node], of: Of, type_: np.dtype) -> np.ndarray:
    """Values [q] of that type at places [q, 3]. load: a node of points; of: values at places by such points, and how
    far those of these lie that count there.
    """
    result, load = np.empty(len(places), type_), lru_cache(NODES_AT_ONCE)(load)
    codes = morton_codes(plan.nodes.box, torch.from_numpy(places))
    nodes = (torch.searchsorted(plan.nodes.first, codes, right=True) - 1).clamp_min(0).numpy()
    for node in np.unique(nodes):
        rows = (nodes == node).nonzero()[0]
        result[rows] = _at_near_places(plan, places[rows], load, of, type_)
    return result


def _at_near_places(plan: Plan, places: np.ndarray, load: Callable[[int], Node], of: Of, type_: np.dtype) -> np.ndarray:
    """As above, of places that lie near each other: of those whose points may be farther, more are loaded."""
    assert plan.parts.median_spacing
    margin, box = FIRST_MARGIN * plan.parts.median_spacing, plan.nodes.box
    result, left = np.empty(len(places), type_), np.arange(len(places))
    while len(left):
        lower, upper = places[left].min(0) - margin, places[left].max(0) + margin
        points, values = _in_box(plan, lower, upper, load)
        found, far = of(points, values, places[left]) if len(points) else (result[left], np.full(len(left), np.inf))
        sure = far <= np.minimum(places[left] - lower, upper - places[left]).min(1)
        sure |= bool(np.all(lower <= box.lower.numpy()) and np.all(upper >= box.upper.numpy()))  # all there are
        result[left[sure]] = found[sure]
        left, far = left[~sure], far[~sure]
        margin = max(2.0 * margin, float(far.max(initial=0.0, where=np.isfinite(far))))
    return result


def _in_box(plan: Plan, lower: np.ndarray, upper: np.ndarray, load: Callable[[int], Node]) -> Node:
    """The points in a box, with what there is of each."""
    parts = [load(node) for node in plan.nodes.meeting(torch.from_numpy(lower), torch.from_numpy(upper))]
    rows = [np.all((points >= lower) & (points <= upper), axis=1) for points, _ in parts]
    points = [part[mask] for (part, _), mask in zip(parts, rows, strict=True)]
    values = [part[mask] for (_, part), mask in zip(parts, rows, strict=True)]
    return np.concatenate([np.empty((0, 3)), *points]), np.concatenate(values) if values else np.empty(0)
