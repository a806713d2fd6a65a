"""Neural Splines and screened Poisson on clouds whose surface is known, clean and spoilt: every case, won or lost.

    python benchmarks/quality.py [--data FOLDER] [--cases knot,noise0.5] [--split tune|held|all] [--jobs 2] ...
    python benchmarks/report.py RESULTS.json --document docs/quality.md

Ours is `Settings(grid_size=256)`, nothing chosen by hand; Poisson is Open3D's at depths 6 to 9. Poisson's rows are
computed once and kept in benchmarks/results/quality_peers.json, so that a machine without open3d compares too.
"""

from __future__ import annotations

import argparse
import ast
import sys
import time
import warnings
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import asdict, fields
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import peers  # noqa: E402
from cases import Case, all_cases, fingerprint  # noqa: E402
from clouds import Cloud  # noqa: E402
from figures import print_summary  # noqa: E402
from measures import judged, topology  # noqa: E402
from results import PEERS, Results  # noqa: E402


class Inline(Executor):
    """Does what it is asked for at once, so that what is timed has the machine to itself."""

    def submit(self, task, /, *args, **kwargs) -> Future:
        future: Future = Future()
        future.set_result(task(*args, **kwargs))
        return future


def poisson_rows(truth, cloud: Cloud, depth: int, trims, samples: int) -> dict[str, dict]:
    rows, start = {}, time.perf_counter()
    for quantile, *mesh in peers.poisson(cloud.points, cloud.normals, depth, trims):
        seconds = time.perf_counter() - start
        row = judged(truth, mesh, samples) if len(mesh[1]) else {"error": "no face"}
        rows[f"poisson {depth}" + (f" trimmed {quantile:g}" if quantile else "")] = {**row, "seconds": seconds}
        start = time.perf_counter() - seconds
    return rows


def ours(cloud: Cloud, settings) -> tuple[dict, tuple | None]:
    """What a run tells beside its mesh, and the mesh; an error is told too, and there is no mesh."""
    import neural_splines as ns

    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ns.ReconstructionWarning)
            result = ns.reconstruct(cloud.points, cloud.normals, settings)
    except ns.NeuralSplinesError as error:
        return {"error": str(error), "seconds": time.perf_counter() - start}, None
    seconds = time.perf_counter() - start
    told = {
        "seconds": seconds,
        "phases": result.seconds,
        "fit": f"{result.fit.summary()}, {result.fit.details()}",
        "warnings": result.warnings,
    }
    return told, (result.mesh.vertices, result.mesh.faces)


def settings_of(options, filled: bool):
    import neural_splines as ns

    of_cells = {item.name for item in fields(ns.CellSettings)}
    given = dict(text.split("=", 1) for text in options.settings)
    values = {name: _value(text) for name, text in given.items()}
    cells = {name: values.pop(name) for name in list(values) if name in of_cells}
    if filled:
        cells["fill_holes"] = True
    run = {"grid_size": options.grid, "seed": options.seed, "device": options.device, "cells": ns.CellSettings(**cells)}
    return ns.Settings(**{**run, **values})


def _value(text: str):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def chosen_cases(options) -> list[Case]:
    wanted = [part for part in options.cases.split(",") if part]
    cases = [case for case in all_cases(options.data) if _matches(case, wanted)]
    absent = [case.name for case in cases if not all(path.exists() for path in case.files)]
    if absent:
        print(f"left out, as {options.data} lacks their files: {', '.join(absent)}")
    cases = [case for case in cases if case.name not in absent]
    return [case for case in cases if options.split == "all" or case.held_out == (options.split == "held")]


def _matches(case: Case, wanted: list[str]) -> bool:
    """A word is in the name, or is a tag; one that begins with = is the whole name."""
    found = (w[1:] == case.name if w[0] == "=" else w in case.name or w in case.tags for w in wanted)
    return not wanted or any(found)


def run(case: Case, options, pool: Executor, results: Results, stored: Results) -> dict:
    """The futures of a case by (store, method); what takes the whole machine is done here and now."""
    cloud, shape = case.build()
    truth, mark, futures = (shape.vertices, shape.faces), fingerprint(cloud, shape), {}
    if not options.ours_only and peers.available():
        known = stored.known(case.name, mark)
        whole = (case.closed and case.complete) or case.holed
        for depth in peers.DEPTHS:
            trims = _missing(known, depth, () if whole else peers.QUANTILES)
            if trims is not None:
                task = pool.submit(poisson_rows, truth, cloud, depth, trims, options.samples)
                futures[stored, f"poisson {depth}"] = mark, task
        if "truth" not in known:
            futures[stored, "truth"] = mark, pool.submit(_truth_row, truth)
    modes = ["default", "filled"] if options.fill_holes else ["default"]
    modes = [mode for mode in modes if not (options.resume and mode in results.known(case.name, mark))]
    for mode in [] if options.peers_only else modes:
        told, mesh = ours(cloud, settings_of(options, mode == "filled"))
        if mesh is not None and options.meshes:
            _save(options.meshes / f"{case.name}_{mode}.ply", mesh)
        task = pool.submit(_our_row, truth, mesh, told, options.samples)
        futures[results, mode] = mark, task
    return futures


