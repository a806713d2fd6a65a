"""How the data support a surface: a number of every vertex, three classes, and the regions that were invented.

The number is phi (o + (1 - o) phi), phi = 1 - u / FAR, not below 0: u is the distance to the nearest point in spacings
of the points there, o the share that cells with points of their own have in the blend; the rest is that of coarser
ones, which go on where there are none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..cloud.metric import Metric
from ..components import components
from ..quantities import plain
from .trimming import GAP_SPACINGS, SMALL_GAP_SPACINGS

FAR = SMALL_GAP_SPACINGS  # where nothing supports it: no small gap is as deep
# Of cells with points: GAP_SPACINGS, at which a gap stays closed, whatever its size; and 4 spacings.
MEASURED, INVENTED = 1.0 - GAP_SPACINGS / FAR, 1.0 / 9.0
CLASSES = ("invented", "bridged", "measured")  # 0, 1 and 2
LISTED = 20  # regions


@dataclass(frozen=True)
class Region:
    """A connected part of the surface that was invented: its area, and the mean of its places, world units."""

    area: float
    place: tuple[float, float, float]


@dataclass(frozen=True)
class Support:
    """The area of each class, world units squared; how many regions were invented, and the largest of them."""

    measured: float
    bridged: float
    invented: float
    region_count: int
    regions: Sequence[Region]

    def summary(self) -> str:
        """One line."""
        total = max(self.measured + self.bridged + self.invented, 1e-300)
        parts = ", ".join(f"{getattr(self, name) / total:.1%} {name}" for name in reversed(CLASSES))
        if not self.regions:
            return parts
        first = self.regions[0]
        digits = min(max(1 - math.floor(math.log10(math.sqrt(max(first.area, 1e-30)))), 0), 9)  # a tenth of its side
        at, count = ", ".join(f"{round(value, digits) + 0.0:.{digits}f}" for value in first.place), self.region_count
        regions = "1 invented region" if count == 1 else f"{count:,} invented regions, the largest"
        return f"{parts}; {regions} of {plain(first.area)} at ({at})"

    def report(self) -> dict[str, Any]:
        return asdict(self)


def support(metric: Metric, share: Tensor, places: Tensor) -> Tensor:
    """The number [q] of places [q, 3], by the share [q] of cells with points of their own."""
    distance, spacing, _ = metric.nearest(places, 1.0, FAR)
    near = (1.0 - distance / (FAR * spacing)).clamp_min(0.0).nan_to_num()
    return near * (share + (1.0 - share) * near)


def classes(number: np.ndarray) -> np.ndarray:
    """Of every vertex [v] the place of its class in CLASSES, uint8."""
    return (number >= INVENTED).astype(np.uint8) + (number >= MEASURED)


@dataclass(frozen=True)
class Shares:
    """Of a mesh or a part of it: the area of each of CLASSES [3]; of its invented regions the areas [r] and the sums of
    area times place [r, 3]; region [v]: of each vertex, -1 where it is not invented.
    """

    area: np.ndarray
    size: np.ndarray
    moment: np.ndarray
    region: np.ndarray

    @staticmethod
    def joined(parts: Sequence[Shares], links: Sequence[Tensor] = ()) -> Support:
        """That of all parts. links [k, 2]: regions that are one, by their numbers among those of all parts."""
        size = np.concatenate([np.zeros(0), *(part.size for part in parts)])
        moment = np.concatenate([np.zeros((0, 3)), *(part.moment for part in parts)])
        if links:
            label = components(torch.cat([*links]), len(size)).unique(return_inverse=True)[1].numpy()
            size = np.bincount(label, size)
            moment = np.stack([np.bincount(label, moment[:, k]) for k in range(3)], 1)
        largest = [k for k in np.argsort(-size, kind="stable")[:LISTED] if size[k] > 0.0]
        regions = [Region(float(size[k]), tuple((moment[k] / size[k]).tolist())) for k in largest]
        invented, bridged, measured = np.sum([part.area for part in parts], axis=0).tolist()
        return Support(measured, bridged, invented, int((size > 0.0).sum()), regions)


def shares_of(vertices: np.ndarray, faces: np.ndarray, number: np.ndarray) -> Shares:
    """Of a mesh or a part of it. A third of a face's area is that of each of its corners."""
    kind, corners = classes(number), vertices[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2.0
    own = np.bincount(faces.ravel(), np.repeat(area / 3.0, 3), len(vertices))
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    rows = np.nonzero(kind == 0)[0]
    edges = edges[(kind[edges] == 0).all(1)]
    place = np.full(len(vertices), -1)
    place[rows] = np.arange(len(rows))
    label = components(torch.from_numpy(place[edges]), len(rows)).unique(return_inverse=True)[1].numpy()
    place[rows] = label
    moment = np.stack([np.bincount(label, own[rows] * vertices[rows, k]) for k in range(3)], 1)
    return Shares(np.bincount(kind, own, len(CLASSES)), np.bincount(label, own[rows]), moment, place)


def looked_at(vertices: np.ndarray, faces: np.ndarray, number: np.ndarray) -> Support:
    """What a mesh owes to its data."""
    return Shares.joined([shares_of(vertices, faces, number)])
