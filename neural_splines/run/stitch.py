"""One mesh of the blocks': components joined across walls, what floats dropped, vertices shared, written in parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import EmptySurfaceError
from ..files.large_meshes import written_in_parts
from ..files.mesh_content import MAX_LOSS
from ..files.work_directory import WorkDirectory
from ..runtime.monitor import Monitor
from ..settings import AUTO
from ..surface import trimming
from ..surface.components import components
from .blocks import Surroundings, support
from .plan import Plan
from .workers import Workers

OF_CELLS = ("count", "blocks", "lower_bound", "upper_bound")
OF_BORDERS = ("face_counts", "keys", "border", "label", "loss")
Places = dict[int, tuple[np.ndarray, np.ndarray]]  # of blocks that later ones touch: keys, and what they stand for


@dataclass(frozen=True)
class Stitched:
    """What the mesh in the file has, border edges: with one face; and how often the field was evaluated to find it."""

    vertices: int
    faces: int
    border_edges: int
    evaluations: int


def assemble(
    plan: Plan, around: Surroundings, blocks: list[int], out: tuple[str, str | None], team: Workers, monitor: Monitor
) -> Stitched:
    """Write the mesh of all blocks to a path, in a format where the path does not say it."""
    monitor.phase("trim")
    kept, loss = kept_components(plan, around, blocks, team, monitor)
    monitor.phase("write")
    index: Places = {}
    evaluations, borders = 0, Unpaired()
    voxel_size = plan.lattice.voxel_size
    path, suffix = out
    with written_in_parts(path, plan.store.path, voxel_size, loss <= MAX_LOSS * voxel_size, suffix) as writer:
        for done, block in enumerate(blocks, 1):
            found = plan.store.load(f"block-{block}")
            evaluations += int(found["evaluations"])
            if not len(found["faces"]) or not kept[block].any():
                continue
            here = kept[block][found["label"]]
            faces = found["faces"][here[found["faces"][:, 0]]]
            used = np.zeros(len(found["vertices"]), bool)
            used[faces.reshape(-1)] = True
            place = np.full(len(used), -1, np.int64)
            keys, border = found["keys"], found["border"]
            for other in before(plan, block, index):
                mine, theirs = common(keys, index[other][0])
                place[border[mine]] = index[other][1][theirs]
            fresh = used & (place < 0)
            place[fresh] = writer.vertices + np.arange(int(fresh.sum()))
            there = used[border]
            index[block] = keys[there], place[border[there]]
            writer.add(found["vertices"][fresh], found["normals"][fresh], place[faces])
            borders.add(place[found["open"][here[found["open"][:, 0]]]])
            forget(plan, block, index)
            monitor.progress(done, len(blocks))
        if not writer.faces:
            raise EmptySurfaceError("trimming leaves no face; use a larger --trim, or --trim none")
    return Stitched(writer.vertices, writer.faces, len(borders), evaluations)


class Unpaired:
    """Edges that one face of a mesh has, whose faces come part by part: a second face pairs an edge."""

    def __init__(self) -> None:
        self._keys = np.empty(0, np.uint64)

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, edges: np.ndarray) -> None:
        """Edges [e, 2] that one face of a part has, by the places of their vertices in the whole mesh."""
        low, high = edges.min(1).astype(np.uint64), edges.max(1).astype(np.uint64)
        keys, counts = np.unique(np.concatenate([self._keys, low << np.uint64(32) | high]), return_counts=True)
        self._keys = keys[counts == 1]


def before(plan: Plan, block: int, known: Places) -> Iterator[int]:
    """The blocks that touch one and come before it, in order."""
    _, y, z = plan.blocks
    i, j, k = block // (y * z), block // z % y, block % z
    for a in (i - 1, i):
        for b in (j - 1, j, j + 1):
            for c in (k - 1, k, k + 1):
                other = (a * y + b) * z + c
                if 0 <= a and 0 <= b < y and 0 <= c < z and other < block and other in known:
                    yield other


def forget(plan: Plan, block: int, index: Places) -> None:
    """Drop what no later block touches."""
    plane = plan.blocks[1] * plan.blocks[2]
    for other in [b for b in index if b // plane < block // plane - 1]:
        del index[other]


def common(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where equal keys stand in two sorted lists."""
    place = np.searchsorted(other, one)
    place[place == len(other)] = 0
    mine = (other[place] == one).nonzero()[0] if len(other) else np.empty(0, np.int64)
    return mine, place[mine]


