"""Faults on purpose, in one place: errors at every read and write, at every large allocation, a signal at every phase.

    PYTHONPATH=. OMP_NUM_THREADS=1 python tests/faults.py    tries all, writes the table of docs/results/robustness.md

A run is first counted: how many calls of a kind it makes. Then it is repeated with the k-th of them failing, for each k
or for MOST of them, evenly. Whatever fails, `broken` finds nothing: one line and exit code 2, that of
memory and disk (4) or of a signal, or the run gets over it; no traceback; an older output is as it was, or replaced
whole; no other file is left.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from run_page import working_in
from scripts import ROOT, Outcome, run, with_table, write_cloud
from shapes import torus
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from neural_splines.command_line import show
from neural_splines.files import atomic, reading
from neural_splines.pictures.preview import preview
from neural_splines.runtime import threads
from neural_splines.runtime.monitor import PhaseTimer

PAGE = ROOT / "docs" / "results" / "robustness.md"
START, END = "<!-- table: tests/faults.py -->", "<!-- end of table -->"
LARGE = 1 << 16  # bytes of an allocation that counts; the run is small, and its largest take a few MB
MOST = 60  # runs of a kind
OLD = b"an older output"
SMALL = partial(preview, size=48)  # pixels of the picture, which else takes longest
SCRIPTS = {"fit.py": ["auto", 300, 16], "fit-grid.py": ["auto", "auto", 16, "auto"]}
OUTPUTS = ["--save-grid", "--save-points", "--report", "run.json", "--preview", "view.png", "--html", "view.html"]
NAMES = {"mesh.ply", "mesh.ply.grid.npy", "mesh.ply.grid.json", "mesh.ply.pts.npz", "run.json", "view.png", "view.html"}


class Counter:
    """Counts calls, of any thread, and fails at one of them."""

    def __init__(self, failing: int | None, error: Callable[[], BaseException]):
        self.failing, self.error, self.calls = failing, error, 0
        self.lock = threading.Lock()

    def __call__(self) -> None:
        with self.lock:
            fails = self.calls == self.failing
            self.calls += 1
        if fails:
            raise self.error()


def system_error(number: int) -> Callable[[], OSError]:
    return lambda: OSError(number, os.strerror(number))


class Faulty(io.FileIO):
    """A file whose reads and writes are counted."""

    def __init__(self, path: Any, mode: str, counter: Counter):
        super().__init__(path, mode)
        self.counter = counter

    def write(self, data: Any) -> int:
        self.counter()
        return super().write(data)

    def read(self, size: int = -1) -> bytes:
        self.counter()
        return super().read(size)

    def readall(self) -> bytes:
        self.counter()
        return super().readall()


@contextlib.contextmanager
def writes(counter: Counter) -> Iterator[None]:
    """A disk that is full: at an open, a write, or the close that writes what was held back."""

    def opened(path: Any, mode: str) -> Any:
        counter()
        return io.BufferedWriter(Faulty(path, mode.replace("b", ""), counter))

    with mock.patch.object(atomic, "open", opened, create=True):
        yield


@contextlib.contextmanager
def renames(counter: Counter) -> Iterator[None]:
    """A folder that no longer takes a name."""
    replace = os.replace

    def replaced(source: str, target: str) -> None:
        if ".neural-splines-" in source:
            counter()
        replace(source, target)

    with mock.patch.object(os, "replace", replaced):
        yield


@contextlib.contextmanager
def reads(counter: Counter) -> Iterator[None]:
    """A disk that is broken."""

    def opened(path: Any, mode: str = "r", **_: Any) -> Any:
        counter()
        return io.BufferedReader(Faulty(path, "r", counter))

    with mock.patch.object(reading, "open", opened, create=True):
        yield


@contextlib.contextmanager
def allocations(counter: Counter) -> Iterator[None]:
    """Memory that ends: at every operation of PyTorch whose result is large."""

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = function(*args, **(kwargs or {}))
            if any(isinstance(t, torch.Tensor) and t.untyped_storage().nbytes() >= LARGE for t in tree_leaves(out)):
                counter()
            return out

    with Counting():
        yield


@contextlib.contextmanager
def phases(counter: Counter) -> Iterator[None]:
    """What may come between two steps of a run."""
    phase = PhaseTimer.phase

    def changed(self: PhaseTimer, name: str) -> None:
        counter()
        phase(self, name)

    with mock.patch.object(PhaseTimer, "phase", changed):
        yield


@contextlib.contextmanager
def pieces(counter: Counter) -> Iterator[None]:
    """What a piece of shared work meets in the thread that does it, of two.

    PyTorch's own threads stay as they are: a fork of this process, which has no others, could not start them again.
    """

    class Executor(ThreadPoolExecutor):
        def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            def counted(*args: Any, **kwargs: Any) -> Any:
                counter()
                return work(*args, **kwargs)

            return super().submit(counted, *args, **kwargs)

    threads._pool.cache_clear()
    with (
        mock.patch.object(threads, "ThreadPoolExecutor", Executor),
        mock.patch.object(torch, "get_num_threads", return_value=2),
        mock.patch.object(torch, "set_num_threads"),
    ):
        yield
    threads._pool.cache_clear()


def no_memory() -> RuntimeError:
    return RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried to "
                        "allocate 800000 bytes. Error code 12 (Cannot allocate memory)")  # fmt: skip


def interrupt() -> BaseException:
    """A signal to this process, which its watcher deals with; the error that is raised is never seen."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60.0)
    return KeyboardInterrupt()


