"""Ours and every peer that is installed on the same clouds, each as a process of its own from file to file.

    python benchmarks/benchmark.py --document docs/benchmarks.md                  the project's own clouds
    python benchmarks/benchmark.py --folder SCANS --document docs/benchmarks.md   a folder of clouds with truths
    python benchmarks/benchmark.py --only-document --document docs/benchmarks.md  from stored results, runs nothing

Wall and CPU seconds and the peak of memory are medians of `--repeat` runs; meshes are judged afterwards. Results are
kept in a JSON file; with `--resume` nothing is run that it holds from this machine and these versions.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import processes  # noqa: E402
from benchmark_page import write_page  # noqa: E402
from cases import fingerprint  # noqa: E402
from clouds import Cloud  # noqa: E402
from inputs import LADDER_KIND, Input, folder_inputs, own_inputs  # noqa: E402
from machine import host  # noqa: E402
from measures import judged, topology, welded  # noqa: E402
from methods import ONE_SPLINE, OURS, Method, installed  # noqa: E402
from results import BENCHMARK, Results  # noqa: E402

from neural_splines.errors import NeuralSplinesError  # noqa: E402
from neural_splines.files.meshes import load_mesh, save_mesh  # noqa: E402


def measured(method: Method, runs: list[dict], cloud: Path, mesh: Path, points: int, options) -> dict:
    """Medians of the runs of a method, those of before among them; why it failed, where it did. Leaves its mesh."""
    row = {"family": method.family, "setting": method.setting, "closed": method.closed, "version": method.version}
    row["machine"], row["date"] = options.machine, time.strftime("%Y-%m-%d")
    commands = method.commands(str(cloud), str(mesh), points)
    mesh.unlink(missing_ok=True)
    try:
        while not _enough(runs, options):
            processes.wait_until_quiet(options.patience)
            runs = [*runs, asdict(processes.run(commands, options.limit))]
    except processes.ProcessError as error:
        return {**row, "error": str(error)}
    return {**row, **{key: statistics.median(run[key] for run in runs) for key in runs[0]}, "runs": runs}


def run(source: Input, methods: list[Method], options, results: Results) -> None:
    """Every method that can be compared on one cloud, each stored as soon as it is judged."""
    cloud, shape = source.build()
    mark, facts = fingerprint(cloud, shape), asdict(topology(shape.vertices, shape.faces))
    known = results.known(source.name, mark) if options.resume else {}
    facts |= {"points": len(cloud), "kind": source.kind, "complete": source.complete}
    results.add(source.name, mark, {"truth": facts})
    written = _written(cloud, options.work / f"{source.name}.ply")
    save_mesh(options.work / f"{source.name}, truth.ply", shape.vertices, None, shape.faces)
    for method in methods:
        before = known.get(method.name, {})
        if (before.get("machine"), before.get("version")) != (options.machine, method.version):
            before = {}
        if not comparable(method, facts) or "error" in before or _enough(before.get("runs", []), options):
            continue
        mesh = options.work / f"{source.name}, {method.name}.ply"
        row = measured(method, before.get("runs", []), written, mesh, len(cloud), options)
        if "error" not in row:
            row = {**before, **row} if before else row | _quality(shape, mesh, options.samples)
        results.add(source.name, mark, {method.name: row})
        print(f"{source.name:24} {method.name:36} {line(row)}", flush=True)


def _enough(runs: list[dict], options) -> bool:
    return len(runs) >= options.repeat or bool(runs and runs[0]["wall"] > options.long)


def comparable(method: Method, truth: dict) -> bool:
    """Closed surfaces are no match for a truth with borders, trimmed ones none where all of a closed truth is sampled.

    But for one spline, which is closed and runs everywhere, and what is neither, which is ours and ball pivoting.
    """
    if method.ladder and truth["kind"] != LADDER_KIND:
        return False
    if method.closed:
        whole = truth["watertight"] and truth["complete"]
        return method.family == ONE_SPLINE or (truth["watertight"] and not (whole and "filled" in method.setting))
    return "trimmed" not in method.setting or not (truth["watertight"] and truth["complete"])


def _written(cloud: Cloud, path: Path) -> Path:
    save_mesh(path, cloud.points, cloud.normals, None)
    return path


def _quality(truth, mesh: Path, samples: int) -> dict:
    try:
        found = welded(*(part.numpy() for part in load_mesh(mesh)))
    except NeuralSplinesError as error:
        return {"error": str(error).replace(str(mesh), "the mesh")}
    return judged((truth.vertices, truth.faces), found, samples)


def line(row: dict) -> str:
    if "error" in row:
        return row["error"]
    took = f"{row['wall']:6.1f} s {row['cpu']:6.1f} s CPU {row['GB']:5.2f} GB"
    how = f"({len(row['runs'])} runs, others {row['others']:.1f})"
    return f"{took} {how}  cd {1e4 * row['cd']:7.2f}  nc {row['normal_consistency']:.4f}"


def warm_up(methods: list[Method], options) -> None:
    """Our commands once on a small cloud: the first run on a machine compiles, which is told elsewhere."""
    import numpy as np
    import truths
    from clouds import sampled

    cloud = _written(sampled(truths.sphere(4), 1000, np.random.default_rng(0)), options.work / "warm-up.ply")
    for method in methods:
        if method.family in (OURS, ONE_SPLINE):
            processes.run(method.commands(str(cloud), str(options.work / "warm-up mesh.ply"), 1000), options.limit)


def chosen(options) -> list[Input]:
    found, words = folder_inputs(options.folder) if options.folder else own_inputs(), _words(options.cases)
    if words:
        return [one for one in found if any(one.name == w[1:] if w[0] == "=" else w in one.name for w in words)]
    return [one for one in found if not one.name.endswith("-1000000")]


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def main(argv=None) -> None:
    options = parse(argv)
    results = Results(options.out)
    if not options.only_document:
        methods, missing = installed(options.device)
        words = _words(options.methods)
        methods = [method for method in methods if not words or any(word in method.name for word in words)]
        print(*missing, sep="\n", end="\n" if missing else "")
        options.machine = host(options.device != "cpu")
        with tempfile.TemporaryDirectory() as folder:
            options.work = options.work or Path(folder)
            options.work.mkdir(parents=True, exist_ok=True)
            try:
                sources = chosen(options)
                if not sources:
                    sys.exit(f"no cloud has a name with {options.cases}: give others to --cases")
                warm_up(methods, options)
                for source in sources:
                    run(source, methods, options, results)
            except (NeuralSplinesError, processes.ProcessError) as error:
                sys.exit(str(error))
            if options.document:
                write_page(
                    options.document, results, options.work
                )  # draws pictures of the meshes, while they are there
    elif options.document:
        write_page(options.document, results, options.work)


def parse(argv):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--folder", type=Path, help="clouds NAME... with truths NAME_gt.ply, in the place of our own cases")
    p.add_argument(
        "--cases",
        default="",
        metavar="WORDS",
        help="parts of names by commas, =NAME: that one alone (all but the million)",
    )
    p.add_argument(
        "--methods", default="", metavar="WORDS", help="parts of names by commas, e.g. Open3D,grid auto (all)"
    )
    p.add_argument("--repeat", type=int, default=3, help="medians of so many runs (%(default)s)")
    p.add_argument(
        "--long", type=float, default=20.0, metavar="SECONDS", help="longer runs are not repeated (%(default)s)"
    )
    p.add_argument("--limit", type=float, default=3600.0, metavar="SECONDS", help="longer runs are ended (%(default)s)")
    p.add_argument(
        "--patience", type=float, default=0.0, metavar="SECONDS", help="wait so long for a quiet machine (0)"
    )
    p.add_argument("--samples", type=int, default=100_000, help="of the judge, on each mesh (%(default)s)")
    p.add_argument("--device", default="auto", help="of ours (%(default)s)")
    p.add_argument(
        "--resume", action="store_true", help="run nothing that --out has from this machine and these versions"
    )
    p.add_argument("--work", type=Path, metavar="FOLDER", help="keep clouds and meshes here")
    p.add_argument("--out", type=Path, default=BENCHMARK, metavar="FILE", help="JSON of the results (%(default)s)")
    p.add_argument(
        "--document",
        type=Path,
        metavar="FILE",
        help="put standings here; figures go to the folder images beside it, all rows to the folder results",
    )
    p.add_argument("--only-document", action="store_true", help="from what is stored")
    return p.parse_args(argv)


if __name__ == "__main__":
    main()
