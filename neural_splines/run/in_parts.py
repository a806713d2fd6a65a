"""A scene that does not fit into memory, or that several processes share: from a file to a file, in tasks.

partition (this process) -> points, then cells of every node (tasks) -> blocks of the mesh (tasks) -> one file. What a
task makes is kept in the work directory, so that a run which was stopped goes on with what is missing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .. import __version__
from ..cells.advice import cell_lines
from ..cells.batches import Smoothing
from ..cells.fitting import choose
from ..clouds import NO_NORMALS, OrientedCloud, voxel_downsample
from ..distinct import merging_distance
from ..errors import CloudError, EmptySurfaceError, OutOfMemoryBudgetError
from ..field.products import Compute, resolve
from ..files.atomic import shown
from ..files.streams import ReadOptions, open_stream
from ..files.work_directory import WorkDirectory
from ..outliers import outlier_lines, without_outliers
from ..pipeline import choose_eps, doubts_about, downsample_lines
from ..runtime import memory
from ..runtime.monitor import Monitor, PhaseTimer
from ..settings import AUTO, SceneSettings, Settings
from ..surface.lattice import Lattice
from ..surface.resolution import FINEST, spacing_size
from . import blocks, cells, points
from .partition import Partition, partition
from .plan import SAMPLE_POINTS, Plan, compute_of, joined, raw
from .points import distinct, extent, separate
from .residuals import residuals_in_parts
from .stitch import Stitched, assemble, surroundings
from .totals import Totals
from .workers import Workers, workers

# What a process takes at most, by measurement: at rest, for a point of a node, for a square cube of a block's side.
REST, POINT, SQUARE = {"cpu": 0.7e9, "cuda": 2.5e9}, 4_000.0, 3_000.0
NODE_POINTS = {"cpu": (20_000, 200_000), "cuda": (20_000, 1_000_000)}
BLOCK_CUBES = {"cpu": (64, 384), "cuda": (64, 768)}


@dataclass(frozen=True)
class ReconstructionInParts:
    """What became of a cloud in a file whose mesh was written to another, and what more may be asked of its parts.

    words: of what was chosen by the data and why, or nothing. part: points of a node and cubes along the side of a
    block, at most. resumed: results that were there already. warnings: lines that a user should read.
    """

    mesh: Stitched
    plan: Plan
    totals: Totals
    around: blocks.Surroundings
    touched: list[int]
    words: str
    compute: Compute
    part: tuple[int, int]
    resumed: int
    warnings: list[str]
    team: Workers
    monitor: PhaseTimer

    @property
    def nodes(self) -> int:
        return len(self.plan.nodes)

    @property
    def blocks(self) -> int:
        return len(self.touched)

    def residuals(self) -> Tensor:
        """Distances [k] of at most some million of the fitted points from the surface, world units, in order."""
        self.monitor.phase("residuals")
        fitted = self.totals.fitted
        found = residuals_in_parts(self.plan, self.around, self.touched, fitted, self.team, self.monitor)
        self.monitor.phase("")
        return found


@contextlib.contextmanager
def reconstructed(
    source: str, out: str, settings: Settings, asked: SceneSettings, work_dir: str, monitor: PhaseTimer,
    classes: Sequence[int] = (), suffix: str | None = None,
) -> Iterator[ReconstructionInParts]:  # fmt: skip
    """The mesh of a cloud in a file, or of its points of these classes, written to `out`; see `SceneSettings`.

    suffix: the format, where the extension of `out` does not say it. Until the block ends its parts and the workers
    are there.
    """
    compute = compute_of(settings)
    most, side = sizes(asked, compute.device.type)
    store = WorkDirectory(os.path.abspath(work_dir))
    if asked.max_memory is None:  # the free memory is another one each time: a run that goes on keeps its parts
        known = store.known()
        most, side = known.get("points_per_node", most), known.get("cubes_per_block", side)
    stream = open_stream(source, asked.max_memory, ReadOptions(classes=classes))
    if stream.form.normals is None:
        raise CloudError(f"{shown(source)}: {NO_NORMALS}")
    with store.claimed(identity(source, classes, settings, most, side, compute.summary)):
        resumed = len([name for name in os.listdir(store.path) if name.endswith(".npz")])
        found = partition(stream, shown(source), settings.scale, most, store, monitor)
        del stream
        with workers(asked.workers, asked.scheduler, gpus(settings.device, compute), __version__) as team:
            plan, words, doubts, lines = planned(found, settings, store, side, monitor)
            totals, around, touched = fitted(plan, found, team, monitor)
            _mesh(team, plan, around, touched, monitor)
            try:
                mesh = assemble(plan, around, touched, (out, suffix), team, monitor)
            except EmptySurfaceError as error:
                raise EmptySurfaceError(f"no surface is left: {doubts[0]}" if doubts else str(error)) from None
            monitor.phase("")
            warnings = [*totals.cleaning.notes(), *outlier_lines(totals.outliers, totals.cleaning.kept)]
            warnings += [*downsample_lines(totals.kept, totals.fitted), *doubts, *lines]
            assert plan.smoothing
            eps = None if settings.eps == AUTO else plan.eps
            warnings += cell_lines(totals.cells, plan.smoothing, eps, compute.dtype)
            yield ReconstructionInParts(
                mesh, plan, totals, around, touched, words, compute, (most, side), resumed, warnings, team, monitor
            )


def gpus(asked: str, compute: Compute) -> list[str]:
    """Of the processes of one machine, in turn: all that are visible, unless some are named; none on a CPU."""
    if compute.device.type != "cuda":
        return []
    return [str(device) for device in (resolve("cuda").devices if asked == AUTO else compute.devices)]


def fitted(
    plan: Plan, found: Partition, team: Workers, monitor: PhaseTimer
) -> tuple[Totals, blocks.Surroundings, list[int]]:
    """Fit the cells of all nodes: what was counted there, what blocks need to know of them, and the blocks they
    meet."""
    nodes = list(range(len(found.nodes)))
    _each(team, points.prepare, plan, "points", nodes, "points", monitor)
    _each(team, cells.fit, plan, "cells", nodes, "fit", monitor)
    around, touched = surroundings(plan.store, len(nodes))
    if not touched:
        raise CloudError("no cell holds enough points; lower --min-pts-per-cell")
    return Totals.of(plan.store, len(nodes), found.report), around, touched


def _each(
    team: Workers, task: Callable[..., None], plan: Plan, result: str, items: Sequence[int], phase: str,
    monitor: Monitor,
) -> None:  # fmt: skip
    """Do the task for those items whose result is not there."""
    left = [item for item in items if not plan.store.has(f"{result}-{item}")]
    monitor.phase(phase)
    known = len(items) - len(left)
    team.run(task, plan, left, partial(_progress, monitor, known, len(items)))
    plan.store.sync(f"{result}-{item}" for item in left)


def mesh_block(shared: tuple[Plan, blocks.Surroundings], item: tuple[int, Any], device: str | None) -> None:
    plan, around = shared
    block, entering = item
    blocks.mesh(plan, around, block, torch.as_tensor(entering, dtype=torch.int64), device)


def _mesh(team: Workers, plan: Plan, around: blocks.Surroundings, touched: list[int], monitor: Monitor) -> None:
    """Mesh all blocks, and again those where the surface comes in from a neighbour and was not found from inside.

    A block is never without a result meanwhile: it knows the cubes that it was looked into from, so that a run which
    is stopped between two rounds goes on. Each round looks into cubes that none has looked into, and there are so many.
    """
    monitor.phase("mesh")
    none = torch.empty(0, dtype=torch.int64)
    left = {block: none for block in touched if not plan.store.has(f"block-{block}")}
    while True:
        items = [(block, cubes.numpy()) for block, cubes in left.items()]
        known = len(touched) - len(left)
        team.run(mesh_block, (plan, around), items, partial(_progress, monitor, known, len(touched)))
        plan.store.sync(f"block-{block}" for block in left)
        left = missed(plan, touched)
        if not left:
            return


def _progress(monitor: Monitor, known: int, total: int, done: int) -> None:
    monitor.progress(known + done, total)


def missed(plan: Plan, touched: list[int]) -> dict[int, torch.Tensor]:
    """The blocks that the surface enters from a neighbour in cubes that were neither found nor looked into, and all
    cubes of each to look into then."""
    leaving = [torch.from_numpy(plan.store.load(f"block-{b}", "leaving")["leaving"]) for b in touched]
    cubes = torch.cat(leaving).unique()
    b = plan.blocks
    index = plan.lattice.indices(cubes) // plan.block
    owner, there = (index[:, 0] * b[1] + index[:, 1]) * b[2] + index[:, 2], set(touched)
    result = {}
    for block in owner.unique().tolist():
        if block not in there:
            continue
        mine, found = cubes[owner == block], plan.store.load(f"block-{block}", "cubes", "entering")
        inside, entering = (torch.from_numpy(found[name]) for name in ("cubes", "entering"))
        mine = mine[~torch.isin(mine, torch.cat([inside, entering]))]
        if len(mine):
            result[block] = torch.cat([entering, mine]).unique()
    return result


def sizes(asked: SceneSettings, kind: str) -> tuple[int, int]:
    """The most points of a node, and cubes along the side of a block, that the memory allows."""
    (few, many), (small, large) = NODE_POINTS[kind], BLOCK_CUBES[kind]
    total = asked.max_memory
    if total is None:
        free = memory.available(memory.CPU)
        total = 4_000_000_000 if free is None else free // 2
    each = total / (1 if asked.scheduler else asked.workers)
    least = REST[kind] + POINT * few
    if each < least:
        count = asked.workers if not asked.scheduler else 1
        raise OutOfMemoryBudgetError(
            f"{total / 1e9:.3g} GB for {count} processes: each takes {least / 1e9:.2g} GB at least; "
            "use a larger --max-memory or fewer --workers"
        )
    room = each - REST[kind]
    side = int((room / SQUARE) ** 0.5) // 32 * 32
    return max(few, min(many, int(room / POINT))), max(small, min(large, side))


def memory_of(points: int, count: int, kind: str) -> int:
    """The bytes of so many processes that `sizes` makes nodes of at most so many points of."""
    return int(count * (REST[kind] + POINT * (points + 0.5)))


def identity(
    source: str, classes: Sequence[int], settings: Settings, most: int, side: int, device: str
) -> dict[str, Any]:
    """What a run in a work directory must have in common with one that goes on there."""
    status = os.stat(source)
    given = {name: value for name, value in asdict(settings).items() if name != "device"}
    return {
        "version": __version__, "input": os.path.abspath(source), "input_bytes": status.st_size,
        "input_time": status.st_mtime_ns, "points_per_node": most, "cubes_per_block": side, "computed_by": device,
        "classes": list(classes),
        **given,
    }  # fmt: skip


def planned(
    found: Partition, settings: Settings, store: WorkDirectory, side: int, monitor: Monitor
) -> tuple[Plan, str, list[str], list[str]]:
    """The plan with all that is chosen by its points, of which a sample of nodes is looked at; words about the choice,
    what keeps the points from being a surface, and what to doubt of the choice.
    """
    nodes = found.nodes
    order = torch.randperm(len(nodes), generator=torch.Generator().manual_seed(settings.seed)).tolist()
    sample: list[OrientedCloud] = []
    while order and sum(map(len, sample)) < SAMPLE_POINTS:
        sample.append(distinct(raw(store, nodes, order.pop())))
    seen = joined(sample)
    close = merging_distance(seen.sampling)
    seen = separate(seen, close)
    monitor.phase("check")
    if len(seen) < 2:
        raise CloudError("its points all coincide; a surface needs at least 2 distinct points")
    typical = max(seen.sampling.typical, 1e-300)
    box = extent(store, found, typical, close) if settings.remove_outliers == AUTO else found.box
    size = settings.grid_size if isinstance(settings.grid_size, int) else 0
    if not size:
        size = min(spacing_size(typical, settings.scale * float(box.sides.max())), FINEST)
    lattice = Lattice.around(box, settings.scale, size)
    total = int(nodes.counts.sum())
    averaged = total > settings.voxel_downsample_threshold
    eps = choose_eps(lattice, settings)
    plan = Plan(store, settings, nodes, lattice, size, eps, typical, close, side, averaged)
    if not store.has("choice"):
        if settings.remove_outliers == AUTO:
            seen, _ = without_outliers(seen, typical)
        overview = OrientedCloud(found.sample, found.sample) if order else seen
        if averaged:
            seen = voxel_downsample(seen, lattice.origin, lattice.voxel_size)
        doubts = doubts_about(overview, seen, lattice, eps, settings)
        choice = choose(cells.blend_of(plan, seen, plan.compute(), settings.seed), monitor)
        said = {"doubts": "\n".join(doubts), "lines": "\n".join(choice.warnings)}
        smoothed = list(asdict(choice.smoothing).values())
        store.save("choice", per_cell=choice.points_per_cell, smoothing=smoothed, words=choice.words, **said)
        store.sync(["choice"])
    chosen = store.load("choice")
    regularization, offset_weight, passes, gradient = chosen["smoothing"].tolist()
    smoothing = Smoothing(regularization, offset_weight, int(passes), gradient)
    plan = replace(plan, points_per_cell=int(chosen["per_cell"]), smoothing=smoothing)
    doubts, lines = (str(chosen[name]).splitlines() for name in ("doubts", "lines"))
    return plan, str(chosen["words"]), doubts, lines
