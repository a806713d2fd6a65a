"""Laws of the lattice, marching cubes and refined vertices, on fields known in closed form."""

import math

import pytest
import torch
from lattices import crossing_cubes
from shapes import euler_number, is_watertight, volume

from neural_splines.components import _jump, components
from neural_splines.geometry import Box
from neural_splines.runtime.monitor import Silent
from neural_splines.surface.band import sample_band
from neural_splines.surface.case_table import case_table
from neural_splines.surface.dense import sample_dense
from neural_splines.surface.lattice import Lattice
from neural_splines.surface.marching_cubes import marching_cubes
from neural_splines.surface.mesh import face_average_normals
from neural_splines.surface.refinement import CLOSE, refine

CPU = torch.device("cpu")


def unit_box(half=0.5):
    return Box(torch.full((3,), -half, dtype=torch.float64), torch.full((3,), half, dtype=torch.float64))


def sphere_field(points, radius=0.37):
    return points.norm(dim=1) - radius


def torus_field(points, major=0.3, minor=0.11):
    return ((points[:, :2].norm(dim=1) - major) ** 2 + points[:, 2] ** 2).sqrt() - minor


def gradient_of(field):
    def gradient(points):
        with torch.enable_grad():
            x = points.clone().requires_grad_()
            value = field(x)
            (slope,) = torch.autograd.grad(value.sum(), x)
        return value.detach(), slope

    return gradient


class Known:
    """A field in closed form, with its gradient; counts the points that it is asked for."""

    def __init__(self, field):
        self.field, self.values, self.slopes = field, 0, 0

    def evaluate(self, points):
        self.values += len(points)
        return self.field(points)

    def gradient(self, points):
        self.slopes += len(points)
        return gradient_of(self.field)(points)


def test_the_lattice_has_proportional_sides():
    box = Box(torch.zeros(3, dtype=torch.float64), torch.tensor([1.0, 0.5, 0.5], dtype=torch.float64))
    lattice = Lattice.covering(box, 128)
    assert lattice.shape == (128, 64, 64)
    first = lattice.positions(torch.tensor([[0, 0, 0]]))[0]
    assert torch.allclose(first, torch.full((3,), 0.5 / 128, dtype=torch.float64))


def test_ids_and_indices_are_inverse():
    lattice = Lattice.covering(unit_box(), 7)
    ids = torch.arange(lattice.size)
    assert torch.equal(lattice.ids(lattice.indices(ids)), ids)


def test_every_case_closes_over_its_faces():
    """Complementary patterns cut the same edges, and a pattern uses exactly its mixed edges."""
    from neural_splines.surface.cubes import EDGES

    for case, triangles in enumerate(case_table()):
        used = {edge for triangle in triangles for edge in triangle}
        mixed = {e for e, (a, b) in enumerate(EDGES) if (case >> a & 1) != (case >> b & 1)}
        assert used == mixed


