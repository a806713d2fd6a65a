"""Shapes that are known exactly, as meshes: clouds are drawn from them (`cases.py`), and results judged by them.

Every function returns a `Shape`. Smooth surfaces are dense meshes whose vertices lie on the surface; polyhedra are
exact. NumPy and scikit-image only, nothing random but by seed, so that any machine makes the same.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Shape:
    """Vertices [v, 3], faces [f, 3] seen counterclockwise from outside; sharp: normals are the faces', else smooth."""

    vertices: np.ndarray
    faces: np.ndarray
    sharp: bool = False

    @property
    def diagonal(self) -> float:
        return float(np.linalg.norm(np.ptp(self.vertices, axis=0)))


def sphere(level: int = 7) -> Shape:
    """Icosahedron, each of its faces divided into 4^level, on the unit sphere."""
    golden = (1 + 5**0.5) / 2
    v = np.array([(-1, golden, 0), (1, golden, 0), (-1, -golden, 0), (1, -golden, 0)], float)
    v = np.concatenate([v, np.roll(v, 1, 1), np.roll(v, 2, 1)])  # three golden rectangles
    near = np.linalg.norm(v[:, None] - v[None], axis=2) < 2.1
    i, j, k = np.nonzero(near[:, :, None] & near[:, None, :] & near[None])
    f = np.stack([i, j, k], 1)[(i < j) & (j < k)]
    f = np.where((_cross(v, f) * v[f[:, 0]]).sum(1)[:, None] > 0, f, f[:, ::-1])
    for _ in range(level):
        pairs, back = np.unique(np.sort(f[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1), axis=0, return_inverse=True)
        a, b, c = (len(v) + back.reshape(-1, 3)).T
        v = np.concatenate([v, v[pairs].mean(1)])
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        f = np.concatenate([np.stack(t, 1) for t in ((f[:, 0], a, c), (f[:, 1], b, a), (f[:, 2], c, b), (a, b, c))])
    return Shape(v, f)


def torus(major: float = 1.0, minor: float = 0.35) -> Shape:
    u, v = _angles(512), _angles(256)
    ring = major + minor * np.cos(v)
    parts = np.cos(u)[:, None] * ring, np.sin(u)[:, None] * ring, np.broadcast_to(minor * np.sin(v), (512, 256))
    return _outwards(Shape(np.stack(parts, -1).reshape(-1, 3), _grid(512, 256, True, True)))


def example_knot() -> Shape:
    """The surface of examples/knot.ply, by the closed form of examples/make_example.py."""
    made = make_example()
    t, psi = (x.ravel() for x in np.meshgrid(_angles(1440), _angles(138), indexing="ij"))
    c, c_t, _ = made.axis(t)
    n, b, _ = made.frame(t, c_t)
    r = made.tube_radius(t, psi)[0][:, None]
    points = c + r * (np.cos(psi)[:, None] * n + np.sin(psi)[:, None] * b)
    return _outwards(Shape(points, _grid(1440, 138, True, True)))


def make_example():
    """The module examples/make_example.py."""
    spec = importlib.util.spec_from_file_location("make_example", ROOT / "examples" / "make_example.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def box(*sides: float) -> Shape:
    outline = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float) * sides[:2]
    return _extruded(outline, np.array([(0, 1, 2), (0, 2, 3)]), sides[2])


def bracket() -> Shape:
    """An L, extruded."""
    outline = np.array([(1, 1), (1, 3), (0, 3), (0, 0), (3, 0), (3, 1)], float)  # seen whole from its inner corner
    return _extruded(outline, np.array([(0, k, k + 1) for k in range(1, 5)]), 1.2)


def gear(teeth: int = 14) -> Shape:
    """A spur wheel with a bore: ring of quadrilaterals between the teeth's outline and a circle."""
    angle = (_angles(teeth)[:, None] + np.array([0.0, 0.12, 0.38, 0.5, 0.75]) * 2 * np.pi / teeth).ravel()
    radius = np.tile([0.8, 1.0, 1.0, 0.8, 0.8], teeth)
    outer = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    inner = 0.35 * np.stack([np.cos(angle), np.sin(angle)], 1)
    n = len(angle)
    i, j = np.arange(n), (np.arange(n) + 1) % n
    cap = np.concatenate([np.stack([i, j, n + j], 1), np.stack([i, n + j, n + i], 1)])
    return _extruded(np.concatenate([outer, inner]), cap, 0.4)


def thin_shell(thickness: float = 0.03) -> Shape:
    """A wavy sheet of that thickness, 1.3 % of the diagonal: two height fields and a rim."""
    x, y, z = _waves(300)
    top, bottom = (np.stack([x, y, z + h], -1).reshape(-1, 3) for h in (thickness / 2, -thickness / 2))
    faces = _grid(300, 300)
    index = np.arange(300 * 300).reshape(300, 300)
    rim = np.concatenate([index[:-1, 0], index[-1, :-1], index[:0:-1, -1], index[0, :0:-1]])
    following, low = np.roll(rim, -1), 300 * 300
    side = np.concatenate(
        [np.stack([rim, following + low, following], 1), np.stack([rim, rim + low, following + low], 1)]
    )
    vertices, up = np.concatenate([top, bottom]), _cross(top, faces)[:, 2].sum() > 0
    faces = faces if up else faces[:, ::-1]
    if _cross(vertices, side)[:, 0] @ (vertices[side].mean(1)[:, 0]) < 0:
        side = side[:, ::-1]
    return Shape(vertices, np.concatenate([faces, faces[:, ::-1] + low, side]), sharp=True)


def nested() -> Shape:
    """A hollow ball: one shell in another, the inner one seen from within."""
    ball = sphere(6)
    inner = 0.7 * ball.vertices + np.array([0.1, 0.05, -0.08])
    return Shape(np.concatenate([ball.vertices, inner]), np.concatenate([ball.faces, ball.faces[:, ::-1] + len(inner)]))


def scales(seed: int = 5) -> Shape:
    """A ball with bumps of three sizes, the least 1 % of the diagonal wide."""
    ball, rng = sphere(7), np.random.default_rng(seed)
    radius = np.ones(len(ball.vertices))
    for count, width, height in ((6, 0.35, 0.18), (30, 0.12, 0.07), (150, 0.035, 0.025)):
        for direction in rng.normal(size=(count, 3)):
            distance = np.linalg.norm(ball.vertices - direction / np.linalg.norm(direction), axis=1)
            radius += height * np.exp(-0.5 * (distance / width) ** 2)
    return Shape(radius[:, None] * ball.vertices, ball.faces)


def gyroid() -> Shape:
    """The solid inside a gyroid, cut by a ball with rounded edges: a surface of many handles."""

    def f(x, y, z):
        g = np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x)
        return _smooth_max(0.7 * g, np.sqrt(x * x + y * y + z * z) - 6.5, 0.15)

    return _level_set(f, 6.9, 170)


