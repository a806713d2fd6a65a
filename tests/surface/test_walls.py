"""Surfaces that the walls of a lattice cut off, closed there: the volume is that of the places inside."""

import numpy as np
import pytest
import torch
from lattices import crossing_cubes

from neural_splines.geometry import Box
from neural_splines.surface.checks import checked
from neural_splines.surface.lattice import Lattice
from neural_splines.surface.marching_cubes import marching_cubes
from neural_splines.surface.walls import closed_at_walls

manifold3d = pytest.importorskip("manifold3d")
LATTICE = Lattice.covering(Box(torch.zeros(3).double(), torch.tensor([1.0, 0.9, 0.8]).double()), 24)


def ball(*middle, radius=0.4):
    return lambda x: (x - torch.tensor(middle).double()).norm(dim=-1) - radius


def plane(*normal, offset=0.0):
    return lambda x: x @ torch.tensor(normal).double() - offset


def waves(seed):
    """A random smooth function, of which inside and outside reach all walls."""
    rng = np.random.default_rng(seed)
    waves, phases = torch.from_numpy(rng.normal(0.0, 5.0, (3, 6))), torch.from_numpy(rng.uniform(0.0, 6.3, 6))
    level = 0.3 * rng.standard_normal()
    return lambda x: torch.sin(x @ waves + phases).sum(-1) - level


CASES = {
    "in one wall": ball(0.5, 0.45, 0.0),
    "across an edge": ball(0.0, 0.0, 0.4),
    "across a corner": ball(0.0, 0.0, 0.0),
    "around a corner": lambda x: -ball(0.0, 0.0, 0.0)(x),
    "in the middle, inside out": lambda x: -ball(0.5, 0.45, 0.4, radius=0.3)(x),
    "a hole in a wall": lambda x: -ball(0.5, 0.45, 0.0)(x),
    "half a space": plane(0.1, 0.2, 1.0, offset=0.5),
    "the other half": plane(-0.1, -0.2, -1.0, offset=-0.5),
    "all but a corner": plane(1.0, 1.0, 1.0, offset=2.3),
    "a tube": lambda x: (x[..., 1:] - 0.42).norm(dim=-1) - 0.3,
    "a slab": lambda x: (x @ torch.tensor([0.3, 0.5, 0.8]).double() - 0.6).abs() - 0.1,
    **{f"waves {seed}": waves(seed) for seed in range(8)},
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_inside_is_closed(name):
    """Closed, oriented, without fault; its volume is the share of places inside, by ten times finer counting."""
    field = CASES[name]
    index = torch.stack(torch.meshgrid(*[torch.arange(n) for n in LATTICE.shape], indexing="ij"), -1).reshape(-1, 3)
    values = field(LATTICE.positions(index)).reshape(LATTICE.shape)
    mesh, _ = marching_cubes(crossing_cubes(values, LATTICE))
    before = checked(mesh.vertices.numpy(), mesh.faces.numpy())

    def triangulate(polygons):
        return np.asarray(manifold3d.triangulate(polygons), np.int64).reshape(-1, 3)

    found = closed_at_walls(mesh, LATTICE, triangulate)
    after = checked(found.vertices.numpy(), found.faces.numpy(), intersecting=True)
    assert after.border_edges == after.nonmanifold_edges == after.turned_edges == after.intersecting == 0, after
    low, high = LATTICE.positions(torch.zeros(3)), LATTICE.positions(torch.tensor(LATTICE.shape) - 1)
    sides = high - low
    random = torch.from_numpy(np.random.default_rng(0).random((400_000, 3)))
    share = float((field(low + random * sides) < 0).double().mean())
    if before.border_edges:
        assert after.volume == pytest.approx(share * float(sides.prod()), abs=0.006)
        assert torch.equal(found.vertices[: len(mesh.vertices)], mesh.vertices)
        beyond = torch.cat([low - found.vertices, found.vertices - high])
        assert float(beyond.max()) < 1e-9
    else:
        assert found is mesh
