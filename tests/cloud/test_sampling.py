"""What is known of a cloud's points: the same for a part as if it were asked by itself, and asked for once."""

import pickle

import numpy as np
import pytest
import scipy.spatial
import torch
from scripts import run, write_cloud
from shapes import knot, torus

from neural_splines.cloud import neighbours
from neural_splines.cloud.neighbours import Neighbours
from neural_splines.cloud.sampling import Sampling


@pytest.fixture(params=["tree", "buckets"])
def structure(request, monkeypatch):
    """Neighbours on the CPU, and as they are searched on a GPU."""
    if request.param == "buckets":

        def build(self, points):
            buckets = neighbours._Buckets(points)
            self.points, self._query, self._nearest = points, buckets.query, buckets.nearest

        monkeypatch.setattr(Neighbours, "__init__", build)


def rows_of(kind: str, count: int, generator: torch.Generator) -> torch.Tensor:
    order = torch.randperm(count, generator=generator)
    return {"order": order, "most": order[: count - 20], "half": order[: count // 2], "few": order[:4]}[kind]


def assert_alike(part: Sampling, alone: Sampling, x: torch.Tensor) -> None:
    assert torch.equal(part.points, alone.points)
    assert torch.equal(part.spacing, alone.spacing)
    assert part.median_spacing == alone.median_spacing
    assert torch.equal(part.metric.across, alone.metric.across)
    for count in (1, 9):
        for found, expected in zip(part.near.nearest(x, count), alone.near.nearest(x, count), strict=True):
            assert torch.equal(found, expected)
        for within in (0.05, torch.inf):
            (far, index), (distance, same) = (s.near.query(x, count, within) for s in (part, alone))
            assert torch.equal(far, distance)
            assert torch.equal(index[far.isfinite()], same[far.isfinite()])


@pytest.mark.parametrize("kind", ["order", "most", "half", "few"])
def test_a_part_is_sampled_as_the_same_points_alone(kind, structure, generator):
    points = torch.rand(400, 3, generator=generator, dtype=torch.float64)
    whole, rows, x = Sampling(points), rows_of(kind, 400, generator), points + 0.01
    assert whole.spacing.shape == (400,)
    part = whole.part(rows)
    assert_alike(part, Sampling(points[rows]), x)
    again = rows_of("most", len(rows), generator) if len(rows) > 40 else torch.arange(len(rows)).flip(0)
    assert_alike(part.part(again), Sampling(points[rows[again]]), x)
    whole.forget()
    assert_alike(whole, Sampling(points), x)


def test_a_cluster_that_is_left_out_hides_nothing(structure, generator):
    """Beside it are only points that do not count, more than are looked at beyond those that are asked for."""
    points = torch.rand(400, 3, generator=generator, dtype=torch.float64)
    points[:30] = 1e-3 * points[:30] + 5.0
    whole = Sampling(points)
    assert whole.median_spacing > 0.0
    assert_alike(whole.part(torch.arange(30, 400)), Sampling(points[30:]), points)


def test_the_spacing_is_the_distance_to_the_sixth_other_point(generator):
    points = torch.rand(300, 3, generator=generator, dtype=torch.float64)
    distance = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist").sort(1).values
    assert torch.allclose(Sampling(points).spacing, distance[:, 6], rtol=1e-12)
    assert torch.allclose(Sampling(points[:3]).spacing, torch.cdist(points[:3], points[:3]).amax(1))
    assert Sampling(points[:1]).spacing.tolist() == [0.0]


def test_what_is_sent_to_another_process_are_the_points():
    sampling = Sampling(knot(500).points)
    assert sampling.median_spacing > 0.0
    there = pickle.loads(pickle.dumps(sampling))
    assert len(pickle.dumps(there)) < 500 * 24 + 2000
    assert there.median_spacing == sampling.median_spacing


@pytest.mark.parametrize(("normals", "trees"), [("auto", 1), ("estimate", 2)])
def test_a_run_builds_one_tree_of_its_points(normals, trees, tmp_path, monkeypatch):
    """And another in the order of the curve, about their median, where normals are estimated. What looks at them from
    a sensor searches their images, and what compares them with the mesh its vertices."""
    searched, tree, cloud = [], scipy.spatial.cKDTree, torus(1001)

    def size(points) -> float:
        return float(np.var(points, axis=0).sum())

    def watched(points, *args, **options):
        searched.append(len(points) == len(cloud) and size(points) == pytest.approx(size(cloud.points.numpy())))
        return tree(points, *args, **options)

    monkeypatch.setattr(scipy.spatial, "cKDTree", watched)
    options = ["--normals", normals, "--seed", 1, "--device", "cpu", "--out", tmp_path / "mesh.ply"]
    path = write_cloud(tmp_path / "cloud.ply", cloud)
    assert run("fit-grid.py", path, "auto", "auto", 40, "auto", *options).code == 0
    assert sum(searched) == trees
