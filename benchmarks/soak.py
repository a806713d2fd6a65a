"""Many reconstructions in one process: does memory stay flat?

    python benchmarks/soak.py [--runs 200] [--device auto] [--out soak.json]

Clouds, sizes and cells change from run to run, so that no cache meets the same input twice. After each run what
the process holds is noted: resident memory and, on a GPU, what PyTorch has allocated there. The last lines give the
curve, and a line fitted through its second half in MB a run; exit code 1 where that rises by more than 0.2.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import neural_splines as ns

CYCLE = 10  # kinds of runs
RISE = 0.2  # MB a run: 20 MB in a hundred


def cloud(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A bumpy sphere of 1000 to 4000 points, another one for each seed."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1000, 4000))
    normals = rng.normal(size=(count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return normals * (1.0 + 0.3 * rng.random()), normals


def reconstruct(run: int, device: str) -> int:
    """One of CYCLE kinds of runs; the number of vertices."""
    points, normals = cloud(run)
    kind = run % CYCLE
    cells = None if kind < 3 else ns.CellSettings(cells_per_axis="auto" if kind < 8 else 3, fill_holes=kind == 7)
    options = {"num_nystrom_samples": 300} if cells is None else {}
    if kind == 2:
        options["dtype"] = "float32"
    if kind == 9:
        options["dense"] = True
    result = ns.reconstruct(
        points, normals, ns.Settings(grid_size=32 + 4 * kind, cells=cells, device=device, **options)
    )
    return len(result.mesh.vertices)


def resident() -> float:
    """MB of memory that this process holds."""
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main(runs: int, device: str, out: str) -> int:
    host, gpu = [], []
    for run in range(runs):
        reconstruct(run, device)
        if run % CYCLE == CYCLE - 1:
            gc.collect()
        host.append(resident())
        gpu.append(torch.cuda.memory_allocated() / 1e6 if torch.cuda.is_available() else 0.0)
        if run % 20 == 19 or run == 0:
            print(f"| {run + 1} | {host[-1]:.0f} | {gpu[-1]:.0f} |", flush=True)
    half = np.arange(runs // 2, runs)
    rises = {
        name: float(np.polyfit(half, np.array(curve)[half], 1)[0]) for name, curve in (("host", host), ("gpu", gpu))
    }
    print(f"second half: {rises['host']:+.3f} MB a run on the host, {rises['gpu']:+.3f} on the GPU")
    Path(out).write_text(json.dumps({"host": host, "gpu": gpu, "rises": rises}))
    return int(max(rises.values()) > RISE)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", default="soak.json")
    args = parser.parse_args()
    sys.exit(main(args.runs, args.device, args.out))
