"""What of a mesh is kept: what is near the data, what they support, and where an open surface ends."""

import math
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from lattices import crossing_cubes
from shapes import edges, euler_number, knot, sphere
from test_choices import generator
from test_meshing import CPU, sphere_field, unit_box

from neural_splines.clouds import OrientedCloud
from neural_splines.geometry import Box
from neural_splines.metric import Metric
from neural_splines.runtime.monitor import Silent
from neural_splines.scene import blocks
from neural_splines.scene import points as scene_points
from neural_splines.settings import Settings
from neural_splines.surface.band import sample_band
from neural_splines.surface.clipping import clip
from neural_splines.surface.dense import sample_dense
from neural_splines.surface.lattice import Lattice
from neural_splines.surface.marching_cubes import marching_cubes
from neural_splines.surface.mesh import Mesh
from neural_splines.surface.trimming import drop_small_components, drop_specks, may_support, trim, trim_unsupported


def test_trim_keeps_what_is_near():
    lattice = Lattice.covering(unit_box(), 48)
    mesh, _ = marching_cubes(crossing_cubes(sample_dense(sphere_field, lattice, CPU, Silent()), lattice))
    pole = torch.tensor([[0.0, 0.0, 0.37]], dtype=torch.float64)
    cap = trim(mesh, pole, 0.2)
    assert 0 < len(cap.faces) < len(mesh.faces)
    assert (cap.vertices - pole).norm(dim=1).max() <= 0.2
    assert cap.faces.max() == len(cap.vertices) - 1  # no vertex without a face


def test_unsupported_parts_go_and_small_gaps_stay():
    """A sphere sampled but for a small gap at one pole and nothing below the equator's south."""
    lattice = Lattice.covering(unit_box(), 64)
    mesh, _ = marching_cubes(crossing_cubes(sample_dense(sphere_field, lattice, CPU, Silent()), lattice))
    i = torch.arange(4000, dtype=torch.float64) + 0.5
    z, phi = 1 - 2 * i / 4000, math.pi * (1 + 5**0.5) * i
    points = 0.37 * torch.stack([(1 - z * z).sqrt() * phi.cos(), (1 - z * z).sqrt() * phi.sin(), z], 1)
    spacing = 0.37 * math.sqrt(4 * math.pi / 4000)
    kept = points[(points[:, 2] > -0.1) & (points[:, :2].norm(dim=1) + 10 * (points[:, 2] < 0) > 2 * spacing)]
    found = trim_unsupported(mesh, Metric(kept))
    assert found.vertices[:, 2].min() < -0.1  # ends beyond the last points, but not by much
    assert found.vertices[:, 2].min() > -0.1 - 3 * spacing
    assert found.vertices[:, 2].max() > 0.36  # the gap at the pole is closed
    pairs, count = edges(found.faces)
    assert (found.vertices[pairs[count == 1].reshape(-1)][:, 2] < 0).all()  # one border, in the south


def test_a_speck_close_to_the_data_goes():
    """It lies within the length of a gap, but touches nothing."""
    lattice = Lattice.covering(unit_box(), 64)
    speck, _ = marching_cubes(
        crossing_cubes(sample_dense(lambda x: sphere_field(x - 0.001, 0.04), lattice, CPU, Silent()), lattice)
    )
    step = torch.arange(-0.5, 0.55, 0.1, dtype=torch.float64)
    plane = torch.cartesian_prod(step, step, torch.tensor([-0.16], dtype=torch.float64))  # 1.41 * 0.1: their spacing
    assert len(speck.faces) > 0
    assert len(trim_unsupported(speck, Metric(plane)).faces) == 0


