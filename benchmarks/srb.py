"""The four scans of the Surface Reconstruction Benchmark, by the measure of its papers and by that of this project.

    python benchmarks/srb.py DATA [--rows auto,filled,estimated,spline] [--out ours.json] [--device cuda] [--run-peers]
    python benchmarks/srb_page.py

DATA holds the folder srb with scans and truths, which are meshes.

- The papers' measure, in raw units: 1,000,000 points, uniform by area, of the mesh and of the truth, nearest ones found
  by a k-d tree. d_C is the mean of the mean distances both ways, d_H the largest distance of both. "From the scan" are
  the distances of the scan's points to the nearest sample of the mesh, their mean and the largest.
- This project's: accuracy, completeness and normal consistency as in measures.py, from exact distances, in parts of the
  diagonal of the truth.

Ours: `auto`; `filled` (--fill-holes); `estimated` (the same without the scan's normals); `spline`, one of 15,000
centres with variance 0, the kernel of the paper, which wants minutes and a GPU: without one, and if --rows does not
name it, the stored row is shown. Peers: Poisson at depths 7 to 9, closed, by the programs of closed_peers.py. Their
rows are kept in benchmarks/results and shown from there, unless --run-peers is given. Published figures come last:
nothing runs for them.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import closed_peers  # noqa: E402
import published  # noqa: E402
import quality  # noqa: E402
from cases import SRB, Case, fingerprint  # noqa: E402
from clouds import Cloud  # noqa: E402
from measures import measure, sample, topology, welded  # noqa: E402
from results import RESULTS, Results  # noqa: E402
from scipy.spatial import cKDTree  # noqa: E402
from truths import Shape  # noqa: E402

STORED, PEERS = RESULTS / "srb.json", RESULTS / "srb_peers.json"
ROWS = ("auto", "filled", "estimated", "spline")
DEPTHS = (7, 8, 9)
SAMPLES, OWN_SAMPLES = 1_000_000, 100_000  # of the papers' measure, and of this project's
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
    """Both measures of a mesh, and its shape."""
    mesh = welded(*mesh)
    if not len(mesh[1]):
        return {"error": "no face"}
    found, own = topology(*mesh), measure((truth.vertices, truth.faces), mesh, min(samples, OWN_SAMPLES))
    return {
        **distances(truth, mesh, scan, samples),
        "accuracy": own.accuracy,
        "completeness": own.completeness,
        "normal_consistency": own.normal_consistency,
        "components": found.components,
        "boundary_edges": found.boundary_edges,
    }


def ours(cloud: Cloud, truth: Shape, row: str, options) -> dict:
    import neural_splines as ns

    run = {"grid_size": options.grid, "seed": options.seed, "device": options.device}
    cells = {"cells": ns.CellSettings(fill_holes=row != "auto")}
    if row == "estimated":
        cloud = Cloud(cloud.points, None)
    told, mesh = quality.ours(cloud, ns.Settings(**run, **(ONE_SPLINE if row == "spline" else cells)))
    return told if mesh is None else {**judged(truth, mesh, cloud.points, options.samples), **told}


def peer(program: closed_peers.Poisson, cloud: Cloud, truth: Shape, depth: int, samples: int) -> dict:
    start = time.perf_counter()
    mesh = program(cloud.points, cloud.normals, depth)
    seconds = time.perf_counter() - start
    return {**judged(truth, mesh, cloud.points, samples), "seconds": seconds}


def line(name: str, method: str, row: dict, stored: bool = False) -> str:
    if "error" in row:
        return f"{name:14} {method:15} {row['error']}"
    parts = [f"{row['d_C']:.3f} / {row['d_H']:.2f}"]
    parts += [f"({row['from the scan, mean']:.3f} / {row['from the scan, largest']:.2f})"]
    if "accuracy" in row:
        own = f"{1e4 * row['accuracy']:.1f} / {1e4 * row['completeness']:.1f} / {row['normal_consistency']:.4f}"
        parts += [f" {own}  {row['components']} components, {row['boundary_edges']} border edges"]
    parts += [f" {row['seconds']:.1f} s"] if "seconds" in row else []
    return f"{name:14} {method:15} {' '.join(parts)}{', stored' if stored else ''}"


def has_gpu(device: str) -> bool:
    import torch

    return device != "cpu" and torch.cuda.is_available()


def rows_of(name: str, cloud: Cloud, truth: Shape, mark: list[float], options, results: Results, known: dict) -> None:
    """Ours on one scan: run, stored in `results`, printed."""
    from machine import host

    gpu = has_gpu(options.device)
    for row in options.rows:
        if row == "spline" and not gpu and not options.named:
            shown = known.get(row, {"error": "wants a GPU; --rows spline runs it without one"})
            print(line(name, row, shown, stored=row in known), flush=True)
            continue
        found = {**ours(cloud, truth, row, options), "machine": host(gpu), "date": time.strftime("%Y-%m-%d")}
        results.add(name, mark, {row: found})
        print(line(name, row, found), flush=True)


def peers_of(name: str, cloud: Cloud, truth: Shape, mark: list[float], options, stored: Results) -> None:
    """The peers that are stored or installed, on one scan."""
    installed = closed_peers.installed()
    for depth in DEPTHS:
        for program in closed_peers.NAMES:
            known, method = stored.known(name, mark), f"{program} {depth}"
            run = program in installed and (options.run_peers or method not in known)
            if run:
                stored.add(name, mark, {method: peer(installed[program], cloud, truth, depth, options.samples)})
            shown = stored.known(name, mark).get(method, {"error": "is not installed"})
            print(line(name, method, shown, stored=not run), flush=True)


def main(argv=None) -> None:
    options = parse(argv)
    results, stored, before = Results(options.out), Results(options.peers), Results(options.stored)
    print("d_C / d_H (from the scan: mean / largest), raw units; accuracy / completeness, 1e-4 D / normal consistency")
    for name in SRB:
        case = Case(name, data=options.data)
        if not all(path.exists() for path in case.files):
            print(f"{name} is left out: {options.data} has no {' and '.join(SRB[name])}.ply")
            continue
        cloud, truth = case.build()
        mark = fingerprint(cloud, truth)
        rows_of(name, cloud, truth, mark, options, results, before.known(name, mark))
        if not options.no_peers:
            peers_of(name, cloud, truth, mark, options, stored)
    print("\n".join(["", *published.lines()]))


def parse(argv):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", type=Path, metavar="DATA", help="the folder of scans, which has a folder srb")
    p.add_argument("--rows", help=f"of ours: some of {', '.join(ROWS)} (default: all; spline only on a GPU)")
    p.add_argument("--no-peers", action="store_true", help="ours alone")
    p.add_argument("--run-peers", action="store_true", help="run peers that are stored, too")
    p.add_argument("--grid", type=int, default=256, help="of ours (%(default)s)")
    p.add_argument("--device", default="auto", help="of ours (%(default)s)")
    p.add_argument("--seed", type=int, default=0, help="of ours (%(default)s)")
    p.add_argument("--samples", type=int, default=SAMPLES, help="of the judge, on each mesh (%(default)s)")
    p.add_argument("--out", type=Path, metavar="FILE", help="JSON of ours; rows that are there already are replaced")
    p.add_argument("--peers", type=Path, default=PEERS, metavar="FILE", help="JSON of the peers (%(default)s)")
    p.add_argument("--stored", type=Path, default=STORED, metavar="FILE", help="JSON of ours, stored (%(default)s)")
    options = p.parse_args(argv)
    options.named = options.rows is not None
    options.rows = options.rows.split(",") if options.named else list(ROWS)
    unknown = sorted(set(options.rows) - set(ROWS))
    if unknown:
        p.error(f"no row is named {', '.join(unknown)}: name some of {', '.join(ROWS)}")
    return options


if __name__ == "__main__":
    main()
