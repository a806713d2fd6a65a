"""One bar for a whole run or for many: drawn on a terminal and in a notebook, plain lines now and then elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from ..quantities import duration
from . import streams

# Seconds of each phase, in order, as measured on two cores; what counts is their proportions: cells of 100,000 points
# at grid auto, one spline with 5,000 centres on 36,000 points, a fiftieth of a scene of 5 million points in parts,
# tiles of a mesh of a million faces, and cells of 100,000 points without normals. Where the cost of what is to come
# is estimated (`run/cost.py`), that takes their place.
SHARES = {
    "partition": (0.0, 0.0, 0.7, 0.0, 0.0),
    "read": (0.6, 0.3, 0.0, 0.8, 0.6),
    "check": (0.0, 0.0, 0.4, 0.0, 0.0),
    "neighbours": (0.0, 0.0, 0.0, 0.0, 1.3),
    "winding field": (0.0, 0.0, 0.0, 0.0, 1.4),
    "directions": (0.0, 0.0, 0.0, 0.0, 0.2),
    "patches": (0.0, 0.0, 0.0, 0.0, 0.2),
    "signs": (0.0, 0.0, 0.0, 0.0, 2.3),
    "points": (1.0, 0.1, 5.3, 0.0, 1.0),
    "downsample": (0.1, 0.1, 0.0, 0.0, 0.1),
    "smoothing": (4.1, 0.0, 1.0, 0.0, 4.1),
    "regularization": (0.0, 0.0, 0.0, 0.0, 0.0),
    "nystrom": (0.0, 1.0, 0.0, 0.0, 0.0),
    "preconditioner": (0.0, 4.0, 0.0, 0.0, 0.0),
    "conjugate gradients": (0.0, 8.0, 0.0, 0.0, 0.0),
    "fit": (3.4, 0.0, 33.0, 0.0, 3.4),
    "background": (0.0, 0.0, 0.0, 0.0, 0.0),
    "sample": (4.2, 1.5, 0.0, 0.0, 4.2),
    "mesh": (2.5, 1.5, 27.5, 0.0, 2.5),
    "trim": (0.6, 0.1, 0.6, 0.0, 0.6),
    "compare": (0.1, 0.1, 0.0, 0.0, 0.1),
    "colour": (0.2, 0.2, 0.0, 0.0, 0.2),
    "write": (0.2, 0.2, 0.6, 0.0, 0.2),
    "shape": (0.0, 0.0, 0.0, 0.0, 0.0),
    "pictures": (0.0, 0.0, 0.0, 0.0, 0.0),
    "divide": (0.0, 0.0, 0.0, 0.9, 0.0),
    "tiles": (0.0, 0.0, 0.0, 40.0, 0.0),
}
# The phases that tell which column it is; estimated normals say nothing of how a scene in parts is fitted.
TELLING = {"regularization": 1, "nystrom": 1, "preconditioner": 1, "partition": 2, "divide": 3}
ESTIMATED, OF_ESTIMATED = "neighbours", 4
ALMOST = 0.9  # of a phase that does not say how far it is is done at most, by the time that it was expected to take
LINE_SECONDS = 15.0  # between plain lines
EVERY = "NEURAL_SPLINES_PROGRESS"  # of the environment: other seconds between them, for a program that reads them
TELLS = 0.2  # of a run: before that its first phases, which small and large clouds share, say little about the rest
FORMAT = "{desc} {percentage:3.0f}%|{bar}| {elapsed}{postfix}"


class Progress:
    """A monitor that shows how much of a run, or of many, is done, and how long the rest will take.

    stream: where to; a bar on a terminal and in notebooks, elsewhere a line every 15 seconds. prefix: of such lines.
    """

    def __init__(self, stream: TextIO | None = None, prefix: str = ""):
        self.stream, self.prefix, self.runs = stream or sys.stderr, prefix, 1
        self._drawn = in_notebook() or (hasattr(self.stream, "isatty") and self.stream.isatty())
        self._begun = self._spoken = time.perf_counter()
        self._forget(0)
        self._bar: Any = None
        self._lost = False  # nobody can read it

    def start(self, run: int, runs: int) -> None:
        """Run number `run` of `runs` begins; the first is 0."""
        self.runs = runs
        self._forget(run)

    def _forget(self, run: int) -> None:
        """What was known of the run before."""
        self._run, self._column, self._name = run, 0, ""
        self._done = self._share = 0.0  # of this run: as it was shown, and as it is thought to be
        self._expected: dict[str, float] = {}
        self._took: dict[str, float] = {}  # seconds of phases that are over
        self._first = self._since = time.perf_counter()  # of the run, and of the phase

    @property
    def fraction(self) -> float:
        """Of the whole that is done, in [0, 1]: by the time that phases usually take."""
        return min((self._run + self._done) / self.runs, 1.0)

    def phase(self, name: str) -> None:
        now = time.perf_counter()
        if name != self._name:
            if self._name:
                self._took[self._name] = self._took.get(self._name, 0.0) + now - self._since
            self._name, self._since = name, now
        if not name:
            self.close(complete=True)
            return
        self._column = TELLING.get(name, self._column)
        if name == ESTIMATED and not self._column:
            self._column = OF_ESTIMATED
        self.progress(0.0, None)

    def expect(self, seconds: Mapping[str, float]) -> None:
        """How long phases take, in proportion; those of them that are over tell how fast this machine is. A phase of
        0 seconds will not come, whatever is said of it later.
        """
        over = [name for name in seconds if name in self._took]
        usual = sum(seconds[name] for name in over)
        speed = sum(self._took[name] for name in over) / usual if usual > 0.0 else 1.0
        known = {name: speed * value for name, value in seconds.items() if self._expected.get(name) != 0.0}
        self._expected |= known | (self._took if any(seconds.values()) else {})

    def progress(self, done: float, total: float | None, note: str = "") -> None:
        if not self._name:
            return
        share = self._position(min(done / total, 1.0) if total else self._guessed())
        again = self._name in self._took  # after what came later, as a rule
        self._share = max(self._share, share) if again else share
        self._done = max(self._done, self._share)  # a bar never runs back
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

    def _shares(self) -> dict[str, float]:
        """What each phase is thought to take, in proportion, in order."""
        return {name: shares[self._column] for name, shares in SHARES.items()} | self._expected

    def _position(self, within: float) -> float:
        """How much of a run is done, so far in the current phase; a phase that is not expected takes no share."""
        shares = self._shares()
        names = list(shares)
        if self._name not in shares:
            return self._share
        place, all_ = names.index(self._name), [*shares.values()]
        return (sum(all_[:place]) + within * all_[place]) / (sum(all_) or 1.0)

    def _guessed(self) -> float:
        """How much of a phase is done that does not say it: by its time, at the speed of those before it."""
        shares = self._shares()
        if self._name not in shares:
            return 0.0
        before = sum(shares[name] for name in list(shares)[: list(shares).index(self._name)])
        expected = shares[self._name] * ((self._since - self._first) / before if before else 1.0)
        return min((time.perf_counter() - self._since) / expected, ALMOST) if expected > 0.0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take, once enough is done to say so."""
        done = (self._run + self._share) / self.runs
        if done < TELLS:
            return None
        return (time.perf_counter() - self._begun) * max(1.0 - done, 0.0) / done

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
        left = self.left
        words = [] if left is None else [f"about {duration(left, whole=True)} left"]
        self._bar.set_postfix_str(", ".join([*words, *([note] if note else [])]), refresh=False)
        self._bar.update(self.fraction - self._bar.n)
        if changed:
            self._bar.refresh()

    def _speak(self) -> None:
        self._spoken = now = time.perf_counter()
        done, elapsed, rest = self.fraction, now - self._begun, self.left
        left = f", about {duration(max(rest, 1.0), whole=True)} left" if rest is not None and rest > 0.0 else ""
        which = f"{self._run + 1} of {self.runs}, " if self.runs > 1 else ""
        streams.write(
            self.stream, f"{self.prefix}{which}{self._name}: {done:.0%} after {duration(elapsed, whole=True)}{left}"
        )


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