def test_small_components_are_dropped():
    def two_spheres(points):
        return torch.minimum(sphere_field(points - 0.2, 0.2), sphere_field(points + 0.25, 0.08))

    lattice = Lattice.covering(unit_box(), 48)
    mesh, _ = marching_cubes(crossing_cubes(sample_dense(two_spheres, lattice, CPU, Silent()), lattice))
    assert euler_number(mesh.faces) == 4
    assert euler_number(drop_small_components(mesh, 0.5).faces) == 2
    assert len(drop_small_components(mesh, 0.01).faces) == len(mesh.faces)


def square(n=20) -> Mesh:
    """A flat square of 2 n^2 triangles over [0, 1]^2."""
    i = torch.arange(n + 1, dtype=torch.float64) / n
    x = torch.cat([torch.cartesian_prod(i, i), torch.zeros((n + 1) ** 2, 1, dtype=torch.float64)], 1)
    corner = (torch.arange(n)[:, None] * (n + 1) + torch.arange(n)).reshape(-1)
    a, b, c, d = corner, corner + n + 1, corner + n + 2, corner + 1
    normals = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand_as(x)
    return Mesh(x, normals, torch.cat([torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)]))


def test_a_clipped_mesh_ends_on_the_level():
    """A disc cut out of a square: its border lies on the circle, its area is right, and no crack opened."""
    mesh = square()
    level = 0.3 - (mesh.vertices[:, :2] - 0.5).norm(dim=1)
    found = clip(mesh, level > 0, level)
    pairs, count = edges(found.faces)
    rim = found.vertices[pairs[count == 1].reshape(-1)]
    inner = rim[(rim[:, :2] - 0.5).abs().amax(1) < 0.49]
    assert len(inner) > 20
    assert (inner[:, :2] - 0.5).norm(dim=1).sub(0.3).abs().max() < 2e-3
    a, b, c = (found.vertices[found.faces[:, k]] for k in range(3))
    cross = torch.linalg.cross(b - a, c - a)
    assert cross[:, 2].min() > -1e-15  # none is turned over
    assert abs(0.5 * float(cross[:, 2].sum()) - (1 - math.pi * 0.09)) < 2e-3
    assert euler_number(found.faces) == 0  # a ring
    assert count.max() == 2


def test_specks_go_by_support_and_small_objects_stay():
    """Of two small pieces beside a large one, that with many points stays."""
    large, small, speck = square(140), square(12), square(12)
    small = replace(small, vertices=0.05 * small.vertices + torch.tensor([2.0, 0, 0]))
    speck = replace(speck, vertices=0.05 * speck.vertices + torch.tensor([0, 2.0, 0]))
    n = [len(m.vertices) for m in (large, small)]
    faces = torch.cat([large.faces, small.faces + n[0], speck.faces + sum(n)])
    parts = [torch.cat([getattr(m, name) for m in (large, small, speck)]) for name in ("vertices", "normals")]
    dense = torch.rand(400, 2, generator=generator(), dtype=torch.float64)
    points = torch.cat(
        [torch.rand(3000, 2, generator=generator(1), dtype=torch.float64), 0.05 * dense + torch.tensor([2.0, 0])]
    )
    points = torch.cat([points, torch.tensor([[0.02, 2.02]], dtype=torch.float64)])
    found = drop_specks(Mesh(*parts, faces), Metric(torch.cat([points, torch.zeros(len(points), 1)], 1).double()))
    assert len(found.faces) == len(large.faces) + len(small.faces)
    assert found.vertices[:, 1].max() <= 1.0
    assert found.vertices[:, 0].max() > 1.5


def grid(step: float, low: float, high: float) -> torch.Tensor:
    """Points of the plane z = 0, `step` apart."""
    axis = torch.arange(low, high + step / 2, step, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis, torch.zeros(1, dtype=torch.float64))


