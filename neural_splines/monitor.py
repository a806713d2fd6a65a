"""Phases and progress of a run: the library reports, a script shows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Monitor:
    """Times phases in the order they are entered; override `progress` to show them."""

    def __init__(self, synchronize: Callable[[], None] = lambda: None):
        self.seconds: dict[str, float] = {}
        self.synchronize = synchronize
        self._name, self._since = "", time.perf_counter()

    def phase(self, name: str) -> None:
        """Enter a phase; the one before it ends. An empty name ends the last."""
        self.synchronize()
        now = time.perf_counter()
        if self._name:
            self.seconds[self._name] = self.seconds.get(self._name, 0.0) + now - self._since
            logger.info("%s: %.2f s", self._name, now - self._since)
        self._name, self._since = name, now
        if name:
            self.progress(0, None)

    def progress(self, done: float, total: float | None, note: str = "") -> None:
        """Work done in the current phase, of `total` where it is known."""

    @property
    def name(self) -> str:
        return self._name

    def summary(self) -> str:
        return ", ".join(f"{name} {seconds:.2f}" for name, seconds in self.seconds.items())
