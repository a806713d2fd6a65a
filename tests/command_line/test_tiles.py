"""Tilesets as the specification has viewers read them, whole or not there at all."""

import json
import os
from functools import partial
from pathlib import Path

import glb
import numpy as np
import pytest
from meshes import hills, places, ring
from scipy.spatial import KDTree
from scripts import captured

from neural_splines.command_line import tiles as command
from neural_splines.files.meshes import save_mesh
from neural_splines.files.tileset import write_tile
from neural_splines.ranges import UPS
from neural_splines.run import tiles as run
from neural_splines.run.tiling import AskedTiles, placed
from neural_splines.runtime.budget import TILED_BLOCK_BYTES, TILED_FACE_BYTES, TILED_PROCESS_BYTES
from neural_splines.surface.distance import Tree, distances

Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # what a viewer does to each tile: y of glTF becomes z
FAR = np.array([389_000.0, 5_820_000.0, 40.0])
tiled = partial(captured, command.main)


def scene(tmp_path, name="mesh.ply", at=FAR, colours=True):
    """Hills of 1 km in metres, and the file; red grows with x, green with y."""
    vertices, faces = hills(90)
    vertices = 1000.0 * vertices
    tint = np.rint(255.0 * np.column_stack([vertices[:, :2] / 1000.0, 0.0 * vertices[:, 0]]))
    save_mesh(tmp_path / name, vertices + at, None, faces, colours=tint if colours else None)
    return vertices + at, faces, tmp_path / name