@pytest.mark.parametrize(("shape", "closed"), [((0.065, 0.065), True), ((0.065, 0.4), False), ((0.2, 0.2), False)])
def test_gaps_go_by_depth_and_area(shape, closed):
    """As deep as 1.9 spacings a small gap stays closed, a long one of the same depth is a hole, as is a deep one."""
    points = grid(0.02, -0.1, 1.1)
    hole = ((points[:, :2] - 0.5).abs() < torch.tensor(shape, dtype=torch.float64)).all(1)
    found = trim_unsupported(square(150), Metric(points[~hole]))
    pairs, count = edges(found.faces)
    rim = found.vertices[pairs[count == 1].reshape(-1)]
    assert bool(((rim[:, :2] - 0.5).abs() < 0.49).all(1).any()) != closed


def test_what_floats_goes_whatever_its_size():
    """Of two large pieces, that without points goes; the largest stays even so."""
    piece, high = square(30), square(29)
    high = replace(high, vertices=high.vertices + torch.tensor([0, 0, 0.5]))
    both = Mesh(
        *(torch.cat([getattr(m, name) for m in (piece, high)]) for name in ("vertices", "normals")),
        torch.cat([piece.faces, high.faces + len(piece.vertices)]),
    )
    points = grid(0.05, 0.0, 1.0)
    assert len(drop_specks(both, Metric(points)).faces) == len(piece.faces)
    far = points + torch.tensor([0, 0, 0.5])
    assert len(drop_specks(both, Metric(far)).faces) == len(both.faces)  # it has no points, but is the largest


def test_where_a_part_of_a_mesh_ends_is_no_border():
    """A gap that the wall of a part cuts is a gap; without being told so it looks like the end of the surface."""
    axis = torch.linspace(0.0, 1.0, 41, dtype=torch.float64)
    plane = torch.cartesian_prod(axis, axis)
    vertices = torch.cat([plane, torch.zeros(len(plane), 1, dtype=torch.float64)], 1)
    corner = (torch.arange(40)[:, None] * 41 + torch.arange(40)).reshape(-1)
    faces = torch.cat([torch.stack([corner, corner + 41, corner + 1], 1),
                       torch.stack([corner + 1, corner + 41, corner + 42], 1)])  # fmt: skip
    mesh = Mesh(vertices, vertices, faces)
    points = vertices[(vertices[:, 0] ** 2 + (vertices[:, 1] - 0.5) ** 2).sqrt() > 0.05]  # a gap two spacings wide
    assert len(trim_unsupported(mesh, Metric(points)).faces) != len(faces)
    assert len(trim_unsupported(mesh, Metric(points), cut_off=vertices[:, 0] == 0.0).faces) == len(faces)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_gap_that_a_block_of_a_scene_cuts_is_no_border(axis):
    """A plane with a gap of two spacings, of which a block's window has one half: nothing is trimmed there."""
    lattice = Lattice.covering(Box(torch.zeros(3).double(), torch.ones(3).double()), 40)
    window = lattice.part((0, 0, 0), [20 if k == axis else 39 for k in range(3)])
    steps = torch.linspace(0.0, 1.0, 41, dtype=torch.float64)
    plane = torch.cat([torch.cartesian_prod(steps, steps), torch.full((41 * 41, 1), 0.5123)], 1)
    centre = torch.tensor([0.5123 if k == axis else 0.25 for k in range(2)] + [0.5123])
    points = plane[(plane - centre).norm(dim=1) > 0.06]
    whole, crossings = marching_cubes(sample_band(lambda x: x[:, 2] - 0.5123, window, points))
    ends = blocks.on_whole(lattice, crossings)
    whole = replace(whole, ends=torch.stack([ends, ends], 1))
    scene, part = SimpleNamespace(lattice=lattice, settings=Settings()), SimpleNamespace(window=window)

    def reach(mesh):
        """How near to the centre of the gap the surface comes."""
        return float((mesh.vertices[mesh.faces.unique()] - centre).norm(dim=1).min())

    assert reach(whole) < 0.02
    assert reach(blocks.trimmed(scene, part, whole, points)) == reach(whole)
    assert reach(trim_unsupported(whole, Metric(points))) > 1.5 * reach(whole)


