"""The cases of benchmarks/quality.py: oriented clouds whose surface is known, clean and spoilt in ways that are known.

A case is a shape, a number of points, and what is done to them; its random numbers come from its name, so that adding
one changes no other. Lengths are parts of the diagonal D of the truth's box.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import truths
from scipy.spatial import cKDTree
from truths import Shape

NEIGHBOURS = 24  # of a plane fitted for a normal
DENSITY_RATIO = 20.0  # of the densest to the sparsest end of an uneven cloud
HOLE_RADIUS = 0.08  # D, of the balls without points
SCANS = {"bunny": "bunny_oriented_36k", "bunny-scan": "bunny_rangescan_60k", "anchor-scan": "anchor_scan_85k"}
OPEN = ("bunny", "bunny-scan", "hemisphere", "waves", "vase")  # their truths have borders
INCOMPLETE = ("anchor-scan", "bunny-scan")
SHAPES = {
    **{f.__name__.replace("_", "-"): f for f in (truths.sphere, truths.torus, truths.bracket, truths.gear)},
    **{f.__name__.replace("_", "-"): f for f in (truths.thin_shell, truths.nested, truths.scales, truths.gyroid)},
    **{f.__name__.replace("_", "-"): f for f in (truths.lattice, truths.spring, truths.hemisphere, truths.waves)},
    "vase": truths.vase,
    "knot": truths.example_knot,
    "cube": lambda: truths.box(1.0, 1.0, 1.0),
    "plate": lambda: truths.box(1.0, 0.8, 0.02),
}


@dataclass(frozen=True)
class Cloud:
    """Points and unit normals [n, 3]."""

    points: np.ndarray
    normals: np.ndarray

    def __len__(self) -> int:
        return len(self.points)

    def keep(self, mask: np.ndarray) -> Cloud:
        return Cloud(self.points[mask], self.normals[mask])


@dataclass(frozen=True)
class Case:
    """points: how many, 0 for all that a file has. noise: sigma of positions, parts of D. estimated: normals are those
    of planes fitted to the noisy points. outliers: random points for each of the cloud's. holes: balls without points.
    uneven: the density varies by DENSITY_RATIO along an axis.
    """

    shape: str
    points: int = 0
    noise: float = 0.0
    estimated: bool = False
    outliers: float = 0.0
    holes: int = 0
    uneven: bool = False
    data: Path | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        parts = [self.shape]
        parts += [f"noise{100 * self.noise:g}"] if self.noise else []
        parts += ["estimated"] if self.estimated else []
        parts += [f"outliers{100 * self.outliers:g}"] if self.outliers else []
        parts += ["holes"] if self.holes else []
        parts += ["uneven"] if self.uneven else []
        parts += [f"{self.points}"] if self.sparse else []
        return "_".join(parts)

    @property
    def sparse(self) -> bool:
        return self.points in (2_000, 10_000)

    @property
    def closed(self) -> bool:
        """The truth has no border."""
        return self.shape not in OPEN

    @property
    def complete(self) -> bool:
        """The cloud samples all of the truth, and nothing else."""
        return self.shape not in INCOMPLETE and not self.holes and not self.outliers

    @property
    def clean(self) -> bool:
        return self.complete and not (self.noise or self.uneven or self.sparse or self.estimated)

    @property
    def tags(self) -> list[str]:
        marks = {"clean": self.clean, "noise": self.noise, "estimated": self.estimated, "outliers": self.outliers}
        marks |= {"holes": self.holes, "uneven": self.uneven, "sparse": self.sparse, "scan": self.shape in INCOMPLETE}
        return [name for name, true in marks.items() if true] + ["closed" if self.closed else "open"]

    @property
    def held_out(self) -> bool:
        """A third of the cases, which no one looks at while choosing constants."""
        return hashlib.sha256(self.name.encode()).digest()[0] % 3 == 0

    @property
    def seed(self) -> int:
        return zlib.crc32(self.name.encode())

    def build(self) -> tuple[Cloud, Shape]:
        """The cloud and its truth, the same at every call."""
        rng, truth = np.random.default_rng(self.seed), self.truth()
        cloud = self._read() if self.shape in (*SCANS, "knot") else None
        if cloud is None:
            cloud = sampled(truth, self.points, rng, DENSITY_RATIO if self.uneven else 1.0)
        elif self.uneven:
            cloud = cloud.keep(rng.random(len(cloud)) < _density(cloud.points, truth, DENSITY_RATIO))
        if self.points and self.points < len(cloud):
            cloud = cloud.keep(np.sort(rng.permutation(len(cloud))[: self.points]))
        centres = cloud.points[rng.permutation(len(cloud))[: self.holes]]
        if self.holes:
            cloud = cloud.keep(cKDTree(centres).query(cloud.points)[0] > HOLE_RADIUS * truth.diagonal)
        if self.noise:
            cloud = Cloud(cloud.points + self.noise * truth.diagonal * rng.normal(size=(len(cloud), 3)), cloud.normals)
        if self.estimated:
            cloud = Cloud(cloud.points, plane_normals(cloud))
        return (with_outliers(cloud, self.outliers, rng) if self.outliers else cloud), truth

    def truth(self) -> Shape:
        if self.shape in SCANS:
            name = "anchor_gt" if self.shape == "anchor-scan" else "bunny_gt"
            return _mesh(self.data / f"{name}.ply")
        return _shape(self.shape)

    def _read(self) -> Cloud:
        from neural_splines import load_point_cloud

        path = truths.ROOT / "examples" / "knot.ply" if self.shape == "knot" else self.data / f"{SCANS[self.shape]}.ply"
        return Cloud(*load_point_cloud(path))


@cache
def _shape(name: str) -> Shape:
    return SHAPES[name]()


@cache
def _mesh(path: Path) -> Shape:
    from measures import welded

    from neural_splines.files.meshes import load_mesh

    return Shape(*welded(*(part.numpy() for part in load_mesh(path))))


def sampled(shape: Shape, count: int, rng: np.random.Generator, ratio: float = 1.0) -> Cloud:
    """Random points of the surface, uniform by area, or with a density that varies by `ratio` along the x axis."""
    a, b, c = (shape.vertices[shape.faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    weight = np.linalg.norm(cross, axis=1)
    most = np.concatenate([[0.0], np.cumsum(weight)])
    face = np.empty(0, int)
    points = np.empty((0, 3))
    weights = np.empty((0, 3))
    while len(points) < count:
        tries = 2 * count + 100
        new = np.searchsorted(most, rng.random(tries) * most[-1], side="right") - 1
        new = np.clip(new, 0, len(weight) - 1)
        r, t = np.sqrt(rng.random(tries)), rng.random(tries)
        inside = np.stack([1 - r, r * (1 - t), r * t], 1)
        x = np.einsum("nk,nkd->nd", inside, shape.vertices[shape.faces[new]])
        kept = rng.random(tries) < _density(x, shape, ratio)
        face, points = np.concatenate([face, new[kept]]), np.concatenate([points, x[kept]])
        weights = np.concatenate([weights, inside[kept]])
    face, points, weights = face[:count], points[:count], weights[:count]
    if shape.sharp:
        normals = cross[face]
    else:
        at_vertex = np.zeros_like(shape.vertices)
        for k in range(3):
            for axis in range(3):
                at_vertex[:, axis] += np.bincount(shape.faces[:, k], cross[:, axis], len(at_vertex))
        at_vertex /= np.maximum(np.linalg.norm(at_vertex, axis=1, keepdims=True), 1e-300)
        normals = np.einsum("nk,nkd->nd", weights, at_vertex[shape.faces[face]])
    return Cloud(points, normals / np.linalg.norm(normals, axis=1, keepdims=True))


def _density(points: np.ndarray, shape: Shape, ratio: float) -> np.ndarray:
    """From 1 down to 1 / ratio, geometrically along the x axis of the shape's box."""
    x = shape.vertices[:, 0]
    return ratio ** -((points[:, 0] - x.min()) / np.ptp(x))


