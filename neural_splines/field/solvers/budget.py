"""Memory of one spline: its two factors and its constraints, against what there is."""

from __future__ import annotations

import math

import torch

from ...runtime import memory
from ..products import Compute

PANELS = 4 * 1024  # rows of m numbers that the blocked factorizations hold beside two m x m matrices
CONSTRAINT_BYTES = 256  # coordinates, values and lifted coordinates of one


def spline_bytes(centers: int, constraints: int, dtype: torch.dtype) -> int:
    """The two factors of centers x centers with what their making holds, and the constraints."""
    return dtype.itemsize * centers * (2 * centers + PANELS) + CONSTRAINT_BYTES * constraints


def factor_device(centers: int, constraints: int, dtype: torch.dtype, device: torch.device) -> torch.device | None:
    """Where the factors of a spline fit: on its device, else on the CPU, else nowhere."""
    needed = spline_bytes(centers, constraints, dtype)
    for place in (device, memory.CPU):
        free = memory.available(place)
        if free is None or needed <= free:
            return place
    return None


def check_spline(centers: int, constraints: int, compute: Compute) -> None:
    """Refuse one spline whose factors fit neither on its device nor on the CPU."""
    if factor_device(centers, constraints, compute.dtype, compute.device):
        return
    item = compute.dtype.itemsize
    places = (compute.device, memory.CPU)
    free, place = max(((memory.available(place) or 0, place) for place in places), key=lambda pair: pair[0])
    rest = max(0, free - CONSTRAINT_BYTES * constraints) / item
    most = int((math.sqrt(PANELS**2 + 8 * rest) - PANELS) / 4)
    remedies = [f"use at most {most} NUM_NYSTROM_SAMPLES"] if most else ["use fewer points"]
    remedies += ["--dtype float32"] if item == 8 else []
    needed = spline_bytes(centers, constraints, compute.dtype)
    memory.refuse(f"one spline with {centers} centres", needed, free, place, " or ".join([*remedies, "fit-grid.py"]))
