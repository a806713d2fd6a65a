"""Tiles that Draco compressed: the same places, faces and colours as without it, to the bit."""

import importlib.util
import json

import glb
import numpy as np
import pytest
from meshes import borders, hills, ring
from scripts import captured

from neural_splines.command_line import tiles as command
from neural_splines.files.meshes import save_mesh
from neural_splines.files.tileset import write_tile
from neural_splines.files.tileset_draco import EXTENSION, compressed

DracoPy = pytest.importorskip("DracoPy")


def decoded(path):
    """Places in the tileset, faces, unit normals and colours in 0..65535 of a file, as glTF has its readers do it."""
    said, data = glb.parsed(path)
    (primitive,) = said["meshes"][0]["primitives"]
    assert said["extensionsRequired"] == said["extensionsUsed"] == [EXTENSION]
    extension = primitive["extensions"][EXTENSION]
    view = said["bufferViews"][extension["bufferView"]]
    found = DracoPy.decode(data[view["byteOffset"] : view["byteOffset"] + view["byteLength"]])
    arrays = {}
    assert set(extension["attributes"]) == set(primitive["attributes"])
    for name, number in extension["attributes"].items():
        accessor = said["accessors"][primitive["attributes"][name]]
        values = np.asarray(found.get_attribute_by_unique_id(number)["data"])
        arrays[name] = values.reshape(len(found.points), -1).astype(np.float64)
        assert accessor["count"] == len(values)
        assert accessor["type"] == "VEC3"
        assert accessor["componentType"] == (5123 if name == "COLOR_0" else 5126)
        assert "bufferView" not in accessor
    place = said["accessors"][primitive["attributes"]["POSITION"]]
    assert np.array_equal([place["min"], place["max"]], [arrays["POSITION"].min(0), arrays["POSITION"].max(0)])
    assert said["accessors"][primitive["indices"]]["count"] == found.faces.size
    matrix = np.reshape(said["nodes"][0]["matrix"], (4, 4)).T
    world = arrays["POSITION"] @ matrix[:3, :3].T + matrix[:3, 3]
    return world, np.asarray(found.faces, np.int64), arrays["NORMAL"], arrays.get("COLOR_0")


def by_place(places, values):
    """Values in the order of their places, each place once."""
    _, first = np.unique(places, axis=0, return_index=True)
    return values[first]


