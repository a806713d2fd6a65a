"""Heights of the surface above squares of the ground: of a whole run, and of a run in parts block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..files.rasters import Heights, Squares
from ..geometry import Box
from ..runtime.monitor import Monitor
from ..settings import AUTO
from ..surface.heights import AskedHeights, chosen_resolution, levels, on_the_field, squares_around, topmost
from ..surface.lattice import Lattice
from .blocks import Block, Surroundings
from .cells import field_of
from .plan import Plan
from .points import fitted, fitted_count
from .stitch import Kept
from .workers import Workers, progress

if TYPE_CHECKING:
    from .whole import Reconstruction

Clouds = Callable[[], Iterable[np.ndarray]]
Shared = tuple[Plan, Surroundings, Kept, Squares]


def heights(result: Reconstruction, asked: AskedHeights, monitor: Monitor) -> Heights:
    """Those of the mesh of a whole run, on its field."""
    monitor.phase("heights")
    mesh, lattice, compute = result.mesh.numpy(), result.lattice, result.compute
    found = topmost(mesh.vertices, mesh.faces, _squares(Box.around(torch.as_tensor(mesh.vertices)), asked, lattice))
    found = on_the_field(found, result.field, lattice.voxel_size, [compute.device])
    points = result.cloud.points
    found = _cropped(_followed(found, asked, lambda: [points.cpu().numpy()], len(points)), asked)
    monitor.phase("")
    return found


def heights_in_parts(
    plan: Plan, around: Surroundings, blocks: list[int], kept: Kept, asked: AskedHeights, team: Workers,
    monitor: Monitor,
) -> Heights:  # fmt: skip
    """Those of the mesh that is kept of all blocks, on the fields of these."""
    monitor.phase("heights")
    squares = _squares(plan.lattice.box, asked, plan.lattice)
    mine = [block for block in blocks if kept.components[block].any()]
    left = [block for block in mine if not _there(plan, block, squares.resolution)]
    known = len(mine) - len(left)
    team.run(measure, (plan, around, kept, squares), left, partial(progress, monitor, known, len(mine)))
    plan.store.sync(f"heights-{block}" for block in left)
    values = np.full((squares.rows, squares.columns), np.nan)
    for block in mine:
        part = _part(plan, block)
        window = part.squares.within(squares)
        values[window] = np.fmax(values[window], part.values)
    nodes = range(len(plan.nodes))
    count = sum(fitted_count(plan, node) for node in nodes) if asked.breaklines else 0

    def clouds() -> Iterator[np.ndarray]:
        return (fitted(plan, node).points.cpu().numpy() for node in nodes)

    return _cropped(_followed(Heights(squares, values), asked, clouds, count), asked)


def _followed(found: Heights, asked: AskedHeights, clouds: Clouds, count: int) -> Heights:
    """The heights along breaklines, where some are given."""
    if not asked.breaklines:
        return found
    from ..surface.breaklines import follow  # not before: it compiles

    return follow(found, asked.breaklines, clouds, count)


def measure(shared: Shared, block: int, device: str | None = None) -> None:
    """Store the heights of what is kept of a block's mesh."""
    plan, around, kept, squares = shared
    found = plan.store.load(f"block-{block}", "vertices", "faces", "label")
    here = kept.components[block][found["label"].long()]
    faces = found["faces"].long()
    faces = faces[here[faces[:, 0]]]
    used = found["vertices"][faces.reshape(-1)]
    near = Squares.covering(used.amin(0)[:2].tolist(), used.amax(0)[:2].tolist(), squares.resolution)
    heights = topmost(found["vertices"].numpy(), faces.numpy(), near)
    part, compute = Block.of(plan, around, block), plan.compute(device)
    field = field_of(plan, part.nodes, part.window.box, compute)
    assert field is not None
    heights = on_the_field(heights, field, plan.lattice.voxel_size, [compute.device])
    place = heights.squares
    plan.store.save(
        f"heights-{block}", resolution=place.resolution, left=place.left, top=place.top, values=heights.values
    )


def _part(plan: Plan, block: int) -> Heights:
    found = plan.store.load(f"heights-{block}")
    values = np.asarray(found["values"])
    rows, columns = values.shape
    place = Squares(float(found["resolution"]), int(found["left"]), int(found["top"]), columns, rows)
    return Heights(place, values)


def _there(plan: Plan, block: int, resolution: float) -> bool:
    """Whether a block has its heights at that resolution already."""
    name = f"heights-{block}"
    return plan.store.has(name) and float(plan.store.load(name, "resolution")["resolution"]) == resolution


def _squares(box: Box, asked: AskedHeights, lattice: Lattice) -> Squares:
    size = chosen_resolution(lattice.voxel_size) if asked.resolution == AUTO else float(asked.resolution)
    return squares_around(box.lower[:2].tolist(), box.upper[:2].tolist(), size)


def _cropped(found: Heights, asked: AskedHeights) -> Heights:
    found = found.cropped()
    if asked.interval is not None:
        levels(found, asked.interval)  # refused before anything is written
    return found
