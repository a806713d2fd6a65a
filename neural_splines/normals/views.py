"""Whether a cloud can have been seen from a place, or from above: then every ray meets one surface, and rays are even.

A scanner sees what is nearest. Of points beside each other in its image the depth changes little, unless one lies
behind an edge; of a closed thing that is looked at from elsewhere half of them jump from one side to the other. And its
rays are spread evenly over directions, however uneven the points are in space: that tells the centre of a room from the
centre of a ball.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..cloud.neighbours import Neighbours
from ..runtime.threads import limit
from .areas import AREA_RANK
from .graph import PointGraph

PROBES = 6_000  # points whose neighbours in the image are looked at
FIRST_LOOK = 20_000  # points of a thinned cloud, in which fewer depths jump: what fails in it fails in all
RANK, NEAREST = AREA_RANK, 3  # the neighbour that tells the spacing of rays, and those whose depth is compared
STEEP = 3.0  # a depth jumps where it changes so many times more than the place in the image
LEAST = 0.33  # of the spacing of rays: what is nearer counts as so far, since points have noise
LAYER, THICK = 16, 0.05  # neighbours that tell layers; their heights' deviation over their distance, at least
HOPELESS = 0.4  # single in a thinned cloud
INSIDE = 0.4  # length of the mean direction below which a place lies within the cloud; of half a ball .5


@dataclass(frozen=True)
class View:
    """single: share of neighbours in the image between which the depth does not jump. evenness: how the spacing of rays
    varies, over how that of points in space does; below 1 the rays are what is even. jump: the median of the changes of
    depth that are jumps, in spacings of the points. around: it is seen to all sides. kurtosis: of heights about planes
    through the nearest in the image; 1 where they lie in two layers of equal weight, 3 where they are normal.
    """

    single: float
    evenness: float
    jump: float = 0.0
    around: bool = False
    kurtosis: float = 3.0


NONE = View(0.0, np.inf)


def seen_closely(sample: PointGraph, columns: Iterable[PointGraph], view: Callable[[PointGraph], View]) -> View:
    """The view of a cloud by a sample of it, and by columns along lines of sight with all points in them.

    How depths jump depends on how near points are to each other; how even rays are, and whether they go to all sides,
    is asked of the whole.
    """
    whole = view(sample)
    if whole.single < HOPELESS:
        return whole
    near = [view(column) for column in columns]
    if not near:
        return whole
    jumps = [column.jump for column in near if column.jump]
    single = float(np.mean([column.single for column in near]))
    kurtosis = float(np.median([column.kurtosis for column in near]))
    return replace(whole, single=single, jump=float(np.median(jumps)) if jumps else 0.0, kurtosis=kurtosis)


def from_place(graph: PointGraph, place: np.ndarray) -> View:
    """Of the points of a graph, seen from a place [3] in its units."""
    ray, depth = _rays(graph.x, place)
    around = float(ray.mean(0).norm()) < INSIDE
    return _view(graph, ray, depth, depth, around) if float(depth.min()) > 0.0 else NONE


def hidden(graph: PointGraph, place: np.ndarray, rows: np.ndarray) -> float:
    """Of points of these rows, the share of their neighbours in the picture from a place [3] that lie before them."""
    few = slice(None, None, max(1, len(graph) // FIRST_LOOK))
    ray, depth = _rays(graph.x[few], place)
    asked = torch.zeros(len(graph), dtype=torch.bool)
    asked[torch.from_numpy(rows)] = True
    chosen = asked[few].nonzero()[:, 0].to(ray.device)
    chosen = chosen[_probes(len(chosen))]
    if len(depth) <= RANK or not len(chosen):
        return 0.0
    found, near, _ = _neighbours(ray, chosen)
    nearer = depth[chosen, None] - depth[found] > STEEP * near * depth[chosen, None]
    return float(nearer.double().mean())


def _rays(points: Tensor, place: np.ndarray) -> tuple[Tensor, Tensor]:
    """Unit vectors [n, 3] from a place to points, and how far [n] these are."""
    ray = points - torch.from_numpy(place).to(points)
    x, y, z = ray.unbind(1)
    depth = (x * x).addcmul_(y, y).addcmul_(z, z).sqrt_()
    return ray / depth.clamp_min(1e-300)[:, None], depth


def from_above(graph: PointGraph, up: np.ndarray) -> View:
    """Seen along parallel rays from the direction `up` [3]."""
    upwards = torch.from_numpy(up).to(graph.x)
    height = graph.x @ upwards
    image = graph.x - height[:, None] * upwards
    return replace(_view(graph, image, height, torch.ones_like(height), False), kurtosis=_kurtosis(image, height))


def _kurtosis(image: Tensor, height: Tensor) -> float:
    """The median, over probes, of the kurtosis of heights [n] about planes through LAYER neighbours in an image [n, 3];
    3 where most heights vary less than THICK, as of what is flat or in whole numbers.
    """
    if len(image) <= LAYER:
        return 3.0
    chosen = _probes(len(image)).to(image.device)
    far, found = _nearest(image, chosen, LAYER + 1)
    steps = (far, image[found] - image[chosen, None], height[found] - height[chosen, None])
    distance, flat, heights = (part.cpu().numpy() for part in steps)
    places = np.concatenate([flat, np.ones((*found.shape, 1))], 2)
    left = heights - (places @ (np.linalg.pinv(places) @ heights[..., None]))[..., 0]
    variance = left.var(1)
    thick = variance > (THICK * distance[:, -1]) ** 2
    if 2 * thick.sum() < len(thick):
        return 3.0
    return float(np.median((left[thick] ** 4).mean(1) / variance[thick] ** 2))


def _view(graph: PointGraph, image: Tensor, depth: Tensor, scale: Tensor, around: bool) -> View:
    """image [n, 3]: places whose distances, times scale [n], compare with depths [n]."""
    if len(image) <= RANK:
        return NONE
    for step in {max(1, len(image) // FIRST_LOOK), 1}:
        few = slice(None, None, step)
        single, jump, spacing = _compared(image[few], depth[few], scale[few])
        if single < HOPELESS:
            return View(single, np.inf, jump, around)
    there = graph.reach[_probes(len(image)).numpy()]
    return View(single, _spread(spacing) / max(_spread(there), 1e-12), jump, around)


def _compared(image: Tensor, depth: Tensor, scale: Tensor) -> tuple[float, float, np.ndarray]:
    """The share of the nearest in the image whose depth does not jump, how far it jumps elsewhere, and the spacing of
    rays at each probe.
    """
    chosen = _probes(len(image)).to(image.device)
    found, near, spacing = _neighbours(image, chosen)
    change = (depth[found] - depth[chosen, None]).abs()
    jumps = change[change > STEEP * near * scale[chosen, None]].cpu().numpy()
    return 1.0 - len(jumps) / change.numel(), float(np.median(jumps)) if len(jumps) else 0.0, spacing.cpu().numpy()


def _neighbours(image: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The NEAREST others in the image to each of the chosen, how far they are, at least LEAST of the spacing of rays,
    and that spacing: the distance of the neighbour of RANK.
    """
    distance, found = _nearest(image, chosen, RANK + 1)
    near = distance[:, 1 : NEAREST + 1].maximum(LEAST * distance[:, -1:])
    return found[:, 1 : NEAREST + 1], near, distance[:, -1]