def lattice() -> Shape:
    """A frame of 27 struts that meet in nodes, with rounded seams."""

    def f(x, y, z):
        near = [q - np.round(q) for q in (x, y, z)]
        struts = [np.hypot(near[i], near[j]) - 0.17 for i, j in ((0, 1), (1, 2), (2, 0))]
        joined = -_smooth_max(_smooth_max(-struts[0], -struts[1], 0.03), -struts[2], 0.03)
        cube = _smooth_max(_smooth_max(abs(x), abs(y), 0.02), abs(z), 0.02) - 1.25
        return _smooth_max(joined, cube, 0.02)

    return _level_set(f, 1.4, 155)


def spring(turns: float = 5.0, radius: float = 0.08) -> Shape:
    """A thin wire wound to a helix, with round ends."""
    t = np.linspace(0, 2 * np.pi * turns, 1600)
    a = np.linspace(0, np.pi / 2, 20)[1:-1]
    t = np.concatenate([np.full(18, t[0]), t, np.full(18, t[-1])])
    lift = radius * np.concatenate([-np.sin(a[::-1]), np.zeros(1600), np.sin(a)])
    width = radius * np.concatenate([np.cos(a[::-1]), np.ones(1600), np.cos(a)])
    pitch = 0.3 / (2 * np.pi)
    centre = np.stack([np.cos(t), np.sin(t), pitch * t], 1)
    along = np.stack([-np.sin(t), np.cos(t), np.full(len(t), pitch)], 1) / np.hypot(1, pitch)
    n = -np.stack([np.cos(t), np.sin(t), 0 * t], 1)
    b, psi = np.cross(along, n), _angles(90)
    ring = np.cos(psi)[:, None] * n[:, None] + np.sin(psi)[:, None] * b[:, None]
    points = (centre + lift[:, None] * along)[:, None] + width[:, None, None] * ring
    poles = centre[[0, -1]] + radius * np.array([-1.0, 1.0])[:, None] * along[[0, -1]]
    rows, i = len(t), np.arange(90)
    caps = [np.stack([np.full(90, rows * 90), (i + 1) % 90, i], 1)]
    caps += [np.stack([np.full(90, rows * 90 + 1), (rows - 1) * 90 + i, (rows - 1) * 90 + (i + 1) % 90], 1)]
    faces = _grid(rows, 90, False, True)
    if (_cross(points.reshape(-1, 3), faces) * ring[:-1, :].reshape(-1, 3).repeat(2, 0)).sum() < 0:
        faces = faces[:, ::-1]
    flat = np.concatenate([points.reshape(-1, 3), poles])
    caps = [
        c if (_cross(flat, c) * s).sum() > 0 else c[:, ::-1] for c, s in zip(caps, (-along[0], along[-1]), strict=True)
    ]
    return Shape(flat, np.concatenate([faces, *caps]))


