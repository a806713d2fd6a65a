"""One mesh of the blocks': components joined across walls, those that float dropped, vertices shared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..components import components
from ..errors import EmptySurfaceError
from ..runtime.monitor import Monitor
from ..settings import AUTO
from ..surface import trimming
from ..surface.levels import member
from ..surface.mesh import Mesh, keep_faces
from .blocks import Surroundings, support
from .extract import NO_SURFACE
from .plan import Plan
from .workers import Workers

OF_BORDERS = ("face_counts", "keys", "border", "label", "loss", "crossed")
NOTHING_LEFT = "trimming leaves no face; use a larger --trim, or --trim none"
Borders = dict[int, tuple[Tensor, Tensor]]  # of blocks that later ones touch: keys, and what they stand for


@dataclass(frozen=True)
class Kept:
    """Which components of each block's own mesh are kept, and of which of the whole each is a part. faces: that are
    kept. loss: how far float32 moves a vertex, where that is known."""

    components: dict[int, Tensor]
    whole: dict[int, Tensor]
    faces: int
    loss: float


@dataclass(frozen=True)
class Piece:
    """Of the mesh, what a block adds: vertices that no block before has, and faces, whose corners are places among all.
    open [e, 2]: edges of these faces with one face here. fresh: mask of these vertices among the block's own.
    """

    mesh: Mesh
    open: Tensor
    block: int
    fresh: Tensor


class Unpaired:
    """Edges that one face of a mesh has, whose faces come part by part: a second face pairs an edge."""

    def __init__(self) -> None:
        self._keys = torch.empty(0, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, edges: Tensor) -> None:
        """Edges [e, 2] that one face of a part has, by the places of their vertices in the whole mesh."""
        low, high = edges.amin(1), edges.amax(1)
        keys, counts = torch.cat([self._keys, low << 32 | high]).unique(return_counts=True)
        self._keys = keys[counts == 1]


def stitched(plan: Plan, blocks: list[int], kept: Kept, monitor: Monitor) -> Iterator[Piece]:
    """The mesh, block by block."""
    index: Borders = {}
    count = 0
    for done, block in enumerate(blocks, 1):
        found = plan.store.load(f"block-{block}")
        if not len(found["faces"]) or not kept.components[block].any():
            continue
        here = kept.components[block][found["label"].long()]
        faces = found["faces"].long()
        faces = faces[here[faces[:, 0]]]
        used = torch.zeros(len(found["vertices"]), dtype=torch.bool)
        used[faces.reshape(-1)] = True
        place = torch.full((len(used),), -1)
        keys, border = found["keys"], found["border"]
        for other in before(plan, block, index):
            mine, theirs = common(keys, index[other][0])
            place[border[mine]] = index[other][1][theirs]
        fresh = used & (place < 0)
        place[fresh] = count + torch.arange(int(fresh.sum()))
        count += int(fresh.sum())
        there = used[border]
        index[block] = keys[there], place[border[there]]
        border_edges = found["open"].long()
        border_edges = place[border_edges[here[border_edges[:, 0]]]]
        mesh = Mesh(found["vertices"][fresh], found["normals"][fresh], place[faces])
        yield Piece(mesh, border_edges, block, fresh)
        forget(plan, block, index)
        monitor.progress(done, len(blocks))


def only(plan: Plan, kept: Kept) -> Mesh:
    """The mesh of a whole run, whose only block it is."""
    found = plan.store.load("block-0")
    mesh = Mesh(found["vertices"], found["normals"], found["faces"])
    keep = kept.components[0].to(mesh.faces.device)
    return mesh if bool(keep.all()) else keep_faces(mesh, keep[found["label"].long()[mesh.faces[:, 0]]])


def before(plan: Plan, block: int, known: Borders) -> Iterator[int]:
    """The blocks that touch one and come before it, in order."""
    _, y, z = plan.blocks
    i, j, k = block // (y * z), block // z % y, block % z
    for a in (i - 1, i):
        for b in (j - 1, j, j + 1):
            for c in (k - 1, k, k + 1):
                other = (a * y + b) * z + c
                if 0 <= a and 0 <= b < y and 0 <= c < z and other < block and other in known:
                    yield other


def forget(plan: Plan, block: int, index: Borders) -> None:
    """Drop what no later block touches."""
    plane = plan.blocks[1] * plan.blocks[2]
    for other in [b for b in index if b // plane < block // plane - 1]:
        del index[other]


def common(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Where equal keys stand in two sorted lists."""
    mine = member(one, other).nonzero()[:, 0]
    return mine, torch.searchsorted(other, one[mine])


def kept_components(plan: Plan, around: Surroundings, blocks: list[int], team: Workers, monitor: Monitor) -> Kept:
    """Which components of each block's mesh are kept, as parts of those of the whole."""
    first: dict[int, int] = {}
    borders: Borders = {}
    faces, links, total, loss, crossed = [], [torch.empty(0, 2, dtype=torch.int64)], 0, 0.0, 0
    for done, block in enumerate(blocks, 1):
        found = plan.store.load(f"block-{block}", *OF_BORDERS)
        crossed += int(found.get("crossed", 0))
        if "face_counts" not in found or not len(found["face_counts"]):
            continue
        first[block] = total
        if not plan.parts.whole:
            label = total + found["label"].long()[found["border"]]
            for other in before(plan, block, borders):
                mine, theirs = common(found["keys"], borders[other][0])
                links.append(torch.stack([label[mine], borders[other][1][theirs]], 1).unique(dim=0))
            borders[block] = found["keys"], label
            forget(plan, block, borders)
        faces.append(found["face_counts"].cpu())
        total, loss = total + len(found["face_counts"]), max(loss, float(found.get("loss", 0.0)))
        monitor.progress(done, len(blocks))
    if not total:
        raise EmptySurfaceError(_nothing(crossed))
    whole = components(torch.cat(links), total).unique(return_inverse=True)[1]
    size = torch.zeros(int(whole.max()) + 1, dtype=torch.int64).index_add_(0, whole, torch.cat(faces))
    ends = [*list(first.values())[1:], total]
    labels = {block: whole[a:e].clone() for (block, a), e in zip(first.items(), ends, strict=True)}
    keep = kept(plan, around, labels, size, team, monitor)
    none = torch.empty(0, dtype=torch.bool)
    own = {block: keep[labels[block]] if block in labels else none for block in blocks}
    return Kept(own, labels, int(size[keep].sum()), loss)


def _nothing(crossed: int) -> str:
    if crossed:
        return NOTHING_LEFT
    return NO_SURFACE


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
        found = plan.store.load(f"support-{block}")
        votes.index_add_(0, found["label"].cpu(), found["votes"].cpu())
        points.index_add_(0, found["label"].cpu(), found["points"].cpu())
    return trimming.kept_components(size, votes, points)
