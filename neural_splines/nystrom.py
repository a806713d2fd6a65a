"""Nyström centres: a subset, or cluster means, of the points that a spline is fitted to."""

from __future__ import annotations

import torch
from torch import Tensor

from .errors import SettingsError

KMEANS_ITERATIONS = 10  # the inertia falls by under 1 % in later ones


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
    """Indices [count] of a farthest-point sampling from a random start (bucketed k-d tree, `fpsample`)."""
    import fpsample

    first = int(torch.randint(len(points), (1,), generator=generator))
    height = max(1, min(9, (len(points) // 512).bit_length()))  # some hundreds of points a bucket
    coordinates = points.float().cpu().numpy()
    chosen = fpsample.bucket_fps_kdline_sampling(coordinates, count, height, start_idx=first)
    return torch.from_numpy(chosen.astype("int64"))


def _lloyd(points: Tensor, centers: Tensor) -> Tensor:
    """Means of the nearest points; k-d trees make an iteration n log m. An empty cluster keeps its centre."""
    from scipy.spatial import cKDTree

    cloud = points.cpu()
    means = centers.cpu().clone()
    for _ in range(KMEANS_ITERATIONS):
        nearest = torch.from_numpy(cKDTree(means.numpy()).query(cloud.numpy(), workers=-1)[1])
        count = torch.bincount(nearest, minlength=len(means)).double()
        total = torch.zeros_like(means).index_add_(0, nearest, cloud)
        means = torch.where(count[:, None] > 0, total / count.clamp_min(1)[:, None], means)
    return means.to(points.device)
