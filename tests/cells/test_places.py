"""Which cells take part where: the loops of a CPU and the tensors of a GPU agree."""

from dataclasses import replace

import torch
from shapes import torus
from test_cells import KINDS, cells_of

from neural_splines.cells.weights import CellWeights


@KINDS
def test_loops_and_tensors_find_the_same_places(kind, generator):
    """The CPU's loops beside the tensor expressions that a GPU evaluates."""
    cloud = torus(1500)
    cells, box = cells_of(cloud, kind), cloud.box.scaled(1.3)
    cells = replace(cells, yields=torch.arange(len(cells)) % 2 == 0)
    points = box.lower + torch.rand(3000, 3, generator=generator, dtype=torch.float64) * box.sides
    loops, tensors = CellWeights.of(cells, points), CellWeights.by_tensors(cells, points)
    for name in ("point", "cell"):
        assert torch.equal(getattr(loops, name), getattr(tensors, name)), name
    assert loops.count == tensors.count
    assert len(loops.point)
    assert torch.allclose(loops.weight, tensors.weight, rtol=1e-12, atol=0.0)
    pairs = cells._within_by_tensors(points, cells.outer_lower, cells.outer_upper)
    assert all(map(torch.equal, cells.containing(points), pairs))
