"""The octree of the cells, their members and their buckets, whatever lies far away."""

from dataclasses import fields

import pytest
import torch
from shapes import hemisphere, torus

from neural_splines.cells.members import Members
from neural_splines.cells.partition import Cells, adaptive_cells, uniform_cells
from neural_splines.cloud.octree import MORTON_BITS, bounding_cube, morton_codes, morton_coordinates
from neural_splines.cloud.sampling import Sampling
from neural_splines.geometry import Box, linear_ids


def cells_of(cloud, kind, overlap=0.25):
    box = cloud.box.scaled(1.1)
    if kind == "adaptive":
        return adaptive_cells(box, cloud.sampling, 60, overlap, 0)
    return uniform_cells(box, cloud.sampling, kind, overlap, 0)


def test_morton_codes_name_octree_cells(generator):
    points = torch.rand(500, 3, generator=generator, dtype=torch.float64)
    box = Box.around(points)
    origin, side = bounding_cube(box)
    cell = morton_coordinates(morton_codes(box, points)).double() * (side / 2**MORTON_BITS) + origin
    assert ((points >= cell - 1e-12) & (points <= cell + side / 2**MORTON_BITS + 1e-12)).all()


def test_adaptive_cells_survive_a_cluster_far_denser_than_the_rest(generator):
    points = torch.cat([torch.rand(50, 3, generator=generator), 0.5 + 1e-7 * torch.rand(500, 3, generator=generator)])
    points = points.double()
    cells = adaptive_cells(Box.around(points).scaled(1.1), Sampling(points), 60, 0.25, 0)
    own = ((points[:, None] >= cells.lower) & (points[:, None] < cells.upper)).all(-1)
    assert (own.sum(1) == 1).all()


def test_members_are_those_within_the_padding():
    shape = hemisphere(1200)
    cells = cells_of(shape, "adaptive")
    members = Members.of(cells, shape.points)
    c = int(members.counts.argmax())
    mine = members.point[members.starts[c] : members.starts[c] + members.counts[c]]
    x = shape.points
    low, high = cells.lower[c] - cells.padding[c], cells.upper[c] + cells.padding[c]
    expected = ((x > low) & (x < high)).all(1).nonzero()[:, 0]
    assert torch.equal(mine.sort().values, expected)


@pytest.mark.parametrize("stray", [[0.0, 0.0, 0.0], [4e5, 5e6, 2e10]])
def test_a_far_point_does_not_make_one_cell_of_the_others(stray):
    """The cells of the others hold as few points as without it; and it has a cell of its own."""
    points = torus(700).points + torch.tensor([4e5, 5e6, 100.0], dtype=torch.float64)
    points = torch.cat([points, torch.tensor([stray], dtype=torch.float64)])
    cells = adaptive_cells(Box.around(points), Sampling(points), 60, 0.0, 0)
    point, cell = cells.members(points)
    assert torch.bincount(cell, minlength=len(cells)).max() <= 60
    assert torch.bincount(point, minlength=len(points)).min() >= 1


@pytest.mark.parametrize("stray", [[0.0, 0.0, 0.0], [4e5, 5e6, 2e10], [4e5 + 99.0, 5e6, 100.0]])
def test_a_far_cell_does_not_make_one_bucket_of_the_others(stray):
    """Points look at as few cells as without it, and find all."""
    points = torus(1500).points + torch.tensor([4e5, 5e6, 100.0], dtype=torch.float64)
    cells = adaptive_cells(Box.around(points), Sampling(points), 30, 0.2, 0)
    corner, one = torch.tensor([stray], dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    far = Cells(corner - 1.0, corner + 1.0, 0.1 * one, 0.1 * one, 0.2 * one, torch.zeros(1, dtype=torch.bool))
    more = Cells(*(torch.cat([getattr(part, f.name) for part in (cells, far)]) for f in fields(Cells)))
    listed = []
    for found in (cells, more):
        origin, side, shape, starts, _ = found.buckets
        place = linear_ids(((points - origin) / side).long().clamp_min(0).minimum(shape - 1), shape)
        listed.append(int((starts[place + 1] - starts[place]).sum()))
    assert listed[1] < 2 * listed[0]
    x = torch.cat([points, points + 0.3, corner, corner + 1e3, torch.full((1, 3), torch.nan)])
    brute = ((x[:, None] >= more.outer_lower) & (x[:, None] <= more.outer_upper)).all(2).nonzero()
    assert torch.equal(torch.stack(more.containing(x), 1), brute)
    assert torch.equal(torch.stack(more._within_by_tensors(x, more.outer_lower, more.outer_upper), 1), brute)
