"""Nodes of a scene, its lattice and its blocks, with points far away; the pieces that a file is read in."""

import math

import pytest
import torch
from parts import ALONE, SETTINGS, done, tiny
from scripts import write_cloud
from shapes import is_watertight, sphere, torus

from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.errors import (
    CloudError,
)
from neural_splines.files.meshes import load_mesh
from neural_splines.files.streams import open_stream
from neural_splines.files.work_directory import WorkDirectory
from neural_splines.geometry import Box
from neural_splines.run import blocks, in_parts, steps
from neural_splines.run.choices import with_spacing
from neural_splines.run.nodes import COUNTED, Nodes, counted
from neural_splines.run.orientation import GivenNormals
from neural_splines.run.partition import partition
from neural_splines.run.plan import Parts
from neural_splines.run.workers import Here
from neural_splines.runtime.monitor import PhaseTimer, Silent
from neural_splines.surface.lattice import Lattice
from neural_splines.surface.mesh import Mesh


@pytest.fixture
def small(monkeypatch):
    """Parts of at most 300 points and 16 cubes a side."""
    monkeypatch.setattr(in_parts, "sizes", tiny)


@pytest.mark.parametrize(("stray", "passes"), [([0.0, 0.0, 0.0], 1), ([2000.0, 0.0, 0.0], 2), ([2e5, 1e5, 0.0], 3)])
def test_nodes_hold_every_point_once_and_no_more_than_asked(stray, passes):
    """Also where a far point makes the box large: then they are counted again, in finer cubes."""
    points = torch.cat([torus(4000).points, torch.tensor([stray], dtype=torch.float64)])
    box = Box.around(points).scaled(1.1)
    asked = []

    def count(*cubes):
        asked.append(cubes)
        found = counted(box, points, *cubes)
        assert found.numel() <= COUNTED
        return found

    nodes = Nodes.of(box, 500, count)
    assert len(asked) == passes
    node = nodes.of_points(points)
    assert torch.equal(torch.bincount(node, minlength=len(nodes)), nodes.counts)
    assert int(nodes.counts.max()) <= 500
    inside = (points >= nodes.lower[node]) & (points < nodes.upper[node])
    assert bool(inside.all())


def test_a_stray_changes_neither_nodes_nor_lattice(small, tmp_path):
    """It is no part of the surface, as in a run without parts; the others are shared out and meshed as without it."""
    clean = torus(900)
    position = torch.tensor([[-2e5, 0.0, 0.0]], dtype=torch.float64)
    spoilt = OrientedCloud(torch.cat([clean.points, position]), torch.cat([clean.normals, clean.normals[:1]]))
    without, found = (
        done(write_cloud(tmp_path / f"{k}.npy", cloud), tmp_path / k, asked=ALONE)
        for k, cloud in (("without", clean), ("with", spoilt))
    )
    assert (found.totals.outliers, without.totals.outliers) == (1, 0)
    assert found.plan.lattice.shape == without.plan.lattice.shape
    assert torch.equal(found.plan.lattice.origin, without.plan.lattice.origin)
    assert is_watertight(load_mesh(tmp_path / "with" / "mesh.ply")[1])
    assert abs(found.mesh.vertices / without.mesh.vertices - 1.0) < 0.01
    assert found.nodes > 3


def test_a_stray_that_leaves_the_others_in_one_cube_is_one_line(small, tmp_path):
    cloud = torus(900)
    cloud.points[0, 0] = 1e30
    with pytest.raises(CloudError, match=r"cloud.npy: most points lie in a box of side 2.*; remove these"):
        done(write_cloud(tmp_path / "cloud.npy", cloud), tmp_path)


def test_a_block_says_where_float32_would_leave_a_face_without_its_area():
    """The mesh is written in doubles then, though rounding moves no vertex by a hundredth of a voxel."""
    corners = 849_000.0 + torch.tensor([[0.0, 0.0, 0.0], [0.02, 0.0, 0.0], [0.0, 9.0, 0.0]], dtype=torch.float64)
    faces, part = torch.tensor([[0, 1, 2]]), Lattice((4, 4, 4), torch.full((3,), 849_000.0).double() - 20.0, 20.0)
    mesh = Mesh(corners, torch.zeros(3, 3), faces, torch.tensor([[0, 1], [0, 2], [0, 3]]))
    found = blocks.of_walls(part, blocks.Block((0, 0, 0), (3, 3, 3), part, [], 1.0), mesh)
    assert found["loss"] == math.inf


def test_what_is_far_and_no_outlier_is_in_the_box(tmp_path):
    small, large = sphere(40), torus(5000)
    points = torch.cat([large.points, 0.05 * small.points + 40.0])
    path = write_cloud(tmp_path / "cloud.npy", OrientedCloud(points, torch.cat([large.normals, small.normals])))
    store = WorkDirectory(str(tmp_path / "work"))
    with store.claimed({}):
        found = partition(open_stream(path, None), "cloud", 1.1, 700, store, PhaseTimer())
        parts = with_spacing(
            Parts(
                store,
                GivenNormals(found.source, False, False),
                SETTINGS,
                found.nodes,
                found.report,
                found.sample,
                block=64,
            )
        )
        box = steps.clean(parts, Here(), Silent()).box
    assert torch.equal(box.upper, points.amax(0))
    assert torch.equal(box.lower, points.amin(0))
