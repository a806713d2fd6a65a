"""One bar for a run: it never runs back, ends at the end, says how long it takes, and is silent where it should be."""

import errno
import io
import os
import re
import sys
import types

import pytest
import tqdm.auto

from neural_splines.run.cost import phases
from neural_splines.runtime import progress
from neural_splines.runtime.monitor import PhaseTimer
from neural_splines.runtime.progress import SHARES, Progress
from neural_splines.settings import CellSettings, Settings

CELLS = ["read", "points", "smoothing", "fit", "sample", "mesh", "trim", "compare", "", "write", ""]
PARTS = ["partition", "check", "points", "smoothing", "fit", "mesh", "trim", "write", ""]
SPLINE = [
    "read",
    "points",
    "nystrom",
    "preconditioner",
    "conjugate gradients",
    "sample",
    "mesh",
    "compare",
    "",
    "write",
    "",
]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("phases", [CELLS, SPLINE, PARTS, ["read", "unheard of", "mesh", ""]])
def test_a_bar_only_moves_forward(phases):
    bar, seen = Progress(io.StringIO()), [0.0]
    for name in phases:
        bar.phase(name)
        for step in range(5):
            bar.progress(step, 4)
            seen.append(bar.fraction)
    assert seen == sorted(seen)
    assert seen[-1] <= 1.0
    assert seen[-1] > 0.9


def test_shares_are_those_of_the_column():
    """Phases of the other way to fit take none of the bar."""
    bar = Progress(io.StringIO())
    for name in ("read", "nystrom"):
        bar.phase(name)
    bar.progress(1, 1)
    shares = {name: share[1] for name, share in SHARES.items()}
    done = shares["read"] + shares["points"] + shares["downsample"] + shares["nystrom"]
    assert bar.fraction == pytest.approx(done / sum(shares.values()))


def test_most_of_a_scene_in_parts_is_fitting_and_meshing():
    """What is over soon does not make an hour look like a minute."""
    bar, begun = Progress(io.StringIO()), {}
    for name in PARTS[:-1]:
        bar.phase(name)
        begun[name] = bar.fraction
    assert begun["fit"] < 0.2
    assert begun["trim"] > 0.9


def test_many_runs_share_one_bar():
    bar = Progress(io.StringIO())
    for place in range(4):
        bar.start(place, 4)
        assert bar.fraction == place / 4
        bar.phase("write")
        bar.progress(1, 1)
        assert bar.fraction == pytest.approx((place + 1) / 4)


def test_a_terminal_gets_one_bar():
    terminal = Terminal()
    bar = PhaseTimer(Progress(terminal))
    for name in CELLS:
        bar.phase(name)
        bar.progress(1, 2, "a note")
    drawn = terminal.getvalue()
    assert "%|" in drawn
    assert "smoothing" in drawn
    assert "\n" not in drawn


def test_a_pipe_gets_a_line_now_and_then(monkeypatch):
    clock, pipe = [0.0], io.StringIO()
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(progress, "LINE_SECONDS", 15.0)
    bar = Progress(pipe, "fit.py: ")
    for name in CELLS:
        bar.phase(name)
        for step in range(10 if name else 0):
            clock[0] += 1.0
            bar.progress(step, 10)
    lines = pipe.getvalue().splitlines()
    assert 5 <= len(lines) <= 6  # 90 seconds, a line every 15
    for line in lines:
        done, left = re.fullmatch(r"fit.py: \w+: (\d+)% after \d+ s(, about \d+ s left)?", line).groups()
        assert bool(left) == (int(done) >= 20)


ESTIMATED = ["read", "neighbours", "winding field", "directions", "patches", "signs", *CELLS[1:-3], "shape", "pictures"]
SEARCHED = "smoothing", "fit"  # phases that say how far they are


@pytest.mark.parametrize("speed", [0.5, 1.0, 6.0])
@pytest.mark.parametrize(("count", "squares"), [(250_000, 700_000.0), (36_000, 150_000.0), (1_000_000, 500_000.0)])
def test_the_time_left_is_true_where_the_cost_is_known(count, squares, speed, monkeypatch):
    """Of a run whose phases take what they cost on another machine, but for a fifth more or less of each."""
    clock = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
    cost = phases(squares, count, Settings(cells=CellSettings(), regularization="auto"))
    factors = dict(zip(ESTIMATED, 7 * (0.8, 1.0, 1.2), strict=False))
    took = {name: speed * factors[name] * cost.get(name, 0.1) for name in ESTIMATED}
    bar, ends = PhaseTimer(Progress(io.StringIO())), sum(took.values())
    for name in ESTIMATED:
        bar.phase(name)
        if name == "smoothing":
            bar.expect(cost)
        for step in range(20):
            clock[0] += took[name] / 20
            bar.progress(step + 1, 20 if name in SEARCHED else None)
            left, true = bar.inner.left, ends - clock[0]
            if bar.inner._share > 0.2 and name not in ESTIMATED[:7] and true > 0.1 * ends:
                assert 1 / 1.5 < left / true < 1.5, (name, step)
    assert bar.inner.fraction > 0.97


def test_a_phase_that_comes_again_at_the_end_brings_nothing_back():
    bar = Progress(io.StringIO())
    bar.expect({"shape": 0.1, "pictures": 2.0})
    for name in ("fit", "shape", "pictures", "shape"):
        bar.phase(name)
        bar.progress(1, 1)
    assert bar._share == pytest.approx(1.0)


def test_a_phase_that_will_not_come_takes_nothing():
    bar = Progress(io.StringIO())
    bar.expect({"pictures": 0.0})
    bar.phase("fit")
    bar.expect({"fit": 1.0, "mesh": 1.0, "pictures": 5.0})
    for name in ("fit", "mesh"):
        bar.phase(name)
        bar.progress(1, 1)
    assert bar.fraction > 0.9


def test_a_short_run_into_a_pipe_is_silent():
    pipe = io.StringIO()
    bar = Progress(pipe)
    for name in CELLS:
        bar.phase(name)
        bar.progress(1, 2)
    assert pipe.getvalue() == ""


def test_notebooks_are_recognized(monkeypatch):
    assert not progress.in_notebook()
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert progress.in_notebook()


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_a_stream_that_nobody_reads_ends_no_run(kind, monkeypatch):
    """A full device, found by a run that took longer than the first line waits for."""

    class Full(kind):
        def write(self, text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    bar = Progress(Full())
    for name in CELLS:
        bar.phase(name)
        bar.progress(1, 2)
    bar.close()
    assert bar.fraction > 0.9


@pytest.mark.parametrize("complete", [True, False])
def test_a_bar_is_full_where_a_run_ends_and_not_where_it_fails(complete, monkeypatch):
    """In a notebook one that is not full turns red, and stays."""
    left = []

    class Bar(tqdm.tqdm):
        def close(self):
            if not self.disable:
                left.append(self.total - self.n)
            super().close()

    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    bar = Progress(Terminal())
    bar.phase("mesh")
    bar.phase("") if complete else bar.close()
    assert (left[0] == pytest.approx(0.0)) == complete
