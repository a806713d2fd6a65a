"""Textures from the command line: the colours of all points, files that are there together, what cannot be."""

import json
import shlex
import sys

import jsonschema
import numpy as np
import pytest
import trimesh
from glb import placed, values
from scripts import ROOT, run
from shapes import sphere, torus
from test_texture import looked_up, tint

from neural_splines.files import meshes
from neural_splines.run import texturing

pytest.importorskip("xatlas")

ASKED = ("auto", "auto", 24, "auto", "--seed", 0)


def coloured(path, cloud):
    x = cloud.points.numpy()
    meshes.save_mesh(path, x, cloud.normals, None, colours=np.round(tint(x)))
    return path


@pytest.mark.parametrize("script", ["fit.py", "fit-grid.py"])
def test_a_run_has_the_colours_of_all_points(tmp_path, monkeypatch, script):
    """Of 3000, of which 900 or fewer are fitted; the same bytes again by the line that repeats it."""
    monkeypatch.chdir(tmp_path)
    coloured("cloud.ply", torus(3000))
    asked = ASKED if script == "fit-grid.py" else (*ASKED[:1], 300, 20, *ASKED[4:])
    words = ["cloud.ply", *asked, "--voxel-downsample-threshold", 900, "--texture", 128, "--verbose"]
    done = run(script, *words, "--out", "a.glb", "--preview", "{}.png")
    assert done.code == 0, done.err
    assert "texture:  128 x 128 texels, " in done.out
    found = trimesh.load("a.glb", process=False, force="mesh")
    image = np.asarray(found.visual.material.baseColorTexture)
    uv = np.stack([found.visual.uv[:, 0], 1.0 - found.visual.uv[:, 1]], 1)
    x = values(tmp_path / "a.glb", "POSITION")
    assert len(x) == len(placed(tmp_path / "a.glb")) == len(uv)
    off = np.abs(looked_up(image, uv) - tint(x))
    assert off.mean() < 1.0
    assert off.max() < 8.0
    before = (tmp_path / "a.glb").read_bytes()
    again = next(line for line in done.out.splitlines() if line.startswith("repeat:"))
    assert "--texture 128" in again
    (tmp_path / "a.glb").unlink()
    assert run(*shlex.split(again)[1:]).code == 0
    assert (tmp_path / "a.glb").read_bytes() == before


def test_an_obj_and_its_two_files_are_there_together_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    coloured("cloud.ply", sphere(400))
    words = ["fit-grid.py", "cloud.ply", *ASKED, "--texture", 64]
    assert run(*words, "--out", "a.obj", "--report", "a.json", "--preview", "{}.png", "--html", "{}.html").code == 0
    assert {"a.obj", "a.mtl", "a_texture.png"} <= {path.name for path in tmp_path.iterdir()}
    report = json.loads((tmp_path / "a.json").read_text())
    jsonschema.validate(report, json.loads((ROOT / "docs" / "report.schema.json").read_text()))
    (told,) = report["runs"]
    assert "--texture 64" in told["repeat_command"]
    assert told["texture"]["files"] == ["a.mtl", "a_texture.png"]
    assert (told["texture"]["size"], told["texture"]["pictures"]) == (64, ["colours"])
    assert 0.0 < told["texture"]["used"] < told["texture"]["covered"] < 1.0
    assert "<th>texture</th>" in (tmp_path / "a.html").read_text()
    assert '"picture":{"corners":' in (tmp_path / "a.html").read_text()
    assert (tmp_path / "a.obj").read_text().count("mtllib a.mtl\n") == 1
    assert meshes.load_mesh("a.obj")[1].shape[1] == 3  # our own reader
    old = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def broken(*_):
        yield b"begun"
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(meshes.WRITERS, ".obj", broken)
    failed = run(*words, "--out", "a.obj")
    assert (failed.code, failed.err.count("\n")) == (4, 1)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == old


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--texture", 64, "--out", "a.ply"], "a.ply: .ply has no texture; use .glb or .obj"),
        (["--texture", 64, "--out", "a.3mf"], "a.3mf: .3mf has no texture; use .glb or .obj"),
        (["--texture", 64], "recon.ply: .ply has no texture; use .glb or .obj"),
        (["--texture", 63, "--out", "a.glb"], "--texture must be a whole number of at least 64, at most 8192, got 63"),
        (["--texture", 9000, "--out", "a.glb"], "--texture must be a whole number of at least 64, at most 8192"),
        (
            ["--texture", 64, "--out", "-", "--format", "obj"],
            "a textured OBJ is several files; give the name of one",
        ),
        (["--texture", 64, "--out", "a.obj", "--preview", "a_texture.png"], "would be written by --"),
        (["--texture", 64, "--out", "a.glb", "--max-memory", "4GB"], "--texture works on the whole mesh; drop it"),
        (["--texture", 64, "--out", "a\n.obj"], "an OBJ file cannot name its texture so; choose another name"),
    ],
)
def test_what_cannot_be_is_one_line_before_any_work(tmp_path, monkeypatch, asked, message):
    monkeypatch.chdir(tmp_path)
    coloured("cloud.ply", sphere(100))
    done = run("fit-grid.py", "cloud.ply", *ASKED, *asked)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["cloud.ply"]


def test_a_cloud_without_colours_is_refused_before_it_is_fitted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    meshes.save_mesh("cloud.ply", sphere(100).points, sphere(100).normals, None)
    monkeypatch.setattr("neural_splines.command_line.whole.mesh_cloud", None)
    done = run("fit-grid.py", "cloud.ply", *ASKED, "--texture", 64, "--out", "a.glb")
    assert (done.code, done.out) == (2, "")
    assert "cloud.ply: no point has a colour, and --texture is a picture of them; drop it" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["cloud.ply"]


def test_without_the_extra_one_line_says_what_to_install(tmp_path, monkeypatch):
    """Before any work; and whatever else is asked for needs it not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "xatlas", None)
    coloured("cloud.ply", sphere(100))
    done = run("fit-grid.py", "cloud.ply", *ASKED, "--texture", 64, "--out", "a.glb")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "--texture needs the package xatlas; pip install xatlas" in done.err
    assert run("fit-grid.py", "cloud.ply", *ASKED, "--out", "a.glb").code == 0


def test_outliers_give_no_colour(tmp_path, monkeypatch):
    """What is not fitted since it floats, with the green that it has."""
    monkeypatch.chdir(tmp_path)
    cloud, random = sphere(2000), np.random.default_rng(0)
    x, n = cloud.points.numpy(), cloud.normals.numpy()
    away = random.uniform(1.1, 2.0, (40, 1)) * x[random.integers(0, len(x), 40)]
    tints = np.vstack([np.tile([200, 100, 50], (len(x), 1)), np.tile([0, 255, 0], (40, 1))])
    normals = np.vstack([n, random.normal(size=(40, 3))])
    meshes.save_mesh("cloud.ply", np.vstack([x, away]), normals, None, colours=tints)
    seen = []
    monkeypatch.setattr(
        texturing, "carrier", lambda points, values: seen.append(values) or (lambda places: np.zeros(places.shape))
    )
    assert run("fit-grid.py", "cloud.ply", *ASKED, "--texture", 64, "--out", "a.glb").code == 0
    assert len(seen[0]) >= len(x)
    assert (seen[0][:, 1] == 255).sum() < 10