@pytest.mark.parametrize("seed", range(3))
def test_noise_gives_a_closed_manifold(seed):
    """All 256 cases and all their neighbourhoods: every edge has exactly two, opposite, faces."""
    values = torch.randn(14, 15, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    for axis in range(3):
        values.select(axis, 0).fill_(1.0)
        values.select(axis, -1).fill_(1.0)
    lattice = Lattice(tuple(values.shape), torch.zeros(3, dtype=torch.float64), 1.0)
    mesh, _ = marching_cubes(crossing_cubes(values, lattice))
    assert is_watertight(mesh.faces)
    assert volume(mesh.vertices, mesh.faces) > 0  # outward, around the negative values


def test_marching_cubes_agrees_with_scikit_image():
    """Same vertices as an independent implementation: linear interpolation on the same lattice edges."""
    measure = pytest.importorskip("skimage.measure")
    lattice = Lattice.covering(unit_box(), 24)
    grid = sample_dense(torus_field, lattice, CPU, Silent())
    mesh, _ = marching_cubes(crossing_cubes(grid, lattice))
    expected, faces, _, _ = measure.marching_cubes(grid.numpy(), 0.0)
    found = lattice.coordinates(mesh.vertices)
    assert len(found) == len(expected)
    distance = torch.cdist(found, torch.from_numpy(expected.astype("float64")))
    assert distance.amin(1).max() < 1e-5  # float32 there
    assert distance.amin(0).max() < 1e-5
    assert len(faces) == len(mesh.faces)


@pytest.mark.parametrize(("field", "euler"), [(sphere_field, 2), (torus_field, 0)])
def test_refined_vertices_lie_on_the_zero_set(field, euler):
    lattice = Lattice.covering(unit_box(), 32)
    cubes = sample_band(field, lattice, torch.tensor([[0.37, 0.0, 0.0]], dtype=torch.float64))
    coarse, crossings = marching_cubes(cubes)
    fine = refine(coarse, crossings, Known(field), 8)
    before, after = field(coarse.vertices).abs(), field(fine.vertices).abs()
    assert after.mean() < before.mean() / 1000
    assert after.max() < 1e-5 * lattice.voxel_size
    assert is_watertight(fine.faces)
    assert euler_number(fine.faces) == euler
    # a step below CLOSE, of a voxel, turns the normal by less: no radius here is shorter than a voxel
    assert torch.allclose(fine.normals, gradient_of(field)(fine.vertices)[1], atol=CLOSE)
    agreement = (face_average_normals(fine) * fine.normals).sum(1)
    assert agreement.min() > 0.9


def test_most_vertices_need_one_value_and_one_slope():
    lattice, field = Lattice.covering(unit_box(), 64), Known(sphere_field)
    mesh, crossings = marching_cubes(crossing_cubes(sample_dense(sphere_field, lattice, CPU, Silent()), lattice))
    fine = refine(mesh, crossings, field, 8)
    assert field.values == len(mesh.vertices)
    assert len(mesh.vertices) <= field.slopes < 1.05 * len(mesh.vertices)
    assert sphere_field(fine.vertices).abs().max() < 1e-7 * lattice.voxel_size


def test_a_vertex_far_from_where_its_edge_suggests_is_looked_at_again():
    """A field that bends sharply along an edge: no vertex is left where a step was long, and none leaves its edge."""

    def bent(points):  # 0 at .05, with ten times the slope beyond: linear interpolation is far off
        x = points[:, 0] - 0.05
        return torch.where(x < 0.0, 0.1 * x, x + 40.0 * x * x)

    lattice, field = Lattice.covering(unit_box(), 32), Known(bent)
    mesh, crossings = marching_cubes(crossing_cubes(sample_dense(bent, lattice, CPU, Silent()), lattice))
    fine = refine(mesh, crossings, field, 8)
    assert field.slopes > 2 * len(mesh.vertices)
    assert (mesh.vertices[:, 0] - 0.05).abs().max() > 0.05 * lattice.voxel_size
    assert (fine.vertices[:, 0] - 0.05).abs().max() < CLOSE * lattice.voxel_size
    assert torch.equal(fine.vertices[:, 1:], mesh.vertices[:, 1:])


def test_sphere_volume_error_shrinks_with_the_grid():
    """Inscribed polyhedra: always too small, with an error that falls as the square of the voxel."""
    exact, errors = 4 / 3 * math.pi * 0.37**3, []
    for size in (24, 48):
        lattice = Lattice.covering(unit_box(), size)
        mesh, crossings = marching_cubes(crossing_cubes(sample_dense(sphere_field, lattice, CPU, Silent()), lattice))
        mesh = refine(mesh, crossings, Known(sphere_field), 8)
        errors.append(1 - volume(mesh.vertices, mesh.faces) / exact)
    assert 0 < errors[1] < errors[0] / 3


def test_the_mesh_does_not_depend_on_what_is_taken_at_a_time(monkeypatch):
    """Cubes, points and vertices in small pieces give the bits that one piece gives."""
    from neural_splines.runtime import devices

    grid = Lattice.covering(unit_box(), 64)
    seed = torch.tensor([[0.37, 0.0, 0.0]], dtype=torch.float64)

    def surface():
        mesh, crossings = marching_cubes(sample_band(torus_field, grid, seed))
        return refine(mesh, crossings, Known(torus_field), 8)

    whole = surface()
    for size in (97, 1000):
        monkeypatch.setitem(devices.AT_ONCE, "cpu", size)
        pieces = surface()
        assert torch.equal(pieces.faces, whole.faces)
        assert torch.equal(pieces.vertices, whole.vertices)
        assert torch.equal(pieces.normals, whole.normals)


@pytest.mark.parametrize(("vertices", "edges"), [(1, 0), (50, 20), (200, 190), (300, 2000)])
def test_components_are_those_of_scipy(vertices, edges, generator):
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    pairs = torch.randint(vertices, (edges, 2), generator=generator)
    graph = coo_matrix((torch.ones(edges).numpy(), pairs.numpy().T), shape=(vertices, vertices))
    count, label = connected_components(graph, directed=False)
    for find in (components, _jump):  # _jump is the GPU's, on the CPU here
        found = find(pairs, vertices)
        assert len(torch.unique(found)) == count
        assert len({*zip(found.tolist(), label.tolist(), strict=True)}) == count
    assert (found <= torch.arange(vertices)).all()
