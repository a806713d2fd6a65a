"""Nyström centres: a subset, or cluster means, of the points that a spline is fitted to."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..cloud.octree import morton_order
from ..errors import SettingsError
from ..geometry import Box
from ..runtime.threads import limit

CENTERS_PER_ROOT = 30  # centres for sqrt(constraints): the literature says 10 to 100
KMEANS_ITERATIONS = 10  # the inertia falls by under 1 % in later ones


def enough_centers(constraints: int) -> int:
    """How many centres a spline with that many constraints needs: CENTERS_PER_ROOT sqrt(constraints), or all."""
    return min(constraints, math.ceil(CENTERS_PER_ROOT * math.sqrt(constraints)))


def choose_centers(points: Tensor, count: int, mode: str, generator: torch.Generator) -> Tensor:
    """`count` centres for points [n, 3] in float64: all of them where count >= n.

    random: uniform without replacement. blue-noise: farthest-point sampling, an evenly spread subset.
    k-means: Lloyd's means started from blue noise.
    """
    if count >= len(points):
        return points
    if mode == "random":
        chosen = torch.randperm(len(points), generator=generator)[:count]
        return points[chosen.to(points.device)]
    if mode == "blue-noise":
        return points[farthest_points(points, count, generator).to(points.device)]
    if mode == "k-means":
        start = points[farthest_points(points, count, generator).to(points.device)]
        return _lloyd(points, start)
    raise SettingsError(f"nystrom mode must be random, blue-noise or k-means, got {mode!r}")


def farthest_points(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Indices [count] of a farthest-point sampling of points [n, 3] from a random start.

    Every point keeps its distance to the nearest chosen one; the farthest is chosen next. Points lie in
    buckets along a space-filling curve; a bucket is visited only if the new point can be nearer to one
    of its points than what it has, by its bounding box (Han et al., QuickFPS, 2023).
    """
    first = int(torch.randint(len(points), (1,), generator=generator))
    if points.is_cuda and (sample_on_gpu := _gpu_sampler()):
        return sample_on_gpu(points, count, first)
    from .farthest import sample

    box = Box.around(points)
    order = morton_order(box, points.cpu())
    place = order.argsort()
    chosen = sample(points.cpu()[order].contiguous().numpy(), count, int(place[first]))
    return order[torch.from_numpy(chosen)]


def _gpu_sampler() -> Callable[[Tensor, int, int], Tensor] | None:
    """The sampler of farthest_triton.py, where there is a Triton that works."""
    try:
        from .farthest_triton import sample
    except Exception:  # a broken optional package may raise anything on import
        return None
    return sample


def _lloyd(points: Tensor, centers: Tensor) -> Tensor:
    """Means of the nearest points; k-d trees make an iteration n log m. An empty cluster keeps its centre.

    On the CPU for every device: 0.4 s an iteration at 450,000 points and 10,000 means on two cores.
    """
    from scipy.spatial import cKDTree

    cloud = points.cpu()
    means = centers.cpu().clone()
    for _ in range(KMEANS_ITERATIONS):
        nearest = torch.from_numpy(cKDTree(means.numpy()).query(cloud.numpy(), workers=limit())[1])
        count = torch.bincount(nearest, minlength=len(means)).double()
        total = torch.zeros_like(means).index_add_(0, nearest, cloud)
        means = torch.where(count[:, None] > 0, total / count.clamp_min(1)[:, None], means)
    return means.to(points.device)