Patch = Callable[[Counter], contextlib.AbstractContextManager[None]]
FAULTS: dict[str, tuple[Patch, Callable[[], BaseException]]] = {
    "no space left, at a write": (writes, system_error(errno.ENOSPC)),
    "quota exceeded, at a write": (writes, system_error(errno.EDQUOT)),
    "not permitted, at a rename": (renames, system_error(errno.EPERM)),
    "input/output error, at a read": (reads, system_error(errno.EIO)),
    "out of memory, at a large allocation": (allocations, no_memory),
    "MemoryError, at a change of phase": (phases, MemoryError),
    "too many open files, at a change of phase": (phases, system_error(errno.EMFILE)),
    "SIGTERM, at a change of phase": (phases, interrupt),
    "MemoryError, in a thread with a piece of the work": (pieces, MemoryError),
    "SIGTERM, in a thread with a piece of the work": (pieces, interrupt),
}


def attempt(kind: str, script: str, failing: int | None) -> tuple[int, str | None]:
    """A run whose call number `failing` fails: how many there were, and what it did that none may do."""
    patch, error = FAULTS[kind]
    counter = Counter(failing, error)
    with tempfile.TemporaryDirectory() as name, working_in(name):
        folder = Path(name)
        cloud = write_cloud(folder / "cloud.ply", torus(300)).read_bytes()
        (folder / "mesh.ply").write_bytes(OLD)
        args = ["cloud.ply", *SCRIPTS[script], *OUTPUTS, "--seed", 0, "--device", "cpu", "--out", "mesh.ply"]
        try:
            with patch(counter), mock.patch.object(show, "preview", SMALL):
                outcome = in_a_child(script, args) if error is interrupt and failing is not None else run(script, *args)
        except BaseException as uncaught:
            return counter.calls, f"{type(uncaught).__name__}: {uncaught}"
        return counter.calls, broken(script, outcome, folder, cloud, failing)


def broken(script: str, outcome: Outcome, folder: Path, cloud: bytes, failing: int | None) -> str | None:
    left, mesh = {path.name for path in folder.iterdir()}, (folder / "mesh.ply").read_bytes()
    errors = [line for line in outcome.err.splitlines() if " error: " in line or ": interrupted; " in line]
    whole = mesh.startswith(b"ply\n") and len(mesh) > 1000
    checks = {
        f"exit code {outcome.code}": outcome.code in ({0} if failing is None else {0, 2, 4, 143}),
        "no line that says why": len(errors) == (outcome.code != 0),
        "a traceback": "Traceback" not in outcome.err,
        f"files left: {left - NAMES}": left - NAMES == {"cloud.ply"},
        "the input changed": (folder / "cloud.ply").read_bytes() == cloud,
        "half an output": mesh == OLD or whole,
        "no output": outcome.code != 0 or whole,
    }
    failed = [what for what, held in checks.items() if not held]
    return f"{', '.join(failed)}; {outcome.err[-300:]}" if failed else None


def in_a_child(script: str, args: list) -> Outcome:
    """As `run`, in a fork of this process, which a signal may end."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(write, 2)
        outcome = run(script, *args)
        os.write(write, outcome.err.encode())
        os._exit(outcome.code)
    os.close(write)
    said = b"".join(iter(lambda: os.read(read, 4096), b""))
    os.close(read)
    return Outcome(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "", said.decode())


def table() -> str:
    rows = ["| what fails | `fit.py`: tried, held | `fit-grid.py`: tried, held |", "|---|---|---|"]
    for kind in FAULTS:
        cells = []
        for script in SCRIPTS:
            calls, problem = attempt(kind, script, None)
            assert problem is None, problem
            tried = range(calls)[:: -(-calls // MOST)]
            bad = {k: problem for k in tried if (problem := attempt(kind, script, k)[1])}
            for k, problem in bad.items():
                sys.stderr.write(f"{script}, {kind} {k} of {calls}: {problem}\n")
            some = f" (of {calls} calls)" if len(tried) < calls else ""
            cells.append(f"{len(tried)}{some}, {len(tried) - len(bad)}")
        rows.append(f"| {kind} | {' | '.join(cells)} |")
        sys.stderr.write(f"{rows[-1]}\n")
    return "\n".join(rows)


if __name__ == "__main__":
    torch.set_num_threads(1)
    PAGE.write_text(with_table(PAGE.read_text(), START, END, table()))
