"""Speed and error of the kernel products, one command for CPU and GPU.

    python benchmarks/products.py                              # the default backend of this machine, and torch
    python benchmarks/products.py --backends numba,torch,keops --json products.json

A row of the table: milliseconds (median after a warm-up), pairs (kernel values) a second, and the largest error
of a random subset of the results against plain torch in float64, relative to the largest of them. `normal` is
K'(K w) of n m pairs, `stored` the same from K in memory. `cells` is apply on many small problems at once. `bound` is
the share of what was measured on the device: of its multiply-adds by the operations of the fused loops, of its copies
by the stored matrix, read twice, or of its writes by the dense matrix. `GB` is the peak of memory: of a GPU during the
operation, on a CPU of the process until then.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from machine import ceilings, evaluation_rate, median_seconds, name_of, peak_bytes, reset_peak

from neural_splines.kernels.kernels import KERNELS, make_kernel
from neural_splines.kernels.products import BACKENDS, Segments, load

REFERENCE = load("torch")

OPERATIONS = ("apply", "transpose", "normal", "stored", "gradient", "dense", "cells")
CELL_ROWS, CELL_COLUMNS = 1000, 300
SUBSET = 200
SLOW = {"torch": 10}  # backends that get fewer rows


def main(argv=None) -> None:
    args = parse_arguments(argv)
    device = torch.device(args.device)
    print(f"{name_of(device)}; torch {torch.__version__}; {args.kernel}")
    bounds = ceilings(device)
    for what, rate in bounds.items():
        print(f"  {what}: {rate / 1e9:.4g} G/s")
    print("backend  dtype    operation         n       m        ms  Gpairs/s    error  bound      GB")
    rows = []
    for dtype in args.dtypes:
        for backend in args.backends:
            for operation in args.operations:
                rows.append(measure(args, backend, dtype, operation, device, bounds))
                print(table_row(rows[-1]), flush=True)
    for line in ratios(rows):
        print(line)
    if args.json:
        report = {"machine": name_of(device), "torch": torch.__version__, "ceilings": bounds, "rows": rows}
        Path(args.json).write_text(json.dumps(report, indent=1))


def measure(args, backend, dtype, operation, device, bounds) -> dict:
    products = load(backend)
    n, m = args.n // SLOW.get(backend, 1), args.m
    if operation == "cells":
        cells = max(1, n // CELL_ROWS) * (10 if device.type == "cuda" else 1)
        n, m = cells * CELL_ROWS, cells * CELL_COLUMNS
    generator = torch.Generator().manual_seed(0)
    x, y = (bumpy_sphere(k, generator).to(device, dtype) for k in (n, m))
    w, v = (torch.randn(k, generator=generator, dtype=torch.float64).to(device, dtype) for k in (m, n))
    kernel = make_kernel(args.kernel, 1.0).covering(float(x.norm(dim=1).max()), float(y.norm(dim=1).max()))
    X, Y, W, V = (t.double() for t in (x, y, w, v))
    some_rows, some_columns = (torch.randperm(k, generator=generator)[:SUBSET].to(device) for k in (n, m))
    pairs = n * m
    reset_peak(device)

    if operation == "apply":
        run, pick = lambda: products.apply(kernel, x, y, w), some_rows
        expected = REFERENCE.apply(kernel, X[pick], Y, W)
    elif operation == "transpose":
        run, pick = lambda: products.apply(kernel, y, x, v), some_columns
        expected = REFERENCE.apply(kernel, Y[pick], X, V)
    elif operation == "normal":
        run, pick = lambda: products.normal(kernel, x, y, w), some_columns
        expected = REFERENCE.apply(kernel, Y[pick], X, REFERENCE.apply(kernel, X, Y, W))
    elif operation == "stored":
        K = products.dense(kernel, x[: (16 << 30 if device.type == "cuda" else 1 << 30) // (m * x.element_size())], y)
        run, pick, pairs = lambda: torch.mv(K.mT, torch.mv(K, w)), some_columns, K.numel()
        expected = REFERENCE.apply(kernel, Y[pick], X[: len(K)], REFERENCE.apply(kernel, X[: len(K)], Y, W))
    elif operation == "gradient":
        run, pick = lambda: products.gradient(kernel, x, y, w)[1], some_rows
        expected = REFERENCE.gradient(kernel, X[pick], Y, W)[1]
    elif operation == "dense":
        limit = (4 << 30) // (m * x.element_size())
        x, pairs = x[:limit], min(n, limit) * m
        run, pick = lambda: products.dense(kernel, x, y), some_rows[some_rows < limit]
        expected = REFERENCE.dense(kernel, X[pick], Y)
    else:
        offsets = torch.arange(cells + 1, device=device)
        segments = Segments(offsets * CELL_ROWS, offsets * CELL_COLUMNS)
        run, pick, pairs = lambda: products.apply(kernel, x, y, w, segments), slice(0, CELL_ROWS), n * CELL_COLUMNS
        expected = REFERENCE.apply(kernel, X[pick], Y[:CELL_COLUMNS], W[:CELL_COLUMNS])

    error = float((run()[pick].double() - expected).abs().max() / expected.abs().max())
    seconds = median_seconds(run, device, args.repetitions)
    row = {"backend": backend, "dtype": str(dtype)[6:], "operation": operation, "n": pairs // m, "m": m}
    if operation == "cells":
        row |= {"n": n, "m": CELL_COLUMNS}
    row |= {"ms": 1e3 * seconds, "pairs_per_second": pairs / seconds, "error": error}
    row["share_of_bound"] = share_of_bound(row, kernel, dtype, bounds)
    return row | {"peak_bytes": peak_bytes(device)}


def share_of_bound(row, kernel, dtype, bounds) -> float | None:
    rate, operation = row["pairs_per_second"], row["operation"]
    if operation == "dense":
        return rate * dtype.itemsize / bounds["bytes written"]
    if operation == "stored":
        return 2 * rate * dtype.itemsize / bounds["bytes copied (read and written)"]
    most = evaluation_rate(kernel, dtype, row["backend"], bounds)
    # on the CPU `normal` evaluates a pair once, and its last product is one more operation
    passes = 2 if operation == "normal" and row["backend"] == "triton" else 1
    return None if operation == "gradient" or most is None else passes * rate / most


def bumpy_sphere(count: int, generator: torch.Generator) -> torch.Tensor:
    directions = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    directions /= directions.norm(dim=1, keepdim=True)
    return directions * (0.4 + 0.1 * torch.sin(9.0 * directions[:, :1]) * torch.cos(7.0 * directions[:, 1:2]))


def ratios(rows):
    """How many times as fast the first backend is as the others."""
    first = rows[0]["backend"]
    for other in dict.fromkeys(row["backend"] for row in rows if row["backend"] != first):
        for dtype in dict.fromkeys(row["dtype"] for row in rows):
            rate = {(r["backend"], r["operation"]): r["pairs_per_second"] for r in rows if r["dtype"] == dtype}
            factors = [f"{o} {rate[first, o] / rate[other, o]:.1f}" for o in OPERATIONS if (first, o) in rate]
            yield f"{first} / {other}, {dtype}: " + ", ".join(factors)


def table_row(row) -> str:
    bound = f"{row['share_of_bound']:6.0%}" if row["share_of_bound"] else 6 * " "
    return (
        f"{row['backend']:8} {row['dtype']:8} {row['operation']:10} {row['n']:8} {row['m']:7} {row['ms']:9.3f} "
        f"{row['pairs_per_second'] / 1e9:9.3f} {row['error']:8.1e} {bound} {row['peak_bytes'] / 1e9:7.2f}"
    )


def parse_arguments(argv):
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if cuda else "cpu", help="(default: %(default)s)")
    parser.add_argument("--backends", help=f"comma-separated, of {', '.join(BACKENDS)} (default: by the device)")
    parser.add_argument("--dtypes", default="float64,float32", help="(default: %(default)s)")
    parser.add_argument("--operations", default=",".join(OPERATIONS), help="(default: %(default)s)")
    parser.add_argument("--kernel", choices=KERNELS, default="neural-spline", help="(default: %(default)s)")
    parser.add_argument("--n", type=int, help="rows (default: 100000 on a GPU, 20000 on a CPU)")
    parser.add_argument("--m", type=int, help="columns (default: 10000 on a GPU, 2000 on a CPU)")
    parser.add_argument("--repetitions", type=int, help="timed calls (default: 9 on a GPU, 5 on a CPU)")
    parser.add_argument("--json", metavar="FILE", help="write the table there too")
    args = parser.parse_args(argv)
    gpu = torch.device(args.device).type == "cuda"
    args.n = args.n or (100_000 if gpu else 20_000)
    args.m = args.m or (10_000 if gpu else 2_000)
    args.repetitions = args.repetitions or (9 if gpu else 5)
    args.backends = (args.backends or ("triton,torch" if gpu else "numba,torch")).split(",")
    args.dtypes = [getattr(torch, name) for name in args.dtypes.split(",")]
    args.operations = args.operations.split(",")
    return args


if __name__ == "__main__":
    main()
