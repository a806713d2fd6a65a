"""The attributes of vertices in a run in parts.

A vertex gets what it would get from all points of the file: the points around it are looked for as far away as they
count.
"""

from __future__ import annotations

import numpy as np
import torch

from ..attributes import Attributes, distances, interpolated, reach
from .partition import StoredPoints
from .plan import Plan

FIRST_MARGIN = 4.0  # typical spacings around vertices: there are nearly always all points that count


def paint(plan: Plan, block: int, device: str | None = None) -> None:
    """Store the attributes of a block's vertices."""
    found = plan.store.load(f"block-{block}", "vertices")
    vertices = found["vertices"].numpy() if "vertices" in found else np.empty((0, 3))
    plan.store.save(f"attributes-{block}", packed=at_vertices(plan, vertices, _stored(plan)).view(np.uint8))


def painted(plan: Plan, block: int, rows: np.ndarray) -> Attributes:
    """The attributes of some vertices of a block, where points have some."""
    records = _stored(plan).records
    if records is None:
        return Attributes()
    packed = plan.store.load(f"attributes-{block}")["packed"].numpy().view(records.type)
    return records.unpack(packed[rows])


def _stored(plan: Plan) -> StoredPoints:
    assert isinstance(plan.parts.source, StoredPoints)
    return plan.parts.source


def at_vertices(plan: Plan, vertices: np.ndarray, source: StoredPoints) -> np.ndarray:
    """The records [v] of vertices [v, 3] from all points of the file but outliers, of which those around are loaded."""
    records, typical = source.records, plan.parts.typical
    assert records
    assert typical
    result, left = np.empty(len(vertices), records.type), np.arange(len(vertices))
    margin, whole = FIRST_MARGIN * typical, plan.nodes.box
    while len(left):
        places = vertices[left]
        lower, upper = places.min(0) - margin, places.max(0) + margin
        points, packed = _points_in(plan, lower, upper, source)
        everything = bool((lower <= whole.lower.numpy()).all() and (upper >= whole.upper.numpy()).all())
        far = reach(points, places)
        sure = far <= np.minimum(places - lower, upper - places).min(1)
        sure |= everything
        if sure.any() and len(points):
            result[left[sure]] = records.pack(interpolated(points, records.unpack(packed), places[sure]))
        left, far = left[~sure], far[~sure]
        margin = max(2.0 * margin, float(far.max(initial=0.0, where=np.isfinite(far))))
    return result


def _points_in(plan: Plan, lower: np.ndarray, upper: np.ndarray, source: StoredPoints) -> tuple[np.ndarray, np.ndarray]:
    """The points [n, 3] in a box that are no outliers, with their records [n]."""
    points, packed = [np.empty((0, 3))], []
    for node in plan.nodes.meeting(torch.from_numpy(lower), torch.from_numpy(upper)):
        own, attributes = source.points_of(node).points.numpy(), source.attributes_of(node)
        rows = np.all((own >= lower) & (own <= upper), axis=1).nonzero()[0]
        out = plan.store.load(f"points-{node}", "out")["out"].numpy()
        if len(out):
            rows = rows[distances(out, own[rows]) > 0.0]
        points.append(own[rows])
        packed.append(attributes[rows])
    return np.concatenate(points), np.concatenate(packed) if packed else np.empty(0)
