"""Nearest neighbours: the tree and the buckets against all distances."""

import pytest
import torch

from neural_splines.cloud.neighbours import Neighbours, _Buckets


def cloud_of(kind, generator):
    points = torch.rand(300, 3, generator=generator, dtype=torch.float64)
    if kind == "plane":
        points[:, 2] = 0.25
    elif kind == "line":
        points[:, 1:] = 0.25
    elif kind == "clusters":
        points[::2] *= 1e-3
    elif kind == "far":
        points += 1e6
    elif kind == "strays":
        points[:2] -= torch.tensor([[4e5, 5e6, 100.0], [4e5, 5e6, 100.5]], dtype=torch.float64)
    return points


@pytest.mark.parametrize("find", [Neighbours, _Buckets])
@pytest.mark.parametrize("kind", ["cube", "plane", "line", "clusters", "far", "strays"])
@pytest.mark.parametrize("k", [1, 2, 7])
def test_the_kth_neighbour_is_the_kth_smallest_distance(find, kind, k):
    generator = torch.Generator().manual_seed(k)
    points = cloud_of(kind, generator)
    near = points[torch.randperm(300, generator=generator)[:100]]
    queries = torch.cat([near, near + torch.randn(100, 3, generator=generator), near + 50.0])
    distance, index = find(points).query(queries, k)
    expected = torch.cdist(queries, points, compute_mode="donot_use_mm_for_euclid_dist").sort(1).values[:, k - 1]
    assert torch.allclose(distance, expected, rtol=1e-12, atol=1e-15)
    near = find(points).query(queries, k, within=0.3)[0]
    assert torch.equal(near.isfinite(), expected <= 0.3)
    assert torch.equal(near[near.isfinite()], distance[near.isfinite()])
    assert torch.allclose((queries - points[index]).norm(dim=1), distance, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("find", [Neighbours, _Buckets])
@pytest.mark.parametrize("kind", ["cube", "plane", "line", "clusters", "far", "strays"])
@pytest.mark.parametrize("count", [1, 40, 300])
def test_the_nearest_are_those_of_the_smallest_distances(find, kind, count, generator):
    points = cloud_of(kind, generator)
    queries = torch.cat([points[:50], points[:50] + torch.randn(50, 3, generator=generator), points[:5] + 50.0])
    distance, index = find(points).nearest(queries, count)
    expected = torch.cdist(queries, points, compute_mode="donot_use_mm_for_euclid_dist").sort(1).values[:, :count]
    assert torch.allclose(distance, expected, rtol=1e-12, atol=1e-15)
    assert torch.allclose((queries[:, None] - points[index]).norm(dim=2), distance, rtol=1e-12, atol=1e-15)
    assert all(len(set(row)) == count for row in index.tolist())


@pytest.mark.parametrize("find", [Neighbours, _Buckets])
def test_small_pieces_and_coincident_points(find, monkeypatch):
    from neural_splines.cloud import neighbours

    monkeypatch.setattr(neighbours, "QUERIES_AT_ONCE", 7)
    monkeypatch.setattr(neighbours, "PAIRS_AT_ONCE", 20)
    points = torch.zeros(5, 3, dtype=torch.float64)
    points[4] = 1.0
    assert find(points).query(points + 0.5, 1, within=0.8)[0].isfinite().tolist() == [False] * 5
    assert find(points).query(points, 4)[0].tolist() == pytest.approx([0.0] * 4 + [3**0.5])
    nearest = find(points).nearest(points, 9)[0]
    assert nearest.tolist() == 4 * [[0.0, 0.0, 0.0, 0.0, 3**0.5]] + [[0.0, *4 * [3**0.5]]]
    last = find(points[:3]).query(points, 7)[0]  # fewer than k
    assert last.tolist() == pytest.approx([0.0] * 4 + [3**0.5])


@pytest.mark.parametrize("find", [Neighbours, _Buckets])
def test_what_is_farther_than_asked_is_infinite_also_where_all_points_were_looked_at(find, generator):
    points = 0.1 * torch.rand(50, 3, generator=generator, dtype=torch.float64)
    assert find(points).query(points + 0.3, 1, within=0.2)[0].isinf().all()


@pytest.mark.parametrize("stray", [[0.0, 0.0, 0.0], [1e9, 0.0, 0.0], [4e5, 5e6, 2e12]])
def test_a_stray_does_not_make_one_bucket_of_the_others(stray, generator, monkeypatch):
    """The points that are looked at, and what is found, are those without it."""
    points = torch.rand(3000, 3, generator=generator, dtype=torch.float64) * torch.tensor([100.0, 80.0, 1e-3])
    points = points.double() + torch.tensor([4e5, 5e6, 100.0], dtype=torch.float64)
    pairs, look = [], _Buckets._pairs

    def looked(self, x, order, first, counts):
        pairs.append(int(counts.sum()))
        return look(self, x, order, first, counts)

    monkeypatch.setattr(_Buckets, "_pairs", looked)
    found = _Buckets(points).nearest(points, 7)
    alone = sum(pairs)
    pairs.clear()
    spoilt = torch.cat([points, torch.tensor([stray], dtype=torch.float64)])
    assert all(map(torch.equal, _Buckets(spoilt).nearest(points, 7), found))
    assert sum(pairs) <= 1.1 * alone < 200 * len(points)
    _Buckets(spoilt).nearest(spoilt[-1:], 7)
    assert sum(pairs) <= 1.1 * alone + 2 * len(points)


@pytest.mark.parametrize("shape", ["surface", "uneven", "few"])
def test_the_six_nearest_of_all_points_on_a_gpu_are_those_of_the_tree(shape, generator):
    """By Triton's interpreter where there is no GPU; of density that changes by a thousand, cubes must be doubled."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        pytest.importorskip("triton")
    points = torch.rand(8 if shape == "few" else 120, 3, dtype=torch.float64, generator=generator)
    if shape == "surface":
        points[:, 2] = 0.1 * (6.0 * points[:, 0]).sin()
    if shape == "uneven":
        points = points**6
    spacing, index = (found.cpu() for found in _Buckets(points.to(device)).six())
    distance, nearest = Neighbours(points).nearest(points, 7)
    assert torch.allclose(spacing, distance[:, -1], rtol=1e-12)
    assert torch.equal(index.long(), nearest[:, 1:])
