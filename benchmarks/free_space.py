"""How many rays of simulated scanners pierce the mesh, and how exact is it, without --free-space and with it?

    python benchmarks/free_space.py [--data FOLDER] [--grid 96] [--shapes bunny,knot,gear,torus] [--scans ten,half]

ten: orthographic range images from ten directions (`spoilt.scanned`: .05 % noise), open where no one looked. half:
three images from one side, with twelve holes torn into them, closed by fill_holes: what closes it is all invented, and
must not cross what was looked through. A ray pierces where it meets the mesh farther than two spacings (distances to
the 6th neighbour) before its end. cd: mean distance in both directions, 1e-4 of the truth's diagonal.
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
import scene_shapes  # noqa: E402
import spoilt  # noqa: E402
import truths  # noqa: E402
from measures import judged  # noqa: E402
from scipy.spatial import cKDTree  # noqa: E402
from truths import Shape  # noqa: E402

NOISE = 0.0005  # D
HALF = scene_shapes.directions_of(np.array([-0.6, 0.0, 0.6]), np.array([0.1, 0.3, 0.1]))
HOLES, HOLE = 12, 0.05  # how many are torn; their radius, D
BACK = 2.0  # spacings
SAMPLES = 100_000
SMOOTHING = {"regularization": 1e-6, "points_per_cell": 200}
SHAPES = {"knot": truths.example_knot, "torus": truths.torus, "gear": truths.gear, "bracket": truths.bracket}


def scans(shape: Shape, backs: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, normals and sensors [n, 3] of range images from some directions."""
    middle, found = (shape.vertices.min(0) + shape.vertices.max(0)) / 2, []
    for back in backs:
        image = spoilt.range_image(shape, middle, back, rng, NOISE * shape.diagonal)
        points, normals = spoilt.image_normals(image, back, spoilt.PIXEL * shape.diagonal)
        found.append((points, normals, points + shape.diagonal * back))
    points, normals, sensors = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return points, normals, sensors


def torn(points: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
    """Mask [n] of the points outside of some balls about points."""
    middles = points[rng.integers(len(points), size=HOLES)]
    return cKDTree(middles).query(points)[0] > HOLE * size


def pierced(mesh, points: np.ndarray, sensors: np.ndarray) -> float:
    """The share of the rays that meet the mesh before their ends."""
    from neural_splines.surface.rays import Rays

    spacing = cKDTree(points).query(points, 7)[0][:, -1]
    length = np.linalg.norm(points - sensors, axis=1)
    _, met = Rays(mesh.vertices, mesh.faces).first(sensors, (points - sensors) / length[:, None])
    return float((met < length - BACK * spacing).mean())


def main(argv=None) -> None:
    import neural_splines as ns

    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, metavar="FOLDER", help="with bunny_gt.ply; without it there is no bunny")
    p.add_argument("--grid", type=int, default=96, help="(%(default)s)")
    p.add_argument("--shapes", default="bunny,knot,gear,torus", help="by commas (%(default)s)")
    p.add_argument("--scans", default="ten,half", help="by commas (%(default)s)")
    options = p.parse_args(argv)
    warnings.simplefilter("ignore", ns.ReconstructionWarning)
    print("| scan | rays | pierce | with --free-space | cd | with --free-space | seconds | with --free-space |")
    print("|---|---|---|---|---|---|---|---|")
    for kind in options.scans.split(","):
        for name in options.shapes.split(","):
            if name == "bunny" and options.data is None:
                continue
            if name == "bunny":
                from neural_splines.files.meshes import load_mesh

                shape = Shape(*(part.numpy() for part in load_mesh(options.data / "bunny_gt.ply")))
            else:
                shape = SHAPES[name]()
            rng, turn = np.random.default_rng(0), np.pi * (3 - 5**0.5) * np.arange(spoilt.SCANS)
            ten = scene_shapes.directions_of(turn, np.arcsin(1 - (2 * np.arange(spoilt.SCANS) + 1) / spoilt.SCANS))
            points, normals, sensors = scans(shape, ten if kind == "ten" else HALF, rng)
            if kind == "half":
                keep = torn(points, shape.diagonal, rng)
                points, normals, sensors = points[keep], normals[keep], sensors[keep]
            cells = [[], [], []]
            for free in (None, sensors):
                begun = time.perf_counter()
                given = {"grid_size": options.grid, "fill_holes": kind == "half", "free_space": free} | SMOOTHING
                mesh = ns.reconstruct(points, normals, **given).mesh
                cells[2].append(f"{time.perf_counter() - begun:.0f}")
                cells[0].append(f"{pierced(mesh, points, sensors):.3%}")
                found = judged((shape.vertices, shape.faces), (mesh.vertices, mesh.faces), samples=SAMPLES)
                cells[1].append(f"{1e4 * found['cd']:.2f}")
            row = " | ".join(value for pair in cells for value in pair)
            print(f"| {name}, {kind} | {len(points)} | {row} |", flush=True)


if __name__ == "__main__":
    main()
