"""Points that belong to no surface."""

import pytest
import torch
from scripts import write_cloud
from shapes import hemisphere, knot, sphere, torus
from test_choices import generator, noisy

import neural_splines as ns
from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.cloud.outliers import clumps, outliers, without_outliers
from neural_splines.command_line import steps
from neural_splines.run import whole
from neural_splines.runtime.monitor import PhaseTimer
from neural_splines.settings import CellSettings, NormalSettings, Settings
from neural_splines.surface.lattice import Lattice


def with_outliers(cloud: OrientedCloud, count: int) -> OrientedCloud:
    g = generator(11)
    low, high = cloud.points.amin(0), cloud.points.amax(0)
    points = low + (high - low) * (1.4 * torch.rand(count, 3, generator=g, dtype=torch.float64) - 0.2)
    normals = torch.nn.functional.normalize(torch.randn(count, 3, generator=g, dtype=torch.float64))
    return OrientedCloud(torch.cat([cloud.points, points]), torch.cat([cloud.normals, normals]))


def test_scattered_points_are_outliers_and_those_of_surfaces_are_not():
    shape = knot(6000)
    spoilt = with_outliers(shape, 120)
    kept, line = without_outliers(spoilt)
    far = torch.cdist(spoilt.points[6000:], shape.points).amin(1) > 0.4  # four spacings
    mask = torch.isin(spoilt.points[:, 0], kept.points[:, 0])
    assert mask[:6000].all()
    assert not mask[6000:][far].any()
    assert f"{6120 - len(kept):,} of 6,120 points were ignored as stray points" in line
    assert "--remove-outliers none" in line


@pytest.mark.parametrize(
    "cloud", [sphere(3000), hemisphere(2000), noisy(torus(4000), 0.05)], ids=["clean", "open", "noisy"]
)
def test_no_point_of_a_surface_is_an_outlier(cloud):
    assert without_outliers(cloud) == (cloud, None)


def clumped(shape: OrientedCloud, count: int = 8, each: int = 40) -> tuple[OrientedCloud, torch.Tensor]:
    """With dense clumps of points with random normals, away from the surface, and a mask of these."""
    g = generator(3)
    middles = 2.5 * torch.nn.functional.normalize(torch.randn(count, 3, generator=g, dtype=torch.float64))
    points = middles.repeat_interleave(each, 0) + 0.03 * torch.randn(count * each, 3, generator=g, dtype=torch.float64)
    normals = torch.nn.functional.normalize(torch.randn(len(points), 3, generator=g, dtype=torch.float64))
    cloud = OrientedCloud(torch.cat([shape.points, points]), torch.cat([shape.normals, normals]))
    return cloud, torch.arange(len(cloud)) >= len(shape)


def test_dense_clumps_go_and_the_surface_stays():
    """But for the outermost points of a clump, they are as dense as the surface: only their normals give them away."""
    cloud, outside = clumped(torus(6000))
    kept, _ = without_outliers(cloud)
    mask = torch.isin(cloud.points[:, 0], kept.points[:, 0])
    assert mask[~outside].all()
    assert float(mask[outside].double().mean()) < 0.05


def test_what_was_seen_from_above_keeps_its_leaves():
    cloud, outside = clumped(torus(6000))
    above = OrientedCloud(cloud.points, cloud.normals, one_sided=True)
    assert int(clumps(cloud).sum()) > 200
    mask = torch.isin(cloud.points[:, 0], without_outliers(above)[0].points[:, 0])
    assert int(mask[outside].sum()) > 200


def test_many_points_that_contradict_one_another_are_no_clump():
    cloud, _ = clumped(torus(6000), count=1, each=600)
    assert int(clumps(cloud).sum()) < 60


def test_a_part_that_was_sampled_sparsely_is_no_outlier():
    """Twenty times fewer points on one half."""
    cloud = sphere(8000)
    keep = (cloud.points[:, 0] < 0) | (torch.arange(8000) % 20 == 0)
    assert not outliers(OrientedCloud(cloud.points[keep], cloud.normals[keep])).any()


def test_edges_that_were_sampled_sparsely_are_no_outliers():
    """A cube whose density falls thirtyfold, with edges where at most half of the witnesses lie in the same face."""
    g = generator(2)
    points = torch.rand(20000, 3, generator=g, dtype=torch.float64)
    axis, end = torch.randint(3, (20000,), generator=g), torch.randint(2, (20000,), generator=g).double()
    rows = torch.arange(20000)
    points[rows, axis] = end
    normals = torch.zeros_like(points)
    normals[rows, axis] = 2.0 * end - 1.0
    keep = torch.rand(20000, generator=g, dtype=torch.float64) < 30.0 ** -points[:, 0]
    cube = OrientedCloud(points[keep], normals[keep])
    assert len(cube) - len(without_outliers(cube)[0]) < 0.001 * len(cube)