def walked(path):
    """The tiles of tileset.json, root first, each with its vertices in the world, its faces, and its file."""
    tileset = json.loads(Path(path).read_text())
    matrix = np.reshape(tileset["root"]["transform"], (4, 4)).T
    waiting, found = [tileset["root"]], []
    while waiting:
        tile = waiting.pop()
        file = Path(path).parent / tile["content"]["uri"]
        local = glb.placed(file) @ Z_UP.T
        found.append((tile, local, local @ matrix[:3, :3].T + matrix[:3, 3], glb.triangles(file), file))
        waiting += tile.get("children", [])
    return tileset, found


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The mesh, and what was told and written of it."""
    folder = tmp_path_factory.mktemp("tiles")
    vertices, faces, path = scene(folder)
    done = tiled(path, "--out", folder / "scene" / "tileset.json", "--tile-faces", "1500")
    assert (done.code, done.err) == (0, "")
    return vertices, faces, done.out, folder / "scene"


def test_the_tileset_says_what_viewers_need(written):
    """Boxes hold their tiles and the boxes below; errors grow towards the root; refinement replaces."""
    tileset, found = walked(written[3] / "tileset.json")
    assert tileset["asset"]["version"] == "1.1"
    assert tileset["geometricError"] > 1000.0
    assert {path.name for path in written[3].iterdir()} == {"tileset.json", "tiles", "index.html"}
    assert {path.name for path in (written[3] / "tiles").iterdir()} == {item[-1].name for item in found}
    for tile, local, _, faces, file in found:
        box = np.array(tile["boundingVolume"]["box"])
        middle, half = box[:3], box[3:].reshape(3, 3)
        assert np.array_equal(half, np.diag(np.diag(half)))
        assert (np.abs(local - middle) <= np.diag(half) + 1e-9).all()
        for child in tile.get("children", []):
            inner = np.array(child["boundingVolume"]["box"])
            assert (np.abs(inner[:3] - middle) + inner[[3, 7, 11]] <= np.diag(half) + 1e-9).all()
            assert child["geometricError"] <= tile["geometricError"]
        if "children" not in tile:
            assert (np.abs(local.min(0) - middle + np.diag(half)) < 1e-9).all()  # tight
        assert tile["refine"] == "REPLACE"
        assert faces.max() == len(local) - 1
        assert glb.parsed(file)[0]["extensionsRequired"] == ["KHR_mesh_quantization"]
    assert found[0][-1].stat().st_size <= 2e6


def test_the_finest_tiles_are_the_mesh(written):
    """Every face once, its corners moved by at most their error, which is a hundredth of an edge."""
    vertices, faces, _, folder = written
    leaves = [item for item in walked(folder / "tileset.json")[1] if "children" not in item[0]]
    there = np.concatenate([world[corners] for _, _, world, corners, _ in leaves])
    _, near = KDTree(there.mean(1)).query(vertices[faces].mean(1))
    assert len(there) == len(np.unique(near)) == len(faces)
    error = max(item[0]["geometricError"] for item in leaves)
    edge = 1000.0 / 89
    assert np.linalg.norm(there[near] - vertices[faces], axis=2).max() <= error * (1 + 1e-6) <= 0.02 * edge


def test_no_error_is_less_than_what_is_measured_in_the_files(written):
    vertices, faces, _, folder = written
    _, found = walked(folder / "tileset.json")
    assert len(found) > 10
    for tile, _, world, corners, _ in found:
        if "children" not in tile:
            continue
        back = distances(places(world, corners, 5_000), Tree.of(vertices, faces)).max()
        assert tile["geometricError"] >= back
    tile, _, world, corners, _ = found[0]
    there = distances(places(vertices, faces, 20_000), Tree.of(world, corners)).max()
    assert there <= tile["geometricError"] <= 2.0 * there


def test_colours_and_normals_are_those_of_their_places(written):
    _, found = walked(written[3] / "tileset.json")
    vertices = written[0]
    for _, _, world, _, file in found:
        tint = glb.shown(glb.values(file, "COLOR_0"))
        place = (world - vertices.min(0))[:, :2] / 1000.0
        assert np.abs(tint[:, :2] - 255.0 * place).max() < 20.0
        assert (glb.values(file, "COLOR_0")[:, 3] == 1.0).all()
        matrix = np.reshape(glb.parsed(file)[0]["nodes"][0]["matrix"], (4, 4)).T[:3, :3]
        normals = glb.values(file, "NORMAL") @ (matrix / np.linalg.norm(matrix[:, 0])).T @ Z_UP.T
        assert np.abs(np.linalg.norm(normals, axis=1) - 1.0).max() < 0.02
        assert normals[:, 2].min() > 0.5


def test_what_is_told(written):
    out = written[2]
    assert "15,842 faces" in out
    assert "tileset.json" in out
    assert "levels" in out


def test_a_mesh_without_colours_that_is_closed_is_shown_from_outside_alone(tmp_path):
    vertices, faces = ring(40)
    save_mesh(tmp_path / "ring.stl", vertices, None, faces)
    done = tiled(tmp_path / "ring.stl", "--out", tmp_path / "t" / "tileset.json", "--tile-faces", 1000, "--up", "y")
    assert done.code == 0, done.err
    _, found = walked(tmp_path / "t" / "tileset.json")
    for *_, file in found:
        said = glb.parsed(file)[0]
        assert "doubleSided" not in said["materials"][0]
        assert "COLOR_0" not in said["meshes"][0]["primitives"][0]["attributes"]
    world = found[0][2]
    assert np.ptp(world, axis=0) == pytest.approx([2.8, 0.8, 2.8], abs=0.1)  # y is up now, in z


@pytest.mark.parametrize("up", ["x", "-x", "y", "-y", "z", "-z"])
def test_up_is_turned_to_z(up, tmp_path):
    given = np.concatenate([np.eye(3), [UPS[up]]])
    turned, matrix, page = placed("mesh.ply", "mesh", given, AskedTiles(up=up))
    assert turned[3].tolist() == [0.0, 0.0, 1.0]
    assert np.linalg.det(turned[:3]) == pytest.approx(1.0)
    assert np.array_equal(matrix, np.eye(4))
    assert np.array_equal(turned @ page.to_mesh[:3, :3].T, given)  # so the page says coordinates of the mesh


def test_georeferenced_tiles_lie_on_the_earth(tmp_path):
    """As pyproj has them about the earth's centre, to a hundredth of an edge; up is up there."""
    pyproj = pytest.importorskip("pyproj")
    vertices, _, path = scene(tmp_path, colours=False)
    more = ["--crs", "EPSG:25833", "--geoid-height", "39.5"]
    done = tiled(path, "--out", tmp_path / "t" / "tileset.json", "--tile-faces", "4000", *more)
    assert done.code == 0, done.err
    assert "crs:      ETRS89 / UTM zone 33N (EPSG:25833)" in done.out
    tileset, found = walked(tmp_path / "t" / "tileset.json")
    world = np.concatenate([item[2] for item in found if "children" not in item[0]])
    degrees = pyproj.Transformer.from_crs(25833, 4326, always_xy=True).transform(vertices[:, 0], vertices[:, 1])
    centred = pyproj.Transformer.from_crs(4979, 4978, always_xy=True)
    expected = np.stack(centred.transform(*degrees, vertices[:, 2] + 39.5), 1)
    assert KDTree(world).query(expected)[0].max() < 0.12
    matrix = np.reshape(tileset["root"]["transform"], (4, 4)).T
    assert matrix[:3, :3].T @ matrix[:3, :3] == pytest.approx(np.eye(3), abs=1e-12)
    above = matrix[:3, 3] / np.linalg.norm(matrix[:3, 3])
    assert above @ matrix[:3, 2] > 0.99999  # but for the flattening


