"""What the machine reaches, and what a run takes of it: ceilings, times and peak memory, on a CPU or a GPU."""

from __future__ import annotations

import importlib.util
import os
import platform
import resource
import statistics
import sys
import time
from pathlib import Path

import numba
import numpy as np
import torch

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


DTYPES = (torch.float64, torch.float32)


@numba.njit(parallel=True, fastmath={"contract"}, error_model="numpy")
def multiply_adds_on_cpu(numbers, steps):
    half = numbers.dtype.type(0.5)
    for i in numba.prange(numbers.shape[0]):
        row = numbers[i]
        for _ in range(steps):
            for j in range(row.shape[0]):
                z = p = row[j]
                for _ in range(15):
                    p = p * z + half
                row[j] = p * half  # stays between 0 and 1/2


def evaluation_rate(kernel, dtype: torch.dtype, backend: str, bounds: dict[str, float]) -> float | None:
    """Kernel evaluations a second at the measured rate of multiply-adds: a pair's operations but its root."""
    rate, p = bounds.get(f"multiply-adds {str(dtype)[6:]}"), kernel.polynomials(dtype)
    if rate is None or backend not in ("triton", "numba"):
        return None
    if backend == "numba":  # differences, squares, the shift, both polynomials, their sum, its weight
        return rate / (8 + 1 + len(p.a) - 1 + len(p.b) - 1 + 2)
    double = dtype == torch.float64
    return rate / ((4 + 3 if double else 8) + len(p.b) - 1 + 2 + (len(p.a) if len(p.a) > 2 else 0))


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device: torch.device) -> int:
    """Of a GPU since `reset_peak`; on a CPU of the process since its start."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


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
    """What this device reaches: bytes and operations a second."""
    result, size = {}, 8192 if device.type == "cuda" else 2048
    a = torch.randn(size, size, device=device, dtype=torch.float64)
    for _ in range(3):  # and the clock is up
        a @ a
    result["dgemm operations (2 a multiply-add)"] = 2 * size**3 / median_seconds(lambda: a @ a, device, 7)
    if device.type == "cpu" or importlib.util.find_spec("triton"):
        for dtype in DTYPES:
            result[f"multiply-adds {str(dtype)[6:]}"] = multiply_add_rate(device, dtype)
    a = torch.randn(1 << (28 if device.type == "cuda" else 23), device=device, dtype=torch.float64)
    b = torch.empty_like(a)
    result["bytes copied (read and written)"] = 2 * a.nbytes / median_seconds(lambda: b.copy_(a), device, 7)
    result["bytes written"] = a.nbytes / median_seconds(lambda: b.fill_(1.0), device, 7)
    return result


def multiply_add_rate(device: torch.device, dtype: torch.dtype) -> float:
    if device.type == "cpu":
        numbers = np.full((64, 512), 0.25, str(dtype)[6:])  # rows that stay in the first cache
        multiply_adds_on_cpu(numbers, 1)
        return numbers.size * 400 * 16 / median_seconds(lambda: multiply_adds_on_cpu(numbers, 400), device, 7)
    programs, steps = 132 * 128, 100
    x = torch.rand(128 * programs, device=device, dtype=dtype)
    out = torch.empty_like(x)

    def run():
        multiply_adds[(programs,)](out, x, steps, 128, num_warps=1, enable_fp_fusion=True)

    run()
    return x.numel() * steps * 64 / median_seconds(run, device, 7)


def host(gpu: bool = False) -> str:
    """The processor, its cores that this process may use, the memory, and the GPU where that is used."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), None)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    card = f", {torch.cuda.get_device_name(0)}" if gpu and torch.cuda.is_available() else ""
    return f"{model or platform.processor() or platform.machine()}, {cores} cores, {memory:.0f} GB{card}"


def name_of(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
