"""Oriented clouds of shapes that are known exactly, and a look at meshes."""

import numpy as np
import torch

from neural_splines.cloud.clouds import OrientedCloud


def sphere(n=2000, radius=1.0, center=(0.0, 0.0, 0.0)) -> OrientedCloud:
    """Evenly spread points of a sphere (a Fibonacci spiral) with exact normals."""
    i = np.arange(n) + 0.5
    z, phi = 1.0 - 2.0 * i / n, np.pi * (1.0 + 5.0**0.5) * i
    normals = np.stack([np.sqrt(1 - z * z) * np.cos(phi), np.sqrt(1 - z * z) * np.sin(phi), z], 1)
    return _cloud(np.asarray(center) + radius * normals, normals)


def torus(n=3000, major=1.0, minor=0.4, seed=0) -> OrientedCloud:
    """Area-uniform points of a torus around the z axis with exact normals."""
    rng = np.random.default_rng(seed)
    u, v, keep = rng.random((3, 4 * n)) * [[2 * np.pi], [2 * np.pi], [1.0]]
    chosen = keep < (major + minor * np.cos(v)) / (major + minor)
    u, v = u[chosen][:n], v[chosen][:n]
    normals = np.stack([np.cos(u) * np.cos(v), np.sin(u) * np.cos(v), np.sin(v)], 1)
    ring = np.stack([np.cos(u), np.sin(u), 0 * u], 1)
    return _cloud(major * ring + minor * normals, normals)


def knot(n=6000, minor=0.35, seed=0) -> OrientedCloud:
    """A tube around a trefoil knot: one closed surface of genus 1, far from convex."""
    rng = np.random.default_rng(seed)
    t, v = 2 * np.pi * np.arange(n) / n, 2 * np.pi * rng.random(n)
    curve = np.stack([np.sin(t) + 2 * np.sin(2 * t), np.cos(t) - 2 * np.cos(2 * t), -np.sin(3 * t)], 1)
    tangent = np.stack([np.cos(t) + 4 * np.cos(2 * t), -np.sin(t) + 4 * np.sin(2 * t), -3 * np.cos(3 * t)], 1)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    side = np.cross(tangent, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    normals = np.cos(v)[:, None] * side + np.sin(v)[:, None] * np.cross(tangent, side)
    return _cloud(curve + minor * normals, normals)


def hemisphere(n=3000) -> OrientedCloud:
    """The upper half of a sphere: an open surface."""
    whole = sphere(2 * n)
    top = whole.points[:, 2] > 0
    return OrientedCloud(whole.points[top], whole.normals[top])


def _cloud(points, normals) -> OrientedCloud:
    return OrientedCloud(torch.from_numpy(points), torch.from_numpy(normals))


def edges(faces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Distinct undirected edges and how many faces each has."""
    pairs = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).sort(1).values
    return torch.unique(pairs, dim=0, return_counts=True)


def is_watertight(faces: torch.Tensor) -> bool:
    """Every edge has exactly two faces, which run through it in opposite directions."""
    directed = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    once = len(torch.unique(directed, dim=0)) == len(directed)
    return once and bool((edges(faces)[1] == 2).all())


def euler_number(faces: torch.Tensor) -> int:
    return len(torch.unique(faces)) - len(edges(faces)[0]) + len(faces)


def volume(vertices: torch.Tensor, faces: torch.Tensor) -> float:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float((a * torch.linalg.cross(b, c)).sum() / 6)
