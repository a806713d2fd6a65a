"""The dense grid: the field's values at every lattice point."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..runtime.monitor import Monitor
from .lattice import Lattice

DENSE_CHUNK = 1 << 20  # lattice points evaluated at a time

Evaluate = Callable[[Tensor], Tensor]


def sample_dense(evaluate: Evaluate, lattice: Lattice, device: torch.device, monitor: Monitor) -> Tensor:
    """The field at every lattice point, [nx, ny, nz] in float64 on the CPU."""
    values = torch.empty(lattice.size, dtype=torch.float64)
    for start in range(0, lattice.size, DENSE_CHUNK):
        ids = torch.arange(start, min(start + DENSE_CHUNK, lattice.size), device=device)
        values[start : start + DENSE_CHUNK] = evaluate(lattice.positions(lattice.indices(ids))).cpu()
        monitor.progress(min(start + DENSE_CHUNK, lattice.size), lattice.size)
    return values.reshape(lattice.shape)
