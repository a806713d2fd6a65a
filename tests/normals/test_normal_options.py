"""Where normals come from, on the command line: those of the file, estimated ones, and what is said of both."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch
from cloud_bytes import ply
from scripts import run, write_cloud
from shapes import hemisphere, sphere, torus

import neural_splines as ns
from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.command_line.main import main
from neural_splines.files.meshes import load_mesh, save_mesh
from neural_splines.files.point_clouds import load_point_cloud, load_scanned_cloud
from neural_splines.files.scans import ScannedCloud
from neural_splines.normals.checks import contradictions
from neural_splines.normals.orient import orient
from neural_splines.settings import NormalSettings

GRID = ["auto", 100, 24, "auto", "--seed", 0]


def bare(path, points):
    """A file of points without normals."""
    save_mesh(path, points, None, None)
    return path


def flipped(cloud, share):
    turned = np.random.default_rng(0).random(len(cloud)) < share
    return OrientedCloud(cloud.points, torch.where(torch.from_numpy(turned)[:, None], -cloud.normals, cloud.normals))


def test_a_cloud_without_normals_becomes_the_mesh_of_one_with_them(tmp_path):
    cloud = torus(1500)
    whole = run("fit-grid.py", write_cloud(tmp_path / "a.ply", cloud), *GRID, "--out", tmp_path / "a_mesh.ply")
    points = run("fit-grid.py", bare(tmp_path / "b.ply", cloud.points), *GRID, "--out", tmp_path / "b_mesh.ply")
    assert (whole.code, points.code, points.err) == (0, 0, "")
    assert "normals:  as given" in whole.out
    assert "normals:  estimated, confidence 1.00" in points.out
    assert "--normals" not in whole.out
    repeated = re.search("repeat it with (.*)", points.out)[1].split()
    assert repeated[-2:] == ["--normals", "estimate"]
    again = run("fit-grid.py", tmp_path / "b.ply", *GRID, *repeated, "--out", tmp_path / "c_mesh.ply")
    assert (again.code, again.err) == (0, "")
    assert (tmp_path / "c_mesh.ply").read_bytes() == (tmp_path / "b_mesh.ply").read_bytes()
    (v, f), (w, g) = (load_mesh(tmp_path / name) for name in ("a_mesh.ply", "b_mesh.ply"))
    assert len(f) == pytest.approx(len(g), rel=0.02)
    assert torch.cdist(w, v).amin(1).mean() < 0.01  # of a radius of 1.4, in voxels of 0.13


def test_fit_estimates_too_and_those_of_the_file_may_be_asked_for(tmp_path):
    path = bare(tmp_path / "points.ply", sphere(600).points)
    args = ["auto", 60, 16, "--seed", 0, "--out", tmp_path / "mesh.ply"]
    outcome = run("fit.py", path, *args)
    assert (outcome.code, outcome.err) == (0, "")
    outcome = run("fit.py", path, *args, "--normals", "file")
    assert outcome.code == 2
    said = f"fit.py: error: {path}: the points have no normals, and the method needs oriented points; "
    assert outcome.err == said + "use --normals auto, which estimates them\n"


def test_estimate_replaces_what_the_file_has_and_flip_turns_it(tmp_path):
    cloud = sphere(800)
    path = write_cloud(tmp_path / "noise.ply", OrientedCloud(cloud.points, cloud.normals.roll(1, 1)))
    for options, sign in ([], 1.0), (["--flip-normals"], -1.0), (["--normals", "auto"], 0.0):
        out = tmp_path / "out.ply"
        assert main(["normals", str(path), str(out), *options]) == 0
        found, _ = load_point_cloud(out)
        assert (found.points == cloud.points).all()
        cosine = (found.normals * cloud.normals).sum(1)
        assert (cosine * sign > 0.99).all() if sign else (cosine < 0.9).any()


def test_sensors_and_viewpoints_of_a_file_are_used(tmp_path):
    half = hemisphere(1500)
    views = {name: ("double", 0.0 * half.points[:, 0].numpy()) for name in ("vx", "vy", "vz")}
    path = tmp_path / "seen.ply"
    path.write_bytes(
        ply(half.points.numpy(), None, names=("x", "y", "z", "vx", "vy", "vz"), extra=views, type_="double")
    )
    assert (load_scanned_cloud(path).viewpoints == 0).all()
    for options, sign in ([], -1.0), (["--sensor-position", "0", "0", "9"], 1.0):
        main(["normals", str(path), str(tmp_path / "out.ply"), *options])
        found, _ = load_point_cloud(tmp_path / "out.ply")
        assert ((found.normals * half.normals).sum(1) * sign > 0.9).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--inside", "--sensor-position", 0, 0, 0], "--inside and --sensor-position both say which side was seen"),
        (["--inside", "--normals", "file"], "--inside is for estimated normals"),
        (["--sensor-position", "nan", 0, 0], "--sensor-position must be three finite numbers"),
        (["--normals", "guess"], "invalid choice: 'guess'"),
    ],
)
def test_options_that_cannot_act_are_refused(options, words, tmp_path):
    path = write_cloud(tmp_path / "cloud.ply", sphere(200))
    outcome = run("fit-grid.py", path, *GRID, *options, "--out", tmp_path / "mesh.ply")
    assert outcome.code == 2
    assert words in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_inside_is_not_used_in_silence(tmp_path):
    path = write_cloud(tmp_path / "cloud.ply", sphere(300))
    outcome = run("fit-grid.py", path, *GRID, "--inside", "--out", tmp_path / "mesh.ply")
    assert "--inside was not used: the cloud has normals; add --normals estimate" in outcome.err


@pytest.mark.parametrize("cloud", [sphere(), torus()], ids=["sphere", "torus"])
def test_normals_that_contradict_the_geometry_are_named_and_kept(cloud):
    given = cloud.normals.numpy()
    assert contradictions(cloud, given) == []
    (line,) = contradictions(flipped(cloud, 0.03), given)
    assert re.search("signs of normals are mixed: about [2-4]% .* --normals estimate", line)
    (line,) = contradictions(OrientedCloud(cloud.points, -cloud.normals), given)
    assert "point into a closed shape" in line
    assert "--flip-normals" in line
    (line,) = contradictions(cloud, 2.0 * given)
    assert "not of unit length (median 2)" in line


def test_the_options_that_ask_for_these_normals_again():
    points, normals = (part.numpy() for part in (sphere(200).points, sphere(200).normals))
    for settings, words in [
        ({"sensor_positions": ((-1e-5, 0.1, 2.0),), "flip": True}, "--sensor-position -0.00001 0.1 2.0 --flip-normals"),
        ({"inside": True}, "--inside"),
    ]:
        found = orient(ScannedCloud(points, None), NormalSettings(**settings), "sphere")
        assert found.options() == f"--normals estimate {words}"
    assert orient(ScannedCloud(points, normals), NormalSettings(flip=True), "sphere").options() == "--flip-normals"


def test_an_open_bowl_may_be_seen_from_either_side():
    bowl = hemisphere()
    for side in (1.0, -1.0):
        assert contradictions(OrientedCloud(bowl.points, side * bowl.normals), bowl.normals.numpy()) == []


def test_reconstruct_estimates_where_there_are_none(tmp_path):
    cloud = sphere(800)
    points, normals = ns.load_point_cloud(bare(tmp_path / "points.ply", cloud.points))
    assert (points == cloud.points.numpy()).all()
    assert normals is None
    settings = ns.Settings(grid_size=16, num_nystrom_samples=60, cells=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = ns.reconstruct(cloud.points.numpy(), None, settings)
    assert np.abs(np.linalg.norm(result.mesh.vertices, axis=1) - 1).max() < 0.1  # 60 centres, a voxel of 0.14
    assert ((result.mesh.vertices * result.mesh.normals).sum(1) > 0.9).all()
