"""Support, curvature and the time that --quality takes, on shapes that are known.

    python benchmarks/trust.py [--data FOLDER] [--grid 96] [--only support,curvature,time]

support: clouds with holes and without a base, closed by fill_holes. auc: the area under the curve by which the number
tells vertices farther than two spacings from every point (hole), and those so far from the true surface (off), from all
others; named: the area that is not measured over the area of the mesh farther than 1.5 spacings from every point.
curvature: the median relative error of the mean curvature (and of the Gauss curvature) at the vertices, where the true
one is at least a tenth of the largest; beside it that of a quadric fitted to the nearest 24 vertices of the same mesh.
time: of a run, and of all numbers of --quality after it.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import numpy as np  # noqa: E402
from cases import all_cases  # noqa: E402
from measures import nearest  # noqa: E402
from scipy.spatial import cKDTree  # noqa: E402
from scipy.stats import rankdata  # noqa: E402

FITTED = 24  # vertices of a quadric
LARGE = 0.1  # of the largest curvature: smaller ones have no relative error to speak of


def reconstructed(points, normals, grid: int, **options):
    import neural_splines as ns

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ns.ReconstructionWarning)
        return ns.reconstruct(points, normals, grid_size=grid, **options)


def auc(score: np.ndarray, label: np.ndarray) -> float:
    """The probability that a labelled one has the larger score; NaN where none is, or all are."""
    ones = int(label.sum())
    if ones in (0, len(label)):
        return float("nan")
    return float((rankdata(score)[label].sum() - ones * (ones + 1) / 2) / (ones * (len(label) - ones)))


def support_rows(data: Path | None, grid: int) -> None:
    print("| case | auc, hole | auc, off | named | invented regions |\n|---|---|---|---|---|")
    for case in all_cases(data):
        if not case.holed:
            continue
        cloud, truth = case.build()
        result = reconstructed(cloud.points, cloud.normals, grid, fill_holes=True)
        v, f, number = result.mesh.vertices, result.mesh.faces, result.qualities("support")
        tree = cKDTree(cloud.points)
        spacing = np.median(tree.query(cloud.points, 7)[0][:, -1])
        far, off = tree.query(v)[0], nearest(v, truth.vertices, truth.faces)[0]
        area = np.linalg.norm(np.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]]), axis=1)
        own = np.bincount(f.ravel(), np.repeat(area, 3), len(v))
        named = own[number["support_class"] < 2].sum() / max(own[far > 1.5 * spacing].sum(), 1e-300)
        from neural_splines.surface.support import looked_at

        scores = [auc(-number["support"], distance > 2 * spacing) for distance in (far, off)]
        found = looked_at(v, f, number["support"])
        print(f"| {case.name} | {scores[0]:.4f} | {scores[1]:.4f} | {named:.3f} | {found.region_count} |", flush=True)


def shapes(rng: np.random.Generator):
    """Points, unit normals, mean and Gauss curvature as functions of places: name, points, normals, function."""
    n = 20_000
    z = rng.normal(size=(n, 3))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    yield "sphere", z, z, lambda x: (np.full(len(x), 1.0), np.full(len(x), 1.0))
    u, v = rng.uniform(0, 2 * np.pi, (2, 4 * n))
    keep = rng.random(4 * n) < (1 + 0.4 * np.cos(v)) / 1.4
    u, v = u[keep][:n], v[keep][:n]
    normals = np.stack([np.cos(u) * np.cos(v), np.sin(u) * np.cos(v), np.sin(v)], 1)
    ring = np.stack([np.cos(u), np.sin(u), 0 * u], 1)

    def of_torus(x):
        r = np.linalg.norm(x[:, :2], axis=1)
        cosine = (r - 1) / np.hypot(r - 1, x[:, 2])
        big = 1 + 0.4 * cosine
        return 0.5 * (1 / 0.4 + cosine / big), cosine / (0.4 * big)

    yield "torus", ring + 0.4 * normals, normals, of_torus
    xy = rng.uniform(-1, 1, (n, 2))
    a, w = 0.1, 2 * np.pi

    def height(x, y):
        sx, cx, sy, cy = np.sin(w * x), np.cos(w * x), np.sin(w * y), np.cos(w * y)
        return a * sx * sy, a * w * cx * sy, a * w * sx * cy, -a * w**2 * sx * sy, a * w**2 * cx * cy

    z, p, q, _, _ = height(*xy.T)
    normals = np.stack([-p, -q, np.ones(n)], 1)

    def of_bumps(x):
        _, p, q, r, s = height(x[:, 0], x[:, 1])
        root = 1 + p**2 + q**2
        mean = -((1 + q**2) * r - 2 * p * q * s + (1 + p**2) * r) / (2 * root**1.5)
        return mean, (r * r - s * s) / root**2

    yield "bumps", np.column_stack([xy, z]), normals / np.linalg.norm(normals, axis=1, keepdims=True), of_bumps


def quadric(v: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and Gauss curvature [v] of z = a x^2 + b x y + c y^2 + d x + e y fitted to the nearest vertices."""
    near = v[cKDTree(v).query(v, FITTED + 1)[1][:, 1:]] - v[:, None]
    side = np.cross(normals, np.eye(3)[np.abs(normals).argmin(1)])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    frame = np.stack([side, np.cross(normals, side), normals], 2)
    x, y, z = np.moveaxis(near @ frame, 2, 0)
    rows = np.stack([x * x, x * y, y * y, x, y], 2)
    a, b, c, d, e = np.moveaxis((np.linalg.pinv(rows) @ z[:, :, None])[:, :, 0], 1, 0)
    root = 1 + d * d + e * e
    mean = -((1 + e * e) * 2 * a - 2 * d * e * b + (1 + d * d) * 2 * c) / (2 * root**1.5)
    return mean, (4 * a * c - b * b) / root**2