def _nearest(image: Tensor, chosen: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Distances and indices of the nearest in the image to the chosen, which are few: a tree is made in haste."""
    if image.is_cuda:
        return Neighbours(image).nearest(image[chosen], count)
    from scipy.spatial import cKDTree

    places = image.numpy()
    tree = cKDTree(places, balanced_tree=False, compact_nodes=False)
    distance, found = tree.query(places[chosen.numpy()], count, workers=limit())
    return torch.from_numpy(distance), torch.from_numpy(found)


def _probes(count: int) -> Tensor:
    return torch.arange(0, count, max(1, count // PROBES))


def _spread(lengths: np.ndarray) -> float:
    """How far the middle two thirds of the logarithms of lengths lie apart."""
    low, high = np.quantile(lengths, [1 / 6, 5 / 6])
    return float(np.log(max(high, 1e-300) / max(low, 1e-300)))


def laser_rays(points: np.ndarray, angles: np.ndarray, strips: np.ndarray | None, up: np.ndarray) -> np.ndarray:
    """Directions [n, 3] to a laser that flew over in strips, by its scan angles [n] in degrees.

    The angle grows across a strip, so that the slope of a plane through the angles tells across from along; a strip in
    which they follow no plane is looked at from straight above.
    """
    rays = np.tile(np.asarray(up, float), (len(points), 1))
    level = points - (points @ up)[:, None] * up
    for strip in [None] if strips is None else np.unique(strips):
        rows = np.arange(len(points)) if strip is None else np.nonzero(strips == strip)[0]
        places, tilt = level[rows] - level[rows].mean(0), angles[rows]
        slope = np.linalg.lstsq(places, tilt - tilt.mean(), rcond=None)[0]
        left = tilt - tilt.mean() - places @ slope
        if left.var() < 0.5 * tilt.var() and np.abs(tilt).max() < 75.0:
            rays[rows] -= np.tan(np.radians(tilt))[:, None] * (slope / np.linalg.norm(slope))
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)
