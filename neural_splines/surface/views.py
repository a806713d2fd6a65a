"""Where to look from next: viewpoints that see the uncertain part of a surface, the best first.

A view sees a face that looks at it, no more steeply than a scanner can tell, within its field of view, with nothing in
between. Views are taken greedily: each is the one that sees the most area which none before it sees. That reaches at
least 1 - 1/e of what the best choice of as many views sees.

Source: G. Nemhauser, L. Wolsey, M. Fisher, An analysis of approximations for maximizing submodular set functions,
Mathematical Programming 14, 1978.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..settings import GRAZING
from .rays import Rays

PAIRS = 50_000_000  # of a view and a face that are looked at, at most: faces stand for their neighbours above it
SINGLE = 1e-6  # of a ray: what single precision tells apart
GOLDEN = np.pi * (3.0 - 5.0**0.5)


@dataclass(frozen=True)
class View:
    """A place to look from, the unit direction to look in, the area that it sees and none before it sees, and the share
    of the uncertain area that it and those before it see.
    """

    position: tuple[float, float, float]
    direction: tuple[float, float, float]
    new_area: float
    share: float


@dataclass(frozen=True)
class Views(Sequence[View]):
    """Views, the best first. area: of the mesh; uncertain: of its faces that count as uncertain."""

    views: tuple[View, ...]
    area: float
    uncertain: float

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, place: Any) -> Any:
        return self.views[place]

    def report(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"area": self.area, "uncertain_area": self.uncertain, "views": [vars(view) for view in self.views]}

    def lines(self) -> list[str]:
        """A table."""
        lines = [f"{'view':>4} {'x':>12} {'y':>12} {'z':>12} {'new area':>12} {'share':>7}"]
        for k, view in enumerate(self.views, 1):
            at = " ".join(f"{value:12.6g}" for value in view.position)
            lines.append(f"{k:4} {at} {view.new_area:12.4g} {view.share:7.1%}")
        return lines


@dataclass(frozen=True)
class Scanner:
    """What a scanner sees. grazing: degrees between surface and ray, at least; field: degrees across the cone that it
    sees, None for all around.
    """

    grazing: float = GRAZING
    field: float | None = None


def around(vertices: np.ndarray, count: int, distance: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Places [count, 3] evenly on a sphere about the middle of the box of vertices [v, 3], and the unit directions from
    each to the middle. distance: from the middle; the diagonal of the box if it is None.
    """
    low, high = vertices.min(0), vertices.max(0)
    step = np.arange(count)
    z, turn = 1.0 - (2.0 * step + 1.0) / count, GOLDEN * step
    level = np.sqrt(1.0 - z * z)
    out = np.stack([level * np.cos(turn), level * np.sin(turn), z], 1)
    reach = float(np.linalg.norm(high - low)) if distance is None else distance
    return (low + high) / 2.0 + reach * out, -out


def ranked(
    vertices: np.ndarray, faces: np.ndarray, uncertain: np.ndarray, positions: np.ndarray, directions: np.ndarray,
    scanner: Scanner, most: int,
) -> Views:  # fmt: skip
    """At most so many of the places [p, 3] with unit directions [p, 3], by the area of uncertain faces (mask [f]).

    It ends where no place sees more.
    """
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(across, axis=1) / 2.0
    rows = np.flatnonzero(uncertain & (area > 0.0))
    total, whole = float(area[rows].sum()), float(area.sum())
    if not len(rows) or not len(positions):
        return Views((), whole, total)
    rows = rows[
        :: -(-len(rows) * len(positions) // PAIRS)
    ]  # as they come, in the order of the lattice, they lie evenly
    own = area[rows] * (total / area[rows].sum())
    rays, patches = Rays(vertices, faces), _Patches.of(corners[rows], across[rows])
    seen = np.stack([patches.seen(rays, *view, scanner) for view in zip(positions, directions, strict=True)])
    left, sum_ = np.ones(len(rows), bool), 0.0
    found: list[View] = []
    while len(found) < most:
        gain = seen[:, left] @ own[left]
        best = int(gain.argmax())
        if gain[best] <= 0.0:
            break
        sum_ += float(gain[best])
        place, direction = (tuple(part[best].tolist()) for part in (positions, directions))
        found.append(View(place, direction, float(gain[best]), sum_ / total))
        left &= ~seen[best]
    return Views(tuple(found), whole, total)


@dataclass(frozen=True)
class _Patches:
    """Faces [k]: their middles, unit normals [k, 3] and longest edges [k]."""

    middles: np.ndarray
    normals: np.ndarray
    edges: np.ndarray

    @classmethod
    def of(cls, corners: np.ndarray, across: np.ndarray) -> _Patches:
        edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(1)
        return cls(corners.mean(1), across / np.linalg.norm(across, axis=1, keepdims=True), edges)

    def seen(self, rays: Rays, eye: np.ndarray, direction: np.ndarray, scanner: Scanner) -> np.ndarray:
        """Mask [k] of the faces that a scanner at a place sees."""
        ray = self.middles - eye
        reach = np.linalg.norm(ray, axis=1)
        ray /= np.maximum(reach, 1e-300)[:, None]
        mask = -(ray * self.normals).sum(1) >= np.sin(np.radians(scanner.grazing))
        if scanner.field is not None and scanner.field < 360.0:
            mask &= ray @ direction >= np.cos(np.radians(scanner.field / 2.0))
        rows = np.flatnonzero(mask)
        _, met = rays.first(np.broadcast_to(eye, (len(rows), 3)), ray[rows])
        near = np.maximum(self.edges[rows], SINGLE * reach[rows])  # it meets the face, or one beside it
        mask[rows] = met > reach[rows] - near
        return mask
