"""The scenes of benchmarks/scenes.py: what scanners deliver of places whose surface and sides are known.

A scene's random numbers come from its name, so that adding one changes no other. Half of the names are held out: no
constant is chosen by them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import scene_shapes as shapes
import truths
from clouds import sampled
from scipy.spatial import cKDTree
from truths import Shape


@dataclass(frozen=True)
class Scene:
    """A scan and the surface that it shows, whose faces are counterclockwise from the side that was seen.

    columns: what a file of that `kind` says of each point, x y z among them. camera [3]: where it was seen from, where
    the file's owner knows it; peers orient their normals by it. options: what our command is told by its owner.
    """

    columns: dict[str, np.ndarray]
    truth: Shape
    kind: str = "text"
    camera: np.ndarray | None = None
    options: dict = field(default_factory=dict)

    @property
    def points(self) -> np.ndarray:
        return np.stack([self.columns[axis] for axis in "xyz"], 1)


def scene(points: np.ndarray, truth: Shape, kind: str = "text", camera=None, options=None, **columns) -> Scene:
    columns = {**dict(zip("xyz", points.T, strict=True)), **columns}
    return Scene(columns, truth, kind, camera, options or {})


# -- from the air -------------------------------------------------------------------------------------


def airborne(rng, make, spacing=0.45, strips=((0.0, 0.0),), high=90.0, noise=0.03, kind="las", offset=(0, 0, 0), **how):
    """Strips (middle, tilt in degrees) along y over a place of `make(rng)`: solid, or solid and leaves.

    Half of the pulses that meet a crown leave a return in it, and of these two thirds go on to what is below.
    """
    made = make(rng)
    solid, leaves = made if isinstance(made, tuple) else (made, Shape(np.empty((0, 3)), np.empty((0, 3), int)))
    half, parts, eyes = 0.5 * np.ptp(solid.vertices[:, 0]), [], []
    for number, (middle, tilt) in enumerate(strips, 1):
        step = spacing * how.get("ratio", 1.0) ** (number - 1)
        n = int((2 * half / step) ** 2)
        x, y = (rng.random((2, n)) - 0.5) * 2 * half
        plane = middle - high * np.tan(np.radians(tilt))
        origin = np.stack([np.full(n, plane), y, np.full(n, high)], 1)
        ray = np.stack([x - plane, np.zeros(n), np.full(n, -high)], 1)
        ray /= np.linalg.norm(ray, axis=1, keepdims=True)
        ground, (first, _) = shapes.hits(solid, origin, ray)[0], shapes.hits(leaves, origin, ray)
        depth = first + rng.exponential(0.25, n)
        returned = np.isfinite(first) & (rng.random(n) < 0.7) & (depth < ground - 0.5)
        passes = np.isfinite(ground) & (~np.isfinite(first) | (rng.random(n) < 0.6))
        count = returned.astype(int) + passes
        angle = np.degrees(np.arctan2(ray[:, 0], -ray[:, 2]))
        for distance, mask, which in ((depth, returned, np.ones(n)), (ground, passes, count)):
            p = (origin + np.where(mask, distance, 0.0)[:, None] * ray)[mask] + noise * rng.normal(size=(mask.sum(), 3))
            parts.append(np.column_stack([p, which[mask], count[mask], angle[mask], np.full(mask.sum(), number)]))
        eyes += [(plane, at, high) for at in np.linspace(-half, half, 7)]
    table = np.concatenate(parts)
    truth = shapes.merged(shapes.seen(solid, np.array(eyes)), shapes.seen(leaves, np.array(eyes), solid))
    names = ("return_number", "number_of_returns", "scan_angle", "point_source_id")
    columns = dict(zip(names, table[:, 3:].T, strict=True)) if kind == "las" else {}
    options = {"aerial": True} if how.get("told") else {}
    truth = Shape(truth.vertices + np.asarray(offset, float), truth.faces, sharp=True)
    return scene(table[:, :3] + np.asarray(offset, float), truth, kind, options=options, **columns)


def thinned(rng, side: float, **how) -> Scene:
    """The same, one point a cube, nothing else known."""
    full = airborne(rng, kind="text", **how)
    kept = np.unique(np.floor(full.points / side).astype(int), axis=0, return_index=True)[1]
    return scene(full.points[np.sort(kept)], full.truth)


def leaning(rng, axis: int = 1, **how) -> Scene:
    """Terrain in axes in which z is not up."""
    full = airborne(rng, kind="text", **how)
    turn = lambda x: np.roll(x, axis - 2, axis=1)  # noqa: E731
    truth = Shape(turn(full.truth.vertices), full.truth.faces, sharp=True)
    return scene(turn(full.points), truth, options={"up": "xyz"[axis]})


# -- from stations ------------------------------------------------------------------------------------


def stations(rng, make, eyes, step=1.6, noise=0.002, known=True, lowest=-60.0, own_frame=False, kind="e57") -> Scene:
    """Scans in steps of so many degrees from each of the eyes; `known`: the file says where they were."""
    solid, parts = make(rng), []
    for eye in np.asarray(eyes, float):
        azimuth, elevation = np.meshgrid(
            np.radians(np.arange(0, 360, step) + step * rng.random()), np.radians(np.arange(lowest, 88, step))
        )
        ray = shapes.directions_of(azimuth.ravel(), elevation.ravel())
        distance, _ = shapes.hits(solid, np.tile(eye, (len(ray), 1)), ray)
        hit = np.isfinite(distance)
        length = distance[hit] + noise * rng.normal(size=hit.sum())
        place = np.tile(eye, (hit.sum(), 1))
        parts.append(np.column_stack([place + length[:, None] * ray[hit], place]))
    table, truth = np.concatenate(parts), shapes.seen(solid, np.asarray(eyes, float))
    views = dict(zip(("vx", "vy", "vz"), table[:, 3:].T, strict=True)) if known else {}
    if own_frame:
        shift = -np.asarray(eyes[0], float)
        truth = Shape(truth.vertices + shift, truth.faces, sharp=True)
        own = {name: 0.0 * table[:, 0] for name in ("vx", "vy", "vz")} if kind == "e57" else {}
        return scene(table[:, :3] + shift, truth, kind, np.zeros(3), **own)
    camera = np.asarray(eyes[0], float) if len(eyes) == 1 else None
    return scene(table[:, :3], truth, kind, camera, **views)


def depth_image(rng, make, eye, target=(0, 0, 0.2), width=170, height=130, lens=45.0, noise=5e-4, **how) -> Scene:
    """A camera at `eye`, in its own frame: x right, y down, z forward (`opengl`: y up, z backward).

    organised: the file has the default viewpoint. world: in the frame of the place; told: with its viewpoint.
    """
    solid, eye = make(rng), np.asarray(eye, float)
    forward = np.asarray(target, float) - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(forward, right), forward])
    scale = 2 * np.tan(np.radians(lens) / 2) / width
    v, u = np.meshgrid(np.arange(height) - height / 2 + 0.5, np.arange(width) - width / 2 + 0.5, indexing="ij")
    ray = np.stack([scale * u.ravel(), scale * v.ravel(), np.ones(u.size)], 1)
    length = np.linalg.norm(ray, axis=1)
    distance, _ = shapes.hits(solid, np.tile(eye, (len(ray), 1)), (ray @ axes) / length[:, None])
    hit = np.isfinite(distance)
    z = distance[hit] / length[hit]
    local = (z + noise * z * z * rng.normal(size=hit.sum()))[:, None] * ray[hit]
    truth = shapes.seen(solid, eye)
    middle = (truth.vertices[truth.faces].mean(1) - eye) @ axes.T
    pictured = (np.abs(middle[:, :2]) < 0.5 * scale * np.array([width, height]) * middle[:, 2:]).all(1)
    truth = Shape(truth.vertices, truth.faces[pictured], sharp=True)
    own = {name: np.zeros(hit.sum()) for name in ("vx", "vy", "vz")} if how.get("organised") else {}
    kind = "pcd" if how.get("organised") else "text"
    if how.get("world"):
        told = dict(zip(("vx", "vy", "vz"), np.tile(eye[:, None], hit.sum()), strict=True)) if how.get("told") else {}
        return scene(eye + local @ axes, truth, kind, eye if told else None, **told)
    flip = np.diag([1.0, -1.0, -1.0]) if how.get("opengl") else np.eye(3)
    truth = Shape((truth.vertices - eye) @ axes.T @ flip, truth.faces, truth.sharp)
    return scene(local @ flip, truth, kind, np.zeros(3), **own)


def spinning(rng, make, path, beams=32, low=-25.0, high=15.0, step=0.5, noise=0.01, known=True) -> Scene:
    """Rings of a spinning LiDAR from each place of its path; reach 60 m."""
    solid, parts, path = make(rng), [], np.asarray(path, float)
    for eye in path:
        azimuth, elevation = np.meshgrid(
            np.radians(np.arange(0, 360, step) + step * rng.random()), np.radians(np.linspace(low, high, beams))
        )
        ray = shapes.directions_of(azimuth.ravel(), elevation.ravel())
        distance, _ = shapes.hits(solid, np.tile(eye, (len(ray), 1)), ray)
        hit = distance < 60.0
        length = distance[hit] + noise * rng.normal(size=hit.sum())
        parts.append(np.column_stack([eye + length[:, None] * ray[hit], np.tile(eye, (hit.sum(), 1))]))
    table, truth = np.concatenate(parts), shapes.seen(solid, path)
    near = cKDTree(table[:, :3]).query(truth.vertices[truth.faces].mean(1))[0] < 2.0  # no ring reaches further
    truth = Shape(truth.vertices, truth.faces[near], sharp=True)
    views = dict(zip(("vx", "vy", "vz"), table[:, 3:].T, strict=True)) if known else {}
    if len(path) == 1:  # a scanner's own frame
        truth = Shape(truth.vertices - path[0], truth.faces, sharp=True)
        return scene(table[:, :3] - path[0], truth, "text", np.zeros(3))
    return scene(table[:, :3], truth, "ply" if known else "text", **views)


# -- lines, splats, leaves, whole things --------------------------------------------------------------


def line_scanner(rng, make, ratio: float, count=15_000, noise=2e-4) -> Scene:
    """Lines of points from above, `ratio` times as far apart as the points on a line."""
    solid = make(rng)
    low, high = solid.vertices.min(0), solid.vertices.max(0)
    step = float(np.sqrt((high - low)[:2].prod() / count / ratio))
    x, y = np.meshgrid(np.arange(low[0], high[0], step * ratio), np.arange(low[1], high[1], step), indexing="ij")
    y = y + step * rng.random((len(x), 1))
    origin = np.stack([x.ravel(), y.ravel(), np.full(x.size, high[2] + 1.0)], 1)
    distance, _ = shapes.hits(solid, origin, np.tile((0.0, 0.0, -1.0), (len(origin), 1)))
    hit = np.isfinite(distance)
    points = origin[hit] - distance[hit][:, None] * (0, 0, 1) + noise * rng.normal(size=(hit.sum(), 3))
    eye = np.append((low + high)[:2] / 2, high[2] + 1e3)
    return scene(points, shapes.seen(solid, eye), camera=eye)


def contours(rng, make, ratio: float, count=15_000) -> Scene:
    """Points along the cuts of a closed shape by level planes, `ratio` times as far apart as the points."""
    solid = make(rng)
    area = np.linalg.norm(truths._cross(solid.vertices, solid.faces), axis=1).sum() / 2
    step = float(np.sqrt(area / count / ratio))
    return scene(shapes.along_cuts(solid, (0, 0, 1), step * ratio, step, rng)[0], solid)


def splats(rng, make, count=15_000, noise=0.002) -> Scene:
    """Centres of splats: uneven, some off the surface; no normals, though what they leave is near it."""
    solid = make(rng)
    cloud = sampled(solid, count, rng, 8.0)
    off = noise * solid.diagonal * rng.standard_t(4, count)
    return scene(cloud.points + off[:, None] * cloud.normals, solid, "ply")


def whole(rng, make, count=15_000, noise=0.0, shift=(0, 0, 0)) -> Scene:
    """A closed thing from all sides."""
    solid = make(rng)
    solid = Shape(solid.vertices + np.asarray(shift, float), solid.faces, solid.sharp)
    cloud = sampled(solid, count, rng)
    return scene(cloud.points + noise * solid.diagonal * rng.normal(size=cloud.points.shape), solid)


def bush(rng, radius=1.0, count=9_000, leaf=0.05) -> Scene:
    """Leaves about the surface of a crown, and the ground around it."""
    solid = shapes.crown((0, 0, 1.6 * radius), radius, rng)
    ground, _ = shapes.relief(5 * radius, rng, 0.05)
    tree, floor = sampled(solid, count, rng), sampled(ground, count, rng)
    points = np.concatenate([tree.points - leaf * rng.exponential(1.0, count)[:, None] * tree.normals, floor.points])
    return scene(points, shapes.merged(solid, ground))


def held_out(name: str) -> bool:
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 0
