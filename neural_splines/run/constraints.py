"""The constraints of a run in parts and its Nyström samples, node by node: the archive of --save-points."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..cells.splines import Splines
from ..files.arrays import save_arrays_in_parts
from ..geometry import offset_triples
from .cells import cells_of
from .plan import Plan
from .points import fitted, fitted_count

SIDES = 3  # on the surface, outside, inside: as `offset_triples` has them


def save_constraints(plan: Plan, path: str) -> None:
    """Write positions [3n, 3] and values [3n] of the constraints, surface, outside, inside; the Nyström samples [m, 3]
    of all cells; eps. World units.
    """
    count = SIDES * sum(fitted_count(plan, node) for node in range(len(plan.nodes)))
    samples = sum(len(part) for part in _samples(plan))
    save_arrays_in_parts(
        path,
        {
            "positions": ((count, 3), _constraints(plan, 0)),
            "values": ((count,), _constraints(plan, 1)),
            "nystrom_samples": ((samples, 3), _samples(plan)),
            "eps": ((), [np.array(plan.eps)]),
        },
    )


def _constraints(plan: Plan, which: int) -> Iterator[np.ndarray]:
    """Positions or values, side by side of the surface."""
    for side in range(SIDES):
        for node in range(len(plan.nodes)):
            cloud = fitted(plan, node)
            rows = slice(side * len(cloud), (side + 1) * len(cloud))
            yield offset_triples(cloud.points, cloud.normals, plan.eps)[which][rows].numpy()


def _samples(plan: Plan) -> Iterator[np.ndarray]:
    for node in range(len(plan.nodes)):
        found = cells_of(plan, node)
        if found is not None:
            yield Splines.of(found.cells, found.models).world_centers().numpy()
