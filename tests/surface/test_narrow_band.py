"""Laws of the narrow band, on fields known in closed form: it is the dense grid, with few values."""

import pytest
import torch
from lattices import crossing_cubes
from shapes import edges
from test_meshing import CPU, Known, sphere_field, torus_field, unit_box

from neural_splines.runtime.monitor import Silent
from neural_splines.surface.band import sample_band
from neural_splines.surface.dense import sample_dense
from neural_splines.surface.lattice import Lattice
from neural_splines.surface.marching_cubes import marching_cubes
from neural_splines.surface.refinement import refine


@pytest.mark.parametrize("size", [17, 64, 100])
@pytest.mark.parametrize("field", [sphere_field, torus_field])
def test_band_and_dense_meshes_are_identical(size, field):
    lattice = Lattice.covering(unit_box(), size)
    dense = crossing_cubes(sample_dense(field, lattice, CPU, Silent()), lattice)
    band = sample_band(field, lattice, torch.tensor([[0.37, 0.0, 0.0]], dtype=torch.float64))
    assert torch.equal(band.ids, dense.ids)
    assert torch.equal(band.point_ids, dense.point_ids)
    assert torch.equal(band.point_values, dense.point_values)
    assert len(torch.unique(band.ids)) == len(band.ids)


def test_band_finds_a_sheet_without_points():
    """Far sheets are found from their values alone."""

    def two_spheres(points):
        return torch.minimum(sphere_field(points - 0.2, 0.2), sphere_field(points + 0.25, 0.08))

    lattice = Lattice.covering(unit_box(), 128)
    dense = crossing_cubes(sample_dense(two_spheres, lattice, CPU, Silent()), lattice)
    band = sample_band(two_spheres, lattice, torch.tensor([[0.4, 0.2, 0.2]], dtype=torch.float64))
    assert torch.equal(band.ids, dense.ids)


def test_band_finds_a_sheet_that_no_coarse_value_shows():
    """A plate between two layers of the coarsest lattice, which are 4 voxels apart, and no point near it."""
    lattice = Lattice.covering(unit_box(), 128)

    def plate(points):  # in voxels: 0.5 at layer 40, 1.9 at layer 44, -0.1 at layer 42
        return ((lattice.coordinates(points)[:, 2] - 41.3).abs() - 0.8) * lattice.voxel_size

    dense = crossing_cubes(sample_dense(plate, lattice, CPU, Silent()), lattice)
    band = sample_band(plate, lattice, torch.tensor([[0.4, 0.2, 0.45]], dtype=torch.float64))
    assert len(dense.ids) > 0
    assert torch.equal(band.ids, dense.ids)


def test_band_follows_a_surface_from_one_point():
    """A plate thinner than the coarse cells, known by one point alone, is found whole."""

    def plate(points):
        return (points[:, 2] - 0.011).abs() - 0.006

    lattice = Lattice.covering(unit_box(), 128)
    dense = crossing_cubes(sample_dense(plate, lattice, CPU, Silent()), lattice)
    band = sample_band(plate, lattice, torch.tensor([[0.0, 0.0, 0.017]], dtype=torch.float64))
    assert torch.equal(band.ids, dense.ids)


def test_band_needs_few_evaluations():
    shares = []
    for size in (128, 256):
        lattice = Lattice.covering(unit_box(), size)
        band = sample_band(sphere_field, lattice, torch.tensor([[0.37, 0.0, 0.0]], dtype=torch.float64))
        shares.append(band.evaluations / lattice.size)
    assert shares[1] < 0.12
    assert shares[1] < 0.6 * shares[0]  # O(G^2) of G^3


def test_no_lattice_point_is_evaluated_twice():
    """Not even by another level of the descent; and most that are evaluated are corners of crossing cubes."""
    lattice, seen = Lattice.covering(unit_box(), 200), []

    def field(points):
        seen.append(lattice.coordinates(points).round().long())
        return torus_field(points)

    band = sample_band(field, lattice, torch.tensor([[0.41, 0.0, 0.0]], dtype=torch.float64))
    points = torch.cat(seen)
    assert len(points) == len(points.unique(dim=0)) == band.evaluations
    assert band.evaluations < 2.0 * len(band.point_ids)


@pytest.mark.parametrize("size", [60, 130])
@pytest.mark.parametrize("shares", [1, 3])
def test_the_band_ends_with_the_coarse_cells_where_no_surface_is_wanted(size, shares):
    """Each of these is asked about once by a slab, and far ones never."""
    lattice, seed, asked = Lattice.covering(unit_box(), size), torch.tensor([[0.37, 0.0, 0.0]], dtype=torch.float64), []

    def wanted(places, radius):
        asked.append(places)
        return places[:, 2] - radius < -0.1

    band = sample_band(sphere_field, lattice, seed, devices=(CPU,) * shares, wanted=wanted)
    dense = crossing_cubes(sample_dense(sphere_field, lattice, CPU, Silent()), lattice)
    stride = 2 if size < 96 else 4
    index = lattice.indices(dense.ids)
    middle = lattice.positions((index // stride + 0.5) * stride)
    inside = middle[:, 2] - 0.5 * stride * lattice.voxel_diagonal < -0.1
    assert 0 < int(inside.sum()) < len(dense.ids)
    assert torch.equal(band.ids, dense.ids[inside])
    places = torch.cat(asked)
    assert len(places) <= shares * len(places.unique(dim=0))
    assert len(places.unique(dim=0)) < 0.5 * (size / stride) ** 3


def test_undefined_values_leave_an_open_boundary():
    """Where the field is NaN the mesh ends; no wall closes it."""

    def half(points):
        return torch.where(points[:, 2] > 0.1, torch.nan, sphere_field(points))

    lattice = Lattice.covering(unit_box(), 64)
    band = sample_band(half, lattice, torch.tensor([[0.37, 0.0, 0.0]], dtype=torch.float64))
    mesh, _ = marching_cubes(band)
    pairs, count = edges(mesh.faces)
    assert count.max() == 2
    border = mesh.vertices[pairs[count == 1].reshape(-1)]
    assert (border[:, 2] > 0.1 - 2 * lattice.voxel_size).all()
    assert mesh.vertices[:, 2].max() <= 0.1
    assert (sphere_field(mesh.vertices).abs() < 0.1 * lattice.voxel_size).all()


@pytest.mark.parametrize("shares", [2, 3, 7])
@pytest.mark.parametrize("points", [[[0.0, 0.0, 0.017]], [[-0.3, 0, 0.017], [0.1, 0, 0.017], [0.4, 0, 0.017]]])
def test_slabs_find_what_one_device_finds(shares, points):
    """The surface is followed from slab to slab, also where all that was known of it lies in one."""
    grid = Lattice.covering(unit_box(), 128)

    def plate(points):  # too thin for the coarse cells: only the slab with the point finds it by itself
        return (points[:, 2] - 0.011).abs() - 0.006

    for field in (plate, torus_field):
        known = torch.tensor(points, dtype=torch.float64)
        whole = sample_band(field, grid, known)
        parts = sample_band(field, grid, known, devices=(CPU,) * shares)
        assert torch.equal(parts.ids, whole.ids)
        assert torch.equal(parts.point_ids, whole.point_ids)
        assert torch.equal(parts.point_values, whole.point_values)
        mesh, crossings = marching_cubes(parts)
        one = refine(mesh, crossings, Known(field), 8)
        many = refine(mesh, crossings, Known(field), 8, devices=(CPU,) * shares)
        assert torch.equal(one.vertices, many.vertices)
        assert torch.equal(one.normals, many.normals)
