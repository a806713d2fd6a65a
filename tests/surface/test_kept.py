"""What is written keeps what was given: whole numbers, digits, faces; and only points that were kept give colours."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import trimesh
from shapes import sphere

from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.command_line.paint import paint
from neural_splines.files.meshes import load_mesh, save_mesh
from neural_splines.files.scans import ScannedCloud
from neural_splines.geometry import place
from neural_splines.normals.advice import sign_warnings
from neural_splines.normals.confidence import Confidence
from neural_splines.normals.evidence import Guidance
from neural_splines.surface.mesh import Mesh

BALL = sphere(400)
POINTS = BALL.points.numpy()
MESH = Mesh(0.99 * BALL.points, BALL.normals, torch.tensor([[0, 1, 2]]))


def result_of(kept: OrientedCloud) -> SimpleNamespace:
    """What is asked of a result: its mesh, and the points that were kept."""
    return SimpleNamespace(mesh=MESH, kept=kept)


def columns(path) -> np.ndarray:
    return trimesh.load(path, process=False).metadata["_ply_raw"]["vertex"]["data"]


def test_whole_numbers_come_from_the_nearest_point_and_stay_whole(tmp_path):
    classes = (np.arange(400) % 3 + 1).astype(np.uint8)
    times = 1.3e9 + 1e-3 * POINTS[:, 2]
    single = POINTS[:, 2].astype(np.float32)
    scanned = ScannedCloud(POINTS, None, scalars={"classes": classes, "times": times, "single": single})
    carried = paint(scanned, BALL, result_of(BALL), ())
    save_mesh(tmp_path / "m.ply", MESH.vertices, MESH.normals, MESH.faces, scalars=carried.scalars)
    found = columns(tmp_path / "m.ply")
    assert found["classes"].dtype == np.uint8
    assert (found["classes"].ravel() == classes).all()
    assert found["times"].dtype == np.float64
    assert 0 < np.abs(found["times"].ravel() - times).max() < 1e-3  # float32 has steps of 128
    assert found["single"].dtype == np.float32


def test_points_that_were_left_out_give_no_colour():
    """Grey points, and black ones beside them that were outliers."""
    out = OrientedCloud(1.0001 * BALL.points[::4], BALL.normals[::4])
    cloud = OrientedCloud(torch.cat([BALL.points, out.points]), torch.cat([BALL.normals, out.normals]))
    colours = np.repeat(np.uint8([200, 0]), [400, 100])[:, None] * np.ones((1, 3), np.uint8)
    scanned = ScannedCloud(cloud.points.numpy(), None, colours=colours)
    assert (paint(scanned, cloud, result_of(BALL), ()).colours == 200).all()
    assert (paint(scanned, cloud, result_of(cloud), ()).colours < 200).any()


@pytest.mark.parametrize("suffix", [".ply", ".obj"])
@pytest.mark.parametrize("offset", [0.0, 30.0, 849_000.0, 5e6])
def test_no_face_loses_its_area_in_a_format_with_doubles(suffix, offset, tmp_path):
    """Slivers, as marching cubes make them near lattice points, at any offset."""
    rng = np.random.default_rng(0)
    corners = (
        offset + 100.0 * rng.random((300, 1, 3)) + 10.0 ** -rng.uniform(0, 6, (300, 1, 1)) * rng.random((300, 3, 3))
    )
    faces = np.arange(900).reshape(300, 3)
    path = tmp_path / f"mesh{suffix}"
    save_mesh(path, corners.reshape(-1, 3), None, faces, voxel_size=10.0)
    a, b, c = load_mesh(path)[0].numpy()[faces].transpose(1, 0, 2)
    assert (np.cross(b - a, c - a) != 0.0).any(1).all()


@pytest.mark.parametrize(
    ("point", "size", "words"),
    [
        ((0.1234567, 2.0, 3.0), 3.0, "(0.1235, 2, 3)"),
        ((500123.456, 5412345.678, 12.3), 100.0, "(500123.46, 5412345.7, 12.3)"),
        ((0.0, 0.0, 0.0), 0.0, "(0, 0, 0)"),
    ],
)
def test_a_place_has_the_digits_that_tell_it_from_its_neighbours(point, size, words):
    found = [float(value) for value in place(point, size).strip("()").split(", ")]
    assert np.abs(np.array(found) - point).max() <= 1e-3 * size
    assert [round(value, 1) for value in found] == [round(float(v), 1) for v in words.strip("()").split(", ")]


@pytest.mark.parametrize("value", [0.3, 0.7, 0.94])
@pytest.mark.parametrize("where", [None, np.array([[500000.0, 0, 0], [500012.0, 1, 1]])])
def test_a_low_confidence_is_always_said_with_the_share_that_may_be_wrong(value, where):
    doubted = np.zeros(100, bool)
    doubted[:1] = where is not None
    (line,) = sign_warnings(Confidence(1.0, value, doubted, where), Guidance())
    share = float(re.search(r"signs of (\d+)% of the estimated normals are uncertain", line)[1])
    assert share == pytest.approx(min(50, 100 * (1 - value)), abs=1)
    assert ("500000.0" in line or "(500000, 0, 0) and (500012, 1, 1)" in line) == (where is not None)
    assert sign_warnings(Confidence(1.0, 0.96, doubted, where), Guidance()) == []
