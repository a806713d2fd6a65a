"""Phases and progress of a run: the library reports, a script shows."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from . import phases

logger = logging.getLogger(__name__)

WORTH_SAYING = 0.005  # seconds of a phase that is entered again


class Monitor(Protocol):
    """What the library tells about a run while it runs: from several threads, but one at a time (`PhaseTimer`)."""

    def phase(self, name: str) -> None:
        """Enter a phase; the one before it ends. An empty name ends the last."""

    def progress(self, done: float, total: float | None, note: str = "") -> None:
        """Work done in the current phase, of `total` where it is known."""


class Silent:
    """A monitor for work inside a phase of other work, and for those who do not want to know."""

    def phase(self, name: str) -> None:
        pass

    def progress(self, done: float, total: float | None, note: str = "") -> None:
        pass


def expect(monitor: Monitor, seconds: Mapping[str, float]) -> None:
    """Tell a monitor how long phases take, in proportion, if it asks: those to come, and some that are over."""
    told = getattr(monitor, "expect", None)
    if told is not None:
        told(seconds)


class PhaseTimer:
    """Times phases in the order they are entered and passes everything on to another monitor, one call at a time.

    synchronize: called before the clock is read, to wait for a device that works on its own.
    seconds: of each phase that has ended. peaks: of its memory in bytes, where `measured`.
    """

    def __init__(
        self, inner: Monitor | None = None, synchronize: Callable[[], None] = lambda: None, measured: bool = False
    ):
        self.inner: Monitor = inner or Silent()
        self.synchronize, self.measured = synchronize, measured
        self.seconds: dict[str, float] = {}
        self.peaks: dict[str, int] = {}
        self._name, self._since = "", time.perf_counter()
        self._lock = threading.RLock()

    def phase(self, name: str) -> None:
        with self._lock:
            self._enter(name)

    def _enter(self, name: str) -> None:
        if name and name == self._name:  # the same phase goes on
            self.inner.phase(name)
            return
        self.synchronize()
        now = time.perf_counter()
        if self._name:
            spent, again = now - self._since, self._name in self.seconds
            self.seconds[self._name] = self.seconds.get(self._name, 0.0) + spent
            if not (isinstance(self.inner, PhaseTimer) or (again and spent < WORTH_SAYING)):  # that one says it
                logger.info("%s: %.2f s", self._name, spent)
            if self.measured:
                from . import memory  # not before: it imports torch

                self.peaks[self._name] = max(self.peaks.get(self._name, 0), memory.peak())
                memory.forget_peak()
        self._name, self._since = name, now
        self.inner.phase(name)

    def progress(self, done: float, total: float | None, note: str = "") -> None:
        with self._lock:
            self.inner.progress(done, total, note)

    def expect(self, seconds: Mapping[str, float]) -> None:
        """How long phases to come will take, in proportion; 0 for one that will not come. For monitors that ask."""
        with self._lock:
            expect(self.inner, seconds)

    def summary(self) -> str:
        """One line: how long it took, and what for."""
        return phases.summary(self.seconds)
