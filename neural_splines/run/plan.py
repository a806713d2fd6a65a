"""What all tasks of a run share: where its points come from, settings, nodes, lattice, where results are kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from ..cells.batches import Smoothing
from ..cells.free import FreePlaces
from ..cloud.clouds import CleaningReport, OrientedCloud
from ..geometry import Box
from ..kernels.products import Compute, resolve
from ..runtime.monitor import Monitor, Silent
from ..settings import AUTO, Settings
from ..surface.lattice import Lattice
from .empty import EmptySpace
from .nodes import Nodes
from .store import Store

SAMPLE_POINTS = 300_000  # whose spacing and noise stand for all


class Source(Protocol):
    """The points of a run before anything is done to them."""

    def points_of(self, node: int) -> OrientedCloud:
        """Those of a node, on the CPU or on the device of the run."""

    def repeated_in(self, node: int) -> int:
        """How many of a node were left out, since they repeat others."""


@dataclass(frozen=True)
class OneCloud:
    """A cloud in memory, whose points are distinct: one node."""

    cloud: OrientedCloud

    def points_of(self, node: int) -> OrientedCloud:
        return self.cloud

    def repeated_in(self, node: int) -> int:
        return 0


@dataclass(frozen=True)
class Parts:
    """How a cloud is shared out to nodes, and what tasks about its points need. Can be pickled where its store can.

    read: what was dropped when the points were read. sample [k, 3]: points that are spread over all nodes.
    median_spacing: the median distance of points from their 6th neighbour; None in one node, which knows all points.
    close: points so close are one. block: cubes along each side of a block of the lattice; None: the run is whole, with
    one node and one block, in this process. monitor: is told of the progress within a task.
    """

    store: Store
    source: Source
    settings: Settings
    nodes: Nodes
    read: CleaningReport
    sample: Tensor
    median_spacing: float | None = None
    close: float = 0.0
    block: int | None = None
    monitor: Monitor = field(default_factory=Silent)
    empty: EmptySpace | None = None

    @property
    def whole(self) -> bool:
        return self.block is None

    @property
    def stride(self) -> int:
        """Every k-th point of a node is among some SAMPLE_POINTS of all."""
        return max(1, int(self.nodes.counts.sum()) // SAMPLE_POINTS)

    def compute(self, device: str | None = None) -> Compute:
        return compute_of(self.settings, device)


@dataclass(frozen=True)
class Plan:
    """A run: everything that a task needs beside the results of other tasks. Can be pickled where its store can.

    box: of the points that are kept. grid_size: what gives the lattice again, were it auto. eps: of the constraints off
    the surface, world units. averaged: whether points are averaged within voxels. free: empty places that fits know of.
    """

    parts: Parts
    nodes: Nodes
    box: Box
    grid_size: int
    lattice: Lattice
    eps: float
    averaged: bool
    points_per_cell: int = 0
    smoothing: Smoothing | None = None
    free: FreePlaces | None = None

    @property
    def store(self) -> Store:
        return self.parts.store

    @property
    def settings(self) -> Settings:
        return self.parts.settings

    @property
    def monitor(self) -> Monitor:
        return self.parts.monitor

    def compute(self, device: str | None = None) -> Compute:
        return self.parts.compute(device)

    @property
    def filled(self) -> bool:
        """Whether holes are closed by a coarse spline of the whole."""
        return self.settings.cell_settings is not None and self.settings.cell_settings.fill_holes is not False

    @property
    def local_depth(self) -> bool:
        """Whether cells are larger or smaller where these predict better: as asked for, or where there is noise."""
        s = self.settings.cell_settings
        return s is not None and (
            s.depth == "local" or (s.depth == AUTO and bool(self.smoothing and self.smoothing.for_noise))
        )

    @property
    def block(self) -> int:
        """Cubes along each side of a block."""
        return self.parts.block or max(self.lattice.shape)

    @cached_property
    def blocks(self) -> tuple[int, int, int]:
        """How many blocks of cubes there are along each axis."""
        x, y, z = (-(-(n - 1) // self.block) for n in self.lattice.shape)
        return x, y, z


def compute_of(settings: Settings, device: str | None = None) -> Compute:
    return resolve(device or settings.device, settings.backend, getattr(torch, settings.dtype))


def select(cloud: OrientedCloud, keep: Tensor) -> OrientedCloud:
    """The points of a cloud under a mask [n]."""
    if bool(keep.all()):
        return cloud
    return cloud.part(keep.nonzero()[:, 0])


def inside(cloud: OrientedCloud, lower: Tensor, upper: Tensor) -> OrientedCloud:
    """The points of a cloud in a box, walls included."""
    return select(cloud, ((cloud.points >= lower.to(cloud.points)) & (cloud.points <= upper.to(cloud.points))).all(1))


def joined(clouds: list[OrientedCloud]) -> OrientedCloud:
    """One cloud of several, in their order; one alone keeps what is known of its sampling."""
    clouds = [cloud for cloud in clouds if len(cloud)]
    if len(clouds) == 1:
        return clouds[0]
    if not clouds:
        return OrientedCloud(*torch.empty(2, 0, 3, dtype=torch.float64))
    points, normals = torch.cat([c.points for c in clouds]), torch.cat([c.normals for c in clouds])
    return OrientedCloud(points, normals, all(c.one_sided for c in clouds))
