"""Values at points, such as colours, carried to other places; how far those are from points, and how dense they lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..cloud.neighbours import SPACING_RANK, Neighbours

QUALITY = "quality"  # the name of a number that MeshLab and CloudCompare show as a colour ramp
NEAREST = 9  # points of which the farthest sets the radius and the others count
AT_ONCE = 1 << 18  # places
Device = torch.device | str


@dataclass(frozen=True)
class Attributes:
    """Of every point or vertex: colours [n, 3] uint8 where there are some, and further numbers [n] by name."""

    colours: np.ndarray | None = None
    scalars: Mapping[str, np.ndarray] = field(default_factory=dict)

    def of_rows(self, rows: np.ndarray) -> Attributes:
        """Those of some points."""
        colours = None if self.colours is None else self.colours[rows]
        return Attributes(colours, {name: values[rows] for name, values in self.scalars.items()})

    @classmethod
    def joined(cls, parts: Sequence[Attributes]) -> Attributes:
        """Those of all parts, one after another; all have the same."""
        colours = [part.colours for part in parts if part.colours is not None]
        scalars = {name: np.concatenate([part.scalars[name] for part in parts]) for name in parts[0].scalars}
        return cls(np.concatenate(colours) if colours else None, scalars)


def interpolated(
    points: np.ndarray, attributes: Attributes, places: np.ndarray, device: Device = "cpu"
) -> tuple[Attributes, np.ndarray]:
    """Attributes of places [q, 3] from those of points [n, 3], in their types, and how far the points lie that count
    there [q]: infinite where there are too few to tell. device: where the nearest points are looked for.

    As by `carry`; but whole numbers, such as classes, are those of the nearest point, of several the first.
    """
    fractions = {name: values for name, values in attributes.scalars.items() if values.dtype.kind == "f"}
    columns = [values.astype(np.float64)[:, None] for values in fractions.values()]
    columns += [] if attributes.colours is None else [attributes.colours.astype(np.float64)]
    near = _neighbours(points, device)
    values = torch.from_numpy(np.hstack([np.empty((len(points), 0)), *columns])).to(near.points)
    found, first, far = np.empty((len(places), values.shape[1])), np.empty(len(places), np.int64), np.empty(len(places))
    for rows, distance, index in _nearest(near, places):
        found[rows] = _means(distance, values[index]).cpu().numpy()
        first[rows] = torch.where(distance == distance[:, :1], index, len(points)).amin(1).cpu().numpy()
        far[rows] = distance[:, -1].cpu().numpy() if len(points) >= NEAREST else np.inf
    mixed = dict(zip(fractions, found.T, strict=False))
    scalars = {
        name: mixed[name].astype(values.dtype) if name in mixed else values[first]
        for name, values in attributes.scalars.items()
    }
    colours = None if attributes.colours is None else np.round(found[:, len(fractions) :]).astype(np.uint8)
    return Attributes(colours, scalars), far


def carry(points: np.ndarray, values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values [q, k] at places [q, 3]: means of those [n, k] at the nearest points [n, 3], with smooth weights.

    w_i = (1 - (d_i / R)^2)^2, with R the distance of the 9th nearest point: a point that comes near enough to count
    begins with the weight 0, so that the result is continuous; it stays within the range of the values. Those that are
    not finite do not count; where there are no others, the result is NaN.
    """
    return carrier(points, values)(places)


def carrier(points: np.ndarray, values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """`carry` from the same points to any places, again and again."""
    near = _neighbours(points)
    table = torch.from_numpy(np.asarray(values, np.float64))

    def carried(places: np.ndarray) -> np.ndarray:
        result = np.empty((len(places), values.shape[1]))
        for rows, distance, index in _nearest(near, places):
            result[rows] = _means(distance, table[index]).numpy()
        return result

    return carried


def _neighbours(points: np.ndarray, device: Device = "cpu") -> Neighbours:
    return Neighbours(torch.from_numpy(np.ascontiguousarray(points, np.float64)).to(device))


def _nearest(near: Neighbours, places: np.ndarray) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Places [q, 3] by and by, with the distances and the indices [m, k] of the NEAREST points, or of all."""
    for start in range(0, len(places), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        yield rows, *near.nearest(torch.from_numpy(places[rows]).to(near.points), NEAREST)


def _means(distance: Tensor, values: Tensor) -> Tensor:
    """The weighted means [m, c] of values [m, k, c] at such distances [m, k]."""
    radius = distance[:, -1:].clamp_min(1e-300)
    weight = (1.0 - (distance / radius).clamp_max(1.0).square()).square()
    weight[:, 0] += 1e-9  # where all are equally far
    there = weight[:, :, None] * values.isfinite()
    return (there * values.nan_to_num(0.0, 0.0, 0.0)).sum(1) / there.sum(1)  # 0 / 0 = NaN where there are none


def distances(points: np.ndarray, places: np.ndarray, device: Device = "cpu") -> np.ndarray:
    """Of places [q, 3] from the nearest of points [n, 3]."""
    near = _neighbours(points, device)
    return near.query(torch.from_numpy(places).to(near.points))[0].cpu().numpy()


def densities(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Points per unit of area near places [q, 3]: 6 within the distance to the 6th nearest, on a disc."""
    radius = Neighbours(torch.from_numpy(points)).query(torch.from_numpy(places), SPACING_RANK)[0].numpy()
    return min(SPACING_RANK, len(points)) / (math.pi * np.maximum(radius, 1e-150) ** 2)


# of `settings.QUALITIES`, and how many of the nearest points each depends on
MEASURES = {"distance": (distances, 1), "density": (densities, SPACING_RANK)}


def quality_of(points: np.ndarray, places: np.ndarray, measure: str) -> tuple[np.ndarray, np.ndarray]:
    """How well points [n, 3] support places [q, 3], by one of MEASURES, float32; and how far the points lie that count
    there [q]: infinite where there are too few to tell.
    """
    of, rank = MEASURES[measure]
    if len(points) < rank:
        return of(points, places).astype(np.float32), np.full(len(places), np.inf)
    far = Neighbours(torch.from_numpy(points)).query(torch.from_numpy(places), rank)[0].numpy()
    return of(points, places).astype(np.float32), far