def plane_normals(cloud: Cloud, count: int = NEIGHBOURS) -> np.ndarray:
    """Unit normals [n, 3] of the planes through each point's nearest points, on the side of the cloud's own normals."""
    near = cloud.points[cKDTree(cloud.points).query(cloud.points, count)[1]]
    near = near - near.mean(1, keepdims=True)
    normals = np.linalg.eigh(np.einsum("nki,nkj->nij", near, near))[1][:, :, 0]
    return np.where((normals * cloud.normals).sum(1, keepdims=True) < 0, -normals, normals)


def with_outliers(cloud: Cloud, share: float, rng: np.random.Generator) -> Cloud:
    """And `share` times as many random points with random normals, in the box of the cloud scaled by 1.2."""
    count = round(share * len(cloud))
    low, high = cloud.points.min(0), cloud.points.max(0)
    points = (low + high) / 2 + 1.2 * (rng.random((count, 3)) - 0.5) * (high - low)
    normals = rng.normal(size=(count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Cloud(np.concatenate([cloud.points, points]), np.concatenate([cloud.normals, normals]))


def fingerprint(cloud: Cloud, truth: Shape) -> list[float]:
    """Numbers that differ where two cases do, by more than the last digit of a sine, which machines do not share."""
    low, size = truth.vertices.min(0), truth.diagonal
    arrays = [(cloud.points - low) / size, cloud.normals, (truth.vertices - low) / size]
    values = [float(len(cloud)), float(len(truth.faces)), size]
    for array in (*arrays, arrays[2][truth.faces[:, 0]]):
        weights = 0.5 + np.arange(len(array)) * 2654435761 % 2**32 / 2**32  # the order matters, too
        values += (weights @ (array + 2.0) / len(array)).tolist()  # all terms positive: nothing cancels
    return values


def all_cases(data: Path | None) -> list[Case]:
    """Every case; those of the scans where their folder is given."""
    scans = [Case(name, data=data) for name in SCANS] if data else []
    clean = [
        ("knot", 0),
        ("sphere", 12_000),
        ("torus", 20_000),
        ("cube", 20_000),
        ("bracket", 20_000),
        ("gear", 30_000),
    ]
    clean += [("plate", 20_000), ("thin-shell", 30_000), ("nested", 30_000), ("scales", 40_000), ("gyroid", 40_000)]
    clean += [("lattice", 30_000), ("spring", 20_000), ("hemisphere", 15_000), ("waves", 20_000), ("vase", 15_000)]
    cases = scans + [Case(shape, points) for shape, points in clean]
    noisy = [("knot", 0), ("scales", 30_000), ("gear", 25_000)] + ([("bunny", 30_000)] if data else [])
    for shape, points in noisy:
        for noise in (0.001, 0.002, 0.005, 0.01):
            cases += [Case(shape, points, noise, estimated, data=data) for estimated in (False, True)]
    cases += [Case("torus", 20_000, 0.005), Case("waves", 20_000, 0.005), Case("lattice", 30_000, 0.002, True)]
    spoilt = [("knot", 0), ("gear", 30_000)] + ([("bunny", 30_000)] if data else [])
    cases += [Case(shape, n, outliers=share, data=data) for shape, n in spoilt for share in (0.01, 0.05)]
    cases += [Case("scales", 30_000, 0.002, outliers=0.01)]
    holed = [("knot", 0), ("scales", 40_000), ("torus", 20_000)] + ([("bunny", 30_000)] if data else [])
    cases += [Case(shape, n, holes=6, data=data) for shape, n in holed]
    uneven = [("torus", 15_000), ("scales", 30_000), ("cube", 15_000)] + ([("bunny", 0)] if data else [])
    cases += [Case(shape, n, uneven=True, data=data) for shape, n in uneven]
    sparse = ["knot", "scales", "gear", "torus"] + (["bunny"] if data else [])
    cases += [Case(shape, n, data=data) for shape in sparse for n in (2_000, 10_000)]
    return cases
