"""Phases between reading and writing, warm, on the CPU or a GPU: medians of several runs in one process.

    python benchmarks/pipeline.py CLOUD "auto 10000 256" ["auto auto 512 auto" ...] [--repeat 5] [--json FILE]

Each quoted string holds the arguments of fit.py after the cloud (three) or of fit-grid.py (four), and options.
A row of the table: seconds; for one spline kernel evaluations a second and their share of what the measured rate of
multiply-adds allows; the peak of memory, of a GPU during the phase, on a CPU of the process until its end.
"""

import argparse
import json
import shlex
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from machine import ceilings, evaluation_rate, name_of, peak_bytes, reset_peak  # noqa: E402

from neural_splines.command_line import arguments, cell_arguments, fit, fit_grid  # noqa: E402
from neural_splines.files.point_clouds import load_point_cloud  # noqa: E402
from neural_splines.kernels.products import resolve  # noqa: E402
from neural_splines.run.whole import Reconstruction, mesh_cloud  # noqa: E402
from neural_splines.runtime.monitor import PhaseTimer  # noqa: E402
from neural_splines.spline.fitting import SplineFit  # noqa: E402


def settings_of(cloud: str, words: list[str]):
    """The settings that a script would make of these arguments."""
    positional = next((i for i, word in enumerate(words) if word.startswith("--")), len(words))
    script = "fit.py" if positional == 3 else "fit-grid.py"
    command = fit if script == "fit.py" else fit_grid
    args = command.parse_arguments([cloud, *words, "--seed", "0"], script)
    cells = cell_arguments.cell_settings_from(args) if script == "fit-grid.py" else None
    return arguments.settings_from(args, cells=cells)


class PeakMonitor(PhaseTimer):
    """Keeps the peak of memory of each phase, too."""

    def __init__(self, device: torch.device):
        super().__init__()
        self.device, self.peaks = device, {}

    def phase(self, name: str) -> None:
        before = self._name
        super().phase(name)
        if before:
            self.peaks[before] = max(self.peaks.get(before, 0), peak_bytes(self.device))
        reset_peak(self.device)


def measure(cloud, settings, repeat: int, bounds: dict[str, float]) -> dict:
    device = resolve(settings.device).device
    monitors, result = [], None
    for _ in range(repeat + 1):
        monitors.append(PeakMonitor(device))
        result = None  # its memory is not the next run's
        result = mesh_cloud(cloud, settings, monitors[-1])
    first, *warm = monitors
    compute, pairs, most = result.compute, evaluations(result), None
    if isinstance(result.fit, SplineFit):
        most = evaluation_rate(result.fit.field.kernel, compute.dtype, compute.backend.name, bounds)
    phases = {}
    for name in first.seconds:
        seconds = statistics.median(run.seconds[name] for run in warm)
        rate = pairs[name] / seconds if name in pairs else None
        share = rate / most if rate and most else None
        peak = max(run.peaks[name] for run in warm)
        phases[name] = {"seconds": seconds, "evaluations_per_second": rate, "share_of_bound": share, "peak_bytes": peak}
    return {
        "first": sum(first.seconds.values()),
        "total": statistics.median(sum(run.seconds.values()) for run in warm),
        "phases": phases,
        "fit": f"{result.fit.summary()}, {result.fit.details()}",
        "vertices": len(result.mesh.vertices),
        "device": str(compute.device),
        "backend": compute.backend.name,
    }


def evaluations(result: Reconstruction) -> dict[str, int]:
    """Kernel values that the phases of one spline use: K'(K w) takes each twice, but once on the CPU, in one pass."""
    if not isinstance(result.fit, SplineFit):
        return {}
    n, m, passes = (
        len(result.fit.positions),
        len(result.fit.field.centers),
        1 if result.compute.backend.name == "numba" else 2,
    )
    products = passes * (result.fit.solution.cg.iterations + 1) + 1  # with the residual's and the right-hand side's
    return {"conjugate gradients": n * m * products, "sample": result.evaluations * m}


def print_phases(phases: dict[str, dict]) -> None:
    print("  phase                  seconds  G evaluations/s  bound      GB")
    for name, row in phases.items():
        rate = f"{row['evaluations_per_second'] / 1e9:16.3f}" if row["evaluations_per_second"] else 16 * " "
        share = f"{row['share_of_bound']:6.0%}" if row["share_of_bound"] else 6 * " "
        print(f"  {name:20} {row['seconds']:9.3f} {rate} {share} {row['peak_bytes'] / 1e9:7.2f}")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cloud")
    p.add_argument("arguments", nargs="+")
    p.add_argument("--repeat", type=int, default=3)
    p.add_argument("--json", default=None)
    options = p.parse_args()
    cloud, _ = load_point_cloud(options.cloud)
    rows, bounds = {}, {}
    for text in options.arguments:
        settings = settings_of(options.cloud, shlex.split(text))
        device = resolve(settings.device).device
        bounds = bounds or ceilings(device)
        rows[text] = row = measure(cloud, settings, options.repeat, bounds)
        print(f"{Path(options.cloud).name} {text}: {row['total']:.3f} s warm, {row['first']:.2f} s first")
        print(f"  {row['backend']} on {row['device']}, {row['fit']}; {row['vertices']} vertices")
        print_phases(row["phases"])
    if options.json:
        report = {"machine": name_of(device), "torch": torch.__version__, "ceilings": bounds, "rows": rows}
        Path(options.json).write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
