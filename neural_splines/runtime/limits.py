"""The limit on a process's address space (`ulimit -v`): what it leaves, and whether the libraries fit at all."""

from __future__ import annotations

import contextlib
import os
import sys

from ..errors import OutOfMemoryBudgetError

# Of address space, measured at the end of small runs: 1.27 GB with one thread, 1.59 GB with two to 32 on two CPUs.
LIBRARIES, EACH_CPU = 1.2e9, 0.2e9


def address_space() -> int | None:
    """Bytes that the limit leaves; None without one, or where the system does not say."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            with open("/proc/self/statm") as stream:
                return limit - int(stream.read().split()[0]) * resource.getpagesize()
    return None


def check_libraries() -> None:
    """Refuse, before they are loaded, a limit within which they do not fit.

    Below it they end in messages of their own, and OpenBLAS in a loop without end.
    """
    if "torch" in sys.modules:
        return
    needed, free = LIBRARIES + EACH_CPU * (os.cpu_count() or 1), address_space()
    if free is not None and free < needed:
        raise OutOfMemoryBudgetError(
            f"the libraries take about {needed / 1e9:.2g} GB of address space, and ulimit -v leaves "
            f"{max(free, 0) / 1e9:.2g} GB; raise that limit, or set one on resident memory instead"
        )
