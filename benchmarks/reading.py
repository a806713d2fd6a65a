"""Reading and cleaning: points a second and peak memory, for binary and text PLY with and without faults.

    python benchmarks/reading.py --points 1000000 20000000

The bound: the bytes of the file at the rate of a copy in memory, measured here, and the float64 arrays written once.
Each case runs in a process of its own, the file in the system's cache; peak memory is over that of the imports.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("float", "double", "big-endian", "text", "float, 1 % repeated", "float, 1 % NaN")
TEXT_LIMIT = 1_000_000  # points: a text file takes 60 bytes a point


def write(path: Path, count: int, kind: str) -> None:
    """A sphere's points and normals in another order than the sphere's."""
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(count, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    rows = np.concatenate([normals * 5 + 0.1, normals], 1)
    if "repeated" in kind:
        rows[rng.integers(0, count, count // 100)] = rows[rng.integers(0, count, count // 100)]
    if "NaN" in kind:
        rows[rng.integers(0, count, count // 100), rng.integers(0, 6, count // 100)] = np.nan
    number = "double" if kind == "double" else "float"
    format_ = {"text": "ascii", "big-endian": "binary_big_endian"}.get(kind, "binary_little_endian")
    names = "\n".join(f"property {number} {name}" for name in ("x", "y", "z", "nx", "ny", "nz"))
    with open(path, "wb") as stream:
        stream.write(f"ply\nformat {format_} 1.0\nelement vertex {count}\n{names}\nend_header\n".encode())
        if kind == "text":
            np.savetxt(stream, rows, fmt="%.7g")
        else:
            stream.write(rows.astype((">" if kind == "big-endian" else "<") + ("f8" if kind == "double" else "f4")))


def measure(path: str) -> dict[str, float]:
    """Seconds and bytes of one load, in this process."""
    import torch  # noqa: F401

    from neural_splines.files.point_clouds import load_point_cloud

    def peak(name: str) -> int:
        return 1024 * int(Path("/proc/self/status").read_text().split(f"{name}:")[1].split()[0])

    load_point_cloud(ROOT / "examples" / "knot.ply")  # imports and compiles
    before = peak("VmRSS")
    start = time.perf_counter()
    cloud, report = load_point_cloud(path)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak": peak("VmHWM") - before, "kept": report.kept, "arrays": 48 * len(cloud)}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--points", type=int, nargs="+", default=[1_000_000])
    p.add_argument("--kinds", nargs="+", default=KINDS)
    p.add_argument("--measure", help=argparse.SUPPRESS)
    args = p.parse_args()
    sys.path.insert(0, str(ROOT))
    if args.measure:
        print(json.dumps(measure(args.measure)))
        return
    print(f"{'points':>9} {'kind':22} {'s':>6} {'M points/s':>10} {'bound s':>8} {'peak / arrays':>13}")
    with tempfile.TemporaryDirectory() as folder:
        for count in args.points:
            source = np.ones(count * 6)
            start = time.perf_counter()
            source.copy()
            copy_rate = 2 * source.nbytes / (time.perf_counter() - start)
            for kind in args.kinds:
                if kind == "text" and count > TEXT_LIMIT:
                    continue
                path = Path(folder) / "cloud.ply"
                write(path, count, kind)
                command = [sys.executable, __file__, "--measure", str(path)]
                environment = {**os.environ, "PYTHONPATH": str(ROOT)}
                answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
                row = json.loads(answer.stdout)
                bound = (path.stat().st_size + row["arrays"]) / copy_rate
                rate, share = count / row["seconds"] / 1e6, row["peak"] / row["arrays"]
                print(f"{count:9} {kind:22} {row['seconds']:6.2f} {rate:10.2f} {bound:8.3f} {share:13.1f}", flush=True)


if __name__ == "__main__":
    main()
