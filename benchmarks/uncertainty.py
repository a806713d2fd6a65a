"""Is the uncertainty right? Of vertices of known surfaces, how many lie within two standard deviations of the truth.

    python benchmarks/uncertainty.py --data FOLDER [--split tune|held|all] [--cases WORDS] [--grid 128] [--out FILE]
    python benchmarks/uncertainty.py --table [--out FILE]

The cases are those of benchmarks/cases.py with noise, and all scans, real and simulated. The error of a vertex is its
distance from the true surface. coverage: the share of vertices whose error is below two standard deviations, .954 of
normal errors; good between .90 and .99. factor: what the standard deviation would have to be multiplied by for .954.
rank: Spearman's correlation of standard deviation and error; nearest: of the distance to the nearest point and error.
Real scans are meshed with filled holes, too: invented parts are where errors are large.
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
from cases import SCANS, Case, all_cases, fingerprint  # noqa: E402
from measures import nearest  # noqa: E402
from results import RESULTS, Results  # noqa: E402
from scipy.stats import spearmanr  # noqa: E402

OUT = RESULTS / "uncertainty.json"
GOOD = 0.90, 0.99
NORMAL = 0.954  # of normal errors are below two standard deviations


def chosen(data: Path | None, split: str, words: str) -> list[Case]:
    """Cases with noise, and scans."""
    cases = [c for c in all_cases(data) if c.noise or "scan" in c.tags or c.kind.startswith(("scan", "laplace"))]
    wanted = [word for word in words.split(",") if word]
    cases = [c for c in cases if not wanted or any(word in c.name for word in wanted)]
    return [c for c in cases if split == "all" or c.held_out == (split == "held")]


def judged(case: Case, grid: int, filled: bool) -> dict:
    """One row: coverage, factor and ranks of a case."""
    import neural_splines as ns
    from neural_splines.surface.attributes import distances

    cloud, truth = case.build()
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ns.ReconstructionWarning)
        result = ns.reconstruct(cloud.points, cloud.normals, grid_size=grid, fill_holes=filled)
    run = time.perf_counter() - start
    vertices = result.mesh.vertices
    sigma = result.field.uncertainty(vertices)
    more = time.perf_counter() - start - run
    error, _ = nearest(vertices, truth.vertices, truth.faces)
    near = distances(result.cloud.points.numpy(), vertices)
    known = np.isfinite(sigma)
    error, sigma, near = error[known], sigma[known], near[known]
    return {
        "vertices": len(vertices),
        "undefined": int((~known).sum()),
        "coverage": float((error < 2.0 * sigma).mean()),
        "factor": float(np.quantile(error / sigma, NORMAL) / 2.0),
        "rank": float(spearmanr(sigma, error)[0]),
        "nearest": float(spearmanr(near, error)[0]),
        "error": float(np.median(error) / truth.diagonal),
        "sigma": float(np.median(sigma) / truth.diagonal),
        "seconds": run,
        "seconds_more": more,
    }


def table(results: Results, cases: dict[str, Case]) -> None:
    """Markdown: every case, and what the issue asks for."""
    columns = ("case", "", "coverage", "factor", "rank", "nearest", "median error", "median sigma")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    rows = [(name, mode, row) for name in sorted(results.cases) for mode, row in _rows(results, name)]
    for name, mode, r in rows:
        mark = " ".join(["held out"] * cases[name].held_out + ["filled"] * (mode == "filled"))
        print(
            f"| {name} | {mark} | {r['coverage']:.3f} | {r['factor']:.2f} | {r['rank']:.2f} | {r['nearest']:.2f} "
            f"| {1e4 * r['error']:.2f} | {1e4 * r['sigma']:.2f} |"
        )
    print("\nLengths are in 1e-4 of the diagonal of the truth's box.\n")
    usual = [(cases[name], row) for name, mode, row in rows if mode == "default"]
    for words, held in (("all cases", None), ("those that were looked at", False), ("held-out cases", True)):
        some = [row for case, row in usual if held is None or case.held_out == held]
        if some:
            good = sum(GOOD[0] <= row["coverage"] <= GOOD[1] for row in some)
            print(f"- {words}: coverage in [.90, .99] in {good} of {len(some)} ({good / len(some):.0%})")
    better = sum(row["rank"] > row["nearest"] for _, _, row in rows)
    print(
        f"- the rank of the uncertainty is above that of the distance to the nearest point in {better} of {len(rows)}"
    )
    for name, mode, row in rows:
        if name in SCANS:
            print(f"- {name}, {mode}: rank {row['rank']:.2f}, that of the nearest point {row['nearest']:.2f}")


def _rows(results: Results, name: str) -> list[tuple[str, dict]]:
    return [(mode, row) for mode, row in sorted(results.cases[name].items()) if mode != "fingerprint"]


def main(argv=None) -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, metavar="FOLDER", help="scans with their truths; without it they are left out")
    p.add_argument("--split", choices=("tune", "held", "all"), default="all", help="a third is held out (%(default)s)")
    p.add_argument("--cases", default="", metavar="WORDS", help="parts of names, by commas")
    p.add_argument("--grid", type=int, default=128, help="(%(default)s)")
    p.add_argument("--out", type=Path, default=OUT, metavar="FILE", help="JSON of the rows (%(default)s)")
    p.add_argument("--table", action="store_true", help="print what --out holds, and run nothing")
    options = p.parse_args(argv)
    results = Results(options.out)
    if not options.table:
        cases = chosen(options.data, options.split, options.cases)
        todo = [(case, "default") for case in cases] + [(case, "filled") for case in cases if case.name in SCANS]
        for case, mode in todo:
            mark = fingerprint(*case.build())
            if mode not in results.known(case.name, mark):
                row = judged(case, options.grid, mode == "filled")
                results.add(case.name, mark, {mode: row})
                print(case.name, mode, {key: round(value, 4) for key, value in row.items()}, flush=True)
    table(results, {case.name: case for case in all_cases(options.data or Path())})


if __name__ == "__main__":
    main()
