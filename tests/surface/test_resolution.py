"""GRID_SIZE auto: voxels follow the spacing of the points and the memory; what downsampling drops is said."""

import math
import re

import pytest
import torch
from scripts import run, write_cloud
from shapes import sphere, torus

import neural_splines as ns
from neural_splines.cloud.sampling import Sampling
from neural_splines.runtime import memory
from neural_splines.surface.resolution import COARSEST, FINEST, LEAST, VOXELS_PER_SPACING, choose_grid_size

CPU = torch.device("cpu")


@pytest.mark.parametrize("count", [20_000, 80_000])
def test_voxels_follow_the_spacing(count):
    """n points on a unit sphere: sqrt(4 pi / n) apart; twice as many voxels for four times as many points."""
    points = torch.randn(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points /= points.norm(dim=1, keepdim=True)
    spacing = math.sqrt(4 * math.pi / count)
    expected = VOXELS_PER_SPACING * 1.1 * 2 / spacing
    size = choose_grid_size(Sampling(points), 1.1, False, CPU)
    assert size == pytest.approx(expected, rel=0.05)
    for factor in (1e-6, 1e6):
        assert choose_grid_size(Sampling(factor * points), 1.1, False, CPU) == size


def test_bounds_and_degenerate_clouds():
    assert choose_grid_size(Sampling(sphere(20).points), 1.1, False, CPU) == COARSEST
    two = torch.tensor([[0.0, 0, 0], [1, 0, 0]], dtype=torch.float64)
    assert COARSEST <= choose_grid_size(Sampling(two), 1.1, False, CPU) <= FINEST


@pytest.mark.parametrize("dense", [False, True])
def test_it_leaves_half_of_the_memory(monkeypatch, dense):
    points = sphere(20000).points
    whole = choose_grid_size(Sampling(points), 1.1, dense, CPU)
    monkeypatch.setattr(memory, "available", lambda device: 4_000_000)
    small = choose_grid_size(Sampling(points), 1.1, dense, CPU)
    assert LEAST < small < whole
    if dense:
        assert 8 * small**3 <= 2_000_000 * 1.1


def test_auto_is_what_the_number_gives(tmp_path):
    cloud = write_cloud(tmp_path / "cloud.ply", torus(600))
    args = ["auto", 60, "auto", 2, "--seed", 0, "--out"]
    first = run("fit-grid.py", cloud, *args, tmp_path / "a.ply")
    assert first.code == 0, first.err
    size = max(map(int, re.search(r"lattice:  (\d+) x (\d+) x (\d+)", first.out).groups()))
    args[2] = size
    assert run("fit-grid.py", cloud, *args, tmp_path / "b.ply").code == 0
    assert (tmp_path / "a.ply").read_bytes() == (tmp_path / "b.ply").read_bytes()


def test_a_field_has_no_points_to_look_at():
    cloud = sphere(100)
    field = ns.fit(cloud.points, cloud.normals, ns.Settings(cells=None, grid_size="auto", num_nystrom_samples=50))
    with pytest.raises(ns.SettingsError, match="give a number"):
        ns.extract_mesh(field, ns.Settings(cells=None, grid_size="auto"))


def test_downsampling_that_drops_more_than_half_is_said(tmp_path):
    cloud = write_cloud(tmp_path / "cloud.ply", sphere(2000))
    args = ["auto", 100, 12, "--seed", 0, "--out", tmp_path / "mesh.ply", "--voxel-downsample-threshold"]
    few = run("fit.py", cloud, *args, 1000)
    assert re.search(
        r"warning: 2,000 points were averaged within voxels to [\d,]+; keep all with --voxel-downsample-threshold 2000",
        few.err,
    )
    assert run("fit.py", cloud, *args, 2000).err == ""
