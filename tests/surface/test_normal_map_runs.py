"""Maps of normals from the command line and from Python: the same bytes, what is told, what is refused."""

import json

import numpy as np
import pytest
from scripts import run
from shapes import sphere
from skimage.io import imread
from test_normal_map import Read, degrees, texels_within, unit

import neural_splines as ns
from neural_splines.files import meshes

pytest.importorskip("xatlas")


def test_a_cloud_without_colours_has_one(tmp_path, monkeypatch):
    """From the command line; the line that repeats it asks for it, too."""
    monkeypatch.chdir(tmp_path)
    meshes.save_mesh("cloud.ply", sphere(500).points, sphere(500).normals, None)
    words = ["fit-grid.py", "cloud.ply", "auto", "auto", 16, "auto", "--seed", 0, "--normal-map"]
    refused = run(*words, "--out", "a.glb")
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert "--normal-map needs the size of its picture: give --texture too, such as 2048" in refused.err
    done = run(*words, "--texture", 64, "--out", "a.glb", "--report", "a.json")
    assert done.code == 0, done.err
    assert "charts, normals\n" in done.out
    (told,) = json.loads((tmp_path / "a.json").read_text())["runs"]
    assert "--texture 64 --normal-map" in told["repeat_command"]
    assert (told["texture"]["pictures"], told["texture"]["files"]) == (["normals"], [])
    read = Read(tmp_path / "a.glb")
    texel, face, weights = texels_within(read.uv, read.faces, 64)
    found = read.decoded(face, weights, read.image.reshape(-1, 3)[texel].astype(float))
    place = np.einsum("nk,nkd->nd", weights, read.x[read.faces[face]])
    assert np.quantile(degrees(found, unit(place)), 0.95) < 2.0


def test_python_writes_the_bytes_of_the_command(tmp_path, monkeypatch):
    """Colours and normals, from arrays; in OBJ the same pictures."""
    monkeypatch.chdir(tmp_path)
    x, n = (part.numpy().astype(np.float32).astype(float) for part in (sphere(500).points, sphere(500).normals))
    tints = np.round(127.5 + 100.0 * np.sin(3.0 * x))
    meshes.save_mesh("cloud.ply", x, n, None, colours=tints)
    words = ["fit-grid.py", "cloud.ply", "auto", "auto", 16, "auto", "--seed", 0, "--normal-map", "--texture", 64]
    assert run(*words, "--out", "a.glb").code == 0
    points, normals = ns.load_point_cloud("cloud.ply")
    result = ns.reconstruct(points, normals, grid_size=16)
    both = (np.vstack([points, [[np.nan, 0.0, 0.0]]]), np.vstack([tints, [[0.0, 255.0, 0.0]]]))
    ns.save_mesh("b.glb", result, texture=64, normal_map=True, point_colours=both)
    assert (tmp_path / "a.glb").read_bytes() == (tmp_path / "b.glb").read_bytes()
    ns.save_mesh("b.obj", result, texture=64, normal_map=True, point_colours=both)
    assert np.array_equal(imread("b_normals.png"), Read(tmp_path / "a.glb").image)
    refused = [
        ({"normal_map": True}, "normal_map=True needs the size of its picture: give texture too, such as 2048"),
        ({"texture": 64}, "texture is a picture of colours; give point_colours=(points, colours), or normal_map=True"),
        ({"texture": 9, "normal_map": True}, "texture must be a whole number of at least 64, at most 8192, got 9"),
        ({"texture": 64, "point_colours": tints}, "point_colours must be two arrays, (points, colours)"),
        ({"texture": 64, "point_colours": (x, tints[1:])}, "500 points but 499 colours in point_colours"),
        ({"texture": 64, "point_colours": (x * np.nan, tints)}, "no point of point_colours is finite"),
        ({"point_colours": (x, tints)}, "point_colours are for a texture; give its size too, as texture=2048"),
    ]
    for arguments, message in refused:
        with pytest.raises(ns.SettingsError) as error:
            ns.save_mesh("c.glb", result, **arguments)
        assert message in str(error.value)
        assert "--" not in str(error.value)
    with pytest.raises(ns.SettingsError, match="texture needs what reconstruct returned"):
        ns.save_mesh("c.glb", result.mesh, texture=64, normal_map=True)
    with pytest.raises(ns.OutputError, match="has no texture; use"):
        ns.save_mesh("c.ply", result, texture=64, normal_map=True)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("c.")]
