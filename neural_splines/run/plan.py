"""What all tasks of a scene share: settings, the lattice, nodes of points, and where results are kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..cells.batches import Smoothing
from ..clouds import OrientedCloud
from ..errors import OutputError
from ..field.products import Compute, resolve
from ..files.atomic import shown
from ..files.work_directory import WorkDirectory
from ..settings import Settings
from ..surface.lattice import Lattice
from .nodes import Nodes

SAMPLE_POINTS = 300_000  # whose spacing and noise stand for the scene's
POINT_WIDTH = 6  # three coordinates and three components of the normal
POINTS_FILE = "points.bin"
PARTITION = "partition"  # the result that stands for it


@dataclass(frozen=True)
class Plan:
    """A run: everything that a task needs beside the results of other tasks. Can be pickled.

    grid_size: what gives the lattice again, were it auto. typical: the median distance of points from their 6th
    neighbour. close: points so close are one. block: cubes along each side of a block. averaged: whether points are
    averaged within voxels.
    """

    store: WorkDirectory
    settings: Settings
    nodes: Nodes
    lattice: Lattice
    grid_size: int
    eps: float
    typical: float
    close: float
    block: int
    averaged: bool
    points_per_cell: int = 0
    smoothing: Smoothing | None = None

    def compute(self, device: str | None = None) -> Compute:
        return compute_of(self.settings, device)

    @property
    def stride(self) -> int:
        """Every so manieth point of a node is among some SAMPLE_POINTS of all."""
        return max(1, int(self.nodes.counts.sum()) // SAMPLE_POINTS)

    @cached_property
    def blocks(self) -> tuple[int, int, int]:
        """How many blocks of cubes there are along each axis."""
        x, y, z = (-(-(n - 1) // self.block) for n in self.lattice.shape)
        return x, y, z


def compute_of(settings: Settings, device: str | None = None) -> Compute:
    return resolve(device or settings.device, settings.backend, getattr(torch, settings.dtype))


def raw(store: WorkDirectory, nodes: Nodes, node: int) -> OrientedCloud:
    """The points of a node as the partition left them."""
    rows = rows_of(store, nodes, node)
    if rows is None:
        store.remove(PARTITION)
        raise OutputError(
            f"{shown(store.file(POINTS_FILE))}: was damaged; run the same command again, which makes it anew"
        )
    table = torch.from_numpy(rows)
    return OrientedCloud(table[:, :3].contiguous(), table[:, 3:].contiguous())


def rows_of(store: WorkDirectory, nodes: Nodes, node: int) -> np.ndarray | None:
    """The rows of a node in the store's POINTS_FILE; None where they are damaged."""
    place = int(nodes.starts[node]), int(nodes.counts[node])
    return store.rows(POINTS_FILE, POINT_WIDTH, *place, int(nodes.checksums[node]))


def inside(cloud: OrientedCloud, lower: Tensor, upper: Tensor) -> OrientedCloud:
    keep = ((cloud.points >= lower) & (cloud.points <= upper)).all(1)
    return OrientedCloud(cloud.points[keep], cloud.normals[keep])


def joined(clouds: list[OrientedCloud]) -> OrientedCloud:
    if not clouds:
        return OrientedCloud(*torch.empty(2, 0, 3, dtype=torch.float64))
    return OrientedCloud(torch.cat([c.points for c in clouds]), torch.cat([c.normals for c in clouds]))
