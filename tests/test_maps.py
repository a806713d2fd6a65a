"""Tiles and heights from Python: what the commands write, from arrays of either kind."""

import json

import numpy as np
import pytest
import torch
from meshes import hills
from scripts import captured, run, write_cloud
from shapes import sphere

import neural_splines as ns
from neural_splines.command_line import tiles
from neural_splines.files.meshes import save_mesh

FAR = np.array([389_000.0, 5_820_000.0, 40.0])


def terrain(count=60):
    vertices, faces = hills(count)
    return 1000.0 * vertices + FAR, faces


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.glb"))}


@pytest.mark.parametrize("as_", [np.asarray, torch.as_tensor])
def test_tiles_are_those_of_the_command(as_, tmp_path):
    vertices, faces = terrain()
    tint = np.rint(np.random.default_rng(0).random(vertices.shape) * 255)
    save_mesh(tmp_path / "mesh.ply", vertices, None, faces, colours=tint)
    done = captured(tiles.main, tmp_path / "mesh.ply", "--out", tmp_path / "a" / "tileset.json", "--tile-faces", 2000)
    assert done.code == 0, done.err
    mesh = ns.Mesh(as_(vertices), as_(np.zeros_like(vertices)), as_(faces))
    ns.save_tiles(tmp_path / "b" / "tileset.json", mesh, colours=as_(tint), tile_faces=2000)
    assert files(tmp_path / "a") == files(tmp_path / "b") != {}
    assert (tmp_path / "a" / "tileset.json").read_bytes() == (tmp_path / "b" / "tileset.json").read_bytes()
    assert "<title>b</title>" in (tmp_path / "b" / "index.html").read_text()


def test_what_a_run_returned_is_tiled(tmp_path):
    cloud = sphere(600)
    result = ns.reconstruct(cloud.points, cloud.normals, grid_size=24)
    ns.save_tiles(str(tmp_path / "t" / "tileset.json"), result, up="y")
    assert json.loads((tmp_path / "t" / "tileset.json").read_text())["root"]["content"]["uri"] == "tiles/root.glb"


REFUSED = {
    "few": ({"tile_faces": 10}, ns.SettingsError, "tile_faces must be a whole number of at least 1000"),
    "up": ({"up": "w"}, ns.SettingsError, "up must be one of x, y, z"),
    "geoid": ({"geoid_height": 3.0}, ns.SettingsError, "geoid_height is added to heights on the earth; give crs too"),
    "colours": ({"colours": np.zeros((3, 3))}, ns.SettingsError, "vertices but 3 colours"),
    "name": ({"path": "tiles.json"}, ns.OutputError, "a tileset is a folder"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_in_the_words_of_python(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    more, kind, line = REFUSED[case]
    vertices, faces = terrain(10)
    with pytest.raises(kind) as refused:
        ns.save_tiles(**({"path": "t/tileset.json", "mesh": ns.Mesh(vertices, vertices, faces)} | more))
    assert line in str(refused.value)
    assert "--" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_heights_of_a_mesh_are_those_of_its_planes():
    """A slope: to rounding, at the middles of squares, north first; and nothing beside it."""
    corners = np.array([(0.0, 0.0, 0.0), (40.0, 0.0, 8.0), (40.0, 30.0, 14.0), (0.0, 30.0, 6.0)]) + FAR
    mesh = ns.Mesh(corners, np.zeros((4, 3)), np.array([(0, 1, 2), (0, 2, 3)]))
    for made in (mesh, ns.Mesh(*(torch.as_tensor(part) for part in (mesh.vertices, mesh.normals, mesh.faces)))):
        found = ns.heights(made, 0.5)
        assert found.values.shape == (60, 80)
        x, y = found.squares.middles(*np.indices(found.values.shape).reshape(2, -1)).T
        expected = FAR[2] + 0.2 * (x - FAR[0]) + 0.2 * (y - FAR[1])
        assert np.abs(found.values.ravel() - expected).max() < 1e-6
        assert found.squares.corner == (FAR[0], FAR[1] + 30.0)
    auto = ns.heights(mesh)
    assert auto.squares.resolution in (20.0, 50.0)  # edges of 30 and 40


def test_heights_of_a_run_are_those_of_the_command(tmp_path):
    """The same raster, and the same contour lines."""
    rasterio = pytest.importorskip("rasterio")
    cloud = write_cloud(tmp_path / "cloud.ply", sphere(600))
    names = [
        "--dem",
        tmp_path / "a.tif",
        "--contours",
        tmp_path / "a.geojson",
        "--interval",
        0.25,
        "--resolution",
        0.05,
    ]
    assert (
        run("fit-grid.py", cloud, "auto", "auto", 24, "auto", "--seed", 0, "--out", tmp_path / "m.ply", *names).code
        == 0
    )
    result = ns.reconstruct(*ns.load_point_cloud(cloud), ns.Settings(grid_size=24))
    found = ns.heights(result, 0.05)
    ns.save_heights(tmp_path / "b.tif", found)
    ns.save_heights(tmp_path / "b.geojson", found, interval=0.25)
    with rasterio.open(tmp_path / "a.tif") as a, rasterio.open(tmp_path / "b.tif") as b:
        assert np.array_equal(a.read(1), b.read(1))
        assert a.transform == b.transform
    assert (tmp_path / "a.geojson").read_bytes() == (tmp_path / "b.geojson").read_bytes()
    with pytest.raises(ns.OutputError, match=r"heights are written as .tif or as .geojson"):
        ns.save_heights(tmp_path / "b.png", found)
    with pytest.raises(ns.SettingsError, match="interval is of contour lines"):
        ns.save_heights(tmp_path / "c.tif", found, interval=1.0)
    with pytest.raises(ns.SettingsError, match=r"^resolution must be greater than 0"):
        ns.heights(result, -1.0)
    with pytest.raises(ns.SettingsError, match=r"^interval 1e-09 makes more than"):
        ns.save_heights(tmp_path / "c.geojson", found, interval=1e-9)
    assert not (tmp_path / "c.geojson").exists()
