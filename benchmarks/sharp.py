"""Sharp edges: parts with creases, with and without --sharp-edges, and how far crease vertices are from true creases.

    python benchmarks/sharp.py [--seed 0] [--noise 0,0.001] [--kind even] [--grid 256] [--shapes cube,gear]

cd (Chamfer, 1e-4 of the diagonal D) and normal consistency as in quality.py; crease vertices are ends of edges whose
faces turn by more than TURN, their distances from the nearest true crease are in spacings of the points. Slivers, which
marching cubes make where a vertex lies near a corner of the lattice, have no normals that say anything.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
import zlib
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

import cases  # noqa: E402
import truths  # noqa: E402
from clouds import Cloud, plane_normals, sampled  # noqa: E402
from measures import judged  # noqa: E402
from scipy.spatial import cKDTree  # noqa: E402
from truths import Shape  # noqa: E402

TURN = np.cos(np.radians(25.0))
SLIVER = 0.02  # of the median area of faces
UNEVEN = 5.0  # of the densest to the sparsest end


def flange(steps: int = 360) -> Shape:
    """A disc with a hub, a chamfer and a bore, turned on a lathe: all creases are circles."""
    profile = np.array([(0.3, 0.0), (1.0, 0.0), (1.0, 0.2), (0.9, 0.3), (0.55, 0.3), (0.55, 0.8), (0.3, 0.8)])
    angle = 2 * np.pi * np.arange(steps) / steps
    r, z = profile[:, 0], profile[:, 1]
    points = np.stack([r * np.cos(angle)[:, None], r * np.sin(angle)[:, None], z + 0 * angle[:, None]], -1)
    faces = truths._grid(steps, len(profile), True, True)
    found = truths._outwards(Shape(points.reshape(-1, 3), faces, sharp=True))
    return Shape(found.vertices, found.faces, sharp=True)


def house() -> Shape:
    """A gable roof over walls, with a lean-to: angles of 90, 125, 110 and 215 degrees."""
    outline = np.array([(0, 0), (2, 0), (3, 0), (3, 0.8), (2, 1.2), (2, 1.6), (1, 2.3), (0, 1.6)], float)
    return truths._extruded(outline, np.array([(1, 2, 3), (1, 3, 4), (0, 1, 4), (0, 4, 5), (0, 5, 6), (0, 6, 7)]), 2.5)


def bolt() -> Shape:
    """A hexagonal prism with a pyramid on it: corners of three faces, and one of six."""
    angle = 2 * np.pi * np.arange(6) / 6 + 0.2
    ring = np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)
    vertices = np.concatenate([ring, ring + np.array([0, 0, 1.0]), [(0, 0, 1.7), (0, 0, 0)]])
    i, j = np.arange(6), (np.arange(6) + 1) % 6
    walls = [np.stack(t, 1) for t in ((i, j, j + 6), (i, j + 6, i + 6), (i + 6, j + 6, 0 * i + 12), (j, i, 0 * i + 13))]
    return truths._outwards(Shape(vertices, np.concatenate(walls), sharp=True))


OWN = {"flange": (flange, 25_000), "house": (house, 20_000), "bolt": (bolt, 15_000)}
SHOWN = {"cube": 20_000, "bracket": 20_000, "gear": 30_000, "plate": 20_000}


def creases(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The edges [k, 2] whose faces turn by more than TURN."""
    normals = truths._cross(vertices, faces)
    area = np.linalg.norm(normals, axis=1)
    faces, normals = faces[area > SLIVER * np.median(area)], normals[area > SLIVER * np.median(area)]
    normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    edges, face = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1), np.repeat(np.arange(len(faces)), 3)
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    edges, face = edges[order], face[order]
    same = np.flatnonzero((edges[1:] == edges[:-1]).all(1))
    return edges[same[(normals[face[same]] * normals[face[same + 1]]).sum(1) < TURN]]