def corners(places, faces):
    """Faces as the places of their corners, from the least on, in an order of their own: what two meshes share."""
    _, rank = np.unique(places, axis=0, return_inverse=True)
    ranks = rank.reshape(-1)[faces]
    turned = np.stack([np.roll(row, -int(row.argmin())) for row in ranks])
    return turned[np.lexsort(turned.T)]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same tiles without and with compression."""
    folder = tmp_path_factory.mktemp("draco")
    vertices, faces = hills(70)
    tint = np.rint(255.0 * np.column_stack([vertices[:, :2], 0.01 + 0.0 * vertices[:, 0]]))
    save_mesh(folder / "a.ply", 1000.0 * vertices, None, faces, colours=tint)
    for name, more in (("plain", []), ("draco", ["--compress", "draco"])):
        done = captured(
            command.main, folder / "a.ply", "--out", folder / name / "tileset.json", "--tile-faces", 1000, *more
        )
        assert (done.code, done.err) == (0, "")
    return folder / "plain", folder / "draco"


def test_each_tile_has_the_same_places_faces_and_colours(both):
    plain, draco = both
    names = sorted(file.name for file in (plain / "tiles").iterdir())
    assert names == sorted(file.name for file in (draco / "tiles").iterdir())
    assert len(names) > 10
    for name in names:
        world, faces, normals, light = decoded(draco / "tiles" / name)
        expected = glb.placed(plain / "tiles" / name)
        assert np.array_equal(np.unique(world, axis=0), np.unique(expected, axis=0))
        assert np.array_equal(corners(world, faces), corners(expected, glb.triangles(plain / "tiles" / name)))
        tint = 65535.0 * glb.values(plain / "tiles" / name, "COLOR_0")[:, :3]
        assert by_place(world, light) == pytest.approx(by_place(expected, tint), abs=1e-6)
        whole = glb.values(plain / "tiles" / name, "NORMAL")
        whole /= np.linalg.norm(whole, axis=1, keepdims=True)
        assert (by_place(world, normals) * by_place(expected, whole)).sum(1).min() > np.cos(np.radians(1.2))
    assert json.loads((plain / "tileset.json").read_text()) == json.loads((draco / "tileset.json").read_text())


def test_it_takes_a_third_of_the_space(both):
    sizes = [sum(file.stat().st_size for file in (folder / "tiles").iterdir()) for folder in both]
    assert sizes[1] < 0.4 * sizes[0]


def test_no_gap_between_tiles_of_two_levels(both):
    """A quarter as fine as can be beside three that are coarse: open edges at the rim alone, to the bit."""
    folder = both[1] / "tiles"
    finest = [f"0{k}" for k in range(4) if (folder / f"0{k}.glb").exists()]
    assert len(finest) > 1
    shown = [decoded(folder / f"{name}.glb")[:2] for name in ["1", "2", "3", *finest]]
    starts = np.cumsum([0, *(len(places) for places, _ in shown)])
    world = np.concatenate([places for places, _ in shown])
    faces = np.concatenate([rows + start for (_, rows), start in zip(shown, starts, strict=False)])
    edges = borders(world, faces)[..., [0, 2]]  # x and -y
    middle = 0.5 * (world.min(0) + world.max(0))[[0, 2]]
    assert np.abs(np.abs(edges - middle).max(-1) - 500.0).max() < 20.0


def test_other_readers_read_it(both):
    trimesh = pytest.importorskip("trimesh")
    name = both[1] / "tiles" / "root.glb"
    (read,) = trimesh.load_scene(name).geometry.values()
    assert len(read.faces) == len(decoded(name)[1])


def test_meshes_that_are_no_surface():
    """Three faces at an edge, a vertex of two fans, one face twice: every face is there again."""
    vertices, faces = ring(8)
    steps = np.rint(300.0 * vertices).astype(np.int64)
    steps = np.concatenate([steps, [[0, 0, 900], [900, 900, 900], [-900, 900, 900]]])
    odd = np.concatenate([faces, [[0, 1, 64], [0, 1, 65], [7, 65, 66], faces[5]]])
    normals = np.tile([0.0, 0.0, 1.0], (len(steps), 1))
    found = DracoPy.decode(compressed(steps, odd, normals, None).data)
    assert np.array_equal(corners(np.asarray(found.points, np.int64), np.asarray(found.faces)), corners(steps, odd))


@pytest.mark.parametrize("wide", [1, 40_000, 2**21])
def test_places_are_exact_however_wide(wide):
    rng = np.random.default_rng(wide)
    steps = rng.integers(-wide, wide + 1, (300, 3))
    faces = np.arange(300).reshape(-1, 3)
    found = DracoPy.decode(compressed(steps, faces, np.tile([0.0, 1.0, 0.0], (300, 1)), None).data)
    assert np.array_equal(np.unique(found.points, axis=0), np.unique(steps, axis=0))


def test_what_draco_would_change_is_written_without_it(tmp_path):
    """16.7 million steps across, more than its float32 tells apart."""
    vertices = np.random.default_rng(1).integers(-(2**23), 2**23 + 1, (300, 3)).astype(np.float64)
    faces, normals = np.arange(300).reshape(-1, 3), np.tile([0.0, 1.0, 0.0], (300, 1))
    assert compressed(vertices.astype(np.int64), faces, normals, None) is None
    write_tile(str(tmp_path / "a.glb"), vertices, faces, normals, None, 1.0, False, draco=True)
    assert np.array_equal(glb.placed(tmp_path / "a.glb")[:, [0, 2, 1]] * [1, -1, 1], vertices)


def test_without_the_package_it_is_refused_before_any_work(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "DracoPy" else find(name, *a))
    done = captured(command.main, tmp_path / "none.ply", "--compress", "draco")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "pip install DracoPy" in done.err
