"""What a user pastes into a report: versions, devices, memory, and which backends really work here.

    python -m neural_splines doctor [--keops]

Every line is printed whatever else is broken; the exit status is 1 only if no backend works. Each backend computes a
small product that is compared with the reference formula in float64. KeOps compiles its first product for some 20 s,
so it is only looked for unless --keops is given. KeOps and FalkonML bring compiled code of their own that can end or
hang a process; they are tested in another one.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import first_line as reason
from ..runtime import streams
from ..runtime.versions import PACKAGES, processor, version

if TYPE_CHECKING:
    import torch

TESTS = ("torch", "numba", "triton", "keops", "falkon")
MODULES = {"keops": "pykeops"}  # where the name differs
REMEDIES = {
    "torch": "pip install -r requirements/requirements-cpu.txt",
    "numba": "pip install numba",
    "triton": "comes with the CUDA builds of PyTorch on Linux",
    "keops": "pip install pykeops",
    "falkon": "see requirements/requirements-falkon.txt",
}
BROKEN = (Exception, SystemExit)  # what broken packages, compilers and drivers raise: anything
TOLERANCE = {"float64": 1e-12, "float32": 1e-4}  # of the largest value, as in tests/conftest.py
ROWS, COLUMNS = 4000, 300  # takes milliseconds once compiled


def main(argv: list[str] | None = None, prog: str = "python -m neural_splines doctor") -> int:
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0])
    parser.add_argument("--keops", action="store_true", help="also compile and test KeOps (some 20 s the first time)")
    parser.add_argument(
        "--only", choices=TESTS, metavar="NAME", help=f"one self-test of {', '.join(TESTS)}, in this process"
    )
    args = parser.parse_args(argv)
    if args.only:
        works, text = self_test(args.only)
        streams.write(sys.stdout, text)
        return 0 if works else 1

    section("versions", [("python", f"{platform.python_version()} ({sys.executable})")])
    section(None, [(name, attempt(partial(version, name, module))) for name, module in PACKAGES.items()])
    section(
        "machine",
        [
            ("system", attempt(lambda: f"{platform.system()} {platform.release()} {platform.machine()}")),
            ("processor", attempt(processor)),
            ("threads", attempt(threads)),
            ("memory", attempt(memory)),
            ("C++ compiler", attempt(compiler)),
            ("NVIDIA driver", attempt(driver)),
        ],
    )
    found = attempt(devices)
    section("devices", found if isinstance(found, list) else [("cuda", found)])
    results = {name: self_test(name) for name in ("torch", "numba", "triton")}
    results["keops"] = in_another_process("keops", 300) if args.keops else (False, attempt(lambda: installed("keops")))
    section("backends", [(name, text) for name, (_, text) in results.items()])
    section("solvers", [("builtin", "always there"), ("falkon", in_another_process("falkon", 60)[1])])
    return 0 if any(works for works, _ in results.values()) else 1


def section(title: str | None, lines: list[tuple[str, str]]) -> None:
    streams.write(sys.stdout, *([title] if title else []), *(f"  {name:<15} {text}" for name, text in lines))


def attempt(question: Callable[[], Any]) -> Any:
    """The answer, or one line on why there is none: a report never ends in a traceback."""
    try:
        return question()
    except BROKEN as error:
        return reason(error)


# -- what is there -----------------------------------------------------------------------------------


def threads() -> str:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts = [f"{usable} usable of {os.cpu_count()}"]
    import torch

    parts.append(f"torch uses {torch.get_num_threads()}")
    if importlib.util.find_spec("numba"):
        import numba

        parts.append(f"numba uses {numba.get_num_threads()}")
    return ", ".join(parts)


def memory() -> str:
    if os.path.exists("/proc/meminfo"):
        with open("/proc/meminfo", encoding="ascii") as lines:
            kib = {key: int(rest.split()[0]) for key, rest in (line.split(":", 1) for line in lines)}
        return f"{gib(1024 * kib['MemAvailable'])} free of {gib(1024 * kib['MemTotal'])}"
    if sys.platform == "win32":
        status = (ctypes.c_uint64 * 8)(64)  # MEMORYSTATUSEX: its size first, then total and available bytes
        ctypes.windll.kernel32.GlobalMemoryStatusEx(status)
        return f"{gib(status[2])} free of {gib(status[1])}"
    return f"{gib(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES'))} in all"


def gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"


def compiler() -> str:
    names = (os.environ.get("CXX"), "c++", "g++", "clang++", "cl")
    found = next((path for path in map(shutil.which, filter(None, names)) if path), None)
    return found or "none; only KeOps and FalkonML need one"


def driver() -> str:
    if not shutil.which("nvidia-smi"):
        return "no nvidia-smi"
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=20)
    lines = (answer.stdout or answer.stderr).strip().splitlines()
    return lines[0] if lines else f"nvidia-smi ended with {answer.returncode} and no output"


def devices() -> list[tuple[str, str]]:
    import torch

    built = f"PyTorch built for CUDA {torch.version.cuda}" if torch.version.cuda else "PyTorch built for the CPU only"
    with warnings.catch_warnings(record=True) as caught:  # an old driver is a warning, not an error
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if not available:
        why = f"; {reason(Exception(caught[0].message))}" if caught else ""
        return [("cpu", "always there"), ("cuda", f"none: {built}{why}")]
    rows = [("cpu", "always there")]
    for index in range(torch.cuda.device_count()):
        rows.append((f"cuda:{index}", attempt(partial(cuda_device, index, built))))
    return rows


def cuda_device(index: int, built: str) -> str:
    import torch

    found = torch.cuda.get_device_properties(index)
    free, total = torch.cuda.mem_get_info(index)
    return f"{found.name}, sm_{found.major}{found.minor}, {gib(free)} free of {gib(total)}, {built}"


# -- what works --------------------------------------------------------------------------------------


def installed(name: str) -> str:
    if importlib.util.find_spec(MODULES.get(name, name)) is None:
        return f"not installed ({REMEDIES[name]})"
    return "installed, not tested: its first compilation takes some 20 s (--keops tests it)"


def self_test(name: str) -> tuple[bool, str]:
    """Whether it works, and a line that says how fast and accurately or why not."""
    try:
        if importlib.util.find_spec(MODULES.get(name, name)) is None:
            return False, f"not installed ({REMEDIES[name]})"
        if name == "falkon":
            return True, f"works: {solution()}"
        import torch

        cuda = torch.cuda.is_available()
        if name == "triton" and not cuda:
            return False, "needs a CUDA device (its tests run in Triton's interpreter)"
        device = "cuda" if cuda and name != "numba" else "cpu"
        return True, "works: " + ", ".join(product(name, device, dtype) for dtype in (torch.float64, torch.float32))
    except BROKEN as error:
        hint = "; no C++ compiler was found" if name == "keops" and compiler().startswith("none") else ""
        return False, reason(error) + hint


def in_another_process(name: str, seconds: int) -> tuple[bool, str]:
    command = [sys.executable, "-m", "neural_splines", "doctor", "--only", name]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return False, f"gave no answer in {seconds} s"
    except OSError as error:
        return False, reason(error)
    lines = answer.stdout.strip().splitlines()
    if answer.returncode not in (0, 1) or not lines:
        last = (answer.stderr.strip().splitlines() or ["no message"])[-1]
        return False, f"its process ended with {answer.returncode}: {last}"
    return answer.returncode == 0, lines[-1]


def product(name: str, device: str, dtype: torch.dtype) -> str:
    """A product of the backend against the formula in float64; raises if it is wrong."""
    import torch

    from ..kernels.kernels import make_kernel
    from ..kernels.products import load

    generator = torch.Generator().manual_seed(0)
    kernel = make_kernel("neural-spline", 1.0)
    x, y = (0.5 * torch.rand(n, 3, generator=generator, dtype=torch.float64) - 0.25 for n in (ROWS, COLUMNS))
    w = torch.rand(COLUMNS, generator=generator, dtype=torch.float64) - 0.5
    expected = load("torch").apply(kernel, x, y, w)

    backend = load(name)
    a, b, c = (tensor.to(device, dtype) for tensor in (x, y, w))
    backend.apply(kernel, a, b, c).cpu()  # compiles
    start = time.perf_counter()
    found = backend.apply(kernel, a, b, c).cpu()
    milliseconds = 1e3 * (time.perf_counter() - start)

    label = str(dtype).removeprefix("torch.")
    error = float((found.double() - expected).abs().max() / expected.abs().max())
    if not error <= TOLERANCE[label]:
        raise ArithmeticError(f"runs on {device} but is wrong: relative error {error:.1e} in {label}")
    return f"{label} on {device} in {milliseconds:.1f} ms, error {error:.0e}"


def solution() -> str:
    """A small system by FalkonML and by the builtin solver; raises if they differ."""
    import torch

    from ..kernels.kernels import make_kernel
    from ..kernels.products import load
    from ..runtime.monitor import Silent
    from ..spline import solvers

    solvers_ = {name: solvers.load(name) for name in ("builtin", "falkon")}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    kernel, generator = make_kernel("neural-spline", 1.0), torch.Generator().manual_seed(0)
    x = (0.5 * torch.rand(1000, 3, generator=generator, dtype=torch.float64) - 0.25).to(device)
    problem = (load("torch"), kernel, x, x[:, 0] * x[:, 1], x[:100], Silent())
    found = {name: solver(1e-5, 50, 1e-7).solve(*problem) for name, solver in solvers_.items()}
    ours, theirs = (kernel(x, x[:100]) @ found[name].coefficients for name in solvers_)
    error = float((ours - theirs).abs().max() / ours.abs().max())
    if not error <= 1e-5:
        raise ArithmeticError(f"runs on {device} but differs from the builtin solver by {error:.1e}")
    part = " (built without its GPU part)" if sys.modules[solvers_["falkon"].__module__].CPU_ONLY else ""
    return f"{found['falkon'].cg.iterations} iterations on {device}, {error:.0e} from the builtin solver{part}"
