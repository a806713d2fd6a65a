"""Seconds by phase between reading and writing, warm: medians of several runs in one process.

    python benchmarks/pipeline.py CLOUD "auto 10000 256" ["auto auto 512 auto" ...] [--repeat 5] [--json FILE]

Each quoted string holds the arguments of fit.py after the cloud (three) or of fit-grid.py (four), and options.
"""

import argparse
import importlib.util
import json
import shlex
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from neural_splines import cli  # noqa: E402
from neural_splines.files import load_point_cloud  # noqa: E402
from neural_splines.monitor import Monitor  # noqa: E402
from neural_splines.reconstruct import reconstruct  # noqa: E402


def settings_of(cloud: str, words: list[str]):
    """The settings that a script would make of these arguments."""
    positional = next((i for i, word in enumerate(words) if word.startswith("--")), len(words))
    script = "fit.py" if positional == 3 else "fit-grid.py"
    spec = importlib.util.spec_from_file_location("script", ROOT / script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    args = module.parse_arguments([cloud, *words, "--seed", "0"])
    cells = cli.cell_settings_from(args) if script == "fit-grid.py" else None
    return cli.settings_from(args, cells=cells)


def measure(cloud, settings, repeat: int) -> dict:
    runs, result = [], None
    for _ in range(repeat + 1):
        monitor = Monitor()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        result = reconstruct(cloud, settings, monitor)
        runs.append(dict(monitor.seconds))
    warm = runs[1:]
    phases = {name: statistics.median(run[name] for run in warm) for name in warm[0]}
    return {
        "first": sum(runs[0].values()),
        "total": statistics.median(sum(run.values()) for run in warm),
        "phases": phases,
        "fit": result.fit.summary(),
        "vertices": len(result.mesh.vertices),
        "evaluations": result.evaluations,
        "gpu_bytes": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
        "device": str(result.compute.device),
        "backend": result.compute.name,
    }


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cloud")
    p.add_argument("arguments", nargs="+")
    p.add_argument("--repeat", type=int, default=3)
    p.add_argument("--json", default=None)
    options = p.parse_args()
    cloud, _ = load_point_cloud(options.cloud)
    rows = {}
    for text in options.arguments:
        rows[text] = row = measure(cloud, settings_of(options.cloud, shlex.split(text)), options.repeat)
        print(f"{Path(options.cloud).name} {text}: {row['total']:.3f} s warm, {row['first']:.2f} s first")
        print(f"  {row['backend']} on {row['device']}, {row['fit']}; {row['vertices']} vertices")
        print("  " + ", ".join(f"{name} {seconds:.3f}" for name, seconds in row["phases"].items()), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
