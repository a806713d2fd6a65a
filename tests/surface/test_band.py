"""The narrow band finds the mesh of the dense grid, for fitted fields as both scripts make them."""

from __future__ import annotations

import pytest
import torch
from components import drop_specks
from lattices import crossing_cubes
from shapes import hemisphere, is_watertight, knot, sphere, torus

from neural_splines.run.whole import mesh_cloud
from neural_splines.runtime.monitor import Silent
from neural_splines.settings import CellSettings, Settings
from neural_splines.surface.dense import sample_dense
from neural_splines.surface.marching_cubes import marching_cubes
from neural_splines.surface.trimming import cut_back

KINDS = {
    "spline": {"cells": None},
    "cells": {"cells": CellSettings(cells_per_axis=3)},
    "adaptive cells": {"cells": CellSettings(cells_per_axis="auto"), "outer_layer_variance": 0.0, "trim": "auto"},
}
SHAPES = {"torus": torus(800), "knot": knot(1500), "hemisphere": hemisphere(800)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("grid", [56])
def test_the_band_gives_the_mesh_of_the_dense_grid(shape, kind, grid):
    """The same faces, and vertices to 1e-9 voxel, before refinement; closed where the dense mesh is."""
    chosen = {"eps": 0.02, "num_nystrom_samples": 150, "grid_size": grid, "regularization": 1e-6, "device": "cpu"}
    settings = Settings(**{**chosen, **KINDS[kind]}, refine_vertices=False)
    found = mesh_cloud(SHAPES[shape], settings)
    lattice, band = found.lattice, found.mesh
    values = sample_dense(found.field.evaluate, lattice, torch.device("cpu"), Silent())
    whole, _ = marching_cubes(crossing_cubes(values, lattice))
    dense = cut_back(whole, SHAPES[shape], lattice.voxel_diagonal, settings)
    dense = drop_specks(dense, SHAPES[shape].sampling.metric) if settings.min_component else dense
    assert torch.equal(band.faces, dense.faces)
    assert (band.vertices - dense.vertices).abs().max() < 1e-9 * lattice.voxel_size
    assert is_watertight(band.faces) == is_watertight(dense.faces)
    assert found.evaluations < 0.8 * lattice.size


@pytest.mark.parametrize("kind", ["spline", "adaptive cells"])
@pytest.mark.parametrize("cloud", [sphere(1500), torus(1500)], ids=["sphere", "torus"])
def test_refinement_puts_vertices_on_the_fitted_zero_set(kind, cloud):
    """Their distance from it, |f| / |grad f|, falls more than 1000-fold in the mean."""
    chosen = {"eps": 0.02, "num_nystrom_samples": 300, "grid_size": 32, "regularization": 1e-7, "device": "cpu"}
    distances = []
    for refined in (False, True):
        result = mesh_cloud(cloud, Settings(**{**chosen, **KINDS[kind]}, refine_vertices=refined))
        value, slope = result.fit.field.gradient(result.mesh.vertices)
        distances.append(float((value.abs() / slope.norm(dim=1)).mean()) / result.lattice.voxel_size)
    assert distances[1] < distances[0] / 1000, distances
