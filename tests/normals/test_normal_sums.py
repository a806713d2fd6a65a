"""What estimated normals are computed from, on CPU and GPU: sums over all points, neighbours, planes, couplings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from shapes import knot, torus

from neural_splines.normals import continuity, planes, planes_torch
from neural_splines.normals.estimate import estimate
from neural_splines.normals.graph import PointGraph, _along
from neural_splines.normals.nearest import nearest
from neural_splines.normals.treecode import OPENING, Treecode

RANDOM = np.random.default_rng(0).random((30, 3))


def arrays(cloud):
    return cloud.points.numpy(), cloud.normals.numpy()


def summed(points, sources, width):
    """All pairs, as the treecode's docstring states them: gradient and winding of dipoles, push of sources[:, 0]."""
    d = points[None] - points[:, None]
    r = np.sqrt((d**2).sum(-1) + width**2)
    along = (d * sources[None]).sum(-1)
    others = 1.0 - np.eye(len(points))
    gradient = (others / r**3) @ sources - 3 * ((others * along / r**5)[..., None] * d).sum(1)
    return gradient, (along / r**3).sum(1), -((sources[:, 0] / r**3)[..., None] * d).sum(1)


def answers(sums, sources, width):
    """The three sums of a treecode, as numpy."""
    dipoles = torch.from_numpy(sources)
    found = sums.gradient(dipoles, width), sums.winding(dipoles, width), sums.push(dipoles[:, 0], width)
    return [part.double().numpy() for part in found]


def test_the_treecode_approaches_the_sums_over_all_pairs():
    graph = PointGraph.of(arrays(knot(1500))[0])
    sources = np.random.default_rng(0).normal(size=(1500, 3))
    truth = summed(graph.points, sources, 0.7)
    errors = []
    for opening in (0.9, 0.45, 0.0):
        found = answers(Treecode(graph.tree, graph.x, opening), sources, 0.7)
        errors.append([np.abs(a - b).max() / np.abs(b).max() for a, b in zip(found, truth, strict=True)])
    coarse, fine, exact = np.array(errors)
    assert (coarse < 0.3).all()  # the worst point's; random signs cancel in the far field
    assert (fine < 0.3 * coarse).all()
    assert (exact < 2e-5).all()  # float32


@pytest.mark.skipif(torch.cuda.is_available(), reason="the interpreter runs without a GPU")
def test_the_gpu_walks_as_the_cpu(monkeypatch):
    triton_walks = pytest.importorskip("neural_splines.normals.treecode_triton")
    points = np.concatenate([RANDOM, RANDOM[:1] + 1e-9 * np.random.default_rng(0).random((40, 3))])
    graph = PointGraph.of(points)
    assert (graph.tree.last - graph.tree.first)[graph.tree.leaves].max() > triton_walks.LANES  # more than one run
    sums, sources = Treecode(graph.tree, graph.x), np.random.default_rng(0).normal(size=(70, 3))
    expected = answers(sums, sources, 1.0)
    monkeypatch.setattr(sums, "_walk", triton_walks.Walker(graph.tree, graph.x, OPENING))
    for a, b in zip(answers(sums, sources, 1.0), expected, strict=True):
        assert np.abs(a - b).max() < 1e-4 * np.abs(b).max()


def test_neighbours_by_leaves_are_those_of_the_tree():
    far = [[50.0, 0.0, 0.0], [-900.0, 3.0, 0.0]]
    for points in (arrays(knot(2500))[0], np.concatenate([RANDOM, far]), RANDOM[:6]):
        graph = PointGraph.of(points)
        count, rank = graph.neighbours.shape[1], min(8, len(points) - 1)
        found, reach = nearest(graph.x, graph.tree, count, rank)
        distances = [(graph.x[index.long()] - graph.x[:, None]).norm(dim=2) for index in (found, graph.neighbours)]
        assert (distances[0] == distances[1]).all()
        assert (found.sort(1).values == graph.neighbours.sort(1).values).all()
        assert np.abs(reach - distances[1][:, rank - 1].numpy()).max() <= 1e-12 * reach.max()


def test_planes_and_couplings_on_tensors_are_those_of_the_loops():
    graph = PointGraph.of(arrays(torus(2000))[0] + 0.02 * np.random.default_rng(0).normal(size=(2000, 3)))
    side = torch.from_numpy(np.random.default_rng(1).normal(size=(2000, 3)))
    stretched = replace(graph, stretch=3.0 * side)
    for count, one_sided, of in ((12, None, graph), (32, None, graph), (14, side, graph), (44, side, stretched)):
        loops = planes.fit_planes(of, count, one_sided)
        tensors = planes_torch.fit_planes(of.x, of.neighbours, of.stretch, count, one_sided)
        assert (loops[1] - tensors[1]).abs().max() < 1e-7
        sure = loops[1] > 1e-6  # else points on a line, which has no plane
        assert (loops[0] * tensors[0]).sum(1).abs()[sure].min() > 1 - 1e-9
    side[:], side[7] = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0.0, 0.0, -1.0])  # no other is on its side
    for of in (graph, stretched):
        lone = planes_torch.fit_planes(of.x, of.neighbours, of.stretch, 14, side)
        assert all(part.isfinite().all() for part in (*lone, *planes.fit_planes(of, 14, side)))
    edges = graph.neighbours[:, :12].contiguous()
    expected = continuity.couplings(graph.x, loops[0], edges)
    assert (continuity.tensor_couplings(graph.x, loops[0], edges) - expected).abs().max() < 1e-6


@pytest.mark.gpu
def test_a_gpu_finds_the_same_neighbours_and_sums_and_repeats_its_bytes():
    points, _ = arrays(knot(20000))
    here, there = PointGraph.of(points), PointGraph.of(points, "cuda")
    assert (there.neighbours.cpu().sort(1).values == here.neighbours.sort(1).values).all(1).float().mean() > 0.9999
    sources = np.random.default_rng(0).normal(size=points.shape)
    expected = answers(Treecode(here.tree, here.x), sources, 0.7)
    sums, dipoles = Treecode(there.tree, there.x), torch.from_numpy(sources).cuda()
    found = sums.gradient(dipoles, 0.7), sums.winding(dipoles, 0.7), sums.push(dipoles[:, 0], 0.7)
    for a, b in zip(found, expected, strict=True):
        assert np.abs(a.cpu().numpy() - b).max() < 1e-4 * np.abs(b).max()
    assert (estimate(points, device="cuda").normals == estimate(points, device="cuda").normals).all()


@pytest.mark.gpu
def test_a_gpu_gives_the_same_signs():
    points, normals = arrays(knot(20000))
    found = [estimate(points, device=device).normals for device in ("cpu", "cuda")]
    assert ((found[0] * found[1]).sum(1) > 0.9).mean() > 0.999
    assert ((found[1] * normals).sum(1) > 0).all()


def test_points_of_one_code_come_in_the_order_of_their_coordinates(generator):
    """So that the order of the input says nothing."""
    codes, x = torch.randint(40, (300,), generator=generator), torch.randint(3, (300, 3), generator=generator).double()
    expected = sorted(range(300), key=lambda k: (int(codes[k]), *x[k].tolist(), k))
    assert _along(codes, x).tolist() == expected