def _missing(known: dict, depth: int, trims: tuple) -> tuple | None:
    """The trims that a depth still wants beside the closed mesh; None where all is known, the largest distance too."""
    closed = known.get(f"poisson {depth}", {})
    lacking = any(f"poisson {depth} trimmed {quantile:g}" not in known for quantile in trims)
    if lacking:
        return trims
    return None if "hausdorff" in closed or "error" in closed else ()


def _our_row(truth, mesh, told: dict, samples: int) -> dict:
    return told if mesh is None else {**judged(truth, mesh, samples), **told}


def _truth_row(truth) -> dict:
    return asdict(topology(*truth))


def _save(path: Path, mesh) -> None:
    from neural_splines.files.meshes import save_mesh

    path.parent.mkdir(parents=True, exist_ok=True)
    save_mesh(path, mesh[0], None, mesh[1])


def collect(case: Case, futures: dict) -> None:
    """Wait for the rows of a case, store them and print them."""
    for (store, method), (mark, task) in futures.items():
        row = task.result()
        rows = row if method.startswith("poisson") else {method: row}
        store.add(case.name, mark, rows)
        for name, row in rows.items():
            print(f"{case.name:28} {name:22} {_line(row)}", flush=True)


def _line(row: dict) -> str:
    if "error" in row:
        return row["error"]
    if "cd" not in row:
        return ""
    distances = " / ".join(f"{1e4 * row[name]:6.2f}" for name in ("cd", "accuracy", "completeness"))
    shape = f"{row['components']:4d} components, {'closed' if row['watertight'] else row['boundary_edges']}"
    return f"{distances}  {row['normal_consistency']:.4f}  {shape}, {row['seconds']:.1f} s {row.get('fit', '')}"


def warm_up(options) -> None:
    """Compile and load what a process does once, so that the first case's time is like the others'."""
    import truths
    from clouds import sampled
    from numpy.random import default_rng

    cloud = sampled(truths.sphere(4), 1000, default_rng(0))
    ours(cloud, settings_of(argparse.Namespace(**{**vars(options), "grid": 32}), False))


def main(argv=None) -> None:
    options = parse(argv)
    results, stored = Results(options.out), Results(options.peers)
    cases = chosen_cases(options)
    if not options.peers_only:
        warm_up(options)
    pool = ProcessPoolExecutor(options.jobs, get_context("spawn")) if options.jobs > 1 else Inline()
    with pool:
        waiting = []
        for case in cases:
            waiting.append((case, run(case, options, pool, results, stored)))
            while waiting and all(task.done() for _, task in waiting[0][1].values()):
                collect(*waiting.pop(0))
        for case, futures in waiting:
            collect(case, futures)
    if not options.peers_only:
        print_summary(results, stored, {case.name: case for case in cases})


def parse(argv):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument(
        "--data", type=Path, metavar="FOLDER", help="scans with their truths; without it their cases are left out"
    )
    p.add_argument(
        "--cases", default="", metavar="WORDS", help="parts of names, or tags, by commas; =NAME: that case alone"
    )
    p.add_argument("--split", choices=("tune", "held", "all"), default="all", help="a third is held out (%(default)s)")
    p.add_argument("--ours-only", action="store_true", help="compare with the stored peers, compute none")
    p.add_argument("--peers-only", action="store_true", help="compute the peers that are not stored yet")
    p.add_argument("--fill-holes", action="store_true", help="ours with --fill-holes, too, where that is compared")
    p.add_argument("--resume", action="store_true", help="leave out what --out holds already")
    p.add_argument("--grid", type=int, default=256, help="of ours (%(default)s)")
    p.add_argument("--seed", type=int, default=0, help="of ours; the cases' own are fixed (%(default)s)")
    p.add_argument(
        "--settings", action="append", default=[], metavar="KEY=VALUE", help="of ours, e.g. regularization=1e-6"
    )
    p.add_argument("--device", default="auto", help="of ours (%(default)s)")
    p.add_argument("--jobs", type=int, default=1, help="processes that judge and run peers (1: nothing beside ours)")
    p.add_argument("--samples", type=int, default=100_000, help="of the judge, on each mesh (%(default)s)")
    p.add_argument("--out", type=Path, metavar="FILE", help="JSON of ours; cases that are there already are replaced")
    p.add_argument("--peers", type=Path, default=PEERS, metavar="FILE", help="JSON of the peers (%(default)s)")
    p.add_argument("--meshes", type=Path, metavar="FOLDER", help="write our meshes here")
    return p.parse_args(argv)


if __name__ == "__main__":
    main()
