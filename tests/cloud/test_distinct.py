"""Points that are nearly equal, as two exports of a scan that were merged have them: one stays of each."""

import pytest
import torch
from shapes import is_watertight, sphere, torus

import neural_splines as ns
from neural_splines.cloud import distinct
from neural_splines.cloud.clouds import clean, clean_points
from neural_splines.cloud.distinct import merging_distance, separate_points
from neural_splines.cloud.neighbours import Neighbours
from neural_splines.cloud.sampling import Sampling


def repeated(points, times, distance, generator):
    """Every point so many times, moved by about `distance`; the first as it was."""
    shift = distance * (2.0 * torch.rand(times - 1, len(points), 3, dtype=torch.float64, generator=generator) - 1.0)
    return torch.cat([points, (points + shift).reshape(-1, 3)])


@pytest.mark.parametrize("distance", [1e-12, 1e-9, 1e-6])
@pytest.mark.parametrize("times", [2, 7, 30])
@pytest.mark.parametrize("offset", [0.0, 4e5])
def test_copies_are_one_point(times, distance, offset, generator):
    cloud = torus(700)
    points = repeated(cloud.points + offset, times, distance, generator)
    kept, report = clean(points, cloud.normals.repeat(times, 1), "test")
    assert len(kept) == len(cloud)
    assert report.copies + report.duplicates == (times - 1) * len(cloud)
    assert (report.copies > 0) == (distance > 1e-10 or not offset)  # 1e-12 is lost in rounding there
    assert Neighbours(kept.points).query(cloud.points + offset)[0].max() < 2.0 * distance + 1e-9
    rows, spacing = clean_points(points, "test")[1], kept.sampling.spacing
    assert torch.equal(points[rows], kept.points)
    assert spacing.min() > 1e-3


def test_a_few_copies_are_merged_and_chance_is_not(generator):
    points = torch.nn.functional.normalize(torch.randn(9000, 3, dtype=torch.float64, generator=generator))
    assert merging_distance(Sampling(points)) == 0.0
    some = torch.cat([points, points[:20] + 1e-9])
    kept = separate_points(Sampling(some), merging_distance(Sampling(some)))
    assert 8990 <= int(kept.sum()) <= 9000


def test_two_sheets_that_face_each_other_are_no_copies():
    cloud = sphere(300)
    points = torch.cat([cloud.points, cloud.points * (1.0 - 1e-9)])
    assert len(clean(points, torch.cat([cloud.normals, -cloud.normals]), "test")[0]) == 600
    assert len(clean(points, cloud.normals.repeat(2, 1), "test")[0]) == 300


def test_which_point_stays_does_not_depend_on_the_order(generator):
    points = repeated(torus(300).points, 3, 1e-7, generator)
    order, close = torch.randperm(len(points), generator=generator), merging_distance(Sampling(points))
    assert torch.equal(separate_points(Sampling(points[order]), close), separate_points(Sampling(points), close)[order])


@pytest.mark.parametrize("size", [1e-2, 1e-5])
def test_a_dense_part_is_no_point(size):
    """Also of a cloud with copies."""
    points = torch.cat([sphere(600).points, size * sphere(200).points])
    assert merging_distance(Sampling(points)) == 0.0
    twice = torch.cat([points, sphere(600).points + 1e-12])
    assert separate_points(Sampling(twice), merging_distance(Sampling(twice))).sum() == len(points)


@pytest.mark.parametrize("distance", [1e-12])
def test_copies_change_no_mesh(distance, generator):
    cloud = sphere(800)
    settings = ns.Settings(grid_size=20, device="cpu", regularization=1e-7)
    whole = ns.reconstruct(cloud.points, cloud.normals, settings)
    points = repeated(cloud.points, 2, distance, generator)
    with pytest.warns(match="1,600 points read, 800 kept; dropped: 800 near duplicates"):
        found = ns.reconstruct(points, cloud.normals.repeat(2, 1), settings)
    assert is_watertight(whole.mesh.faces)
    assert is_watertight(found.mesh.faces)
    errors = [float((mesh.vertices.norm(dim=1) - 1.0).abs().mean()) for mesh in (whole.mesh, found.mesh)]
    assert errors[1] < 1.05 * errors[0] + distance


@pytest.mark.filterwarnings("ignore::neural_splines.errors.ReconstructionWarning")
def test_copies_have_the_normal_of_their_point(generator):
    cloud = sphere(300)
    normals = ns.estimate_normals(repeated(cloud.points, 3, 1e-10, generator)).reshape(3, 300, 3)
    assert (normals == normals[0]).all()
    assert ((normals[0] * cloud.normals).sum(1) > 0.99).all()


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_gpus_way_to_the_rows_that_may_be_alike_finds_the_same(times, generator):
    points = torch.randn(500, 3, dtype=torch.float64, generator=generator)
    points = torch.cat([points, points[:30].repeat(times - 1, 1)])[
        torch.randperm(470 + 30 * times, generator=generator)
    ]
    alike = distinct._alike(points)
    assert torch.equal(distinct._alike_on_gpu(points), alike)
    assert len(alike) == (30 * times if times > 1 else 0)


def test_pairs_by_the_neighbours_are_those_of_the_tree(generator):
    """Where no point has more than six that are so near."""
    cloud = Sampling(repeated(torus(300).points, 4, 1e-6, generator))
    pairs = distinct.pairs_of_neighbours(cloud, 3e-6)
    listed = cloud.near.tree.query_pairs(3e-6, output_type="ndarray")
    assert len(pairs) > 1000
    assert {tuple(pair) for pair in pairs.tolist()} == {tuple(sorted(pair)) for pair in listed.tolist()}
    assert distinct.pairs_of_neighbours(Sampling(repeated(torus(300).points, 9, 1e-6, generator)), 3e-6) is None


@pytest.mark.gpu
@pytest.mark.parametrize("times", [1, 3, 12])
def test_a_cloud_is_cleaned_on_a_gpu_as_on_the_cpu(times, generator):
    cloud = torus(700)
    points, normals = repeated(cloud.points, times, 1e-9, generator), 3.0 * cloud.normals.repeat(times, 1)
    points[5], normals[7] = torch.inf, 0.0
    points, normals = torch.cat([points, points[:50]]), torch.cat([normals, normals[:50]])
    kept, report = clean(points, normals, "test")
    there, same = clean(points, normals, "test", torch.device("cuda"))
    assert there.points.is_cuda
    assert same == report
    assert torch.equal(there.points.cpu(), kept.points)
    assert torch.allclose(there.normals.cpu(), kept.normals, rtol=0, atol=1e-15)
    assert torch.allclose(there.sampling.spacing.cpu(), kept.sampling.spacing, rtol=1e-14)
