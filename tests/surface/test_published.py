"""The published path, a dense grid and scikit-image's marching cubes: what --dense gives, and a twin of our own."""

import pytest
import torch
from lattices import crossing_cubes
from scipy.spatial import cKDTree
from shapes import is_watertight, sphere, torus
from test_meshing import Known, gradient_of, sphere_field, torus_field, unit_box

import neural_splines as ns
from neural_splines.run import whole
from neural_splines.runtime.monitor import Silent
from neural_splines.surface.dense import sample_dense
from neural_splines.surface.lattice import Lattice
from neural_splines.surface.marching_cubes import marching_cubes
from neural_splines.surface.published import published_marching_cubes, refine_published

LATTICE = Lattice.covering(unit_box(), 33)


def grid_of(field):
    return sample_dense(field, LATTICE, torch.device("cpu"), Silent())


def farthest(one, other) -> float:
    """The Hausdorff distance of two sets of points, in voxels."""
    return max(cKDTree(b).query(a)[0].max() for a, b in ((one, other), (other, one))) / LATTICE.voxel_size


def half(points):
    return torch.where(points[:, 2] > 0.1, torch.nan, sphere_field(points))


def other_half(points):
    return torch.where(points[:, 0] < -0.1, torch.nan, sphere_field(points))


@pytest.mark.parametrize("field", [sphere_field, torus_field, half, other_half])
def test_the_mesh_is_that_of_our_own_marching_cubes(field):
    """The same vertices to float32's digits and as many faces; where values are undefined both end alike."""
    grid = grid_of(field)
    published, _, on_edge = published_marching_cubes(grid, LATTICE)
    ours, _ = marching_cubes(crossing_cubes(grid, LATTICE))
    assert on_edge.all()
    assert len(published.faces) == len(ours.faces) > 0
    assert farthest(published.vertices, ours.vertices) < 1e-4
    assert is_watertight(published.faces) == (field not in (half, other_half))


@pytest.mark.parametrize("value", [1.0, -1.0, 0.0, torch.nan])
def test_a_grid_without_a_crossing_has_no_faces(value):
    mesh, crossings, _ = published_marching_cubes(torch.full(LATTICE.shape, value, dtype=torch.float64), LATTICE)
    assert len(mesh.faces) == len(mesh.vertices) == len(crossings.edges) == 0


@pytest.mark.parametrize("factor", [1e-60, 1e60])
def test_values_beyond_float32_keep_their_signs(factor):
    """Vertices may move along their edges, where these are cut off; triangles stay."""
    grid = grid_of(torus_field)
    one, _, _ = published_marching_cubes(grid, LATTICE)
    other, _, _ = published_marching_cubes(factor * grid, LATTICE)
    assert torch.equal(one.faces, other.faces)
    assert (one.vertices - other.vertices).abs().max() <= LATTICE.voxel_size


@pytest.mark.parametrize("field", [sphere_field, torus_field])
def test_refined_vertices_lie_on_the_zero_set(field):
    mesh, crossings, on_edge = published_marching_cubes(grid_of(field), LATTICE)
    fine = refine_published(mesh, crossings, on_edge, Known(field), 8)
    assert field(fine.vertices).abs().mean() < field(mesh.vertices).abs().mean() / 1000
    assert torch.allclose(fine.normals, gradient_of(field)(fine.vertices)[1], atol=1e-9)
    still = refine_published(mesh, crossings, on_edge, Known(field), 0)
    # float32's vertices are put onto their edges, in float64
    assert (still.vertices - mesh.vertices).abs().max() < 1e-4 * LATTICE.voxel_size


@pytest.mark.parametrize("cells", [None, ns.CellSettings(cells_per_axis=2)], ids=["spline", "cells"])
@pytest.mark.parametrize("cloud", [sphere(500), torus(800)], ids=["sphere", "torus"])
def test_dense_and_band_give_the_same_surface(cloud, cells):
    """From the cloud to the refined mesh: two paths that share neither sampling nor marching cubes."""
    band, dense = (
        whole.mesh_cloud(cloud, ns.Settings(
            cells=cells, num_nystrom_samples=150, grid_size=60, regularization=1e-6, dense=dense, device="cpu"))
        for dense in (False, True)
    )  # fmt: skip
    assert band.grid is None
    assert dense.evaluations == dense.lattice.size > band.evaluations
    assert len(band.mesh.faces) == len(dense.mesh.faces)
    distance, nearest = cKDTree(dense.mesh.vertices).query(band.mesh.vertices)
    assert distance.max() < 1e-3 * band.lattice.voxel_size
    assert len(set(nearest)) == len(nearest) == len(dense.mesh.vertices)  # one for each
    assert (band.mesh.normals * dense.mesh.normals[nearest]).sum(1).min() > 0.999
