"""The forest of a GPU: its trees are those of Kruskal's algorithm, edge after edge."""

import numpy as np
import pytest
import torch
from shapes import torus

from neural_splines.normals import continuity, dipoles_torch
from neural_splines.normals.dipoles import dipole_couplings as dipoles_loops
from neural_splines.normals.forest import bounded_forest, sure_edges
from neural_splines.normals.graph import PointGraph
from neural_splines.normals.patches import EDGES, Patches, _summed, summed, tensor_patches

CUDA = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def kruskal(points: int, p: list[int], q: list[int], same: list[bool], most: int) -> list[tuple[int, int]]:
    """The smallest point of each point's tree, and its sign to that: members are renamed at every union."""
    tree, sign = list(range(points)), [1] * points
    for i, j, alike in zip(p, q, same, strict=True):
        a, b = tree[i], tree[j]
        if a == b or tree.count(a) + tree.count(b) > most:
            continue
        turn = sign[i] * sign[j] * (1 if alike else -1)
        for k in range(points):
            if tree[k] == max(a, b):
                tree[k], sign[k] = min(a, b), sign[k] * turn
    return list(zip(tree, sign, strict=True))


@pytest.mark.parametrize("most", [1, 2, 5, 12, 200])
def test_trees_of_bounded_size_are_kruskals(most, generator):
    points, edges = 60, 240
    p, q = torch.randint(points, (2, edges), generator=generator)
    same = torch.rand(edges, generator=generator) > 0.3
    tree, sign = bounded_forest(points, *(part.to(CUDA) for part in (p, q, same)), most)
    expected = kruskal(points, p.tolist(), q.tolist(), same.tolist(), most)
    roots = [k for k in range(points) if expected[k][0] == k]
    assert [roots[t] for t in tree.tolist()] == [root for root, _ in expected]
    assert sign.tolist() == [s for _, s in expected]
    assert tree.unique(return_counts=True)[1].max() <= most


def test_edges_come_from_the_surest_to_the_least_sure_and_each_once(generator):
    near = torch.stack([torch.randperm(40, generator=generator)[:6] for _ in range(40)]).int()
    coupling = 2.0 * torch.rand(40, 6, generator=generator) - 1.0
    near[near == torch.arange(40)[:, None]] = 3
    p, q, same = sure_edges(near, coupling, 0.5, 1000)
    values = [coupling[i, near[i].tolist().index(j)] for i, j in zip(p.tolist(), q.tolist(), strict=True)]
    sizes = torch.stack(values).abs()
    assert (sizes.diff() <= 0.5 / 1000 + 1e-6).all()
    assert torch.equal(same, torch.stack(values) > 0.0)
    listed = {
        (i, j) for i in range(40) for j in set(near[i].tolist()) if abs(coupling[i, near[i].tolist().index(j)]) >= 0.5
    }
    twice = {(i, j) for i, j in listed if j < i and i in near[j].tolist()}
    assert {*zip(p.tolist(), q.tolist(), strict=True)} == listed - twice


def test_patches_of_a_gpu_are_those_of_the_cpu_where_no_two_edges_are_equally_sure():
    """By PyTorch where there is no GPU: the same parts, the same signs in each, the same continuity of pairs."""
    graph = PointGraph.of(torus(900).points.numpy())
    rng = np.random.default_rng(0)
    directions = torch.from_numpy(rng.normal(size=(900, 3)))
    edges = graph.neighbours[:, :EDGES].contiguous()
    couples = continuity.couplings(graph.x, directions / directions.norm(dim=1, keepdim=True), edges)
    i, k = (couples.abs() < 0.9).nonzero().T
    near, size = edges.numpy(), couples.abs().numpy().ravel()
    order = np.argsort(-size[size >= 0.9], kind="stable")
    steps = ((1.0 - size[size >= 0.9][order]) * (continuity.STEPS / 0.1)).astype(np.int64)
    couples.view(-1)[torch.from_numpy(np.flatnonzero(size >= 0.9)[order][1:][np.diff(steps) == 0])] = 0.0
    side = torch.ones(900, dtype=torch.bool)
    agreed = torch.where(couples > 0.0, couples, 0.0)
    of, signs = continuity.grow_patches(near, agreed.numpy(), 0.9, 64)
    patch, sign, pairs = tensor_patches(*(part.to(CUDA) for part in (edges, couples, side)), 0.9, 64)
    assert patch.tolist() == of.tolist()
    assert (
        len({(a, b) for a, b in zip(of.tolist(), (signs * sign.cpu().numpy()).tolist(), strict=True)}) == of.max() + 1
    )
    i, k = np.nonzero(of[:, None] != of[near])
    here, there = of[i], of[near[i, k]]
    keys = np.minimum(here, there) * (of.max() + 1) + np.maximum(here, there)
    weight = couples.numpy()[i, k] * sign.cpu().numpy()[i] * sign.cpu().numpy()[near[i, k]]
    expected = summed(keys, weight, int(of.max()) + 1)
    for one, other in zip(
        (*pairs, *_summed(*map(torch.from_numpy, (keys, weight)), int(of.max()) + 1)), expected * 2, strict=True
    ):
        assert np.allclose(one, other, rtol=0, atol=1e-6)


@pytest.mark.gpu
def test_a_gpu_grows_the_patches_of_its_graph():
    """As many as the CPU, but for edges that are equally sure."""
    points = torus(3000).points.numpy()
    counts = []
    for device in ("cpu", "cuda"):
        graph = PointGraph.of(points, device)
        normals = torch.nn.functional.normalize(graph.x + 0.0, dim=1)
        patches = Patches.grown(graph, normals, normals, False)
        assert np.bincount(patches.of).max() <= 64
        counts.append(patches.count)
    assert abs(counts[0] - counts[1]) < 0.05 * counts[0]


@pytest.mark.parametrize("radius", [3.0, 10.0])
@pytest.mark.parametrize("crowded", [False, True])
def test_dipole_couplings_by_pairs_of_leaves_are_those_of_the_loops(radius, crowded, generator):
    """Also where a leaf has more points than fit: many in one of the smallest cubes, beside a stray."""
    points = torus(900).points
    if crowded:
        clump = 1e-9 * torch.randn(70, 3, dtype=torch.float64, generator=generator)
        points = torch.cat([points, clump, clump[:50] + 1e-8, torch.full((1, 3), 40.0, dtype=torch.float64)])
    graph = PointGraph.of(points.numpy())
    patch = torch.randint(30, (len(graph),), generator=generator)
    dipoles = torch.randn(len(graph), 3, dtype=torch.float64, generator=generator)
    p, q, expected = dipoles_loops(graph.tree, graph.x, dipoles.numpy(), patch.numpy(), radius)
    number = int(patch.max()) + 1
    there = (part.to(CUDA) for part in (graph.x, dipoles, patch))
    keys, values = (part.cpu().numpy() for part in dipoles_torch.dipole_couplings(graph.tree, *there, radius))
    assert len(keys) > 100
    assert np.array_equal(keys, p * number + q)
    assert np.abs(values - expected).max() < 1e-5 * np.abs(expected).max()
