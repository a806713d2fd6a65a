"""Laws of cleaning, downsampling and the look for outliers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cloud_bytes import sphere

from neural_splines.cloud.clouds import OrientedCloud, clean, outlier_warning, voxel_downsample
from neural_splines.errors import CloudError, SettingsError


def random_cloud(generator, count=2000) -> OrientedCloud:
    points = torch.rand(count, 3, generator=generator, dtype=torch.float64)
    normals = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return OrientedCloud(points, normals / normals.norm(dim=1, keepdim=True))


def test_clean_counts_each_reason_once(generator):
    cloud = random_cloud(generator, 100)
    points, normals = cloud.points.clone(), 3.0 * cloud.normals
    points[0] = torch.nan
    normals[1, 2] = torch.inf
    normals[0] = 0.0  # not finite counts first
    normals[2] = 1e-6
    points[50:60] = points[40:50]
    points[60], points[61] = points[2], points[62]  # the first of a pair is gone: the second stays
    kept, report = clean(points, normals, "test")
    assert (report.read, report.non_finite, report.zero_normals, report.duplicates) == (100, 2, 1, 11)
    assert report.kept == len(kept) == 86
    assert report.summary() == "100 points read, 86 kept; dropped: 2 not finite, 1 without a normal, 11 duplicates"
    assert kept.points.dtype == kept.normals.dtype == torch.float64


def test_clean_keeps_order_and_the_first_of_duplicates(generator):
    cloud = random_cloud(generator, 300)
    twice = torch.cat([cloud.points, cloud.points.flip(0)])
    kept, report = clean(twice, torch.cat([cloud.normals, -cloud.normals.flip(0)]), "test")
    assert torch.equal(kept.points, cloud.points)
    assert torch.allclose(kept.normals, cloud.normals, rtol=0, atol=1e-15)
    assert report.duplicates == 300


def test_clean_finds_duplicates_among_shared_coordinates(generator):
    """On a small integer lattice every coordinate is shared; unique rows are the answer of a slow twin."""
    points = torch.randint(-3, 3, (500, 3), generator=generator).double()
    points[points == 0.0] *= -1.0  # -0 is 0
    points[::2].abs_()
    kept, _ = clean(points, torch.ones(500, 3), "test")
    seen, first = set(), []
    for i, p in enumerate(points.tolist()):
        if tuple(p) not in seen:
            first.append(i)
        seen.add(tuple(p))
    assert torch.equal(kept.points, points[first])


def test_clean_is_idempotent_and_normals_are_unit(generator):
    normals = torch.randn(500, 3, generator=generator) * torch.logspace(-4, 30, 500)[:, None]
    once, report = clean(torch.rand(500, 3, generator=generator), normals, "test")
    again, _ = clean(once.points, once.normals, "test")
    assert report.summary() == "500 points read, all kept"
    assert (once.normals.norm(dim=1) - 1.0).abs().max() <= 4e-16
    assert torch.equal(once.points, again.points)
    assert torch.allclose(once.normals, again.normals, rtol=0, atol=4e-16)


@pytest.mark.parametrize(
    ("points", "normal", "message"),
    [
        (torch.zeros(0, 3), 1.0, "contains no points"),
        (torch.rand(5, 3), 0.0, "none of its points is usable"),
        (torch.full((5, 3), torch.nan), 1.0, "none of its points is usable"),
        (torch.rand(1, 3), 1.0, "only one usable point"),
        (torch.ones(5, 3), 1.0, "all coincide"),
        (torch.rand(5, 3).double() * 1e151, 1.0, "range of float64"),
        (torch.rand(5, 3).double() * 1e-151, 1.0, "range of float64"),
        (torch.rand(5, 3).double() + 1e13, 1.0, "subtract an offset"),
    ],
)
def test_clean_refuses_clouds_without_extent(points, normal, message):
    with pytest.raises(CloudError, match=message) as caught:
        clean(points, torch.full_like(points, normal), "some/file.ply")
    assert str(caught.value).startswith("some/file.ply: ")
    assert "\n" not in str(caught.value)


def test_downsample_matches_a_loop_over_voxels(generator):
    cloud, origin, size = random_cloud(generator), torch.tensor([-0.03, 0.01, -1.0]), 0.11
    result = voxel_downsample(cloud, origin, size)
    voxels: dict[tuple, list[int]] = {}
    for i, p in enumerate(cloud.points.tolist()):
        voxels.setdefault(tuple(np.floor((np.array(p) - origin.double().numpy()) / size)), []).append(i)
    assert len(result) == len(voxels)
    for i, voxel in enumerate(sorted(voxels)):
        rows = voxels[voxel]
        normal = cloud.normals[rows].mean(0)
        if normal.norm() < 0.25:
            assert any(torch.equal(result.points[i], cloud.points[r]) for r in rows)
        else:
            assert torch.allclose(result.points[i], cloud.points[rows].mean(0), rtol=0, atol=1e-14)
            assert torch.allclose(result.normals[i], normal / normal.norm(), rtol=0, atol=1e-13)


def test_downsample_does_not_depend_on_the_order_of_points(generator):
    cloud = random_cloud(generator)
    shuffle = torch.randperm(len(cloud), generator=generator)
    a, b = (
        voxel_downsample(c, torch.zeros(3), 0.2)
        for c in (cloud, OrientedCloud(cloud.points[shuffle], cloud.normals[shuffle]))
    )
    # the same sums in another order
    assert torch.allclose(a.points, b.points, rtol=0, atol=1e-12)
    assert torch.allclose(a.normals, b.normals, rtol=0, atol=1e-12)


def test_downsample_keeps_points_in_their_voxels_far_from_the_origin(generator):
    cloud, offset = random_cloud(generator), torch.tensor([5e6, -5e6, 0.0], dtype=torch.float64)
    near = voxel_downsample(cloud, torch.zeros(3), 0.05)
    far = voxel_downsample(OrientedCloud(cloud.points + offset, cloud.normals), offset, 0.05)
    # points rounded to steps of 1e-9 may change voxel in principle, this cloud's do not
    assert torch.allclose(far.points - offset, near.points, rtol=0, atol=2e-9)
    assert (far.normals.norm(dim=1) - 1.0).abs().max() < 1e-15


def test_downsample_of_facing_sheets_keeps_one_of_them():
    x = torch.linspace(0, 1, 50, dtype=torch.float64)
    sheet = torch.stack([x, x, 0 * x], 1)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(50, 3)
    thin = OrientedCloud(torch.cat([sheet, sheet + 1e-3 * up]), torch.cat([-up, up]))
    result = voxel_downsample(thin, torch.full((3,), -0.01), 0.1)
    assert torch.equal(result.normals.abs(), up[: len(result)])  # no noise directions, nothing dropped
    assert set(result.points[:, 2].tolist()) <= {0.0, 1e-3}
    flipped = voxel_downsample(OrientedCloud(thin.points.flip(0), thin.normals.flip(0)), torch.full((3,), -0.01), 0.1)
    assert torch.equal(flipped.points, result.points)
    assert torch.equal(flipped.normals, result.normals)


def test_downsample_with_tiny_voxels_keeps_every_point(generator):
    """Voxel indices whose product overflows 64 bits are ranked; the order stays that of the indices."""
    cloud = random_cloud(generator, 200)
    result = voxel_downsample(cloud, torch.zeros(3), 1e-12)
    order = cloud.points[:, 0].argsort()
    assert torch.allclose(result.points, cloud.points[order], rtol=0, atol=1e-15)
    assert torch.allclose(result.normals, cloud.normals[order], rtol=0, atol=1e-15)


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), 1e-17])
def test_downsample_refuses_impossible_voxels(generator, size):
    with pytest.raises(SettingsError, match="voxel size"):
        voxel_downsample(random_cloud(generator, 10), torch.zeros(3), size)


@pytest.mark.gpu
def test_downsample_on_a_gpu_is_the_same_and_repeats_bitwise(generator):
    cloud = random_cloud(generator, 200_000)
    on_gpu = OrientedCloud(cloud.points.cuda(), cloud.normals.cuda())
    here = voxel_downsample(cloud, torch.zeros(3), 0.03)
    there, again = (voxel_downsample(on_gpu, torch.zeros(3), 0.03) for _ in range(2))
    assert torch.equal(there.points, again.points)
    assert torch.equal(there.normals, again.normals)
    assert torch.allclose(there.points.cpu(), here.points, rtol=0, atol=1e-12)
    assert torch.allclose(there.normals.cpu(), here.normals, rtol=0, atol=1e-12)


@pytest.mark.parametrize("count", [10, 400, 100_000])
def test_outliers_are_counted(count):
    points, normals = (torch.from_numpy(a) for a in sphere(count))
    far = max(1, min(3, count // 10))
    assert outlier_warning(OrientedCloud(points, normals)) is None
    points[:far] += 1e4 * (1 + torch.arange(far)[:, None])
    message = outlier_warning(OrientedCloud(points, normals))
    assert message.startswith(f"{far:,} of {count:,} points {'lies' if far == 1 else 'lie'} far from the others")
    assert "\n" not in message


@pytest.mark.parametrize("count", [2, 3, 9])
def test_tiny_clouds_have_no_outliers(count):
    points = torch.logspace(0, 9, count, dtype=torch.float64)[:, None] * torch.ones(3, dtype=torch.float64)
    assert outlier_warning(OrientedCloud(points, torch.ones(count, 3))) is None


def scan(kind: str, generator) -> OrientedCloud:
    """What scanners give: noise, uneven density, thin parts, empty rooms, a floor that runs on."""
    n = 20_000
    u = torch.rand(n, 3, generator=generator, dtype=torch.float64)
    noise = 0.01 * torch.randn(n, 3, generator=generator, dtype=torch.float64)
    if kind == "room":  # six walls of a box, denser near the scanner
        side = torch.arange(n) % 6
        u = u**2
        u[torch.arange(n), side // 2] = (side % 2).double()
        points = u * torch.tensor([6.0, 4.0, 2.5], dtype=torch.float64) + noise
    elif kind == "chair":  # a seat on four legs, with nothing between
        legs = torch.randint(2, (n, 2), generator=generator).double()
        points = torch.where((torch.arange(n) % 4 == 0)[:, None], torch.cat([legs, 2 * u[:, 2:]], 1), u + 1.0) + noise
    else:  # a sphere, half of it ten times as dense
        points = torch.nn.functional.normalize(u - 0.5, dim=1) + noise
        points = points[(points[:, 0] > 0) | (torch.arange(n) % 10 == 0)]
    return OrientedCloud(points, torch.nn.functional.normalize(torch.ones_like(points), dim=1))


@pytest.mark.parametrize("kind", ["room", "chair", "uneven"])
def test_scans_are_kept_whole_and_have_no_outliers(kind, generator):
    made = scan(kind, generator)
    cloud, report = clean(made.points, made.normals, "scan")
    assert report.kept == report.read
    assert outlier_warning(cloud) is None
    few = torch.cat([made.points, 100.0 + made.points[:3]])
    assert "3 of" in outlier_warning(OrientedCloud(few, torch.ones_like(few)))