def test_outliers_near_the_surface_go_where_there_are_many():
    """Of those within two to four spacings, nearly all; a look for sparse points alone leaves most."""
    shape = sphere(6000)
    n = 300
    direction = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator(5), dtype=torch.float64), dim=1)
    height = 0.1 + 0.08 * torch.rand(n, 1, generator=generator(6), dtype=torch.float64)  # the spacing is 0.046
    near = OrientedCloud(direction * (1 + height), -direction)
    far = with_outliers(shape, 120)
    spoilt = OrientedCloud(torch.cat([far.points, near.points]), torch.cat([far.normals, near.normals]))
    kept, _ = without_outliers(spoilt)
    radius = kept.points.norm(dim=1)
    assert int(((radius > 1.09) & (radius < 1.19)).sum()) < 0.1 * n
    assert int((radius - 1).abs().lt(1e-9).sum()) > 0.99 * 6000


def test_no_outlier_goes_without_a_word():
    """Also where a field is fitted and no mesh is made."""
    spoilt = with_outliers(sphere(800), 40)
    settings = Settings(grid_size=16, device="cpu", regularization=1e-6)
    assert any("ignored as stray point" in line for line in whole.fit_cloud(spoilt, settings).warnings)


@pytest.mark.filterwarnings("ignore::neural_splines.errors.ReconstructionWarning")
@pytest.mark.parametrize("cells", [None, CellSettings()], ids=["one spline", "cells"])
def test_a_later_mesh_or_trim_has_the_voxels_of_the_run(cells, tmp_path, monkeypatch):
    """Where outliers were left out, points averaged, and points without a normal dropped."""
    spoilt = with_outliers(sphere(300), 9)
    spoilt.normals[0], spoilt.points[0, 0] = 0.0, 9.0
    path = str(write_cloud(tmp_path / "cloud.ply", spoilt))
    settings = Settings(
        grid_size=9, device="cpu", regularization=1e-6, cells=cells, remove_outliers="auto", trim=2.0,
        voxel_downsample_threshold=100,
    )  # fmt: skip
    monitor, lattices, around = PhaseTimer(None), [], Lattice.around
    cloud = steps.load([path], NormalSettings(), monitor)[1].cloud
    run = whole.mesh_cloud(cloud, settings)
    monkeypatch.setattr(Lattice, "around", lambda *args: lattices.append(around(*args)) or lattices[-1])
    ns.extract_mesh(run.field, settings)
    steps.trim(run.mesh, steps.load_points(path, settings, monitor), settings, absolute=False)
    assert len(run.cloud) < len(cloud) - 5
    assert [lattice.voxel_size for lattice in lattices] == 2 * [run.lattice.voxel_size]
    assert all(torch.equal(lattice.origin, run.lattice.origin) for lattice in lattices)


def plane(count: int, reach: float, g: torch.Generator) -> OrientedCloud:
    points = reach * (2 * torch.rand(count, 3, generator=g, dtype=torch.float64) - 1)
    points[:, 2] = 0.0
    return OrientedCloud(points, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(count, 3))


def test_sparse_points_beside_a_dense_object_are_no_outliers():
    """A table's points around the foot of a ball: the ball's are nearer to them than each other."""
    ball, table = hemisphere(6000), plane(1200, 4.0, generator(3))
    outside = table.points.norm(dim=1) > 1.01
    table = OrientedCloud(table.points[outside], table.normals[outside])
    both = OrientedCloud(torch.cat([ball.points, table.points]), torch.cat([ball.normals, table.normals]))
    assert without_outliers(both) == (both, None)


def test_lone_points_that_agree_by_chance_are_outliers():
    """Some far above a terrain, whose normals are those of planes through each other: none is left."""
    g = generator(1)
    ground = plane(5000, 50.0, g)
    high = torch.tensor([100.0, 100.0, 280.0]) * (torch.rand(60, 3, generator=g, dtype=torch.float64) - 0.5)
    high = high[high[:, 2].abs() > 20.0]
    near = high[torch.cdist(high, high).argsort(1)[:, :12]]
    offsets = near - near.mean(1, keepdim=True)
    normals = torch.linalg.eigh(offsets.transpose(1, 2) @ offsets)[1][:, :, 0]
    normals = normals * normals[:, 2:].sign()
    spoilt = OrientedCloud(torch.cat([ground.points, high]), torch.cat([ground.normals, normals]))
    kept, _ = without_outliers(spoilt)
    assert torch.equal(kept.points, ground.points)


@pytest.mark.parametrize("count", [1, 3])
def test_points_far_from_all_others_are_outliers_whatever_their_normals(count, generator):
    """The origin of a map lies on the planes of a terrain that was measured there, as seen from so far away."""
    x, y = 100.0 * torch.rand(2, 2000, generator=generator, dtype=torch.float64)
    place = torch.tensor([5e5, 4.6e6, 200.0], dtype=torch.float64)
    points = torch.stack([x, y, (0.1 * x).sin()], 1) + place
    normals = torch.stack([-0.1 * (0.1 * x).cos(), 0.0 * x, 1.0 + 0.0 * x], 1)
    terrain = OrientedCloud(points, normals / normals.norm(dim=1, keepdim=True))
    far = torch.rand(count, 3, generator=generator, dtype=torch.float64)
    up = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64).expand(count, 3)
    spoilt = OrientedCloud(torch.cat([far, terrain.points]), torch.cat([up, terrain.normals]))
    assert torch.equal(without_outliers(spoilt)[0].points, without_outliers(terrain)[0].points)