def kept_components(
    plan: Plan, around: Surroundings, blocks: list[int], team: Workers, monitor: Monitor
) -> tuple[dict[int, np.ndarray], float]:
    """Which components of each block's mesh are kept, as `trimming.trimmed` would, and the loss of float32."""
    first: dict[int, int] = {}
    borders: Places = {}
    faces, links, total, loss = [], [np.empty((0, 2), np.int64)], 0, 0.0
    for done, block in enumerate(blocks, 1):
        found = plan.store.load(f"block-{block}", *OF_BORDERS)
        if "face_counts" not in found or not len(found["face_counts"]):
            continue
        first[block], label = total, total + found["label"][found["border"]].astype(np.int64)
        for other in before(plan, block, borders):
            mine, theirs = common(found["keys"], borders[other][0])
            links.append(np.unique(np.stack([label[mine], borders[other][1][theirs]], 1), axis=0))
        borders[block] = found["keys"], label
        faces.append(found["face_counts"])
        total, loss = total + len(found["face_counts"]), max(loss, float(found["loss"]))
        forget(plan, block, borders)
        monitor.progress(done, len(blocks))
    if not total:
        raise EmptySurfaceError("no surface crosses the lattice; raise GRID_SIZE or --scale, or check the normals")
    whole = components(torch.from_numpy(np.concatenate(links)), total).unique(return_inverse=True)[1]
    size = torch.zeros(int(whole.max()) + 1, dtype=torch.int64)
    size.index_add_(0, whole, torch.from_numpy(np.concatenate(faces)))
    ends = [*list(first.values())[1:], total]
    labels = {block: whole[a:e].clone() for (block, a), e in zip(first.items(), ends, strict=True)}
    keep = kept(plan, around, labels, size, team, monitor)
    return {block: keep[labels[block]].numpy() if block in labels else np.empty(0, bool) for block in blocks}, loss


def kept(
    plan: Plan, around: Surroundings, labels: dict[int, Tensor], size: Tensor, team: Workers, monitor: Monitor
) -> Tensor:
    """Which components of the whole [c] are kept: `labels` has them of each block's own, `size` [c] their faces."""
    least = plan.settings.min_component
    if least != AUTO:
        return size >= float(least) * float(size.max())
    if len(size) == 1:
        return torch.ones(1, dtype=torch.bool)
    largest = int(size.argmax())
    others = [block for block, own in labels.items() if bool((own != largest).any())]
    done_before = len(labels)
    team.run(
        support, (plan, around, labels, largest), others,
        lambda done: monitor.progress(done_before + done, done_before + len(others)),
    )  # fmt: skip
    votes, points = torch.zeros(2, len(size), dtype=torch.int64)
    for block in others:
        found = {name: torch.from_numpy(values) for name, values in plan.store.load(f"support-{block}").items()}
        votes.index_add_(0, found["label"], found["votes"])
        points.index_add_(0, found["label"], found["points"])
    small = size < trimming.SPECK_SHARE * float(size.max())
    keep = ~((votes > 0) | small & (points < trimming.SPECK_POINTS))
    keep[largest] = True
    return keep


def surroundings(store: WorkDirectory, nodes: int) -> tuple[Surroundings, list[int]]:
    """Bounds and spacings of all nodes, and the blocks that cells speak in."""
    lower, upper = torch.full((2, nodes, 3), torch.inf, dtype=torch.float64)
    upper = -upper
    spacing, blocks = torch.zeros(nodes, dtype=torch.float64), [np.empty(0, np.int64)]
    for node in range(nodes):
        points, cells = store.load(f"points-{node}", "spacing"), store.load(f"cells-{node}", *OF_CELLS)
        spacing[node] = float(points["spacing"])
        if not int(cells["count"]):
            continue
        lower[node], upper[node] = (torch.from_numpy(cells[f"{end}_bound"]) for end in ("lower", "upper"))
        blocks.append(cells["blocks"])
    return Surroundings(lower, upper, spacing), np.unique(np.concatenate(blocks)).tolist()
