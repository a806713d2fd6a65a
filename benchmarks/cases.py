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
import spoilt
import truths
from clouds import Cloud, density, plane_normals, sampled, with_outliers
from scipy.spatial import cKDTree
from truths import Shape

DENSITY_RATIO = 20.0  # of the densest to the sparsest end of an uneven cloud
HOLE_RADIUS = 0.08  # D, of the balls without points
FIRST_SCANS = {  # files of a cloud and of its truth in the folder of data
    "bunny": ("bunny_oriented_36k", "bunny_gt"),
    "bunny-scan": ("bunny_rangescan_60k", "bunny_gt"),
    "anchor-scan": ("anchor_scan_85k", "anchor_gt"),
}
SRB = {  # the Surface Reconstruction Benchmark
    "srb-anchor": ("srb/anchor_scan_85k", "srb/anchor_gt"),
    "srb-daratech": ("srb/daratech_scan_61k", "srb/daratech_gt"),
    "srb-dc": ("srb/dc_scan_71k", "srb/dc_gt"),
    "srb-lordquas": ("srb/lordquas_scan_57k", "srb/lordquas_gt"),
}
SCANS = FIRST_SCANS | SRB
OPEN = ("bunny", "bunny-scan", "hemisphere", "waves", "vase")  # their truths have borders
INCOMPLETE = ("anchor-scan", "bunny-scan", *SRB)
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
class Case:
    """points: how many, 0 for all that a file has. noise: sigma of positions, parts of D. estimated: normals are those
    of planes fitted to the noisy points. outliers: random points for each of the cloud's. holes: balls without points.
    uneven: the density varies by DENSITY_RATIO along an axis. kind: one of spoilt.KINDS, which makes the cloud alone.
    """

    shape: str
    points: int = 0
    noise: float = 0.0
    estimated: bool = False
    outliers: float = 0.0
    holes: int = 0
    uneven: bool = False
    kind: str = ""
    data: Path | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        parts = [self.shape]
        parts += [f"noise{100 * self.noise:g}"] if self.noise else []
        parts += ["estimated"] if self.estimated else []
        parts += [f"outliers{100 * self.outliers:g}"] if self.outliers else []
        parts += ["holes"] if self.holes else []
        parts += ["uneven"] if self.uneven else []
        parts += [self.kind] if self.kind else []
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
        whole = self.shape not in INCOMPLETE and self.kind not in spoilt.INCOMPLETE
        return whole and not self.holes and not self.outliers

    @property
    def holed(self) -> bool:
        """Much of the surface has no points: only surfaces that close it can be compared."""
        return bool(self.holes) or self.kind == "void"

    @property
    def first(self) -> bool:
        """One of the 79 cases that were there before the kinds of spoilt.py and the benchmark of others' scans."""
        return not self.kind and self.shape not in SRB

    @property
    def clean(self) -> bool:
        return self.complete and not (self.noise or self.uneven or self.sparse or self.estimated or self.kind)

    @property
    def tags(self) -> list[str]:
        marks = {"clean": self.clean, "noise": self.noise, "estimated": self.estimated, "outliers": self.outliers}
        marks |= {"holes": self.holes, "uneven": self.uneven, "sparse": self.sparse, "scan": self.shape in INCOMPLETE}
        marks[self.kind.rstrip("0123456789.")] = self.kind
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
        if self.kind:
            return spoilt.KINDS[self.kind](truth, self.points, rng), truth
        cloud = self._read() if self.shape in (*SCANS, "knot") else None
        if cloud is None:
            cloud = sampled(truth, self.points, rng, DENSITY_RATIO if self.uneven else 1.0)
        elif self.uneven:
            cloud = cloud.keep(rng.random(len(cloud)) < density(cloud.points, truth, DENSITY_RATIO))
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
            return _mesh(self.files[1])
        return _shape(self.shape)

    def _read(self) -> Cloud:
        from neural_splines import load_point_cloud

        return Cloud(*load_point_cloud(self.files[0]))

    @property
    def files(self) -> list[Path]:
        """What it reads: the cloud and its truth, or the cloud, or nothing."""
        if self.shape in SCANS:
            return [self.data / f"{name}.ply" for name in SCANS[self.shape]]
        return [truths.ROOT / "examples" / "knot.ply"] if self.shape == "knot" else []


@cache
def _shape(name: str) -> Shape:
    return SHAPES[name]()


@cache
def _mesh(path: Path) -> Shape:
    from measures import welded

    from neural_splines.files.meshes import load_mesh

    return Shape(*welded(*(part.numpy() for part in load_mesh(path))))


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
    scans = [Case(name, data=data) for name in SRB] if data else []
    return first_cases(data) + spoilt_cases(data) + scans


def first_cases(data: Path | None) -> list[Case]:
    scans = [Case(name, data=data) for name in FIRST_SCANS] if data else []
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


def spoilt_cases(data: Path | None) -> list[Case]:
    """Each kind of spoilt.py for something smooth, something with sharp edges, an open sheet, and the bunny."""
    shapes = {
        "scan0.05": ("scales", "gear", "vase"),
        "scan0.2": ("scales", "gear", "vase"),
        "lines": ("torus", "gear", "waves"),
        "stripes": ("torus", "gear", "waves"),
        "uneven30": ("torus", "gear", "waves"),
        "quantised": ("knot", "gear", "vase"),
        "clumps": ("scales", "bracket", "vase"),
        "flipped": ("knot", "cube", "waves"),
        "laplace0.2": ("knot", "gear", "waves"),
        "void": ("scales", "gear", "torus"),
    }
    more = ("bunny",) if data else ()
    return [Case(shape, 20_000, kind=kind, data=data) for kind in shapes for shape in (*shapes[kind], *more)]
