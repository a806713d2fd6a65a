"""How good a mesh is against a true one, by point-cloud-utils: exact distances from samples of each to the other.

    python benchmarks/measures.py TRUTH.ply RECONSTRUCTION.ply [--samples 200000] [--seed 0]

Lengths are divided by the diagonal of the truth's box. Each mesh is sampled uniformly by area; the distance of a sample
is that to the nearest point of the other mesh's triangles, so that the density of the samples adds no bias.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from neural_splines.files.meshes import load_mesh


@dataclass(frozen=True)
class Quality:
    """accuracy: mean distance of the reconstruction from the truth. completeness: of the truth from the reconstruction.

    normal_consistency: mean |n . n'| at nearest points, over both directions. Distances are parts of the diagonal.
    """

    accuracy: float
    completeness: float
    normal_consistency: float


def measure(truth, reconstruction, samples: int = 200_000, seed: int = 0) -> Quality:
    """The quality of a mesh against the truth, each as (vertices [v, 3], faces [f, 3]) of numpy, in the same units."""
    (v, f), (w, g) = truth, reconstruction
    origin, diagonal = v.min(0), float(np.linalg.norm(np.ptp(v, axis=0)))
    v, w = (v - origin) / diagonal, (w - origin) / diagonal
    generator = np.random.default_rng(seed)
    completeness, there = _distances(*_sample(v, f, samples, generator), w, g)
    accuracy, here = _distances(*_sample(w, g, samples, generator), v, f)
    return Quality(accuracy, completeness, (here + there) / 2.0)


def _distances(points, normals, vertices, faces) -> tuple[float, float]:
    """Mean distance of points [n, 3] from a mesh, and mean |cosine| of their normals to those of the nearest faces."""
    import point_cloud_utils as pcu

    distance, face, _ = pcu.closest_points_on_mesh(points, np.ascontiguousarray(vertices), faces)
    return float(distance.mean()), float(np.abs((normals * _normals(vertices, faces)[0][face]).sum(1)).mean())


def _sample(vertices, faces, count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points [n, 3], uniform by area, and the unit normals of their faces."""
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("truth", metavar="TRUTH", help="PLY, OBJ or STL mesh")
    parser.add_argument("reconstruction", metavar="RECONSTRUCTION", help="PLY, OBJ or STL mesh")
    parser.add_argument("--samples", type=int, default=200_000, help="on each mesh (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    args = parser.parse_args(argv)
    truth, other = ([part.numpy() for part in load_mesh(path)] for path in (args.truth, args.reconstruction))
    quality = measure(truth, other, args.samples, args.seed)
    print(f"accuracy            {quality.accuracy:.3e}")
    print(f"completeness        {quality.completeness:.3e}")
    print(f"normal consistency  {quality.normal_consistency:.4f}")


if __name__ == "__main__":
    main()