def dense_beside_sparse(ratio: int) -> torch.Tensor:
    """Points of a square that are 0.01 apart up to x = 0.5, and from there on so many times as far."""
    step = 0.01 * ratio
    dense, sparse = grid(0.01, 0.0, 1.0), grid(step, 0.0, 1.0)
    return torch.cat([dense[dense[:, 0] < 0.505], sparse + torch.tensor([0.5 + step, 0, 0])])


def dense_within_sparse(ratio: int) -> torch.Tensor:
    dense, sparse = grid(0.01, 0.0, 1.0), grid(0.01 * ratio, 0.0, 1.0)
    inner = [((part[:, :2] - 0.5).abs() < 0.205).all(1) for part in (dense, sparse)]
    return torch.cat([dense[inner[0]], sparse[~inner[1]]])


@pytest.mark.parametrize("ratio", [3, 4, 6, 8, 10])
@pytest.mark.parametrize("points", [dense_beside_sparse, dense_within_sparse])
def test_no_moat_where_density_changes(points, ratio):
    """A gap between dense and sparse points is as wide as the sparse ones are apart: the square is whole there."""
    found = trim_unsupported(square(100), Metric(points(ratio)))
    pairs, count = edges(found.faces)
    rim = found.vertices[pairs[count == 1].reshape(-1)]
    assert ((rim[:, :2] - 0.5).abs().amax(1) > 0.45).all()


def test_a_lone_point_lends_no_sheet_its_spacing():
    """Beyond the last points of a square a sheet ends, though a lone point lies on it twenty spacings away."""
    points = grid(0.02, 0.0, 0.5)
    lone = torch.tensor([[0.9, 0.25, 0.0]], dtype=torch.float64)
    found = trim_unsupported(square(50), Metric(torch.cat([points, lone])))
    assert not ((found.vertices[:, 0] > 0.6) & (found.vertices[:, 0] < 0.8)).any()


def lines(ratio: int, step: float = 0.004) -> torch.Tensor:
    """Points of the unit square in lines along x, so many times as far apart as the points in a line, each shifted."""
    along = torch.arange(0.0, 1.0, step, dtype=torch.float64)
    rows = torch.arange(0.02, 1.0, ratio * step, dtype=torch.float64)
    shift = step * torch.rand(len(rows), 1, generator=generator(ratio), dtype=torch.float64)
    x = (along + shift).reshape(-1)
    return torch.stack([x, rows.repeat_interleave(len(along)), torch.zeros_like(x)], 1)


@pytest.mark.parametrize("ratio", [5, 8, 10, 20])
@pytest.mark.parametrize("turned", [False, True])
def test_a_surface_in_lines_is_one_sheet(ratio, turned):
    """Between the lines of a scanner there is surface; and along them a gap of eight points is a gap."""
    points, mesh = lines(ratio), square(150)
    points = points[((points[:, :2] - 0.5).abs() > torch.tensor([0.05, 0.2])).any(1)]
    if turned:
        turn = torch.linalg.qr(torch.randn(3, 3, generator=generator(2), dtype=torch.float64))[0]
        points, mesh = points @ turn.T, replace(mesh, vertices=mesh.vertices @ turn.T)
    found = trim_unsupported(mesh, Metric(points))
    pairs, count = edges(found.faces)
    rim = found.vertices[pairs[count == 1].reshape(-1)]
    rim = (rim @ turn if turned else rim)[:, :2] - 0.5
    inner = rim[(rim.abs() < 0.4).all(1)]
    assert len(inner) > 0  # the hole
    assert (inner.abs() < torch.tensor([0.051, 0.21 + 0.004 * ratio])).all()


