"""One bar for a whole run or for many: drawn on a terminal and in a notebook, plain lines now and then elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Any, TextIO

from . import streams

# Seconds of each phase, in order, as measured on two cores; what counts is their proportions: cells of 100,000 points
# at grid auto, one spline with 5,000 centres on 36,000 points, a fiftieth of a scene of 5 million points in parts,
# and tiles of a mesh of a million faces.
SHARES = {
    "partition": (0.0, 0.0, 0.7, 0.0),
    "read": (0.6, 0.3, 0.0, 0.8),
    "check": (0.0, 0.0, 0.4, 0.0),
    "points": (1.0, 0.1, 5.3, 0.0),
    "downsample": (0.1, 0.1, 0.0, 0.0),
    "smoothing": (4.1, 0.0, 1.0, 0.0),
    "regularization": (0.0, 0.0, 0.0, 0.0),
    "nystrom": (0.0, 1.0, 0.0, 0.0),
    "preconditioner": (0.0, 4.0, 0.0, 0.0),
    "conjugate gradients": (0.0, 8.0, 0.0, 0.0),
    "fit": (3.4, 0.0, 33.0, 0.0),
    "background": (0.0, 0.0, 0.0, 0.0),
    "sample": (4.2, 1.5, 0.0, 0.0),
    "mesh": (2.5, 1.5, 27.5, 0.0),
    "trim": (0.6, 0.1, 0.6, 0.0),
    "compare": (0.1, 0.1, 0.0, 0.0),
    "colour": (0.2, 0.2, 0.0, 0.0),
    "write": (0.2, 0.2, 0.6, 0.0),
    "pictures": (0.0, 0.0, 0.0, 0.0),
    "divide": (0.0, 0.0, 0.0, 0.9),
    "tiles": (0.0, 0.0, 0.0, 40.0),
}
# The phases that tell which column it is.
TELLING = {"regularization": 1, "nystrom": 1, "preconditioner": 1, "partition": 2, "divide": 3}
LINE_SECONDS = 15.0  # between plain lines
EVERY = "NEURAL_SPLINES_PROGRESS"  # of the environment: other seconds between them, for a program that reads them
TELLS = 0.2  # of a run: before that its first phases, which small and large clouds share, say little about the rest
FORMAT = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


class Progress:
    """A monitor that shows how much of a run, or of many, is done, and how long the rest will take.

    stream: where to; a bar on a terminal and in notebooks, elsewhere a line every 15 seconds. prefix: of such lines.
    """

    def __init__(self, stream: TextIO | None = None, prefix: str = ""):
        self.stream, self.prefix, self.runs = stream or sys.stderr, prefix, 1
        self._drawn = in_notebook() or (hasattr(self.stream, "isatty") and self.stream.isatty())
        self._begun = self._spoken = time.perf_counter()
        self._run, self._column, self._name, self._done = 0, 0, "", 0.0
        self._bar: Any = None
        self._lost = False  # nobody can read it

    def start(self, run: int, runs: int) -> None:
        """Run number `run` of `runs` begins; the first is 0."""
        self.runs, self._run, self._column, self._name, self._done = runs, run, 0, "", 0.0

    @property
    def fraction(self) -> float:
        """Of the whole that is done, in [0, 1]: by the time that phases usually take."""
        return min((self._run + self._done) / self.runs, 1.0)

    def phase(self, name: str) -> None:
        self._name = name
        if not name:
            self.close(complete=True)
            return
        self._column = TELLING.get(name, self._column)
        self.progress(0.0, None)

    def progress(self, done: float, total: float | None, note: str = "") -> None:
        if not self._name:
            return
        within = min(done / total, 1.0) if total else 0.0
        self._done = max(self._done, self._position(within))  # a bar never runs back
        if self._lost:
            return
        try:
            if self._drawn:
                self._draw(note)
            elif time.perf_counter() - self._spoken >= _pause():
                self._speak()
        except OSError:  # a full device, a pipe or a terminal that is gone: no reason to end a run
            self._lost = True

    def close(self, complete: bool = False) -> None:
        """Take the bar away. One that is not complete stays in a notebook, red."""
        if self._bar is not None:
            with contextlib.suppress(OSError):
                self._bar.update(self._bar.total - self._bar.n if complete else 0.0)
                self._bar.close()
            self._bar = None

    def _position(self, within: float) -> float:
        """How much of a run is done, so far in the current phase; a phase that is not expected takes no share."""
        shares = [share[self._column] for share in SHARES.values()]
        names = list(SHARES)
        if self._name not in SHARES:
            return self._done
        place = names.index(self._name)
        return (sum(shares[:place]) + within * shares[place]) / sum(shares)

    def _draw(self, note: str) -> None:
        from tqdm.auto import tqdm

        which = f"{self._run + 1}/{self.runs} " if self.runs > 1 else ""
        title = f"{which}{self._name:<12}"
        if self._bar is None:
            form = {"bar_format": FORMAT, "leave": False, "smoothing": 0.0, "mininterval": 0.2}
            self._bar = tqdm(total=1.0, desc=title, file=self.stream, **form)
            self._bar.start_t -= time.perf_counter() - self._begun  # time left: of the whole run
        changed = self._bar.desc.rstrip(": ") != title.rstrip()
        self._bar.set_description_str(title, refresh=False)
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(self.fraction - self._bar.n)
        if changed:
            self._bar.refresh()

    def _speak(self) -> None:
        self._spoken = now = time.perf_counter()
        done, elapsed = self.fraction, now - self._begun
        left = f", about {elapsed * (1.0 - done) / done:.0f} s left" if done >= TELLS else ""
        which = f"{self._run + 1} of {self.runs}, " if self.runs > 1 else ""
        streams.write(self.stream, f"{self.prefix}{which}{self._name}: {done:.0%} after {elapsed:.0f} s{left}")


def _pause() -> float:
    """Seconds between plain lines."""
    with contextlib.suppress(KeyError, ValueError):
        return float(os.environ[EVERY])
    return LINE_SECONDS


def in_notebook() -> bool:
    """Whether this process serves a notebook."""
    try:
        shell = sys.modules["IPython"].get_ipython()
        return shell is not None and "IPKernelApp" in shell.config
    except (KeyError, AttributeError):
        return False
