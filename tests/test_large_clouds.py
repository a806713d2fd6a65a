"""What large clouds have of their own: the space-filling curve, and the part that a choice looks at."""

import pytest
import torch

from neural_splines.cells import fitting
from neural_splines.cells.partition import leaves
from neural_splines.clouds import OrientedCloud
from neural_splines.geometry import Box, morton_codes, morton_coordinates


def test_of_a_large_cloud_whole_nodes_are_looked_at(monkeypatch, generator):
    points = torch.rand(20_000, 3, generator=generator, dtype=torch.float64)
    cloud = OrientedCloud(points, points)
    box = cloud.box
    assert fitting.representative(cloud, box, generator) is cloud
    for name, value in (("LARGE", 5_000), ("LOOKED_AT", 4_000), ("NODE_POINTS", 100)):
        monkeypatch.setattr(fitting, name, value)
    seen = fitting.representative(cloud, box, generator)
    assert len(seen) == pytest.approx(4_000, rel=0.25)
    lower, side = leaves(box, points, 100, 0)
    inside = ((seen.points[:, None] >= lower) & (seen.points[:, None] < lower + side[:, None])).all(2)
    chosen = inside.any(0)
    whole = ((points[:, None] >= lower[chosen]) & (points[:, None] < lower[chosen] + side[chosen, None])).all(2)
    assert int(whole.sum()) == len(seen)


def test_morton_codes_interleave_bits(generator):
    points = torch.rand(50, 3, generator=generator, dtype=torch.float64)
    codes = morton_codes(Box.around(points), points)
    cube = morton_coordinates(codes)
    for code, index in zip(codes.tolist(), cube.tolist(), strict=True):
        assert code == sum((index[axis] >> bit & 1) << 3 * bit + axis for bit in range(20) for axis in range(3))