def test_blocks_of_a_scene_look_as_far_as_lines_are_apart(monkeypatch):
    """What a node of points in lines says of its spacing is the distance across them."""
    cloud, found = OrientedCloud(points := lines(8), torch.ones_like(points)), {}
    every = SimpleNamespace(
        counts=torch.tensor([len(points)]), of_points=lambda x: x.new_zeros(len(x), dtype=torch.long)
    )
    monkeypatch.setattr(scene_points, "raw", lambda *_: cloud)
    monkeypatch.setattr(scene_points, "near", lambda *_: OrientedCloud(points[:0], points[:0]))
    scene_points.prepare(
        SimpleNamespace(
            settings=Settings(remove_outliers="none"), nodes=every, typical=0.01, close=0.0, averaged=False,
            store=SimpleNamespace(save=lambda _, **arrays: found.update(arrays)),
            compute=lambda _: SimpleNamespace(device=CPU),
        ),
        0,
    )  # fmt: skip
    assert float(found["spacing"]) == pytest.approx(math.sqrt(2.0) * 8 * 0.004, rel=0.1)


def uneven(seed: int) -> torch.Tensor:
    """Points of the unit sphere, thousands of times as dense around a pole as on the other side."""
    around = torch.nn.functional.normalize(torch.randn(3000, 3, generator=generator(seed), dtype=torch.float64), dim=1)
    far = (2.0 * torch.randn(3000, 1, generator=generator(seed + 100), dtype=torch.float64) - 3.0).exp()
    return torch.nn.functional.normalize(torch.eye(3, dtype=torch.float64)[0] + far * around, dim=1)


@pytest.mark.parametrize(
    "points", [lines(8), grid(0.02, 0.0, 0.5), dense_beside_sparse(8)], ids=["lines", "square", "uneven"]
)
def test_no_surface_is_looked_for_where_none_is_kept(points):
    """A plane that goes on far beyond its points costs less, and is cut to the same mesh."""
    lattice, metric = Lattice.around(Box.around(points), 6.0, 256), Metric(points)

    whole, part = (
        sample_band(lambda x: x[:, 2] - 0.0001, lattice, points, wanted=near)
        for near in (None, partial(may_support, metric))
    )
    assert part.evaluations < 0.5 * whole.evaluations
    one, other = (trim_unsupported(marching_cubes(cubes)[0], metric) for cubes in (whole, part))
    assert torch.equal(one.vertices[one.faces], other.vertices[other.faces])


def test_points_that_are_in_no_lines_have_one_spacing():
    """Nor have those of which one lies in line with some by chance: it would support a sheet across the whole cloud."""
    for points in (knot(3000).points, sphere(2000).points, grid(0.05, 0.0, 1.0), *map(uneven, (1, 4, 6, 8))):
        metric = Metric(points)
        assert torch.equal(metric.along, metric.across)
        assert metric.lines() is None


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_lines_are_named_with_both_spacings(scale):
    """A torus in rings 0.08 apart, of points 0.01 apart in a ring, each shifted."""
    rings = [
        torch.stack([ring * u.cos(), ring * u.sin(), torch.full_like(u, 0.4 * math.sin(v))], 1)
        for v in (torch.arange(31) * 2 * math.pi / 31).tolist()
        for ring in [1.0 + 0.4 * math.cos(v)]
        for u in [torch.arange(0.0, 2 * math.pi, 0.01 / ring, dtype=torch.float64) + v * v]
    ]
    found = Metric(scale * torch.cat(rings)).lines()
    assert found.along == pytest.approx(0.01 * scale, rel=0.2)
    assert found.across == pytest.approx(0.08 * scale, rel=0.2)
    assert found.share > 0.9


def test_a_wire_before_a_wall_is_no_line_of_it():
    """A line of points with nothing but points in no lines beside it has one spacing: no sheet joins them."""
    wire = torch.zeros(100, 3, dtype=torch.float64)
    wire[:, 0], wire[:, 2] = torch.linspace(0.0, 1.0, 100), 0.1
    metric = Metric(torch.cat([wire, grid(0.02, 0.0, 1.0) + 0.003 * torch.rand(2601, 3, generator=generator(7))]))
    assert torch.equal(metric.along, metric.across)
