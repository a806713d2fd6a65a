"""Meshes of surfaces that are known exactly, without a reconstruction."""

import numpy as np


def grid(rows, columns, around=(False, False)):
    """Triangles of a grid of vertices, closed where it goes around."""
    place = np.arange(rows * columns).reshape(rows, columns)
    for axis, closed in enumerate(around):
        place = np.concatenate([place, place[:1] if axis == 0 else place[:, :1]], axis) if closed else place
    a, b, c, d = (part.reshape(-1) for part in (place[:-1, :-1], place[1:, :-1], place[1:, 1:], place[:-1, 1:]))
    return np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])


def hills(n, height=0.05):
    """Vertices and faces of a square with two waves on it, z up."""
    x, y = (axis.reshape(-1) for axis in np.meshgrid(*2 * [np.linspace(0.0, 1.0, n)], indexing="ij"))
    z = height * (np.sin(9.0 * x + 4.0 * y) + 0.3 * np.sin(31.0 * y - 12.0 * x))
    return np.stack([x, y, z], 1), grid(n, n)


def ring(n, minor=0.4):
    """Vertices and faces of a torus around z, closed."""
    u, v = (axis.reshape(-1) for axis in np.meshgrid(*2 * [np.arange(n) * 2.0 * np.pi / n], indexing="ij"))
    out = 1.0 + minor * np.cos(v)
    return np.stack([out * np.cos(u), out * np.sin(u), minor * np.sin(v)], 1), grid(n, n, (True, True))


def places(vertices, faces, count, seed=0):
    """Random places of a mesh, as many on every face in the mean."""
    rng = np.random.default_rng(seed)
    a, b, c = np.moveaxis(vertices[faces[rng.integers(len(faces), size=count)]], 1, 0)
    u, v = rng.random((2, count, 1))
    root = np.sqrt(u)
    return (1.0 - root) * a + root * (1.0 - v) * b + root * v * c


def borders(vertices, faces):
    """The edges with one face, as the places of their ends: of a mesh in pieces whose vertices are doubled, too."""
    _, same = np.unique(vertices, axis=0, return_inverse=True)
    corners = same.reshape(-1)[faces]
    edges = np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]), axis=1)
    rows = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    _, first, counts = np.unique(edges, axis=0, return_index=True, return_counts=True)
    return vertices[rows[first[counts == 1]]]
