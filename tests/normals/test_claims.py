"""What a file, a laser and a camera say of the sides of a cloud."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from shapes import sphere
from test_evidence import depth_image, forest, oriented, towards, upwards

import neural_splines as ns
from neural_splines.files import surveys
from neural_splines.files.meshes import save_mesh
from neural_splines.files.point_clouds import load_scanned_cloud
from neural_splines.files.scans import face_sums, from_columns
from neural_splines.normals.orient import orient
from neural_splines.normals.views import laser_rays
from neural_splines.run.whole import mesh_cloud
from neural_splines.settings import NormalSettings, Settings
from neural_splines.surface.mesh import Mesh
from neural_splines.surface.trimming import cut_back


def test_viewpoints_that_did_not_see_the_points_are_not_used_and_named():
    """Velocities called vx vy vz, and a pose that was never set within a closed thing."""
    ball = sphere(2000)
    points = ball.points.numpy()
    spin = np.add(np.cross(points, (0.0, 0.0, 1.0)), (0.5, 0.0, -9.0))
    for claims in (spin, np.tile((-2.0, 0.4, -9.0), (len(points), 1)), np.zeros_like(points)):
        found = oriented(points, viewpoints=claims)
        assert towards(found, (0, 0, 0)) < 0.01
        (line,) = found.notes
        assert line.startswith("the viewpoints of the file were not used")
        assert "--sensor-position" in line


def test_viewpoints_that_saw_them_are():
    points = np.add(depth_image(), (5.0, 1.0, 0.0))
    found = oriented(points, viewpoints=np.tile((5.0, 1.0, 0.0), (len(points), 1)))
    assert towards(found, (5, 1, 0)) > 0.99
    assert "the viewpoints of the file" in found.summary()


def test_the_default_viewpoint_of_pcd_counts_where_the_cloud_has_rows(tmp_path):
    points = depth_image(9, 12)
    for rows, known in ((9, True), (1, False)):
        head = f"VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH {108 // rows}\nHEIGHT {rows}\n"
        head += "VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 108\nDATA binary\n"
        path = tmp_path / "cloud.pcd"
        path.write_bytes(b"# .PCD v.7\n" + head.encode() + points.astype("<f4").tobytes())
        assert (load_scanned_cloud(path).viewpoints is not None) == known


def test_faces_of_a_mesh_say_the_side(tmp_path):
    """Of PLY and OBJ read as clouds; faces that are turned every way, or refer to nothing, say nothing."""
    u, v = np.meshgrid(np.arange(30), np.arange(30), indexing="ij")
    points = np.stack([u, v, 3 * np.sin(u / 5)], -1).reshape(-1, 3)[:, [0, 2, 1]] / 10.0  # upright
    corner = (30 * np.arange(29)[:, None] + np.arange(29)).ravel()
    faces = np.concatenate(
        [np.stack([corner, corner + 30, corner + 1], 1), np.stack([corner + 1, corner + 30, corner + 31], 1)]
    )
    mixed = faces.copy()
    mixed[::2] = mixed[::2, ::-1]
    for suffix in (".ply", ".obj"):
        path, looks = tmp_path / f"mesh{suffix}", []
        for turned in (faces, faces[:, ::-1]):
            save_mesh(path, points, None, turned)
            found = orient(load_scanned_cloud(path), NormalSettings(device="cpu"), "mesh")
            assert "faces" in found.summary()
            looks.append(found.cloud.normals.numpy()[:, 1].mean())
        assert min(looks) < -0.7 < 0.7 < max(looks)
        save_mesh(path, points, None, mixed)
        assert load_scanned_cloud(path).faces is None
    assert face_sums(points, faces + 1) is None


def test_scans_of_no_points_are_left_out_and_counted(monkeypatch):
    scan = dict(zip(("x", "y", "z"), np.eye(3), strict=True))
    monkeypatch.setattr(surveys, "decoded", lambda *_: iter([dict(scan), {"x": np.zeros(0)}, dict(scan)]))
    with pytest.warns(ns.ReconstructionWarning, match=r"a\.e57: 1 of its 3 scans have no points and were left out"):
        assert len(surveys.read_e57("a.e57").points) == 6


def test_a_laser_sees_through_leaves():
    """Several returns: all looks up, also from one position above that would see the crowns alone."""
    points, returns = forest()
    for settings in ({}, {"sensor_positions": ((20.0, 20.0, 300.0),)}):
        found = oriented(points, laser={"returns": returns}, **settings)
        assert upwards(found) > 0.98
    assert upwards(oriented(points, aerial=True)) > 0.98


def test_no_underside_is_left_of_what_was_seen_from_above():
    """A layer over another: the field has a surface between them that looks down; a closed thing keeps its own."""
    points, _ = forest(1000)
    settings = Settings(grid_size=32, seed=0)
    for aerial in (True, False):
        cloud = oriented(points, aerial=True).cloud
        mesh = mesh_cloud(cloud if aerial else replace(cloud, one_sided=False), settings).mesh
        a, b, c = mesh.vertices[mesh.faces].unbind(1)
        area = torch.linalg.cross(b - a, c - a)
        share = float(area.norm(dim=1)[area[:, 2] > 0].sum() / area.norm(dim=1).sum())
        assert share > 0.96 if aerial else share < 0.95
    ball = sphere(600)
    assert not oriented(ball.points.numpy()).cloud.one_sided


def test_no_back_is_left_of_what_was_seen_from_one_place():
    """Of two faces at a point of a depth image, the one that looks to the camera."""
    cloud = oriented(depth_image()).cloud
    assert cloud.one_sided
    corners = cloud.points[0] + 1e-3 * torch.eye(3, dtype=torch.float64)
    there = Mesh(corners, corners, torch.tensor([[0, 1, 2], [0, 2, 1]]))
    toward = cut_back(there, cloud, 1.0, Settings(trim="auto"), None)
    a, b, c = toward.vertices[toward.faces[0]]
    assert len(toward.faces) == 1
    assert float(torch.linalg.cross(b - a, c - a) @ cloud.points[0]) < 0.0
    assert len(cut_back(there, replace(cloud, one_sided=False), 1.0, Settings(trim="auto"), None).faces) == 2


def test_columns_of_a_laser_are_known_by_name():
    names = ("x", "y", "z", "number_of_returns", "scan_angle", "point_source_id")
    columns = dict(zip(names, np.ones((6, 4)), strict=True))
    assert from_columns(columns).laser == {}  # one return, one angle: says nothing
    columns["scan_angle"] = np.array([-1000, 0, 500, 1000], np.int16)  # LAS 1.4: steps of .006 degrees
    laser = from_columns(columns).laser
    assert sorted(laser) == ["angles", "strips"]
    assert np.allclose(laser["angles"], [-6.0, 0.0, 3.0, 6.0])


def test_scan_angles_lead_to_the_laser():
    """It flew along y, 100 above, at x = 10 and x = 50; the sign of its angles does not matter."""
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.random((300, 3)) * (40, 60, 1), rng.random((300, 3)) * (40, 60, 1) + (20, 0, 0)])
    strips = np.repeat([1, 2], 300)
    laser = np.where(strips == 1, 10.0, 50.0)
    angles = np.degrees(np.arctan((points[:, 0] - laser) / 100.0))
    ray = np.stack([laser - points[:, 0], np.zeros(600), np.full(600, 100.0)], 1)
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    for sign in (1.0, -1.0):
        found = laser_rays(points, sign * angles, strips, np.array([0.0, 0.0, 1.0]))
        assert (found * ray).sum(1).min() > 0.999


def test_an_open_surface_that_looks_down_is_doubted():
    """A trough that was seen from within comes out like a hull, since nothing tells; one on its side is sure."""
    u, v = np.random.default_rng(0).random((2, 3000))
    angle = np.pi * (0.1 + 0.8 * u) * 1.25 - 0.125 * np.pi
    trough = np.stack([6 * v, -np.cos(angle), -np.sin(angle)], 1)
    (line,) = oriented(trough).notes
    assert re.match(r"the surface is open and \d+% of it faces down .*--aerial.*--inside", line)
    assert oriented(trough, inside=True).notes == []
    assert oriented(trough[:, [0, 2, 1]]).notes == []
