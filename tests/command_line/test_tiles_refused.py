"""Meshes and words that `neural-splines tiles` refuses: one line, code 2, and nothing is written."""

import os

import numpy as np
import pytest
from test_tiles import scene, tiled

from neural_splines.files.meshes import save_mesh
from neural_splines.runtime import memory
from neural_splines.runtime.budget import TILED_BLOCK_BYTES, TILED_FACE_BYTES, TILED_PROCESS_BYTES


@pytest.mark.parametrize("corners", [[0, 0, 1], [0, 2, 3]], ids=["two corners", "one place"])
def test_a_mesh_that_shows_nothing_is_refused(corners, tmp_path):
    save_mesh(tmp_path / "a.ply", np.array([[1.0, 2, 3], [2, 3, 4], [1, 2, 3], [1, 2, 3]]), None, np.array([corners]))
    done = tiled(tmp_path / "a.ply", "--out", tmp_path / "t" / "tileset.json")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "a.ply: no face has an area" in done.err
    assert not (tmp_path / "t").exists()


def test_a_mesh_that_does_not_fit_is_refused_before_any_work(tmp_path, monkeypatch):
    _, faces, path = scene(tmp_path, colours=False)
    each = TILED_FACE_BYTES + TILED_BLOCK_BYTES
    monkeypatch.setattr(memory, "available", lambda _: each * len(faces) // 2)
    done = tiled(path, "--out", tmp_path / "t" / "tileset.json")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert f"reduce the mesh to {len(faces) // 2} faces" in done.err
    for room, remedy in ((each * 1000, "reduce the mesh to 1000 faces"), (-1000, "use a larger one")):
        more = ["--max-memory", TILED_PROCESS_BYTES + room, "--tile-faces", 1000]
        done = tiled(path, "--out", tmp_path / "t" / "tileset.json", *more)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert "GB, more than --max-memory, 0.3" in done.err
        assert f" GB; {remedy}" in done.err
    assert os.listdir(tmp_path) == ["mesh.ply"]


REFUSED = {
    "not called so": (["--out", "a.json"], "a tileset is a folder"),
    "no folder of its own": (["--out", "tileset.json"], "a tileset is a folder"),
    "standard output": (["--out", "-"], "a tileset is a folder"),
    "nowhere": (["--out", "no/such/tileset.json"], "create it first"),
    "files of others": (["--out", "full/tileset.json"], "is no tileset of this program"),
    "a file": (["--out", "mesh.ply/tileset.json"], "is no tileset of this program"),
    "too few faces": (["--tile-faces", "10"], "--tile-faces must be a whole number of at least 1000"),
    "height of nothing": (["--geoid-height", "3"], "give --crs too"),
    "no system": (["--crs", "EPSG:999999"], "is no coordinate system"),
    "degrees": (["--crs", "EPSG:4326"], "is in degrees"),
    "up with a system": (["--crs", "EPSG:25833", "--up", "y"], "with --crs z is up"),
    "no height": (["--crs", "EPSG:25833", "--geoid-height", "nan"], "--geoid-height must be"),
    "elsewhere": (["far.ply", "--crs", "EPSG:25833"], "far.ply: its coordinates, about x 1e+12, y "),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_in_one_line(case, tmp_path, monkeypatch):
    words, reason = REFUSED[case]
    if "--crs" in words:
        pytest.importorskip("pyproj")
    monkeypatch.chdir(tmp_path)
    scene(tmp_path, colours=False)
    scene(tmp_path, "far.ply", at=np.array([1e12, 1e12, 0.0]), colours=False)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    before = sorted(map(str, tmp_path.rglob("*")))
    done = tiled(*([] if words[0] == "far.ply" else ["mesh.ply"]), *words)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert reason in done.err
    assert sorted(map(str, tmp_path.rglob("*"))) == before


@pytest.mark.parametrize("text", ["1 2", "a b c", "1 2 nan", "\xff"])
def test_an_offset_that_is_none_is_refused(text, tmp_path):
    _, _, path = scene(tmp_path, colours=False)
    (tmp_path / "mesh.ply.offset.xyz").write_text(text, encoding="latin-1")
    done = tiled(path, "--out", tmp_path / "t" / "tileset.json")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "mesh.ply.offset.xyz: " in done.err
