"""The mesh of a run in parts, written to its file: block by block, or for a printer as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from ..cloud.clouds import OrientedCloud
from ..errors import EmptySurfaceError, OutOfMemoryBudgetError
from ..files.large_meshes import written_in_parts
from ..files.mesh_content import MAX_LOSS
from ..files.work_directory import WorkDirectory
from ..placement import AS_IT_IS, Placed, Placement, Printing
from ..ranges import Axis
from ..runtime.monitor import PhaseTimer
from ..surface.attributes import Attributes
from ..surface.checks import Checked, checked
from ..surface.expand import on_the_wall
from ..surface.heights import AskedHeights
from ..surface.mesh import Mesh
from ..surface.support import Support, looked_at
from .painting import painted
from .plan import Plan
from .points import cleaned
from .printing import carried, printed
from .stitch import NOTHING_LEFT, Kept, Piece, Unpaired, stitched
from .support_in_parts import support_of

FACE_BYTES = 600  # that looking at a mesh takes, measured
PRINTED_FACE_BYTES, POINT_BYTES = 1_500, 400  # that making it for a printer takes, of faces and points: estimated
NOT_PRINTED = Printing()


@dataclass(frozen=True)
class Output:
    """The file of the mesh. suffix: its format, where the path does not say it. quality: numbers of the
    vertices, of `settings.QUALITIES`. placement: where the mesh lies in it.
    intersections: whether pairs of faces that intersect are to be counted. printing: whether it is made for a printer,
    which takes it as a whole. heights: of what raster, beside the mesh.
    """

    path: str
    suffix: str | None = None
    quality: tuple[str, ...] = ()
    placement: Placement = AS_IT_IS
    intersections: bool = False
    printing: Printing = NOT_PRINTED
    heights: AskedHeights | None = None


@dataclass(frozen=True)
class WrittenMesh:
    """What the mesh in the file has. border_edges: with one face. on_wall: vertices on the outermost points of the
    lattice. evaluations: of the field, to find it. placed: where it lies in the file. shape: what it is,
    None where it is too large to look at. lines: that a user should read. support: by the data, where it was asked for.
    """

    vertices: int
    faces: int
    border_edges: int
    on_wall: int
    evaluations: int
    placed: Placed
    shape: Checked | None
    lines: list[str]
    support: Support | None = None


def written(
    plan: Plan, blocks: list[int], kept: Kept, points: int, out: Output, up: Axis, room: float, confidence: float,
    monitor: PhaseTimer,
) -> WrittenMesh:  # fmt: skip
    """Write the mesh of all blocks. points: how many there are. room: bytes that may be taken to look at the mesh.
    confidence: in the sides of normals that were estimated.
    """
    pieces = stitched(plan, blocks, kept, monitor)
    lines: list[str] = []
    found = ((piece, painted(plan, piece.block, piece.fresh.numpy(), out.quality)) for piece in pieces)
    if out.printing.asked:
        need = PRINTED_FACE_BYTES * kept.faces + POINT_BYTES * points
        if need > room:
            raise OutOfMemoryBudgetError(
                f"--printable takes the mesh as a whole: {kept.faces} faces and {points} points need {need / 1e9:.2g} "
                f"GB, and there are {max(room, 0.0) / 1e9:.2g}; use a larger --max-memory or a smaller GRID_SIZE"
            )
        whole, lines = _printed(plan, found, out, up, confidence)
        found = (part for part in [whole])
    support = None
    if "support" in out.quality and out.printing.asked:
        body = whole[0].mesh.numpy()
        support = looked_at(body.vertices, body.faces, whole[1].scalars["support"])
    elif "support" in out.quality:
        support = support_of(plan, blocks, kept)
    borders, on_wall, voxel_size = Unpaired(), 0, plan.lattice.voxel_size
    assert isinstance(plan.store, WorkDirectory)
    single = kept.loss <= MAX_LOSS * voxel_size
    with written_in_parts(out.path, plan.store.path, voxel_size, single, out.suffix, up, out.placement) as writer:
        for piece, more in found:
            mesh = piece.mesh
            writer.add(mesh.vertices.numpy(), mesh.normals.numpy(), mesh.faces.numpy(), more.colours, more.scalars)
            borders.add(piece.open)
            on_wall += int(on_the_wall(mesh.vertices, plan.lattice).sum())
        if not writer.faces:
            raise EmptySurfaceError(NOTHING_LEFT)
        shape = None
        if writer.faces * FACE_BYTES < room:
            content = writer.content(None, None, up)
            assert content.faces is not None
            shape = checked(content.vertices, content.faces, intersecting=out.intersections)
            del content  # the files are mapped
    evaluations = sum(int(plan.store.load(f"block-{block}", "evaluations")["evaluations"]) for block in blocks)
    assert writer.placed
    return WrittenMesh(
        writer.vertices, writer.faces, len(borders), on_wall, evaluations, writer.placed, shape, lines, support
    )


def _printed(
    plan: Plan, found: Iterable[tuple[Piece, Attributes]], out: Output, up: Axis, confidence: float
) -> tuple[tuple[Piece, Attributes], list[str]]:
    """All pieces as one that a printer takes, and what a user should read."""
    parts = list(found)
    if not parts:
        raise EmptySurfaceError(NOTHING_LEFT)
    meshes, values = [piece.mesh for piece, _ in parts], [more for _, more in parts]
    mesh = Mesh(*(torch.cat([getattr(part, name) for part in meshes]) for name in ("vertices", "normals", "faces")))
    clouds = [cleaned(plan.store, node) for node in range(len(plan.nodes))]
    cloud = OrientedCloud(torch.cat([part.points for part in clouds]), torch.cat([part.normals for part in clouds]))
    result, lines = printed(mesh, cloud.sampling.metric, plan.lattice, out.printing, out.placement, up, confidence)
    none = torch.empty(0, 2, dtype=torch.int64)
    piece = Piece(result, none, 0, torch.ones(len(result.vertices), dtype=torch.bool))
    return (piece, carried(mesh, Attributes.joined(values), result.vertices.numpy())), lines
