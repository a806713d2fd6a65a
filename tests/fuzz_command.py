"""Any combination of the options of the command line, with values sensible and absurd, on small clouds.

    PYTHONPATH=.:examples nice python tests/fuzz_command.py SECONDS [SEED]

The grammar is the parsers' own: an option that is added is tried. What every run keeps is written in `broken`; runs
that break it are counted and shown. `tests/attacks/test_fuzz_command.py` tries a few, always the same.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from itertools import pairwise
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from run_page import working_in
from scripts import run, write_cloud
from shapes import sphere, torus

from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.command_line import fit, fit_grid
from neural_splines.runtime import memory

MOST_SECONDS = 120.0
FREE = 4 * 10**8  # bytes: what is large is refused at once
CODES = {0, 2, 3, 4, 5}
ABSURD = ["", "-", "nan", "inf", "-inf", "1e400", "1e308", "1e-320", "-1", "0", str(2**31), str(2**63), "9" * 30,
          "9" * 5000, "0x10", "1_0", "1,5", "eins", "auto", "none", "\0", "é", " 3", "--out", "true", "[]"]  # fmt: skip
INTEGERS = ["1", "2", "3", "5", "8", "30", "100"]
FLOATS = ["1e-9", "1e-3", "0.05", "0.5", "1", "1.5", "3", "40"]
# Else a run of minutes, which is what was asked for.
SIZES = {"grid_size": ["2", "3", "5", "8", "12", "16", "auto", "8192"], "cg_max_iters": ["1", "5", "30", "200"],
         "cells_per_axis": ["1", "2", "3", "auto", "1024"], "eps": ["auto", "0.02", "0.1", "1"],
         "num_nystrom_samples": ["auto", "-1", "1", "2", "20", "100"],
         "max_memory": ["4GB", "2 gb", "0.9G", "1MB", "4000000000"], "workers": ["1"]}  # fmt: skip
FILES = {
    "out": [
        "mesh.ply",
        "mesh.obj",
        "mesh.stl",
        "mesh.off",
        "mesh.glb",
        "mesh.jpg",
        "a/b.ply",
        "cloud.ply",
        "link.ply",
        ".",
        "x" * 300,
    ],
    "work_dir": ["work", "cloud.ply", "a/b", ""],
    "out_dir": ["out", "cloud.ply", "a/b", ""],
    "preview": ["a.png", "a.jpg", "mesh.ply", "cloud.ply", "link.png"],
    "html": ["a.html", "a/b.html", "cloud.ply", "link.html"],
    "report": ["a.json", "a/b.json", "cloud.ply", "mesh.ply", "mesh.ply.grid.json", "link.json"],
    "cameras": ["cloud.ply", "none.json", str(Path(__file__).parent / "cameras.json")],
    "dem": ["a.tif", "a.jpg", "cloud.ply", "a/b.tif"],
    "breaklines": ["cloud.ply", "none.geojson", str(Path(__file__).parent / "breaklines.geojson")],
    "contours": ["a.geojson", "a.json", "a.dxf", "mesh.ply"],
    "crs": ["EPSG:25833", "EPSG:4326", "EPSG:0", "none"],
    "shift": ["auto", "none", "1"],
    "device": ["cpu", "auto", "cuda", "cuda:99", "tpu"],
    "attributes": ["all", "red", "x,y", "quality"],
}
LINKS = {"link.ply", "link.png", "link.html", "link.json"}  # to the cloud
SKIPPED = {"help", "scheduler"}  # a scheduler that is not there is waited for
PARSERS = {"fit.py": fit.parse_arguments, "fit-grid.py": fit_grid.parse_arguments}


def flat(n: int, thickness: float) -> OrientedCloud:
    points = np.random.default_rng(n).random((n, 3)) * [1.0, 1.0, thickness]
    return OrientedCloud(torch.from_numpy(points), torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64).repeat(n, 1))


CLOUDS = {
    "ball": sphere(80),
    "ring": torus(300),
    "far": sphere(60, 1e-3, (1e5, 0.0, 0.0)),
    "sheet": flat(60, 0.0),
    "two": flat(2, 0.0),
    "three": flat(3, 1.0),
    "line": OrientedCloud(torch.eye(3, dtype=torch.float64)[:1] * torch.arange(9.0)[:, None], flat(9, 0.0).normals),
    "crowd": OrientedCloud(torch.cat([sphere(40).points, sphere(40).points + 1e4]), sphere(40).normals.repeat(2, 1)),
}


def parser_of(script: str) -> argparse.ArgumentParser:
    """The parser of a script, caught where it begins to parse."""
    found: list[argparse.ArgumentParser] = []

    class Caught(Exception):
        pass

    def catch(self: argparse.ArgumentParser, *_: object, **__: object) -> None:
        found.append(self)
        raise Caught

    with mock.patch.multiple(argparse.ArgumentParser, parse_args=catch, parse_intermixed_args=catch):
        with contextlib.suppress(Caught):
            PARSERS[script]([], script)
    return found[0]


def values(action: argparse.Action) -> st.SearchStrategy[str]:
    """What a user, or a script with a bug, may write behind an option."""
    if action.choices:
        sensible = [str(choice) for choice in action.choices]
    else:
        sensible = SIZES.get(action.dest) or FILES.get(action.dest) or [*FLOATS, *INTEGERS, "auto", "none"]
    return st.integers(0, 9).flatmap(lambda roll: st.sampled_from(sensible if roll else ABSURD))


@st.composite
def commands(draw: st.DrawFn, script: str) -> list[str]:
    """The arguments of a run but for the input: most positional ones sensible, up to six options of all."""
    positional, options = [], []
    for action in parser_of(script)._actions:
        if action.option_strings:
            options.append(action)
        elif action.dest in SIZES:
            positional.append(draw(values(action)))
    words = []
    for action in draw(st.lists(st.sampled_from([a for a in options if a.dest not in SKIPPED]), max_size=6)):
        words.append(action.option_strings[-1])
        count = action.nargs if isinstance(action.nargs, int) else int(action.nargs != "?" or draw(st.booleans()))
        words += [draw(values(action)) for _ in range(count)]
    return [*positional, *words]


runs = st.sampled_from(sorted(PARSERS)).flatmap(
    lambda script: st.tuples(st.just(script), st.sampled_from(sorted(CLOUDS)), commands(script))
)


class TooLong(BaseException):
    """Not an Exception, which a run would report as its own."""


def broken(script: str, cloud: str, words: list[str], outcomes: Counter[int] | None = None) -> str | None:
    """What a run did that none may do, or None. It works in a folder of its own, and alone."""
    with tempfile.TemporaryDirectory() as name, working_in(name):
        folder = Path(name)
        before = write_cloud(folder / "cloud.ply", CLOUDS[cloud]).read_bytes()
        for link in LINKS:
            (folder / link).symlink_to("cloud.ply")
        try:
            with _bounded(), mock.patch.object(memory, "available", return_value=FREE):
                outcome = run(script, "cloud.ply", *words)
        except TooLong:
            return f"more than {MOST_SECONDS:g} s"
        except BaseException as error:
            frames = traceback.extract_tb(error.__traceback__)
            return f"{type(error).__name__}: {str(error)[:200]} in {frames[-1].name}, line {frames[-1].lineno}"
        if outcomes is not None:
            outcomes[outcome.code] += 1
        left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        meant = (
            set(left) - LINKS - {path for path in left if path.startswith("work/")}
        )  # what is finished is kept there
        reports = [
            os.path.normpath(path) for word, path in pairwise(words) if word == "--report"
        ]  # which say why a run failed
        lines = outcome.err.splitlines()
        errors = [line for line in lines if line.startswith(f"{script}: error: ")]
        checks = {
            f"exit code {outcome.code}": outcome.code in CODES,
            "more than one line of an error": len(errors) <= (2 if "--out-dir" in words else 1),
            "an error and no exit code of one": bool(errors) == (outcome.code in (2, 4, 5)),
            "files left after an error": not errors or meant <= {"cloud.ply", *reports} or "--out-dir" in words,
            "a temporary file left": not any(".neural-splines-" in path for path in left),
            "the input changed": (folder / "cloud.ply").read_bytes() == before,
            "a line that cannot be read": all(line.isprintable() for line in lines),
            "a line of unknown origin": all(line.startswith(f"{script}: ") for line in lines)
            or {"--verbose", "-"} & {*words},  # a summary beside a mesh on standard output
        }
        failed = [what for what, held in checks.items() if not held]
        return f"{', '.join(failed)}: {left} {outcome.err[-500:]}" if failed else None


@contextlib.contextmanager
def _bounded():
    def stop(*_):
        raise TooLong

    before = signal.signal(signal.SIGPROF, stop)  # of this process: others may hold the machine
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def main(seconds: float, number: int) -> int:
    torch.set_num_threads(1)
    outcomes, found, stop = Counter(), Counter(), time.monotonic() + seconds

    @seed(number)
    @settings(
        max_examples=10**9, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(runs)
    def fuzz(command) -> None:
        if "VERBOSE" in os.environ:
            sys.stdout.write(f"{command}\n")
            sys.stdout.flush()
        if time.monotonic() > stop:
            raise KeyboardInterrupt
        problem = broken(*command, outcomes)
        if problem:
            found[problem] += 1
            sys.stdout.write(f"{problem}\n    {command}\n")
            sys.stdout.flush()

    with contextlib.suppress(KeyboardInterrupt):
        fuzz()
    tried = outcomes.total() + sum(found.values())
    sys.stdout.write(
        f"{tried} runs in {seconds:g} s, seed {number}: exit codes {dict(outcomes)}; {found.total()} broken\n"
    )
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
