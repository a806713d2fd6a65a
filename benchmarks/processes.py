"""What a command takes as a process of its own: wall and CPU seconds, and the peak of its memory.

    python benchmarks/processes.py SECONDS COMMAND [WORD ...]   as JSON; SECONDS: the most it may take

This small program starts the command, not whoever wants to know: Linux counts what a process has in memory when it
becomes another program towards the peak of that one, so that nothing could take less than a large parent has.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

# OpenMP's threads sleep while they wait. Where others use the machine too they take ten times as long when they spin.
PATIENT = {"OMP_WAIT_POLICY": "passive"}


@dataclass(frozen=True)
class Usage:
    """Seconds of the clock and of all cores; GB of memory at most; others: cores that other processes kept busy."""

    wall: float
    cpu: float
    GB: float
    others: float


class ProcessError(Exception):
    """A command failed, or was ended."""


def run(commands: list[list[str]], limit: float = 3600.0) -> Usage:
    """Of commands that run after each other: sums of seconds, the largest peak. ProcessError: one line of why."""
    parts = [_run(command, limit) for command in commands]
    wall = sum(p.wall for p in parts)
    others = sum(p.others * p.wall for p in parts) / wall
    return Usage(wall, sum(p.cpu for p in parts), max(p.GB for p in parts), others)


def wait_until_quiet(patience: float) -> None:
    """Until other processes take less than a tenth of a core for a second, or `patience` seconds are over."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        before = _busy()
        time.sleep(1.0)
        if _busy() - before < 0.1:
            break


def _busy() -> float:
    """Seconds that all cores were busy since the machine started; 0 where the system does not tell."""
    try:
        with open("/proc/stat") as stream:
            times = [int(word) for word in stream.readline().split()[1:]]
    except OSError:
        return 0.0
    return (sum(times[:3]) + sum(times[5:8])) / os.sysconf("SC_CLK_TCK")  # all but idle and waiting for disks


def _run(command: list[str], limit: float) -> Usage:
    words = [sys.executable, "-S", "-E", os.path.abspath(__file__), str(limit), *command]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", env={**os.environ, **PATIENT})
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise ProcessError(lines[-1] if lines else f"ended with {done.returncode}")
    return Usage(**json.loads(done.stdout))


def main(limit: str, *command: str) -> int:
    start, busy = time.perf_counter(), _busy()
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    process = os.posix_spawnp(command[0], command, os.environ, file_actions=quiet, setpgroup=0)
    late = []

    def end(*_) -> None:
        late.append(True)
        os.killpg(process, signal.SIGKILL)

    signal.signal(signal.SIGALRM, end)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    signal.setitimer(signal.ITIMER_REAL, float(limit))
    _, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - start
    if status:
        if late or os.WIFSIGNALED(status):
            print(f"ended after {wall:.0f} s" if late else f"killed by signal {os.WTERMSIG(status)}", file=sys.stderr)
        return 1
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    cpu = usage.ru_utime + usage.ru_stime
    others = max(_busy() - busy - cpu, 0.0) / wall
    print(json.dumps(asdict(Usage(wall, cpu, peak, others))))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
