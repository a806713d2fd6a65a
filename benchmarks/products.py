"""Speed and error of the kernel products, one command for CPU and GPU.

    python benchmarks/products.py                              # the default backend of this machine, and torch
    python benchmarks/products.py --backends numba,torch,keops --json products.json

A row of the table: milliseconds (median after a warm-up), pairs (kernel values) a second, and the largest error
of a random subset of the results against plain torch in float64, relative to the largest of them. `normal` is
K'(K w) of n m pairs. `cells` is apply on many small problems at once. On a GPU, `bound` is the share of what was
measured on it: of its multiply-adds by apply's operations, or of its writes by the dense matrix.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from neural_splines.kernels import KERNELS, make_kernel
from neural_splines.products import MODULES, Segments, load, torch_blocks

if torch.cuda.is_available() and importlib.util.find_spec("triton"):
    import triton
    import triton.language as tl

    @triton.jit
    def multiply_adds(out, x, steps, BLOCK: tl.constexpr):
        i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        z = tl.load(x + i)
        p0, p1, p2, p3 = z, z + 0.1, z + 0.2, z + 0.3
        for _ in range(steps):
            for _ in tl.static_range(16):  # two registers and a constant: three would wait for the registers' ports
                p0, p1, p2, p3 = p0 * z + 0.5, p1 * z + 0.5, p2 * z + 0.5, p3 * z + 0.5
        tl.store(out + i, p0 + p1 + p2 + p3)


OPERATIONS = ("apply", "transpose", "normal", "gradient", "dense", "cells")
CELL_ROWS, CELL_COLUMNS = 1000, 300
SUBSET = 200
SLOW = {"torch": 10}  # backends that get fewer rows


def main(argv=None) -> None:
    args = parse_arguments(argv)
    device = torch.device(args.device)
    print(f"{name_of(device)}; torch {torch.__version__}; {args.kernel}")
    bounds = ceilings(device) if device.type == "cuda" else {}
    for what, rate in bounds.items():
        print(f"  {what}: {rate / 1e12:.2f} T/s")
    print("backend  dtype    operation         n       m        ms  Gpairs/s    error  bound")
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

    if operation == "apply":
        run, pick = lambda: products.apply(kernel, x, y, w), some_rows
        expected = torch_blocks.apply(kernel, X[pick], Y, W)
    elif operation == "transpose":
        run, pick = lambda: products.apply(kernel, y, x, v), some_columns
        expected = torch_blocks.apply(kernel, Y[pick], X, V)
    elif operation == "normal":
        run, pick = lambda: products.normal(kernel, x, y, w), some_columns
        expected = torch_blocks.apply(kernel, Y[pick], X, torch_blocks.apply(kernel, X, Y, W))
    elif operation == "gradient":
        run, pick = lambda: products.gradient(kernel, x, y, w)[1], some_rows
        expected = torch_blocks.gradient(kernel, X[pick], Y, W)[1]
    elif operation == "dense":
        limit = (4 << 30) // (m * x.element_size())
        x, pairs = x[:limit], min(n, limit) * m
        run, pick = lambda: products.dense(kernel, x, y), some_rows[some_rows < limit]
        expected = torch_blocks.dense(kernel, X[pick], Y)
    else:
        offsets = torch.arange(cells + 1, device=device)
        segments = Segments(offsets * CELL_ROWS, offsets * CELL_COLUMNS)
        run, pick, pairs = lambda: products.apply(kernel, x, y, w, segments), slice(0, CELL_ROWS), n * CELL_COLUMNS
        expected = torch_blocks.apply(kernel, X[pick], Y[:CELL_COLUMNS], W[:CELL_COLUMNS])

    error = float((run()[pick].double() - expected).abs().max() / expected.abs().max())
    seconds = median_seconds(run, device, args.repetitions)
    row = {"backend": backend, "dtype": str(dtype)[6:], "operation": operation, "n": pairs // m, "m": m}
    if operation == "cells":
        row |= {"n": n, "m": CELL_COLUMNS}
    row |= {"ms": 1e3 * seconds, "pairs_per_second": pairs / seconds, "error": error}
    if backend == "triton" and bounds:
        row["share_of_bound"] = share_of_bound(row, kernel, dtype, bounds)
    return row


def share_of_bound(row, kernel, dtype, bounds):
    if row["operation"] == "dense":
        return row["pairs_per_second"] * dtype.itemsize / bounds["bytes written"]
    if row["operation"] == "gradient":
        return None
    p = kernel.polynomials(dtype)
    double = dtype == torch.float64
    operations = (4 + 3 if double else 8) + len(p.b) - 1 + 2 + (len(p.a) if len(p.a) > 2 else 0)
    passes = 2 if row["operation"] == "normal" else 1
    return passes * operations * row["pairs_per_second"] / bounds[f"multiply-adds {row['dtype']}"]


def bumpy_sphere(count: int, generator: torch.Generator) -> torch.Tensor:
    directions = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    directions /= directions.norm(dim=1, keepdim=True)
    return directions * (0.4 + 0.1 * torch.sin(9.0 * directions[:, :1]) * torch.cos(7.0 * directions[:, 1:2]))


def median_seconds(run, device: torch.device, repetitions: int) -> float:
    """Of one call. On a GPU some calls are timed together, as in a solver, where the host runs ahead."""
    if device.type != "cuda":
        return statistics.median(host_seconds(run) for _ in range(repetitions))
    calls = max(1, min(50, int(0.02 / device_seconds(run, 1))))
    return statistics.median(device_seconds(run, calls) for _ in range(repetitions))


def host_seconds(run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def device_seconds(run, calls: int) -> float:
    start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(calls):
        run()
    stop.record()
    stop.synchronize()
    return 1e-3 * start.elapsed_time(stop) / calls


def ceilings(device: torch.device) -> dict[str, float]:
    """What this GPU reaches: bytes and operations a second."""
    result = {}
    a = torch.randn(8192, 8192, device=device, dtype=torch.float64)
    for _ in range(3):  # and the clock is up
        a @ a
    result["dgemm operations (2 a multiply-add)"] = 2 * 8192**3 / median_seconds(lambda: a @ a, device, 7)
    if importlib.util.find_spec("triton"):
        for dtype in (torch.float64, torch.float32):
            result[f"multiply-adds {str(dtype)[6:]}"] = multiply_add_rate(device, dtype)
    a = torch.randn(1 << 28, device=device, dtype=torch.float64)
    b = torch.empty_like(a)
    result["bytes copied (read and written)"] = 2 * a.nbytes / median_seconds(lambda: b.copy_(a), device, 7)
    result["bytes written"] = a.nbytes / median_seconds(lambda: b.fill_(1.0), device, 7)
    return result


def multiply_add_rate(device: torch.device, dtype: torch.dtype) -> float:
    programs, steps = 132 * 128, 100
    x = torch.rand(128 * programs, device=device, dtype=dtype)
    out = torch.empty_like(x)

    def run():
        multiply_adds[(programs,)](out, x, steps, 128, num_warps=1, enable_fp_fusion=True)

    run()
    return x.numel() * steps * 64 / median_seconds(run, device, 7)


def ratios(rows):
    """How many times as fast the first backend is as the others."""
    first = rows[0]["backend"]
    for other in dict.fromkeys(row["backend"] for row in rows if row["backend"] != first):
        for dtype in dict.fromkeys(row["dtype"] for row in rows):
            rate = {(r["backend"], r["operation"]): r["pairs_per_second"] for r in rows if r["dtype"] == dtype}
            factors = [f"{o} {rate[first, o] / rate[other, o]:.1f}" for o in OPERATIONS if (first, o) in rate]
            yield f"{first} / {other}, {dtype}: " + ", ".join(factors)


def table_row(row) -> str:
    bound = f"{row['share_of_bound']:6.0%}" if row.get("share_of_bound") else ""
    return (
        f"{row['backend']:8} {row['dtype']:8} {row['operation']:10} {row['n']:8} {row['m']:7} {row['ms']:9.3f} "
        f"{row['pairs_per_second'] / 1e9:9.3f} {row['error']:8.1e} {bound}"
    )


def name_of(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"


def parse_arguments(argv):
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if cuda else "cpu", help="(default: %(default)s)")
    parser.add_argument("--backends", help=f"comma-separated, of {', '.join(MODULES)} (default: by the device)")
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
