"""What a run will need against what there is: impossible sizes are refused with numbers before any allocation."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os

import torch
from torch import Tensor

from .errors import OutOfMemoryBudgetError
from .lattice import Lattice
from .products import Compute

PANELS = 4 * 1024  # rows of m numbers that the blocked factorizations hold beside two m x m matrices
CONSTRAINT_BYTES = 256  # coordinates, values and lifted coordinates of one
# The narrow band. Measured on scans: the surface passes 1.1 to 2.1 cubes for a square voxel of an occupied cell's side,
# and each takes 340 bytes with its share of the mesh. Less is asked for here, lest a run is refused that would do.
BAND_CELLS = 32  # along the longest side
CUBES_PER_SQUARE, CUBE_BYTES = 0.75, 300
CPU = torch.device("cpu")


def available(device: torch.device) -> int | None:
    """Bytes that can still be allocated on a device; None where the system does not say."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    return min((free for free in (_system(), _group(), _address_space()) if free is not None), default=None)


def release() -> None:
    """Give freed memory back to the system: glibc keeps what was allocated in pieces of less than 32 MB."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # other systems have no such function
        ctypes.CDLL(None).malloc_trim(0)


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


def _address_space() -> int | None:
    """What `ulimit -v` leaves."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            return limit - int(_text("/proc/self/statm").split()[0]) * resource.getpagesize()
    return None


def _text(path: str) -> str:
    with open(path) as stream:
        return stream.read()


def spline_bytes(centers: int, constraints: int, dtype: torch.dtype) -> int:
    """The two factors of centers x centers with what their making holds, and the constraints."""
    return dtype.itemsize * centers * (2 * centers + PANELS) + CONSTRAINT_BYTES * constraints


def factor_device(centers: int, constraints: int, dtype: torch.dtype, device: torch.device) -> torch.device | None:
    """Where the factors of a spline fit: on its device, else on the CPU, else nowhere."""
    needed = spline_bytes(centers, constraints, dtype)
    for place in (device, CPU):
        free = available(place)
        if free is None or needed <= free:
            return place
    return None


def fits_half(needed: int, device: torch.device) -> bool:
    """Whether something that is nice to have leaves half of the free memory to others."""
    free = available(device)
    return free is None or 2 * needed <= free


def check_spline(centers: int, constraints: int, compute: Compute) -> None:
    """Refuse one spline whose factors fit neither on its device nor on the CPU."""
    if factor_device(centers, constraints, compute.dtype, compute.device):
        return
    item = compute.dtype.itemsize
    free, place = max(((available(place), place) for place in (compute.device, CPU)), key=lambda pair: pair[0])
    rest = max(0, free - CONSTRAINT_BYTES * constraints) / item
    most = int((math.sqrt(PANELS**2 + 8 * rest) - PANELS) / 4)
    remedies = [f"use at most {most} NUM_NYSTROM_SAMPLES"] if most else ["use fewer points"]
    remedies += ["--dtype float32"] if item == 8 else []
    needed = spline_bytes(centers, constraints, compute.dtype)
    _refuse(f"one spline with {centers} centres", needed, free, place, " or ".join([*remedies, "fit-grid.py"]))


def check_cells(constraints: int, centers: int, cells: int, compute: Compute) -> None:
    """Refuse cells of which the largest has a system that cannot fit; `centers` is the most of a cell."""
    item = compute.dtype.itemsize
    needed = item * centers * (2 * constraints + 4 * centers) + 8 * cells * centers
    free = available(compute.device)
    if free is not None and needed > free:
        _refuse(
            f"a cell with {constraints} constraints and {centers} centres", needed, free, compute.device,
            "use fewer NUM_NYSTROM_SAMPLES, more CELLS_PER_AXIS, or auto for both",
        )  # fmt: skip


def check_dense(lattice: Lattice) -> None:
    """Refuse a dense grid, which is float64 on the CPU, that cannot fit."""
    needed, free = 8 * lattice.size, available(CPU)
    if free is not None and needed > free:
        most = int(max(lattice.shape) * (max(0, free) / needed) ** (1 / 3))
        nx, ny, nz = lattice.shape
        _refuse(
            f"a dense grid of {nx} x {ny} x {nz} values", needed, free, CPU,
            f"use a GRID_SIZE of at most {most}, or drop --dense and --save-grid",
        )  # fmt: skip


def check_band(lattice: Lattice, points: Tensor, device: torch.device) -> None:
    """Refuse a lattice on which the surface near points [n, 3] passes more cubes than can fit."""
    stride = max(lattice.shape) / BAND_CELLS
    occupied = len(torch.unique((lattice.coordinates(points) / stride).floor(), dim=0))
    needed = int(CUBE_BYTES * CUBES_PER_SQUARE * occupied * stride**2)
    free = available(device)
    if free is not None and needed > free:
        size = max(lattice.shape)
        most = int(size * math.sqrt(max(0, free) / needed))
        _refuse(f"the surface on a grid of {size} voxels", needed, free, device, f"use a GRID_SIZE of at most {most}")


def _refuse(what: str, needed: int, free: int, device: torch.device, remedy: str) -> None:
    raise OutOfMemoryBudgetError(
        f"{what} takes {needed / 1e9:.3g} GB, and {max(free, 0) / 1e9:.3g} GB are free on {device}; {remedy}"
    )
