"""What pictures and pages show of a large run: its mesh, thinned where it is too large, and some of its points."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..cloud.neighbours import Neighbours
from ..pictures.page import MOST_FACES, Page
from ..quantities import quantity
from ..runtime.budget import DRAWN_FACE_BYTES
from ..runtime.monitor import Silent
from ..surface.clustering import VertexClusters
from .plan import Plan
from .points import fitted, fitted_count
from .stitch import Kept, stitched

POINTS = 200_000  # that are shown
COARSER = (
    1.5  # voxels of a cell for each square root of faces too many: with 1.0 there are as many as fit, or a few more
)


def in_bytes(page: Page, side: float, most: int = MOST_FACES) -> Page:
    """The page with about `most` faces, if there are more and no picture lies on them: vertices in one cell of a grid
    become their mean, and have the values of the vertex nearest to it. side: of faces, about.
    """
    if len(page.faces) <= most or page.mapped is not None:
        return page
    side *= COARSER * math.sqrt(len(page.faces) / most)
    clusters = VertexClusters(page.vertices.min(0) - side, side)
    clusters.add(page.vertices, page.faces)
    vertices, faces = clusters.mesh()
    rows = Neighbours(torch.from_numpy(page.vertices)).query(torch.from_numpy(vertices))[1].numpy()
    return replace(
        page,
        vertices=vertices,
        faces=faces,
        distances=page.distances[rows] if len(page.distances) else page.distances,
        colours=None if page.colours is None else page.colours[rows],
        numbers={name: values[rows] for name, values in page.numbers.items()},
        thinned=thinned(len(faces), len(page.faces), side, page.unit),
    )


def thinned(shown: int, faces: int, side: float, unit: str = "") -> str:
    """How a mesh was thinned, in words."""
    cubes = f"cube of side {quantity(side, unit, 2)}"
    return f"a thinned mesh of {shown:,} faces: vertices in one {cubes} are one; the mesh itself has {faces:,}"


def drawn_mesh(plan: Plan, blocks: list[int], kept: Kept, memory: float) -> tuple[np.ndarray, np.ndarray, str]:
    """Vertices [v, 3] and faces [f, 3] that are drawn with at most so many bytes, and how they were thinned, if so."""
    needed = DRAWN_FACE_BYTES * kept.faces
    if needed <= memory:
        meshes = [piece.mesh.numpy() for piece in stitched(plan, blocks, kept, Silent())]
        return np.concatenate([m.vertices for m in meshes]), np.concatenate([m.faces for m in meshes]), ""
    side = COARSER * math.sqrt(needed / max(memory, 1.0)) * plan.lattice.voxel_size
    clusters = VertexClusters((plan.lattice.box.lower - side).numpy(), side)
    for vertices, faces in _own_meshes(plan, blocks, kept):
        clusters.add(vertices, faces)
    vertices, faces = clusters.mesh()
    return vertices, faces, thinned(len(faces), kept.faces, side)


def _own_meshes(plan: Plan, blocks: list[int], kept: Kept) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The vertices and the kept faces of each block."""
    for block in blocks:
        if kept.components[block].any():
            found = plan.store.load(f"block-{block}", "vertices", "faces", "label")
            keep = kept.components[block][found["label"].long()][found["faces"][:, 0].long()]
            yield found["vertices"].numpy(), found["faces"][keep].numpy()


def drawn_points(plan: Plan) -> Tensor:
    """At most POINTS and one more of each node [n, 3] of those that were fitted."""
    nodes = range(len(plan.nodes))
    stride = -(-sum(fitted_count(plan, node) for node in nodes) // POINTS)
    return torch.cat([fitted(plan, node).points[::stride] for node in nodes])


def distances_to_points(plan: Plan, places: Tensor, sample: Tensor) -> Tensor:
    """The distances [q] of places [q, 3] from the nearest point that was fitted, of which a sample is known.

    One node of points is held at a time: those that may have a nearer point than the sample has.
    """
    best = Neighbours(sample).query(places)[0]
    for node in range(len(plan.nodes)):
        lower, upper = plan.nodes.lower[node], plan.nodes.upper[node]
        beyond = (places - places.clamp(lower, upper)).norm(dim=1)
        rows = (beyond < best).nonzero()[:, 0]
        points = fitted(plan, node).points
        if len(rows) and len(points):
            best[rows] = best[rows].minimum(Neighbours(points).query(places[rows])[0])
    return best
