"""GLB meshes as the specification has them: ours come back, others as trimesh and the formulas have them."""

import json
import struct

import numpy as np
import pytest
import trimesh
from scripts import captured
from test_gltf import UTM, F, V

from neural_splines.command_line import check, tiles
from neural_splines.errors import CloudError
from neural_splines.files.meshes import load_mesh, load_mesh_numbers, load_upright, save_mesh
from neural_splines.ranges import UPS

TINT = np.array([(0, 1, 2), (255, 128, 64), (3, 250, 90), (17, 17, 200)])
COLOURS = ("red", "green", "blue")


def glb(path, said, data=b""):
    """A file of these parts."""
    said = {"asset": {"version": "2.0"}, "buffers": [{"byteLength": len(data)}], **said}
    text = json.dumps(said).encode()
    text += b" " * (-len(text) % 4)
    data += bytes(-len(data) % 4)
    head = b"glTF" + struct.pack("<II", 2, 28 + len(text) + len(data)) + struct.pack("<I4s", len(text), b"JSON")
    path.write_bytes(head + text + struct.pack("<I4s", len(data), b"BIN\0") + data)
    return path


def scene(path, nodes, corners=None, mode=None, more=None, top=(0,)):
    """The vertices V as float32, one primitive of them, and nodes."""
    corners = np.asarray(F if corners is None else corners, "<u2")
    kind = {} if mode is None else {"mode": mode}
    data = V.astype("<f4").tobytes() + corners.tobytes()
    said = {
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 48},
            {"buffer": 0, "byteOffset": 48, "byteLength": 2 * corners.size},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": corners.size, "type": "SCALAR"},
        ],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1} | kind]}],
        "nodes": nodes, "scenes": [{"nodes": list(top)}], "scene": 0,
    } | (more or {})  # fmt: skip
    return glb(path, said, data)


@pytest.mark.parametrize(("up", "axis"), UPS.items())
@pytest.mark.parametrize("far", [0.0, 1.0])
def test_our_own_meshes_come_back_however_they_were_turned(up, axis, far, tmp_path):
    """To the rounding to float32 about their middle, with all values of their colours, their numbers and what is up."""
    vertices = V + far * UTM
    save_mesh(
        tmp_path / "a.glb",
        vertices,
        None,
        F,
        up=axis,
        colours=TINT,
        scalars={"support": [0.5, 0, 1, 0.25]},
        voxel_size=0.1,
    )
    found, faces, numbers, is_up = load_upright(tmp_path / "a.glb", (*COLOURS, "support"))
    assert np.abs(found.numpy() - vertices).max() < 1e-7
    assert np.array_equal(faces, F)
    assert np.array_equal(np.stack([numbers[name] for name in COLOURS], 1), TINT)
    assert numbers["support"].tolist() == [0.5, 0, 1, 0.25]
    assert is_up == axis


def test_every_value_of_a_colour_comes_back(tmp_path):
    colours = np.stack([np.arange(256), np.arange(256)[::-1], np.roll(np.arange(256), 100)], 1)
    save_mesh(tmp_path / "a.glb", np.random.default_rng(0).random((256, 3)), None, [[0, 1, 2]], colours=colours)
    numbers = load_mesh_numbers(tmp_path / "a.glb", COLOURS)[2]
    assert np.array_equal(np.stack(list(numbers.values()), 1), colours)


def test_scenes_of_others_are_placed_as_trimesh_places_them(tmp_path):
    """Nodes below nodes, matrices, quaternions and mirrors, whose faces still look outwards; y is up."""
    turn = trimesh.transformations.quaternion_matrix([0.5, 0.1, -0.7, 0.5])
    x, y, z, w = np.roll(trimesh.transformations.quaternion_from_matrix(turn), -1).tolist()
    nodes = [
        {"children": [1, 2], "translation": [3.0, -1.0, 2.0], "rotation": [x, y, z, w], "scale": [2.0, 2.0, 2.0]},
        {"mesh": 0, "scale": [-1.0, 1.0, 1.5]},
        {"mesh": 0, "matrix": [0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 5, 6, 7, 1]},
        {"mesh": 0, "translation": [99.0, 0.0, 0.0]},  # in no scene
    ]  # fmt: skip
    path = scene(tmp_path / "a.glb", nodes)
    vertices, faces, numbers, up = load_upright(path, COLOURS)
    expected = trimesh.load(path, force="mesh", process=False)
    assert np.array_equal(vertices.shape, expected.vertices.shape)
    order = np.lexsort(vertices.numpy().round(4).T), np.lexsort(expected.vertices.round(4).T)
    assert np.abs(vertices.numpy()[order[0]] - expected.vertices[order[1]]).max() < 1e-5
    own = trimesh.Trimesh(vertices.numpy(), faces.numpy(), process=False)
    assert own.volume == pytest.approx(8.0 * (1.5 + 1.0) * trimesh.Trimesh(V, F, process=False).volume, rel=1e-5)
    assert (numbers, up) == ({}, UPS["y"])


@pytest.mark.parametrize(
    ("mode", "corners", "faces"),
    [
        (5, [0, 1, 2, 3], [(0, 1, 2), (1, 3, 2)]),
        (6, [0, 1, 2, 3], [(1, 2, 0), (2, 3, 0)]),
        (4, [0, 1, 2], [(0, 1, 2)]),
    ],
)
def test_strips_and_fans_are_triangles(mode, corners, faces, tmp_path):
    found = load_mesh(scene(tmp_path / "a.glb", [{"mesh": 0}], corners, mode))[1]
    assert found.tolist() == [list(face) for face in faces]


