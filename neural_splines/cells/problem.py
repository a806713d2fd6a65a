"""What the systems of all cells are made from, and their division into batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..cloud.clouds import OrientedCloud
from ..kernels.kernels import Kernel
from ..kernels.products import Compute
from ..runtime.devices import map_in_halves, map_on_devices, to_device
from ..runtime.threads import RUNS, limit
from ..spline.fitting import Centers
from .members import Members
from .partition import Cells
from .ties import Ties

CPU_BATCH_BYTES = 12 << 20  # of K_nm: so that a batch's matrices stay near the caches, and their memory is used again
# Cells of a batch of the compiled loop: many share the operations in Python, for whose lock threads wait (16 threads
# fit a million points in 5.3 s with 128, in 7.6 s with 32); few can be shared out evenly.
FUSED = 32, 128
GPU_BATCH_BYTES = 4 << 30
GPU_SHARE = 12  # of the GPU's memory: a batch takes several times the bytes of its K_nm
LARGEST_EPS = 0.25  # of a padded cell's side: farther off, the constraints would say nothing about the surface


@dataclass(frozen=True)
class FitProblem:
    """The points of every cell and how each is fitted.

    eps: in world units, less in tiny cells. centers: the most of a cell, and how they are chosen.
    gradients: whether normals enter as slopes at the points instead of values off the surface.
    ties: to a coarser field.
    judges: a mask [n] of points that every cell is asked to predict as if it had not seen them.
    """

    cloud: OrientedCloud
    cells: Cells
    members: Members
    kernel: Kernel
    compute: Compute
    eps: float
    centers: Centers
    generator: torch.Generator
    gradients: bool = False
    ties: Ties | None = None
    judges: Tensor | None = None

    def on(self, device: torch.device) -> FitProblem:
        """The same with everything on that device."""
        return replace(
            self,
            cloud=to_device(self.cloud, device),
            cells=to_device(self.cells, device),
            members=to_device(self.members, device),
            compute=self.compute.on(device),
            ties=self.ties and self.ties.on(device),
            judges=self.judges if self.judges is None else self.judges.to(device),
        )

    def occupied(self) -> FitProblem:
        """The same without cells that have no points: there is nothing to fit them to."""
        kept = (self.members.counts > 0).nonzero()[:, 0]
        if len(kept) == len(self.cells):
            return self
        return replace(self, cells=self.cells.subset(kept), members=self.members.subset(kept))

    def map_batches(self, work: Callable[[FitProblem, Tensor, Tensor], None], stored: bool = True) -> None:
        """work(problem, cells [b], draws [cells, centres]) for batches of cells of similar size.

        The largest system of a batch sets its padding. Several devices take the batches in turn, each with the
        problem on it. A batch that does not fit into a GPU's memory is worked on in halves. draws: numbers in [0, 1)
        for the choice of each cell's centres, the same however the cells are dealt out. stored: whether the matrices
        of a whole batch are in memory at once; else some FUSED cells at a time share the operations before.
        """
        draws = torch.rand(len(self.cells), self.centers.count, generator=self.generator, dtype=torch.float64)
        if self.centers.mode != "blue-noise":  # every batch draws random numbers, and must do so in order
            for part in self._parts(stored):
                map_in_halves(lambda half: work(self, half, draws), [part])
            return
        devices = self.compute.devices
        problems = {device: self.on(device) if len(devices) > 1 else self for device in devices}

        def work_on(device: torch.device, cell: Tensor) -> None:
            map_in_halves(lambda half: work(problems[device], half, draws), [cell.to(device)])

        map_on_devices(devices, work_on, self._parts(stored))

    def _parts(self, stored: bool) -> Iterator[Tensor]:
        """The cells [b] of every batch, by their counts of points."""
        counts = self.members.counts
        order = counts.argsort(stable=True)
        if not stored:
            fewest, most = FUSED
            yield from order.split(min(most, max(fewest, len(order) // (RUNS * limit()))))
            return
        sizes = counts[order].tolist()
        budget = CPU_BATCH_BYTES
        if self.compute.device.type == "cuda":
            total = torch.cuda.get_device_properties(self.compute.device).total_memory
            budget = min(GPU_BATCH_BYTES, total // GPU_SHARE)
        start = 0
        while start < len(sizes):
            stop = start + 1
            while stop < len(sizes) and (stop + 1 - start) * self._bytes(sizes[stop]) <= budget:
                stop += 1
            yield order[start:stop]
            start = stop

    def _bytes(self, count: int) -> int:
        return (
            (4 if self.gradients else 3)
            * count
            * (min(3 * count, self.centers.count) + 8)
            * self.compute.dtype.itemsize
        )
