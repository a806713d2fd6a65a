"""What memory there is, and the refusal of what does not fit, with numbers, before any allocation.

What a step needs is in `budget.py`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable
from typing import NoReturn

import torch

from ..errors import OutOfMemoryBudgetError
from .limits import address_space

CPU = torch.device("cpu")


def available(device: torch.device) -> int | None:
    """Bytes that can still be allocated on a device; None where the system does not say."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    return min((free for free in (_system(), _group(), address_space()) if free is not None), default=None)


def release() -> None:
    """Give freed memory back to the system: glibc keeps what was allocated in pieces of less than 32 MB."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # other systems have no such function
        ctypes.CDLL(None).malloc_trim(0)


def peak() -> int:
    """The most bytes that this process has held in memory since `forget_peak`; 0 where the system does not say."""
    with contextlib.suppress(OSError, StopIteration):
        return 1024 * int(next(line for line in _text("/proc/self/status").splitlines() if "VmHWM" in line).split()[1])
    with contextlib.suppress(ImportError):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else 1024 * most
    return 0


def forget_peak() -> None:
    """Begin anew for `peak`; only Linux can, elsewhere it is that of the whole process."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _system() -> int | None:
    """Memory that Linux can free without swapping, or the free pages that other systems tell."""
    with contextlib.suppress(OSError, StopIteration), open("/proc/meminfo") as lines:
        return 1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _group() -> int | None:
    """What the limit of a container (cgroup 2) leaves."""
    with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
        limit, used = (int(_text(f"/sys/fs/cgroup/memory.{name}")) for name in ("max", "current"))
        cache = dict(line.split() for line in _text("/sys/fs/cgroup/memory.stat").splitlines())
        return limit - used + int(cache.get("inactive_file", 0))
    return None


def _text(path: str) -> str:
    with open(path) as stream:
        return stream.read()


def fits(needed: int, device: torch.device) -> bool:
    """Whether so many bytes are free on a device, or the system does not say."""
    free = available(device)
    return free is None or needed <= free


def check(what: str, needed: int, device: torch.device, remedy: Callable[[float], str]) -> None:
    """Refuse what does not fit. remedy: a function of the share of it that does."""
    free = available(device)
    if free is not None and needed > free:
        refuse(what, needed, free, device, remedy(max(0, free) / needed))


def refuse(what: str, needed: int, free: int, device: torch.device, remedy: str) -> NoReturn:
    """Raise OutOfMemoryBudgetError: `what` needs so many bytes where `free` are there."""
    raise OutOfMemoryBudgetError(
        f"{what} takes {needed / 1e9:.3g} GB, and {max(free, 0) / 1e9:.3g} GB are free on {device}; {remedy}"
    )