@pytest.mark.parametrize("wide", [60_000, 90_000])
def test_a_vertex_of_two_tiles_has_one_place_however_wide_they_are(wide, tmp_path):
    """In 16 bits or float32, with indices of either size: multiples of the step, to the bit."""
    step, rng = 2.0**-7, np.random.default_rng(wide)
    common = rng.integers(wide, size=(3, 3)) * step + 0.3 * step
    places_ = []
    for name, count in (("a.glb", 10), ("b.glb", 70_000)):
        vertices = np.concatenate([common, rng.random((count, 3)) * wide * step, np.eye(3) * wide * step])
        faces = np.arange(len(vertices) // 3 * 3).reshape(-1, 3)
        found = write_tile(
            str(tmp_path / name), vertices, faces, np.tile([0.0, 0, 1], (len(vertices), 1)), None, step, True
        )
        local = glb.placed(tmp_path / name) @ Z_UP.T
        places_.append(local[:3])
        assert np.array_equal(glb.triangles(tmp_path / name), faces)
        assert np.array_equal(local, np.rint(vertices / step) * step)
        assert found.moved == pytest.approx(np.linalg.norm(local - vertices, axis=1).max())
        assert np.array_equal([found.lower, found.upper], [local.min(0), local.max(0)])
        said = glb.parsed(tmp_path / name)[0]
        position = said["accessors"][said["meshes"][0]["primitives"][0]["attributes"]["POSITION"]]
        assert position["componentType"] == (5122 if wide < 65_535 else 5126)
    assert np.array_equal(*places_)


def test_a_shift_is_taken_back(tmp_path):
    _, _, path = scene(tmp_path, at=np.zeros(3), colours=False)
    (tmp_path / "mesh.ply.offset.xyz").write_text("389000.0 5820000.0 40.0\n")
    assert tiled(path, "--out", tmp_path / "t" / "tileset.json", "--tile-faces", 8000).code == 0
    world = walked(tmp_path / "t" / "tileset.json")[1][0][2]
    assert np.abs(world.min(0)[:2] - FAR[:2]).max() < 2.0


def test_the_same_bytes_again_in_the_place_of_an_earlier_tileset(tmp_path):
    _, _, path = scene(tmp_path, colours=False)
    out = tmp_path / "t" / "tileset.json"
    (tmp_path / "t").mkdir()  # an empty folder is as good as none
    contents = []
    for faces in (3000, 8000, 3000):
        done = tiled(path, "--out", out, "--tile-faces", faces)
        assert done.code == 0, done.err
        contents.append({file: file.read_bytes() for file in (tmp_path / "t").rglob("*") if file.is_file()})
    assert contents[0] == contents[2] != contents[1]
    assert sorted(os.listdir(tmp_path)) == ["mesh.ply", "t"]


def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch):
    _, _, path = scene(tmp_path, colours=False)
    out = tmp_path / "t" / "tileset.json"
    assert tiled(path, "--out", out, "--tile-faces", "8000").code == 0
    before = out.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run, "write_tileset", full)
    done = tiled(path, "--out", out, "--tile-faces", "4000")
    assert done.code == 4
    assert done.err.count("\n") == 1
    assert "No space left" in done.err
    assert out.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["mesh.ply", "t"]


def test_vertices_without_faces_and_faces_without_corners_are_left_out(tmp_path):
    """Which would widen the box, and move its middle away."""
    vertices, faces = hills(30)
    vertices, faces = np.concatenate([vertices, [[1e9, 0.0, 0.0]]]), np.concatenate([faces, [[900, 900, 3], [5, 5, 5]]])
    save_mesh(tmp_path / "a.ply", vertices, None, faces)
    done = tiled(tmp_path / "a.ply", "--out", tmp_path / "t" / "tileset.json", "--tile-faces", "1000")
    assert done.code == 0, done.err
    _, found = walked(tmp_path / "t" / "tileset.json")
    assert sum(len(corners) for tile, _, _, corners, _ in found if "children" not in tile) == len(faces) - 2
    assert max(np.abs(world).max() for _, _, world, _, _ in found) < 1.1


def test_errors_are_bounds_of_a_mesh_in_blocks_too(written, tmp_path):
    """With memory for a few tiles at a time, upper errors are sums: not less than what is measured, and not much more.
    The tiles are the same, to the byte.
    """
    vertices, faces, _, folder = written
    out, room = tmp_path / "t" / "tileset.json", TILED_FACE_BYTES * len(faces) + TILED_BLOCK_BYTES * 3100
    done = tiled(
        folder.parent / "mesh.ply", "--out", out, "--tile-faces", "1500", "--max-memory", TILED_PROCESS_BYTES + room
    )
    assert done.code == 0, done.err
    for file in (folder / "tiles").iterdir():
        assert (tmp_path / "t" / "tiles" / file.name).read_bytes() == file.read_bytes()
    (whole, *_), (tile, _, world, corners, _) = walked(folder / "tileset.json")[1][0], walked(out)[1][0]
    there = distances(places(vertices, faces, 20_000), Tree.of(world, corners)).max()
    assert there <= whole["geometricError"] < tile["geometricError"] <= 2.5 * there


def test_how_many_blocks_are_in_work_at_once_changes_no_byte(written, tmp_path, monkeypatch):
    """Small blocks one by one, and three at a time."""
    folders = []
    for threads in (1, 3):
        monkeypatch.setattr(run, "BLOCK", 3100)
        monkeypatch.setattr(run, "limit", lambda threads=threads: threads)
        folders.append(tmp_path / str(threads))
        done = tiled(written[3].parent / "mesh.ply", "--out", folders[-1] / "tileset.json", "--tile-faces", 1500)
        assert done.code == 0, done.err
    files = [{p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in folders]
    assert files[0] == files[1]
