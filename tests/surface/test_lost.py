"""Points that the mesh does not show are said, with why and what would show them; what that says is true."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
import torch
from components import drop_specks
from lattices import crossing_cubes
from scripts import run, write_cloud
from shapes import sphere
from test_meshing import CPU

from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.cloud.metric import Metric
from neural_splines.runtime.monitor import Silent
from neural_splines.settings import Settings
from neural_splines.surface.dense import sample_dense
from neural_splines.surface.lattice import Lattice
from neural_splines.surface.lost import NOTABLE, Losses, Samples, far_from, lost_line, thickness
from neural_splines.surface.marching_cubes import marching_cubes
from neural_splines.surface.mesh import Mesh, keep_faces
from neural_splines.surface.trimming import labels

NONE = Settings(trim="none", min_component=0.0)


def tube(count, length, radius) -> OrientedCloud:
    """Around the x axis."""
    along, angle = torch.rand(2, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    angle = 2.0 * torch.pi * angle
    normals = torch.stack([0.0 * angle, angle.cos(), angle.sin()], 1)
    points = radius * normals
    points[:, 0] = length * along
    return OrientedCloud(points, normals)


def joined(*clouds) -> OrientedCloud:
    return OrientedCloud(torch.cat([c.points for c in clouds]), torch.cat([c.normals for c in clouds]))


def spheres(*balls):
    """The field of balls (radius, centre)."""
    radii, centres = (torch.tensor(part, dtype=torch.float64) for part in zip(*balls, strict=True))
    return lambda x: (torch.cdist(x, centres) - radii).amin(1)


def meshed(field, cloud, size) -> tuple[Mesh, Lattice]:
    lattice = Lattice.around(cloud.box, 1.1, size)
    return marching_cubes(crossing_cubes(sample_dense(field, lattice, CPU, Silent()), lattice))[0], lattice


def lines(cloud, lattice, mesh, uncut=None, parts=None, settings=NONE) -> list[str]:
    """Of a mesh, its surface before it was trimmed, and with the parts that were dropped."""
    uncut, parts = mesh if uncut is None else uncut, mesh if parts is None else parts
    seen, least = Samples.at(cloud.points, cloud.normals, far_from(cloud.points, cloud.sampling.near), lattice)
    lost = seen.part(~seen.reached(mesh.vertices)[0])
    if lost.share <= NOTABLE:
        return []
    dropped, nearest = lost.reached(parts.vertices)
    component = torch.where(dropped, labels(parts)[nearest], -1)
    losses = Losses(thickness(lost, cloud, lattice.voxel_size), lost.reached(uncut.vertices)[0], component)
    return [lost_line(lost, least, losses, lattice.voxel_size, max(lattice.shape), settings)]


BALL = (4.0, (-6.0, 0.0, 0.0))


def test_a_thing_thinner_than_a_voxel_is_named_with_the_grid_size_that_shows_it():
    cloud = joined(sphere(3000, *BALL), tube(1000, 60.0, 0.6))

    def field(x):
        return spheres(BALL)(x).minimum((x[:, 1:].norm(dim=1) - 0.6).maximum((x[:, 0] - 30.0).abs() - 30.0))

    mesh, lattice = meshed(field, cloud, 30)
    (line,) = lines(cloud, lattice, mesh)
    words = r"(\d+)% of the points .*: they lie on parts about ([\d.]+) thick, .*; use GRID_SIZE (\d+)"
    share, thickness, size = map(float, re.fullmatch(words, line).groups())
    assert share == pytest.approx(23, abs=3)  # a quarter, but for what is near the ball
    assert thickness == pytest.approx(1.2, rel=0.1)
    mesh, lattice = meshed(field, cloud, int(size))
    assert lines(cloud, lattice, mesh) == []


def test_parts_that_were_dropped_as_specks_are_counted():
    """Thirty scanned parts of 50 points around a large one: what keeps them is said."""
    angle = torch.linspace(0.0, 2.0 * torch.pi, 31)[:30].tolist()
    places = [(0.08, (1.4 * math.cos(a), 1.4 * math.sin(a), 0.5 * (k % 3 - 1))) for k, a in enumerate(angle)]
    cloud = joined(sphere(3000), *(sphere(50, *place) for place in places))
    whole, lattice = meshed(spheres((1.0, (0.0, 0.0, 0.0)), *places), cloud, 64)
    mesh = drop_specks(whole, Metric(cloud.points))
    assert len(mesh.faces) < len(whole.faces)
    (line,) = lines(cloud, lattice, mesh, whole, whole)
    assert re.match(
        r"33% .*: they lie on 30 small parts that were dropped; keep such parts with --min-component 0", line
    )
    assert lines(cloud, lattice, whole) == []


@pytest.mark.parametrize(("asked", "remedy"), [("auto", "--trim none"), (2.0, "a larger --trim")])
def test_a_surface_that_was_trimmed_away_is_named_with_what_keeps_it(asked, remedy):
    cloud = sphere(3000)
    whole, lattice = meshed(spheres((1.0, (0.0, 0.0, 0.0))), cloud, 48)
    half = keep_faces(whole, (whole.vertices[whole.faces][:, :, 2] < 0.0).all(1))
    (line,) = lines(cloud, lattice, half, whole, half, replace(NONE, trim=asked))
    assert re.match(rf"3\d% .*: they lie where the surface was trimmed away; .*{remedy}", line)


def test_points_without_any_surface_are_named():
    cloud = joined(sphere(2000), OrientedCloud(sphere(500, 0.5, (3.0, 0.0, 0.0)).points, sphere(500).normals))
    mesh, lattice = meshed(spheres((1.0, (0.0, 0.0, 0.0))), cloud, 48)
    (line,) = lines(cloud, lattice, mesh)
    assert "20% of the points" in line
    assert "they lie where no surface was found; check their normals" in line


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_mesh_through_its_points_loses_none(noise):
    """Of clean points, and of those with noise of 1 % of the diagonal."""
    cloud = sphere(3000)
    offsets = torch.randn(3000, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    cloud = OrientedCloud(cloud.points + noise * cloud.box.diagonal * offsets, cloud.normals)
    for size in (12, 96):
        mesh, lattice = meshed(spheres((1.0, (0.0, 0.0, 0.0))), cloud, size)
        assert lines(cloud, lattice, mesh) == []


@pytest.mark.parametrize("script", [("fit.py", "auto", 200, 24), ("fit-grid.py", "auto", "auto", 24, "auto")])
def test_a_strict_run_that_loses_points_fails(script, tmp_path):
    """Of two balls the smaller is dropped."""
    path = write_cloud(tmp_path / "cloud.ply", joined(sphere(1000), sphere(300, 0.5, (2.5, 0.0, 0.0))))
    args = [script[0], path, *script[1:], "--seed", 0, "--out", tmp_path / "mesh.ply", "--strict"]
    lossy = run(*args, "--min-component", 0.9)
    assert lossy.code == 3
    assert "23% of the points are more than" in lossy.err
    assert "they lie on a small part that was dropped; keep such parts with --min-component 0" in lossy.err
    assert run(*args, "--min-component", 0).code == 0
