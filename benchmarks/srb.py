"""The four scans of the Surface Reconstruction Benchmark, judged as its field does: in raw units, by nearest samples.

    python benchmarks/srb.py DATA [--rows auto,filled,spline,poisson] [--out ours.json] [--device cuda]

DATA holds the folder srb with scans and truths, which are meshes. 1,000,000 points, uniform by area, of the mesh and of
the truth, nearest ones found by a k-d tree: d_C is the mean of the mean distances both ways, d_H the largest distance
of both; "from the scan" are those of the scan's points to the nearest sample of the mesh, their mean and the largest.

Ours: `auto`, `filled` (--fill-holes), and `spline`, one of 15,000 centres with variance 0, which wants
minutes and a GPU. Poisson is Open3D's, closed, at depths 7 to 9; its rows are kept beside the others', so that a
machine without open3d compares too.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import peers  # noqa: E402
import quality  # noqa: E402
from cases import SRB, Case, fingerprint  # noqa: E402
from clouds import Cloud  # noqa: E402
from measures import sample, topology, welded  # noqa: E402
from results import RESULTS, Results  # noqa: E402
from scipy.spatial import cKDTree  # noqa: E402
from truths import Shape  # noqa: E402

PEERS = RESULTS / "srb_peers.json"
DEPTHS = (7, 8, 9)
SAMPLES = 1_000_000
ONE_SPLINE = {"cells": None, "num_nystrom_samples": 15_000, "outer_layer_variance": 0.0, "regularization": 1e-10}


def distances(truth: Shape, mesh, scan: np.ndarray, samples: int = SAMPLES, seed: int = 1) -> dict[str, float]:
    """d_C, d_H and the one-sided distances from the scan [n, 3], in the units of the truth."""
    there = sample(truth.vertices, truth.faces, samples, seed)[0]
    here = sample(*mesh, samples, seed + 1)[0]
    found = cKDTree(here)
    out, back, seen = found.query(there)[0], cKDTree(there).query(here)[0], found.query(scan)[0]
    return {
        "d_C": float(out.mean() + back.mean()) / 2,
        "d_H": float(max(out.max(), back.max())),
        "from the scan, mean": float(seen.mean()),
        "from the scan, largest": float(seen.max()),
    }


def judged(truth: Shape, mesh, scan: np.ndarray, samples: int) -> dict:
    mesh = welded(*mesh)
    found = topology(*mesh)
    return {
        **distances(truth, mesh, scan, samples),
        "components": found.components,
        "boundary_edges": found.boundary_edges,
    }


def ours(cloud: Cloud, truth: Shape, row: str, options) -> dict:
    import neural_splines as ns

    run = {"grid_size": options.grid, "seed": options.seed, "device": options.device}
    cells = {"cells": ns.CellSettings(fill_holes=row == "filled")}
    told, mesh = quality.ours(cloud, ns.Settings(**run, **(ONE_SPLINE if row == "spline" else cells)))
    return told if mesh is None else {**judged(truth, mesh, cloud.points, options.samples), **told}


def poisson(cloud: Cloud, truth: Shape, depth: int, samples: int) -> dict:
    start = time.perf_counter()
    ((_, *mesh),) = peers.poisson(cloud.points, cloud.normals, depth)
    seconds = time.perf_counter() - start
    return {**judged(truth, mesh, cloud.points, samples), "seconds": seconds}


def line(name: str, method: str, row: dict) -> str:
    if "error" in row:
        return f"{name:14} {method:10} {row['error']}"
    one_sided = f"({row['from the scan, mean']:.3f} / {row['from the scan, largest']:.2f})"
    shape = f"{row['components']} components, {row['boundary_edges']} border edges, {row['seconds']:.1f} s"
    return f"{name:14} {method:10} {row['d_C']:.3f} / {row['d_H']:.2f} {one_sided}  {shape}"


def main(argv=None) -> None:
    options = parse(argv)
    results, stored = Results(options.out), Results(options.peers)
    print("d_C / d_H (from the scan: mean / largest), raw units")
    for name in SRB:
        case = Case(name, data=options.data)
        if not all(path.exists() for path in case.files):
            print(f"{name} is left out: {options.data} has no {' and '.join(SRB[name])}.ply")
            continue
        cloud, truth = case.build()
        mark = fingerprint(cloud, truth)
        for row in options.rows:
            if row == "poisson":
                continue
            results.add(name, mark, {row: ours(cloud, truth, row, options)})
            print(line(name, row, results.cases[name][row]), flush=True)
        for method in (f"poisson {depth}" for depth in DEPTHS if "poisson" in options.rows):
            if method not in stored.known(name, mark) and peers.available():
                depth = int(method.split()[1])
                stored.add(name, mark, {method: poisson(cloud, truth, depth, options.samples)})
            known = stored.known(name, mark)
            print(
                line(name, method, known[method] if method in known else {"error": "open3d is not installed"}),
                flush=True,
            )


def parse(argv):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", type=Path, metavar="DATA", help="the folder of scans, which has a folder srb")
    p.add_argument("--rows", default="auto,filled,poisson", help="some of auto, filled, spline, poisson (%(default)s)")
    p.add_argument("--grid", type=int, default=256, help="of ours (%(default)s)")
    p.add_argument("--device", default="auto", help="of ours (%(default)s)")
    p.add_argument("--seed", type=int, default=0, help="of ours (%(default)s)")
    p.add_argument("--samples", type=int, default=SAMPLES, help="of the judge, on each mesh (%(default)s)")
    p.add_argument("--out", type=Path, metavar="FILE", help="JSON of ours; rows that are there already are replaced")
    p.add_argument("--peers", type=Path, default=PEERS, metavar="FILE", help="JSON of Poisson's (%(default)s)")
    options = p.parse_args(argv)
    options.rows = options.rows.split(",")
    unknown = set(options.rows) - {"auto", "filled", "spline", "poisson"}
    if unknown:
        p.error(f"no row is named {', '.join(sorted(unknown))}: name some of auto, filled, spline, poisson")
    return options


if __name__ == "__main__":
    main()
