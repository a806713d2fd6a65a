"""A scene that does not fit into memory, or that several processes share: from a file to a file, in tasks.

partition (this process) -> points, then cells of every node (tasks) -> blocks of the mesh (tasks) -> one file. What a
task makes is kept in the work directory, so that a run which was stopped goes on with what is missing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import Tensor

from .. import __version__
from ..cloud.clouds import NO_NORMALS
from ..errors import CloudError, OutOfMemoryBudgetError
from ..files.atomic import shown
from ..files.merging import chosen, counted, some_within, together
from ..files.rasters import Heights
from ..files.scans import ScannedCloud
from ..files.streams import EVERYTHING, CloudStream, ReadOptions, merged, open_stream
from ..files.work_directory import WorkDirectory
from ..kernels.products import Compute, resolve
from ..runtime import memory
from ..runtime.budget import BLOCK_SQUARE_BYTES, NODE_POINT_BYTES, PROCESS_BYTES
from ..runtime.monitor import PhaseTimer
from ..settings import AUTO, NormalSettings, SceneSettings, Settings
from ..surface.expand import open_lines
from . import steps
from .blocks import Surroundings
from .choices import with_spacing
from .compare import comparison_lines
from .orientation import OrientedNodes, orient_nodes
from .partition import partition
from .plan import Parts, Plan, compute_of
from .residuals import residuals_in_parts
from .stitch import Kept
from .terrain import heights_in_parts
from .totals import Totals
from .upright import upright_in_files
from .workers import Workers, workers
from .writing import Output, WrittenMesh, written

NODE_POINTS = {"cpu": (20_000, 200_000), "cuda": (20_000, 1_000_000)}
AS_GIVEN = NormalSettings()
BLOCK_CUBES = {"cpu": (64, 384), "cuda": (64, 768)}


@dataclass(frozen=True)
class ReconstructionInParts:
    """What became of a cloud in a file whose mesh was written to another, and what more may be asked of its parts.

    form: no points, with what is known of all that were read. words: of what was chosen by the data and why, or
    nothing. part: points of a node and cubes along the side of a block, at most. resumed: results that were there
    already. warnings: lines that a user should read. heights: where they were asked for.
    """

    form: ScannedCloud
    mesh: WrittenMesh
    plan: Plan
    totals: Totals
    around: Surroundings
    touched: list[int]
    kept: Kept
    normals: OrientedNodes
    words: str
    compute: Compute
    part: tuple[int, int]
    resumed: int
    warnings: list[str]
    team: Workers
    monitor: PhaseTimer
    heights: Heights | None

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
def mesh_files(
    sources: Sequence[str], out: Output, settings: Settings, asked: SceneSettings, work_dir: str, monitor: PhaseTimer,
    options: ReadOptions = EVERYTHING, sides: NormalSettings = AS_GIVEN,
) -> Iterator[ReconstructionInParts]:  # fmt: skip
    """The mesh of the cloud in a file, or in several that are one cloud, written to `out`; see `SceneSettings`.

    Until the block ends its parts and the workers are there.
    """
    compute = compute_of(settings)
    most, side = sizes(asked, compute.device.type)
    store = WorkDirectory(os.path.abspath(work_dir))
    if asked.max_memory is None:  # the free memory is another one each time: a run that goes on keeps its parts
        known = store.known()
        most, side = known.get("points_per_node", most), known.get("cubes_per_block", side)
    monitor.phase("partition")
    stream, said = opened(sources, asked.max_memory, options, sides, store.scratch)
    name = together([shown(source) for source in sources])
    with store.claimed(identity(sources, options, settings, sides, most, side, compute.summary)):
        resumed = len([name for name in os.listdir(store.path) if name.endswith(".npz")])
        form = stream.form
        found = partition(stream, name, settings.scale, most, store, monitor, sides.source == "file")
        classes = {code: found.classes.get(code, 0) for code in options.classes}
        names = [shown(source) for source in sources] if len(sources) > 1 else list(found.files)
        form = replace(form, classes=classes, parts=counted(found.files.items(), names))
        del stream
        with workers(asked.workers, asked.scheduler, gpus(settings.device, compute), __version__) as team:
            normals = orient_nodes(found, sides, store, most, name, team, monitor)
            parts = Parts(store, normals.source, settings, found.nodes, found.report, found.sample, block=side)
            made = _made(parts, normals, out, form, sides.up, drawing_memory(asked, compute.device.type), team, monitor)
            yield replace(
                made,
                part=(most, side),
                resumed=resumed,
                warnings=list(dict.fromkeys([*said, *normals.notes, *made.warnings])),
            )


def _made(
    parts: Parts,
    normals: OrientedNodes,
    out: Output,
    form: ScannedCloud,
    up: str,
    room: float,
    team: Workers,
    monitor: PhaseTimer,
) -> ReconstructionInParts:
    """Every step of the run."""
    monitor.phase("check")
    found = steps.meshed(with_spacing(parts), team, monitor, lambda plan: None)
    plan, blocks = found.plan, found.blocks
    compared = comparison_lines(plan, found.around, found.kept, team, monitor)
    steps.paint(plan, found.around, blocks, out.quality, team, monitor)
    heights = None
    if out.heights is not None:
        heights = heights_in_parts(plan, found.around, blocks, found.kept, out.heights, team, monitor)
    monitor.phase("write")
    known = normals.estimated.known if normals.estimated else None
    axis = upright_in_files(up, form.upright, known, plan.box)
    confidence = normals.estimated.confidence.value if normals.estimated else 1.0
    mesh = written(plan, blocks, found.kept, found.totals.cleaning.kept, out, axis, room, confidence, monitor)
    monitor.phase("")
    warnings = [*found.totals.cleaning.notes(), *found.lines, *compared, *mesh.lines]
    filled = plan.settings.cell_settings and plan.settings.cell_settings.fill_holes
    if filled:
        warnings += open_lines(mesh.border_edges, mesh.on_wall, filled)
    return ReconstructionInParts(
        form, mesh, plan, found.totals, found.around, blocks, found.kept, normals, found.chosen.words, plan.compute(),
        (0, 0), 0, warnings, team, monitor, heights,
    )  # fmt: skip


def opened(
    sources: Sequence[str], memory: int | None, options: ReadOptions, sides: NormalSettings, scratch: str
) -> tuple[CloudStream, list[str]]:
    """The points of all files, and lines about what not all of them have. memory, scratch: as of `open_stream`."""

    def opened_one(source: str) -> CloudStream:
        stream = open_stream(source, memory, options, scratch=scratch)
        if len(sources) > 1 and options.bounds:  # a file that has no point within them takes no part
            next((piece for piece in stream.pieces() if len(piece.points)), None)
        if stream.form.normals is None and sides.source == "file":
            raise CloudError(f"{shown(source)}: {NO_NORMALS}")
        return stream

    found = some_within(sources, opened_one)
    names = [shown(sources[number]) for number in found]
    return merged(list(found.values()), names, chosen(sides.of_files, sources, found), len(found) < len(sources))


def gpus(asked: str, compute: Compute) -> list[str]:
    """Of the processes of one machine, in turn: all that are visible, unless some are named; none on a CPU."""
    if compute.device.type != "cuda":
        return []
    return [str(device) for device in (resolve("cuda").devices if asked == AUTO else compute.devices)]


def sizes(asked: SceneSettings, kind: str) -> tuple[int, int]:
    """The most points of a node, and cubes along the side of a block, that the memory allows."""
    (few, many), (small, large) = NODE_POINTS[kind], BLOCK_CUBES[kind]
    total, count = allowed(asked), processes(asked)
    each = total / count
    least = PROCESS_BYTES[kind] + NODE_POINT_BYTES * few
    if each < least:
        raise OutOfMemoryBudgetError(
            f"{total / 1e9:.3g} GB for {count} processes: each takes {least / 1e9:.2g} GB at least; "
            "use a larger --max-memory or fewer --workers"
        )
    room = each - PROCESS_BYTES[kind]
    side = int((room / BLOCK_SQUARE_BYTES) ** 0.5) // 32 * 32
    return max(few, min(many, int(room / NODE_POINT_BYTES))), max(small, min(large, side))


def allowed(asked: SceneSettings) -> int:
    """The bytes that all processes may take together."""
    if asked.max_memory is not None:
        return asked.max_memory
    free = memory.available(memory.CPU)
    return 4_000_000_000 if free is None else free // 2


def processes(asked: SceneSettings) -> int:
    """How many processes of this machine share the memory."""
    return 1 if asked.scheduler else asked.workers


def drawing_memory(asked: SceneSettings, kind: str) -> float:
    """The bytes that may be drawn with, beside processes at rest."""
    return allowed(asked) - processes(asked) * PROCESS_BYTES[kind]


def memory_of(points: int, count: int, kind: str) -> int:
    """The bytes of so many processes that `sizes` makes nodes of at most so many points of."""
    return int(count * (PROCESS_BYTES[kind] + NODE_POINT_BYTES * (points + 0.5)))


def identity(
    sources: Sequence[str], options: ReadOptions, settings: Settings, sides: NormalSettings, most: int, side: int,
    device: str,
) -> dict[str, Any]:  # fmt: skip
    """What a run in a work directory must have in common with one that goes on there."""
    files = [(os.path.abspath(source), os.stat(source)) for source in sources]
    given = {name: value for name, value in asdict(settings).items() if name != "device"}
    given["normals"] = {name: value for name, value in asdict(sides).items() if name not in ("device", "cameras")}
    return {
        "version": __version__, "input": [path for path, _ in files], "input_bytes": [s.st_size for _, s in files],
        "input_time": [s.st_mtime_ns for _, s in files], "points_per_node": most, "cubes_per_block": side,
        "computed_by": device, "attributes": list(options.attributes), "columns": options.columns,
        "classes": list(options.classes), "bounds": list(options.bounds), **given,
    }  # fmt: skip