def test_tiles_of_ours_are_meshes_too(tmp_path):
    """Of 16 bits, quantized, in a matrix with a scale: y is up."""
    save_mesh(tmp_path / "a.ply", V, None, F)
    assert captured(tiles.main, tmp_path / "a.ply", "--out", tmp_path / "t" / "tileset.json").code == 0
    found, faces, _, up = load_upright(tmp_path / "t" / "tiles" / "root.glb", ())
    turned = V[:, [0, 2, 1]] * (1, 1, -1)
    found = found.numpy() - found.numpy().mean(0) + turned.mean(0)  # about the middle of the tileset
    assert np.abs(found - turned).max() < 0.02
    assert (len(faces), up) == (4, UPS["y"])


def test_tiles_know_what_is_up_in_glb(tmp_path):
    """Ours with x up, others with y; and --up says another."""
    save_mesh(tmp_path / "ours.glb", V, None, F, up=UPS["x"], colours=TINT)
    scene(tmp_path / "others.glb", [{"mesh": 0}])
    for name, more, height in (("ours", (), 0), ("others", (), 1), ("others", ("--up", "z"), 2)):
        out = tmp_path / f"{name}{len(more)}" / "tileset.json"
        done = captured(tiles.main, tmp_path / f"{name}.glb", "--out", out, *more)
        assert done.code == 0, done.err
        box = np.reshape(json.loads(out.read_text())["root"]["boundingVolume"]["box"][3:], (3, 3))
        assert 2.0 * box[2, 2] == pytest.approx(np.ptp(V[:, height]), abs=0.03)
    pytest.importorskip("pyproj")
    done = captured(
        tiles.main, tmp_path / "others.glb", "--out", tmp_path / "t" / "tileset.json", "--crs", "EPSG:25833"
    )
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "others.glb: z is not up in it" in done.err
    assert not (tmp_path / "t").exists()


def test_the_check_reads_them(tmp_path):
    save_mesh(tmp_path / "a.glb", V, None, F)
    found = captured(check.main, tmp_path / "a.glb", "--strict")
    assert (found.code, found.err) == (0, "")


BROKEN = {
    "not one": (lambda path: path.write_bytes(b"solid of something else"), "does not begin as a GLB file"),
    "short": (lambda path: path.write_bytes(b"glTF\2"), "is no whole GLB file"),
    "version 1": (lambda path: path.write_bytes(b"glTF" + struct.pack("<II", 1, 12)), "is glTF 1"),
    "cut": (lambda path: path.write_bytes(scene(path, [{"mesh": 0}]).read_bytes()[:-30]), "longer than the file"),
    "no mesh": (lambda path: scene(path, [{}]), "has no faces"),
    "draco": (
        lambda path: scene(path, [{"mesh": 0}], more={"extensionsRequired": ["KHR_draco_mesh_compression"]}),
        "needs KHR_draco_mesh_compression, which is not read; export it without compression",
    ),
    "corner": (lambda path: scene(path, [{"mesh": 0}], [0, 1, 9]), "faces refer to vertices that are not there"),
    "circle": (lambda path: scene(path, [{"children": [0]}]), "nodes contain each other"),
    "another file": (
        lambda path: scene(path, [{"mesh": 0}], more={"buffers": [{"byteLength": 72, "uri": "a.bin"}]}),
        "keeps its arrays in another file",
    ),
    "sparse": (
        lambda path: scene(path, [{"mesh": 0}], more={"accessors": [{"count": 4, "sparse": {}}] * 2}),
        "sparse arrays",
    ),
    "negative": (
        lambda path: scene(path, [{"mesh": 0}], more={"bufferViews": [{"buffer": 0, "byteOffset": -9}] * 2}),
        "is longer than the file",
    ),
    "text": (lambda path: scene(path, [{"mesh": 0}], more={"meshes": "none"}), "is no whole GLB file"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_one_line(case, tmp_path):
    make, line = BROKEN[case]
    path = tmp_path / "a.glb"
    make(path)
    with pytest.raises(CloudError, match=r"^[^\n]*$") as refused:
        load_mesh(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert line in str(refused.value)


def test_cut_or_changed_anywhere_it_is_read_or_refused(tmp_path):
    """Every end, and 2,000 changed bytes: a mesh, or one line."""
    save_mesh(tmp_path / "a.glb", V, V / 2.0, F, colours=TINT)
    data, rng = (tmp_path / "a.glb").read_bytes(), np.random.default_rng(0)
    cases = [data[:end] for end in range(0, len(data), 7)]
    for _ in range(2000):
        changed = bytearray(data)
        changed[rng.integers(len(data))] = rng.integers(256)
        cases.append(bytes(changed))
    read, lines = 0, []
    for case in cases:
        (tmp_path / "b.glb").write_bytes(case)
        try:
            vertices, faces, _ = load_mesh_numbers(tmp_path / "b.glb", COLOURS)
        except CloudError as error:
            lines.append(str(error))
            continue
        assert faces.max() < len(vertices)
        read += 1
    assert not any("\n" in line for line in lines)
    assert 200 < read < len(cases)
