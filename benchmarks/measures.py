"""How good a mesh is against a true one, by point-cloud-utils: exact distances from samples of each to the other.

    python benchmarks/measures.py TRUTH.ply RECONSTRUCTION.ply [--samples 200000] [--seed 1]

Lengths are divided by the diagonal of the truth's box. Each mesh is sampled uniformly by area; the distance of a sample
is that to the nearest point of the other mesh's triangles, so that the density of the samples adds no bias.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


TIGHT, LOOSE = 0.001, 0.005  # of the diagonal: thresholds of the F-scores


@dataclass(frozen=True)
class Quality:
    """accuracy: mean distance of the reconstruction from the truth. completeness: of the truth from the reconstruction.

    cd: the mean of both (Chamfer). hausdorff, hausdorff95: the largest distance of a sample, and the larger 95th
    percentile. f_tight, f_loose: harmonic mean of the shares of both meshes' samples that are nearer to the other than
    0.001 and 0.005. normal_consistency: mean |n . n'| at nearest points, over both directions. Distances are parts of
    the diagonal.
    """

    accuracy: float
    completeness: float
    cd: float
    hausdorff: float
    hausdorff95: float
    f_tight: float
    f_loose: float
    normal_consistency: float


@dataclass(frozen=True)
class Topology:
    """Of the vertices that faces use, those at one position taken for one. Watertight: two faces at every edge."""

    vertices: int
    faces: int
    components: int
    watertight: bool
    euler: int
    boundary_edges: int


def measure(truth, reconstruction, samples: int = 200_000, seed: int = 1) -> Quality:
    """The quality of a mesh against the truth, each as (vertices [v, 3], faces [f, 3]) of numpy, in the same units."""
    (v, f), (w, g) = truth, reconstruction
    origin, diagonal = v.min(0), float(np.linalg.norm(np.ptp(v, axis=0)))
    v, w = (v - origin) / diagonal, (w - origin) / diagonal
    there, agree_there = _distances(*sample(v, f, samples, seed), w, g)
    here, agree_here = _distances(*sample(w, g, samples, seed + 1), v, f)
    return Quality(
        accuracy=float(here.mean()),
        completeness=float(there.mean()),
        cd=float(here.mean() + there.mean()) / 2.0,
        hausdorff=float(max(here.max(), there.max())),
        hausdorff95=float(max(np.percentile(here, 95), np.percentile(there, 95))),
        f_tight=_f_score(here, there, TIGHT),
        f_loose=_f_score(here, there, LOOSE),
        normal_consistency=(agree_here + agree_there) / 2.0,
    )


def _f_score(here: np.ndarray, there: np.ndarray, threshold: float) -> float:
    precision, recall = float((here < threshold).mean()), float((there < threshold).mean())
    return 2.0 * precision * recall / (precision + recall) if precision + recall else 0.0


def judged(truth, mesh, samples: int = 200_000, seed: int = 1) -> dict:
    """Quality and topology of a mesh (vertices, faces) against the truth, as one row."""
    mesh = welded(*mesh)
    return {**asdict(measure(truth, mesh, samples, seed)), **asdict(topology(*mesh))}


def welded(vertices, faces) -> tuple[np.ndarray, np.ndarray]:
    """The mesh with equal positions made one, without faces that this collapses."""
    vertices, place = np.unique(vertices, axis=0, return_inverse=True)
    faces = place.reshape(-1)[faces]
    return vertices, faces[(faces != np.roll(faces, 1, axis=1)).all(1)]


def topology(vertices, faces) -> Topology:
    vertices, faces = welded(vertices, faces)
    used, place = np.unique(faces, return_inverse=True)
    faces = place.reshape(-1, 3)
    pairs = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
    keys, count = np.unique(pairs[:, 0] * len(used) + pairs[:, 1], return_counts=True)
    ends = keys // len(used), keys % len(used)
    pieces, _ = connected_components(coo_matrix((np.ones(len(keys)), ends), shape=2 * (len(used),)), directed=False)
    euler = len(used) - len(keys) + len(faces)
    closed = bool((count == 2).all())
    return Topology(len(used), len(faces), int(pieces), closed, euler, int((count == 1).sum()))


def nearest(points, vertices, faces) -> tuple[np.ndarray, np.ndarray]:
    """Distances [n] of points [n, 3] from a mesh, and the corners [n, 3] of its nearest faces."""
    import point_cloud_utils as pcu

    faces = faces[_by_place(vertices[faces[:, 0]])]  # the search is twice as fast where neighbours are close in memory
    distance, face, _ = pcu.closest_points_on_mesh(points, np.ascontiguousarray(vertices), faces)
    return distance, faces[face]


def _distances(points, normals, vertices, faces) -> tuple[np.ndarray, float]:
    """Distances [n] of points [n, 3] from a mesh, and mean |cosine| of their normals to those of the nearest faces."""
    distance, corners = nearest(points, vertices, faces)
    return distance, float(np.abs((normals * _normals(vertices, corners)[0]).sum(1)).mean())


def _by_place(points) -> np.ndarray:
    """An order [n] of points [n, 3] by the cells of a grid of 32 along each axis."""
    low, side = points.min(0), max(float(np.ptp(points, axis=0).max()), 1e-300)
    x, y, z = (31.999 * (points - low) / side).astype(np.uint16).T
    return np.argsort(1024 * x + 32 * y + z, kind="stable")


def sample(vertices, faces, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points [n, 3], uniform by area, and the unit normals of their faces."""
    generator = np.random.default_rng(seed)
    normals, area = _normals(vertices, faces)
    face = generator.choice(len(faces), count, p=area / area.sum())
    a, b = np.sqrt(generator.random(count)), generator.random(count)
    weights = np.stack([1.0 - a, a * (1.0 - b), a * b], 1)
    return np.einsum("nk,nkd->nd", weights, vertices[faces[face]]), normals[face]


def _normals(vertices, faces) -> tuple[np.ndarray, np.ndarray]:
    """Unit normals [f, 3] and areas [f]; a face without area has the normal 0."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    length = np.linalg.norm(cross, axis=1)
    return cross / np.where(length > 0.0, length, 1.0)[:, None], length / 2.0


def main(argv=None) -> None:
    from neural_splines.files.meshes import load_mesh

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("truth", metavar="TRUTH", help="PLY, OBJ or STL mesh")
    parser.add_argument("reconstruction", metavar="RECONSTRUCTION", help="PLY, OBJ or STL mesh")
    parser.add_argument("--samples", type=int, default=200_000, help="on each mesh (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    args = parser.parse_args(argv)
    truth, other = (welded(*(part.numpy() for part in load_mesh(path))) for path in (args.truth, args.reconstruction))
    for name, value in judged(truth, other, args.samples, args.seed).items():
        print(f"{name:20} {f'{value:.6g}' if isinstance(value, float) else value}")


if __name__ == "__main__":
    main()