def hemisphere() -> Shape:
    """The upper half of the unit sphere, open below."""
    a, u = np.linspace(0, np.pi / 2, 250)[1:], _angles(600)
    parts = np.sin(a)[:, None] * np.cos(u), np.sin(a)[:, None] * np.sin(u), np.cos(a)[:, None] + 0 * u
    i, pole = np.arange(600), 249 * 600
    cap = np.stack([np.full(600, pole), i, (i + 1) % 600], 1)
    v = np.concatenate([np.stack(parts, -1).reshape(-1, 3), [(0.0, 0.0, 1.0)]])
    f = _grid(249, 600, False, True)
    f = f if (_cross(v, f) * v[f[:, 0]]).sum() > 0 else f[:, ::-1]
    return Shape(v, np.concatenate([f, cap]))


def waves() -> Shape:
    """A height field over a square: an open sheet."""
    x, y, z = _waves(400)
    points, faces = np.stack([x, y, z], -1).reshape(-1, 3), _grid(400, 400)
    return Shape(points, faces if _cross(points, faces)[:, 2].sum() > 0 else faces[:, ::-1])


def vase() -> Shape:
    """A fluted tube, open at both ends."""
    z, u = np.linspace(-1, 1, 300), _angles(500)
    r = (0.5 + 0.15 * np.sin(3 * z))[:, None] + 0.03 * np.cos(9 * u)
    points = np.stack([r * np.cos(u), r * np.sin(u), z[:, None] + 0 * u], -1).reshape(-1, 3)
    faces = _grid(300, 500, False, True)
    outward = (_cross(points, faces) * points[faces[:, 0]])[:, :2].sum() > 0
    return Shape(points, faces if outward else faces[:, ::-1])


def _angles(n: int) -> np.ndarray:
    return 2 * np.pi * np.arange(n) / n


def _waves(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-0.8, 0.8, n), indexing="ij")
    return x, y, 0.15 * np.sin(3 * x) * np.cos(4 * y) + 0.03 * np.sin(14 * x + 5 * y)


def _grid(rows: int, columns: int, wrap_rows: bool = False, wrap_columns: bool = False) -> np.ndarray:
    """Faces [f, 3] of a grid of vertices [rows, columns]; two triangles a square, next to each other."""
    i, j = np.arange(rows if wrap_rows else rows - 1)[:, None], np.arange(columns if wrap_columns else columns - 1)
    a, b = i * columns + j, (i + 1) % rows * columns + j
    c, d = (i + 1) % rows * columns + (j + 1) % columns, i * columns + (j + 1) % columns
    return np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], 2).reshape(-1, 3)


def _cross(v: np.ndarray, f: np.ndarray) -> np.ndarray:
    return np.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]])


def _outwards(shape: Shape) -> Shape:
    """Turned so that the volume of a closed surface is positive."""
    volume = (shape.vertices[shape.faces[:, 0]] * _cross(shape.vertices, shape.faces)).sum()
    return shape if volume > 0 else Shape(shape.vertices, shape.faces[:, ::-1], shape.sharp)


def _extruded(outline: np.ndarray, cap: np.ndarray, height: float) -> Shape:
    """The prism over a polygon: points [k, 2], counterclockwise triangles [f, 3]. Its border gets walls."""
    n = len(outline)
    directed = cap[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    known = {tuple(edge) for edge in directed.tolist()}
    a, b = np.array([edge for edge in directed.tolist() if (edge[1], edge[0]) not in known]).T
    walls = np.concatenate([np.stack([a, b, b + n], 1), np.stack([a, b + n, a + n], 1)])
    vertices = np.concatenate([np.c_[outline, np.zeros(n)], np.c_[outline, np.full(n, height)]])
    return _outwards(Shape(vertices, np.concatenate([cap[:, ::-1], cap + n, walls]), sharp=True))


def _smooth_max(a, b, width: float):
    """The maximum with a rounded seam: equal to it where they differ by more than `width`."""
    blend = np.maximum(width - abs(a - b), 0.0) / width
    return np.maximum(a, b) + 0.25 * width * blend * blend


def _level_set(f, half_side: float, n: int) -> Shape:
    """{f = 0} by marching cubes over [-half_side, half_side]^3; vertices moved onto it along its gradient."""
    from skimage.measure import marching_cubes

    axis = np.linspace(-half_side, half_side * 1.003, n)  # off the symmetry of f: no value is exactly 0
    v, faces, _, _ = marching_cubes(f(*np.meshgrid(axis, axis, axis, indexing="ij")), 0.0)
    v = axis[0] + v.astype(float) * (axis[1] - axis[0])
    step = 1e-4 * half_side
    for _ in range(3):
        slope = np.stack([(f(*(v + e).T) - f(*(v - e).T)) / (2 * step) for e in step * np.eye(3)], 1)
        move = f(*v.T)[:, None] * slope / np.maximum((slope**2).sum(1, keepdims=True), 1e-12)
        v = v - np.clip(move, -0.2 * (axis[1] - axis[0]), 0.2 * (axis[1] - axis[0]))
    return _outwards(Shape(v, faces.astype(np.int64)))
