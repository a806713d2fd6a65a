"""How much a rotation of a cloud changes the error of its mesh: five flat and five round clouds in 24 poses.

    python benchmarks/rotations.py [--points 4000] [--grid 128] [--turns 24] [--clouds floor,board] [--device auto]

A third of the poses are rotations of a cube (the level one first), the others are random, by a seed. A row for each
cloud: the least, median and largest error (mean of the distances of mesh and truth from each other, in 1e-4 of the
truth's diagonal), their largest ratio, and the pose that it comes from. The last line is the largest ratio of all.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import warnings
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

import truths  # noqa: E402
from clouds import Cloud, sampled  # noqa: E402
from measures import measure  # noqa: E402

import neural_splines as ns  # noqa: E402

SAMPLES = 20_000  # of the judge, on each mesh


def sheet(heights: np.ndarray) -> truths.Shape:
    """A surface over the unit square from heights [n, n]."""
    n = len(heights)
    x, y = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, n), indexing="ij")
    corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).reshape(-1)
    faces = np.concatenate(
        [np.stack([corner, corner + n, corner + n + 1], 1), np.stack([corner, corner + n + 1, corner + 1], 1)]
    )
    return truths.Shape(np.stack([x, y, heights], 2).reshape(-1, 3), faces)


def road(n: int = 101) -> truths.Shape:
    """Flat, with a bump across."""
    return sheet(np.repeat(0.02 * np.exp(-((np.linspace(-6, 6, n)) ** 2))[:, None], n, 1))


# By name: the truth, and the standard deviation of the noise in diagonals. Flat ones first; all lie level.
CLOUDS = {
    "floor": (lambda: sheet(np.zeros((2, 2))), 0.01),
    "road": (road, 0.003),
    "waves": (truths.waves, 0.002),
    "board": (lambda: truths.box(1.0, 1.0, 0.1), 0.0),
    "plate": (lambda: truths.box(1.0, 0.7, 0.1), 0.005),
    "sphere": (lambda: truths.sphere(5), 0.0),
    "noisy sphere": (lambda: truths.sphere(5), 0.01),
    "torus": (truths.torus, 0.003),
    "vase": (truths.vase, 0.0),
    "bracket": (truths.bracket, 0.002),
}


def poses(count: int) -> list[np.ndarray]:
    """Rotations [3, 3], the first of which turns nothing."""
    rng, cube = np.random.default_rng(0), []
    for order, signs in itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)):
        turn = np.eye(3)[list(order)] * np.array(signs)[:, None]
        cube += [turn] if np.linalg.det(turn) > 0 else []
    found = cube[:: 24 // max(1, count // 3)][: max(1, count // 3)]
    while len(found) < count:
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        found.append(turn * np.sign(np.linalg.det(turn)))
    return found


def made(name: str, points: int) -> tuple[Cloud, truths.Shape]:
    rng, (shape, noise) = np.random.default_rng(list(CLOUDS).index(name)), CLOUDS[name]
    truth = shape()
    cloud = sampled(truth, points, rng)
    return Cloud(cloud.points + noise * truth.diagonal * rng.normal(size=cloud.points.shape), cloud.normals), truth


def error(cloud: Cloud, truth: truths.Shape, turn: np.ndarray, settings: ns.Settings) -> float:
    """Of the mesh of the turned cloud, turned back; infinite where there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ns.ReconstructionWarning)
            mesh = ns.reconstruct(cloud.points @ turn.T, cloud.normals @ turn.T, settings).mesh
    except ns.NeuralSplinesError:
        return float("inf")
    return measure((truth.vertices, truth.faces), (mesh.vertices @ turn, mesh.faces), SAMPLES).cd


def main(argv=None) -> None:
    options = parse(argv)
    settings, turns, worst = ns.Settings(grid_size=options.grid, device=options.device), poses(options.turns), 0.0
    print(f"{'cloud':14}{'least':>9}{'median':>9}{'largest':>9}{'ratio':>8}  pose")
    for name in options.clouds.split(","):
        errors = np.array([error(*made(name, options.points), turn, settings) for turn in turns])
        ratio = float(errors.max() / errors.min())
        worst = max(worst, ratio)
        least, median, most = 1e4 * np.array([errors.min(), np.median(errors), errors.max()])
        print(f"{name:14}{least:9.3f}{median:9.3f}{most:9.3f}{ratio:8.2f}  {errors.argmax()}", flush=True)
    print(f"largest ratio {worst:.2f}")


def parse(argv):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--points", type=int, default=4000, help="of each cloud (%(default)s)")
    p.add_argument("--grid", type=int, default=128, help="GRID_SIZE (%(default)s)")
    p.add_argument("--turns", type=int, default=24, help="poses of each (%(default)s)")
    p.add_argument("--clouds", default=",".join(CLOUDS), help="names by commas (%(default)s)")
    p.add_argument("--device", default="auto", help="(%(default)s)")
    return p.parse_args(argv)


if __name__ == "__main__":
    main()