def curvature_rows(grid: int) -> None:
    print("| shape | noise | mean | Gauss | quadric, mean | quadric, Gauss |\n|---|---|---|---|---|---|")
    for noise in (0.0, 0.001):
        rng = np.random.default_rng(0)
        for name, points, normals, true in shapes(rng):
            size = np.linalg.norm(np.ptp(points, axis=0))
            spoilt = points + noise * size * rng.normal(size=points.shape)
            result = reconstructed(spoilt, normals, grid)
            v, found = result.mesh.vertices, result.qualities("mean-curvature", "gauss-curvature")
            inner = np.abs(v[:, :2]).max(1) < 0.9 if name == "bumps" else np.ones(len(v), bool)
            ours = found["mean_curvature"], found["gauss_curvature"]
            errors = []
            for pair in (ours, quadric(v, result.mesh.normals)):
                for value, exact in zip(pair, true(v), strict=True):
                    rows = inner & (np.abs(exact) > LARGE * np.abs(exact[inner]).max())
                    errors.append(np.median(np.abs(value[rows] / exact[rows] - 1)))
            print(f"| {name} | {noise:.1%} | {' | '.join(f'{error:.2%}' for error in errors)} |", flush=True)


def time_rows(grid: int) -> None:
    columns = ("points", "vertices", "run, s", "support", "uncertainty", "curvature", "all over the run")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    _, points, normals, _ = [*shapes(np.random.default_rng(0))][1]
    for _ in range(2):  # the first compiles
        start = time.perf_counter()
        result = reconstructed(points, normals, grid)
        run, took = time.perf_counter() - start, []
        for quality in ("support", "uncertainty", "mean-curvature"):
            start = time.perf_counter()
            result.qualities(quality)
            took.append(time.perf_counter() - start)
    row = " | ".join(f"{seconds:.1f}" for seconds in (run, *took))
    print(f"| {len(points)} | {len(result.mesh.vertices)} | {row} | {1 + sum(took) / run:.2f} |")


def pictures(folder: Path) -> None:
    """trust_support.png and trust_uncertainty.png: a torus with a hole, whose points are the noisier the farther to the
    right.
    """
    from neural_splines.pictures.page import span
    from neural_splines.pictures.preview import preview
    from neural_splines.pictures.ramp import ramp

    rng = np.random.default_rng(0)
    _, points, normals, _ = [*shapes(rng)][1]
    points, normals = points[:8000], normals[:8000]
    keep = np.linalg.norm(points - [0.2, -1.0, 0.4], axis=1) > 0.35
    noise = 0.012 * (points[:, :1] + 1.4) / 2.8
    points, normals = (points + noise * rng.normal(size=points.shape))[keep], normals[keep]
    result = reconstructed(points, normals, 96, fill_holes=True)
    for name, values in result.qualities("support", "uncertainty").items():
        if name in ("support", "uncertainty"):
            low, high = span(name, values)
            shades = ramp((values - low) / (high - low))
            picture = preview(
                points, result.mesh.vertices, result.mesh.faces, colours=shades, up=np.eye(3)[2], size=200
            )
            (folder / f"trust_{name}.png").write_bytes(picture)


def main(argv=None) -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, metavar="FOLDER", help="scans with their truths; without it they are left out")
    p.add_argument("--grid", type=int, default=96, help="(%(default)s)")
    p.add_argument("--only", default="support,curvature,time", metavar="NAMES", help="by commas (%(default)s)")
    p.add_argument("--pictures", type=Path, metavar="FOLDER", help="write the pictures of docs/trust.md, and end")
    options = p.parse_args(argv)
    if options.pictures:
        pictures(options.pictures)
        return
    if "support" in options.only:
        support_rows(options.data, options.grid)
    if "curvature" in options.only:
        curvature_rows(options.grid)
    if "time" in options.only:
        time_rows(options.grid)


if __name__ == "__main__":
    main()
