"""Ctrl-C and SIGTERM in the middle of a run: the right exit code at once, one line, no file left behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from scripts import ROOT, complaints, write_cloud
from shapes import torus

# Minutes of work each, so that every moment below lies within it.
LONG = {"fit.py": ("auto", "12000", "512"), "fit-grid.py": ("auto", "auto", "512", "auto")}
MOMENTS = random.Random(0)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    return write_cloud(tmp_path_factory.mktemp("cloud") / "cloud.ply", torus(50_000))


def start(*args) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )


def caught(process: subprocess.Popen) -> None:
    """Wait until the process catches SIGTERM, which Python leaves alone: before, there is nothing to keep a promise."""
    status, deadline = f"/proc/{process.pid}/status", time.monotonic() + 60
    while time.monotonic() < deadline:
        with open(status) as lines:
            mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))
        if mask >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.01)
    raise AssertionError("no handler after a minute")


def interrupt(process: subprocess.Popen, number: signal.Signals) -> list[str]:
    """What it complained of after the signal, which must have ended the process as it should.

    It takes milliseconds where nothing else runs, and the work minutes: what lies between depends on the machine.
    """
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said
    return complaints(said)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the handlers are read from Linux' /proc")
@pytest.mark.parametrize(
    ("script", "moment"), [(script, MOMENTS.uniform(0.0, 3.0)) for script in 2 * ("fit.py", "fit-grid.py")]
)
@pytest.mark.processes
def test_an_interrupt_leaves_nothing(script, moment, cloud, tmp_path):
    process = start(ROOT / script, cloud, *LONG[script], "--seed", 0, "--device", "cpu", "--out", tmp_path / "mesh.ply")
    caught(process)
    time.sleep(moment)
    number = signal.SIGINT if round(10 * moment) % 2 else signal.SIGTERM
    assert interrupt(process, number) == [f"{script}: interrupted; nothing written"]
    assert list(tmp_path.iterdir()) == []


SIGNALLING = """
import atexit, importlib.abc, os, sys, time
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == os.environ["MOMENT"]:
            os.kill(os.getpid(), int(os.environ["NUMBER"]))
            time.sleep(30)
sys.meta_path.insert(0, Finder())
if os.environ["MOMENT"] == "exit":
    atexit.register(lambda: (os.kill(os.getpid(), int(os.environ["NUMBER"])), time.sleep(30)))
"""


@pytest.mark.processes
@pytest.mark.parametrize(
    ("moment", "number"),
    [("argparse", signal.SIGINT), ("neural_splines.settings", signal.SIGTERM), ("torch", signal.SIGINT),
     ("numba", signal.SIGTERM), ("exit", signal.SIGINT), ("exit", signal.SIGTERM)],
)  # fmt: skip
def test_an_interrupt_during_imports_and_at_exit_is_one_line(number, moment, tmp_path):
    """The process signals itself when it begins to import a module, or after the last line of the script."""
    (tmp_path / "sitecustomize.py").write_text(SIGNALLING)
    cloud, out = write_cloud(tmp_path / "cloud.ply", torus(300)), tmp_path / "mesh.ply"
    result = subprocess.run(
        [sys.executable, str(ROOT / "fit.py"), str(cloud), "auto", "50", "12", "--seed", "0", "--cg-max-iters", "99",
         "--out", str(out), "--device", "cpu"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "MOMENT": moment, "NUMBER": str(int(number))},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    done = f"complete: {out}" if moment == "exit" else "nothing written"
    assert (result.returncode, complaints(result.stderr)) == (128 + number, [f"fit.py: interrupted; {done}"])
    assert out.exists() == (moment == "exit")


WRITER = """
import sys, time
from neural_splines.files import arrays, atomic
from neural_splines.runtime.interrupts import interruptible
with interruptible("x"):
    if "first" in sys.argv:
        arrays.save_json(sys.argv[1] + ".json", {})
    with atomic.atomic(sys.argv[1]) as (stream,):
        stream.write(b"half")
        print("writing", flush=True)
        time.sleep(100)
"""


@pytest.mark.parametrize(("number", "first"), [(signal.SIGINT, False), (signal.SIGTERM, True)])
def test_an_interrupt_while_writing_names_what_is_complete(number, first, tmp_path):
    process = start("-c", WRITER, tmp_path / "out", *(["first"] if first else []))
    process.stdout.readline()
    said = interrupt(process, number)
    assert said == [f"x: interrupted; {f'complete: {tmp_path}/out.json' if first else 'nothing written'}"]
    assert [path.name for path in tmp_path.iterdir()] == (["out.json"] if first else [])


COMPUTATIONS = {
    "BLAS": "import torch; a = torch.rand(9000, 9000, dtype=torch.float64)\nwork = lambda: a @ a @ a @ a @ a",
    "LAPACK": "import torch; a = torch.rand(4000, 4000, dtype=torch.float64)\nwork = lambda: torch.linalg.svd(a)",
    "Numba": "import torch; from neural_splines.spline.farthest import sample\n"
    "a = torch.rand(10**6, 3).double().numpy(); sample(a[:99], 9, 0)\nwork = lambda: sample(a, 500_000, 0)",
}


@pytest.mark.processes
@pytest.mark.parametrize("library", COMPUTATIONS)
def test_long_calls_of_libraries_do_not_delay_it(library):
    code = f"from neural_splines.runtime.interrupts import interruptible\n{COMPUTATIONS[library]}\n"
    process = start("-c", code + "with interruptible('x'):\n    print('now', flush=True); work()")
    process.stdout.readline()
    time.sleep(0.5)
    assert interrupt(process, signal.SIGINT) == ["x: interrupted; nothing written"]


def test_handlers_are_put_back():
    from neural_splines.runtime.interrupts import interruptible

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with interruptible("x"):
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_files_written_by_a_library_user_are_not_remembered(tmp_path):
    """Only an interrupt names them, so where none is dealt with nothing is kept, however many files are written."""
    from neural_splines.files.arrays import save_json
    from neural_splines.runtime import interrupts

    for number in range(50):
        save_json(tmp_path / f"{number}.json", number)
    assert interrupts._complete == []
    with interrupts.interruptible("x"):
        save_json(tmp_path / "51.json", {})
        assert interrupts._complete == [str(tmp_path / "51.json")]
    assert interrupts._complete == []