def along(shape: Shape, step: float) -> np.ndarray:
    """Points on the true creases."""
    ends = shape.vertices[creases(shape.vertices, shape.faces)]
    parts = [a + np.linspace(0, 1, max(2, int(np.linalg.norm(b - a) / step) + 2))[:, None] * (b - a) for a, b in ends]
    return np.concatenate(parts)


def cloud_of(name: str, noise: float, kind: str, seed: int) -> tuple[Cloud, Shape]:
    """The cloud and its truth: those of cases.py, or ours at a seed."""
    if name in SHOWN and kind == "even" and not seed:
        return cases.Case(name, SHOWN[name], noise).build()
    shape = OWN[name][0]() if name in OWN else cases.Case(name, 100).truth()
    count = OWN[name][1] if name in OWN else SHOWN[name]
    rng = np.random.default_rng([seed, zlib.crc32(f"{name} {noise} {kind}".encode())])
    cloud = sampled(shape, count, rng, UNEVEN if kind == "uneven" else 1.0)
    if noise:
        cloud = Cloud(cloud.points + noise * shape.diagonal * rng.normal(size=(count, 3)), cloud.normals)
    return (Cloud(cloud.points, plane_normals(cloud)) if kind == "estimated" else cloud), shape


def row(cloud: Cloud, shape: Shape, grid, sharp: bool) -> dict:
    import neural_splines as ns
    from neural_splines.surface.checks import checked

    start = time.perf_counter()
    settings = ns.Settings(grid_size=grid, device="cpu", sharp_edges=sharp)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ns.ReconstructionWarning)
        result = ns.reconstruct(cloud.points, cloud.normals, settings)
    seconds = time.perf_counter() - start
    vertices, faces = result.mesh.vertices, result.mesh.faces
    spacing = np.median(cKDTree(cloud.points).query(cloud.points, 7)[0][:, 6]) * np.sqrt(np.pi / 6)
    ends = np.unique(creases(vertices, faces))
    true = along(shape, spacing / 50)
    off = cKDTree(true).query(vertices[ends])[0] / spacing if len(ends) else np.array([np.inf])
    missed = cKDTree(vertices[ends]).query(true)[0] / spacing if len(ends) else np.array([np.inf])
    found = judged((shape.vertices, shape.faces), (vertices, faces), 100_000)
    faults = checked(vertices, faces, intersecting=True).lines()
    return {**found, "seconds": seconds, "ends": len(ends), "off": off, "missed": missed, "faults": faults}


def main(argv=None) -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seed", type=int, default=0, help="0: the clouds of quality.py where it has them (%(default)s)")
    p.add_argument("--noise", default="0,0.001", help="parts of D, by commas (%(default)s)")
    p.add_argument("--kind", choices=("even", "uneven", "estimated"), default="even", help="(%(default)s)")
    p.add_argument("--grid", default=256, type=lambda text: text if text == "auto" else int(text), help="(%(default)s)")
    p.add_argument("--shapes", default=",".join([*SHOWN, *OWN]), help="(%(default)s)")
    o = p.parse_args(argv)
    print("shape, noise | cd before, after, ratio | nc before, after | seconds | crease vertices: off 50, 99 %, most")
    for name in o.shapes.split(","):
        for noise in (float(text) for text in o.noise.split(",")):
            cloud, shape = cloud_of(name, noise, o.kind, o.seed)
            before, after = (row(cloud, shape, o.grid, sharp) for sharp in (False, True))
            off, missed = after["off"], after["missed"]
            print(
                f"{name:8} {100 * noise:.1f} % | {1e4 * before['cd']:.3f} {1e4 * after['cd']:.3f} "
                f"{after['cd'] / before['cd']:.3f} | {before['normal_consistency']:.4f} "
                f"{after['normal_consistency']:.4f} "
                f"| {before['seconds']:.0f} {after['seconds']:.0f} | {after['ends']} {np.median(off):.3f} "
                f"{np.quantile(off, 0.99):.3f} {off.max():.3f} {(off < 0.1).mean():.4f}; true creases missed by "
                f"{np.quantile(missed, 0.99):.2f} | {', '.join(after['faults']) or 'sound'}",
                flush=True,
            )


if __name__ == "__main__":
    main()
