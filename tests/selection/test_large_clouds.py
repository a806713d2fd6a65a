"""What large clouds have of their own: the space-filling curve, and the part that a choice looks at."""

import pytest
import torch

from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.cloud.octree import morton_codes, morton_coordinates
from neural_splines.geometry import Box
from neural_splines.selection import choose
from neural_splines.selection.regions import regions_of


def test_of_a_large_cloud_whole_nodes_are_looked_at(monkeypatch, generator):
    points = torch.rand(20_000, 3, generator=generator, dtype=torch.float64)
    cloud = OrientedCloud(points, points)
    assert choose.representative(cloud, generator) is cloud
    for name, value in (("LARGE", 5_000), ("LOOKED_AT", 4_000), ("NODE_POINTS", 100)):
        monkeypatch.setattr(choose, name, value)
    seen = choose.representative(cloud, generator)
    assert len(seen) == pytest.approx(4_000, rel=0.25)
    there = torch.isin(points[:, 0], seen.points[:, 0])
    shares = {float(there[region.rows].double().mean()) for region in regions_of(points, 100)}
    assert shares == {0.0, 1.0}


def test_morton_codes_interleave_bits(generator):
    points = torch.rand(50, 3, generator=generator, dtype=torch.float64)
    codes = morton_codes(Box.around(points), points)
    cube = morton_coordinates(codes)
    for code, index in zip(codes.tolist(), cube.tolist(), strict=True):
        assert code == sum((index[axis] >> bit & 1) << 3 * bit + axis for bit in range(20) for axis in range(3))
