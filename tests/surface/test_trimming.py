"""What of a mesh is kept: what is near the data, what they support, and where an open surface ends."""

import math
from dataclasses import replace

import pytest
import torch
from components import drop_specks
from lattices import crossing_cubes
from shapes import edges, euler_number
from test_choices import generator
from test_meshing import CPU, sphere_field, unit_box

from neural_splines.cloud.metric import Metric
from neural_splines.cloud.neighbours import Neighbours
from neural_splines.geometry import Box
from neural_splines.run.walls import on_walls, on_whole
from neural_splines.runtime.monitor import Silent
from neural_splines.surface.band import sample_band
from neural_splines.surface.clipping import clip
from neural_splines.surface.dense import sample_dense
from neural_splines.surface.lattice import Lattice
from neural_splines.surface.marching_cubes import marching_cubes
from neural_splines.surface.mesh import Mesh
from neural_splines.surface.trimming import trim, trim_unsupported


def test_trim_keeps_what_is_near():
    lattice = Lattice.covering(unit_box(), 48)
    mesh, _ = marching_cubes(crossing_cubes(sample_dense(sphere_field, lattice, CPU, Silent()), lattice))
    pole = torch.tensor([[0.0, 0.0, 0.37]], dtype=torch.float64)
    cap = trim(mesh, Neighbours(pole), 0.2)
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


@pytest.mark.parametrize(("seed", "count"), [(127, 1600), (46, 1900)])
def test_points_that_crowd_by_chance_make_no_hole(seed, count):
    """Seven of a plane's random points, of which the others beside them have three times their spacing."""
    axis = torch.arange(-12.0, 13.0, dtype=torch.float64)
    vertices = torch.cartesian_prod(axis, axis, torch.zeros(1, dtype=torch.float64))
    at = torch.arange(25 * 25).reshape(25, 25)
    a, b, c, d = (part.reshape(-1) for part in (at[:-1, :-1], at[1:, :-1], at[1:, 1:], at[:-1, 1:]))
    mesh = Mesh(
        vertices, torch.zeros(len(vertices), 3), torch.cat([torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)])
    )
    random = generator(seed)
    plane = 28.0 * torch.rand(count, 2, generator=random, dtype=torch.float64) - 14.0
    middle = torch.rand(2, generator=random, dtype=torch.float64) - 0.5
    plane = plane[(plane - middle).norm(dim=1) > 0.6]
    crowd, clump = (torch.randn(7, 2, generator=random, dtype=torch.float64) for _ in range(2))
    flat = torch.cat([plane, middle + 0.1 * crowd, 200.0 + 0.01 * clump])
    found = trim_unsupported(mesh, Metric(torch.nn.functional.pad(flat, (0, 1))))
    pairs, uses = edges(found.faces)
    assert bool((found.vertices[pairs[uses == 1].reshape(-1)].norm(dim=1) > 8.0).all())


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
    ends = on_whole(lattice, crossings)
    whole = replace(whole, ends=torch.stack([ends, ends], 1))
    walls, metric = on_walls(lattice, window, whole), Metric(points)

    def reach(mesh):
        """How near to the centre of the gap the surface comes."""
        return float((mesh.vertices[mesh.faces.unique()] - centre).norm(dim=1).min())

    assert reach(whole) < 0.02
    assert reach(trim_unsupported(whole, metric, cut_off=walls)) == reach(whole)
    assert reach(trim_unsupported(whole, metric)) > 1.5 * reach(whole)
