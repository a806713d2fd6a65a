"""Loops that Numba compiles once for a machine and keeps in its cache; a cache that fails costs time, nothing else."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache
from numba.core.runtime import rtsys

logger = logging.getLogger("neural_splines.compiling")
_told: list[str] = []


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """numba.njit with a cache on disk.

    Numba's own `cache=True` ends a run where the cache's folder is full or broken, and an import where there is none.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        loop = njit(**options)(function)
        try:
            loop._cache = _Cache(function)
        except RuntimeError as error:  # no folder of all that Numba tries can be written
            _tell(os.path.dirname(function.__code__.co_filename), error)
        return loop

    return decorate


class _Cache(FunctionCache):
    """Numba's cache of one function, of which errors are told and survived.

    Numba's own imports and registers all that it can compile, and with it SciPy's linear algebra, before it loads what
    is compiled: ten times as long as loading, once a process. Compiling does that itself.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            rtsys.initialize(target_context)  # what machine code calls, of all that Numba prepares for compiling
            with self._guard_against_spurious_io_errors():
                return self._load_overload(sig, target_context)
        except Exception as error:  # Python objects in a file that may be cut or garbled raise anything
            _tell(self.cache_path, error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception as error:
            _tell(self.cache_path, error)


def _tell(folder: str, error: Exception) -> None:
    """Say so once: every loop has the same trouble."""
    if not _told:
        reason = getattr(error, "strerror", None) or type(error).__name__
        _told.append(
            f"the cache of compiled loops cannot be used ({reason} in {folder}), so they are compiled in every run; "
            "make room there, or set NUMBA_CACHE_DIR to another folder"
        )
        logger.warning(_told[0])
