"""The points of a file with normals, written to another, in nodes: bounded memory, results that are kept, workers."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace

from .. import __version__
from ..cloud.clouds import CleaningReport
from ..files.atomic import shown
from ..files.large_meshes import written_in_parts
from ..files.streams import ReadOptions
from ..files.work_directory import WorkDirectory
from ..normals.orient import device_of
from ..runtime.monitor import PhaseTimer
from ..settings import NormalSettings, SceneSettings, Settings
from .in_parts import gpus, identity, opened, sizes
from .orientation import Estimated, orient_nodes
from .partition import partition
from .plan import compute_of
from .points import distinct
from .workers import workers


@dataclass(frozen=True)
class CloudInParts:
    """What became of the points of a file. estimated: of normals that were estimated. notes: lines for a user."""

    cleaning: CleaningReport
    estimated: Estimated | None
    classes: dict[int, int]
    nodes: int
    resumed: int
    notes: list[str]


def write_cloud(
    source: str, out: str, sides: NormalSettings, asked: SceneSettings, work_dir: str, options: ReadOptions,
    monitor: PhaseTimer,
) -> CloudInParts:  # fmt: skip
    """Write the points of a file that are finite and distinct, with their normals, node by node."""
    settings = Settings(device=sides.device)
    compute = compute_of(settings)
    most, _ = sizes(asked, device_of(sides.device).type)
    store = WorkDirectory(os.path.abspath(work_dir))
    if asked.max_memory is None:
        most = store.known().get("points_per_node", most)
    monitor.phase("partition")
    stream, said = opened([source], asked.max_memory, options, sides, store.scratch)
    with store.claimed(identity([source], options, settings, sides, most, 0, compute.summary)):
        resumed = len([name for name in os.listdir(store.path) if name.endswith(".npz")])
        found = partition(stream, shown(source), settings.scale, most, store, monitor, sides.source == "file")
        del stream
        with workers(asked.workers, asked.scheduler, gpus(sides.device, compute), __version__) as team:
            normals = orient_nodes(found, sides, store, most, shown(source), team, monitor)
        monitor.phase("write")
        counts = Counter[str]()
        with written_in_parts(out, store.path) as writer:
            for node in range(len(found.nodes)):
                points = normals.source.points_of(node)
                cloud = distinct(points)
                writer.add(cloud.points.numpy(), cloud.normals.numpy(), None)
                repeated = normals.source.repeated_in(node)
                counts["repeated"] += repeated + len(points) - len(cloud)
                counts["copies"] += int(found.nodes.counts[node]) - repeated - len(points)
        monitor.phase("")
    cleaning = replace(found.report, duplicates=counts["repeated"], copies=counts["copies"], kept=writer.vertices)
    classes = {code: found.classes.get(code, 0) for code in options.classes}
    notes = [*said, *normals.notes, *cleaning.notes()]
    return CloudInParts(cleaning, normals.estimated, classes, len(found.nodes), resumed, notes)
