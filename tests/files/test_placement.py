"""Units, sizes and origins of meshes in their files; 3MF, which says its unit."""

import json

import numpy as np
import pytest
import torch
import trimesh
from format_bytes import read_3mf
from offset_table import READERS, error
from scripts import run, write_cloud
from shapes import sphere, torus

import neural_splines as ns
from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.files.meshes import load_mesh, save_mesh
from neural_splines.files.point_clouds import clouds_in
from neural_splines.placement import Placement, round_shift
from neural_splines.settings import MESH_FORMATS

V = np.array([(0, 0, 0), (1, 0.123456789, 0), (0, 1, 0.3), (0.2, 0.1, 1.5)], float)
F = np.array([(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)])
METRES = {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "in": 0.0254}


@pytest.mark.parametrize("scale", [1.0, 1e-5, 1e6])
def test_3mf_is_what_its_specification_says(tmp_path, scale):
    """All digits where they are needed, though it is text; and the same bytes again."""
    save_mesh(tmp_path / "a.3mf", scale * V, None, F)
    data = (tmp_path / "a.3mf").read_bytes()
    metres, vertices, faces = read_3mf(data)
    assert metres == 1.0  # what clouds are taken for
    assert (vertices == scale * V).all()
    assert (faces == F).all()
    save_mesh(tmp_path / "b.3mf", scale * V, None, F)
    assert (tmp_path / "b.3mf").read_bytes() == data


def test_trimesh_reads_3mf(tmp_path):
    pytest.importorskip("lxml")
    save_mesh(tmp_path / "a.3mf", V, None, F, placement=Placement(units="mm"))
    found = trimesh.load(tmp_path / "a.3mf", force="mesh", process=False)
    assert np.abs(found.vertices - 1000 * V).max() < 1e-9
    assert (found.faces == F).all()


def test_an_open_mesh_is_named_in_3mf(tmp_path):
    with pytest.warns(ns.ReconstructionWarning, match="the mesh is not closed, as 3MF and printers need it"):
        save_mesh(tmp_path / "a.3mf", V, None, F[:3])


@pytest.mark.parametrize(
    ("placement", "suffix", "factor", "unit"),
    [
        ({}, ".stl", 1.0, "m"),
        ({"units": "mm"}, ".stl", 1000.0, "mm"),
        ({"units": "mm"}, ".ply", 1000.0, "mm"),
        ({"units": "in", "cloud_units": "mm"}, ".3mf", 1 / 25.4, "in"),
        ({"cloud_units": "cm"}, ".3mf", 1.0, "cm"),  # which says its unit
        ({"cloud_units": "cm"}, ".stl", 10.0, "mm"),  # which programs take for millimetres
        ({"cloud_units": "mm"}, ".glb", 0.001, "m"),  # which is in metres
        ({"cloud_units": "mm"}, ".obj", 1.0, "mm"),
        ({"size": 120.0}, ".3mf", 120 / 1.5, "mm"),
        ({"size": 120.0}, ".stl", 120 / 1.5, "mm"),
        ({"size": 4.0, "units": "in"}, ".ply", 4 / 1.5, "in"),
        ({"size": 0.5}, ".glb", 0.5 / 1.5, "m"),
    ],
)
@pytest.mark.parametrize("far", [False, True])
def test_numbers_in_the_file_are_those_asked_for(tmp_path, placement, suffix, factor, unit, far):
    """To 1e-6 of the mesh after reading back, from UTM coordinates too, since they move to the origin in double."""
    asked, shift = Placement(**placement, to_origin=far), far * np.array([5.1e5, 4.57e6, 812.0])
    found = save_mesh(tmp_path / f"a{suffix}", V + shift, None, F, placement=asked, voxel_size=0.1)
    assert (found.factor, found.unit) == (pytest.approx(factor), unit)
    assert found.sides == pytest.approx((factor, factor, 1.5 * factor))
    if suffix == ".3mf":
        metres, vertices, faces = read_3mf((tmp_path / "a.3mf").read_bytes())
        assert metres == METRES[unit]
    elif suffix == ".glb":
        mesh = trimesh.load(tmp_path / "a.glb", force="mesh", process=False)
        vertices, faces = mesh.vertices, mesh.faces
    else:
        vertices, faces = (part.numpy() for part in load_mesh(tmp_path / f"a{suffix}"))
    assert np.abs(vertices[faces] - factor * V[F]).max() < 1e-6 * factor


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--size", "0"], "--size must be greater than 0, got 0"),
        (["--size", "nan"], "--size must be greater than 0, got nan"),
        (["--size", "3", "--cloud-units", "m"], "--size says how large the mesh is, and --cloud-units too; drop one"),
        (["--units", "mm", "--out", "a.glb"], "--units mm: GLB is in metres; use --units m, or another format"),
    ],
)
def test_what_cannot_be_placed_is_refused_before_any_work(tmp_path, monkeypatch, asked, message):
    monkeypatch.chdir(tmp_path)
    cloud = write_cloud(tmp_path / "cloud.ply", sphere(300))
    found = run("fit.py", cloud, "auto", 100, 12, *asked)
    assert found.code == 2
    assert message in found.err
    assert [path.name for path in tmp_path.iterdir()] == ["cloud.ply"]


def test_a_run_is_placed_whole_in_parts_and_from_python(tmp_path):
    """The summary says the size, the report the map from the cloud; the repeat command writes the same bytes."""
    cloud = write_cloud(tmp_path / "cloud.ply", torus(1500))
    words = ["fit-grid.py", cloud, "auto", "auto", 24, "auto", "--seed", 0, "--size", 120, "--to-origin"]
    words += ["--report", tmp_path / "a.json", "--verbose", "--margin", 1.2]
    for more in ([], ["--max-memory", "4GB"]):
        found = run(*words, "--out", tmp_path / "a.3mf", *more)
        assert found.code == 0, found.err
        metres, vertices, _ = read_3mf((tmp_path / "a.3mf").read_bytes())
        assert metres == 1e-3
        assert np.abs(vertices.min(0)).max() == 0.0
        assert np.ptp(vertices, axis=0).max() == pytest.approx(120, rel=1e-9)
        (line,) = [line for line in found.out.splitlines() if line.startswith("size:")]
        assert line.split()[1:] == [*" x ".join(f"{side:.6g}" for side in np.ptp(vertices, axis=0)).split(), "mm"]
        (entry,) = json.loads((tmp_path / "a.json").read_text())["runs"]
        placed = entry["mesh"]["placed"]
        back = vertices / placed["factor"] + placed["shift"]
        ring = np.hypot(back[:, 0], back[:, 1])
        assert np.abs(np.hypot(ring - 1.0, back[:, 2]) - 0.4).max() < 0.05
        assert "--margin 1.2" in entry["repeat_command"]
        assert "--size 120.0 --to-origin" in entry["repeat_command"]
        if not more:
            result = ns.reconstruct(*ns.load_point_cloud(cloud), ns.Settings(grid_size=24, scale=1.2))
            ns.save_mesh(tmp_path / "b.3mf", result, size=120, to_origin=True)
            assert (tmp_path / "b.3mf").read_bytes() == (tmp_path / "a.3mf").read_bytes()
            assert np.ptp(result.mesh.vertices, axis=0).max() < 3.0  # what was written leaves the mesh as it is


def test_the_margin_has_its_old_name_too(tmp_path):
    """--scale is the name of the method's first program."""
    cloud = write_cloud(tmp_path / "cloud.ply", sphere(300))
    for name in ("--scale", "--margin"):
        found = run("fit.py", cloud, "auto", 100, 12, "--seed", 0, name, 1.3, "--out", tmp_path / f"{name}.ply")
        assert found.code == 0, found.err
    assert (tmp_path / "--scale.ply").read_bytes() == (tmp_path / "--margin.ply").read_bytes()


FAR = np.array([410_123.4, 5_650_987.6, 120.0])


def far_torus():
    near = torus(600)
    return OrientedCloud(near.points + torch.from_numpy(FAR), near.normals)


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".off", ".stl", ".glb", ".3mf"])
@pytest.mark.parametrize("shift", ["auto", (400_000.0, 5_600_000.5, -7.0)])
def test_the_numbers_of_a_file_and_those_beside_it_are_the_cloud(tmp_path, suffix, shift):
    """To what float32 has of the mesh's own size; formats of double are moved by numbers that are asked for alone."""
    path = tmp_path / f"a{suffix}"
    found = save_mesh(path, 100.0 * V + FAR, None, F, placement=Placement(shift=shift), voxel_size=1.0)
    numbers = (tmp_path / f"a{suffix}.offset.xyz").read_text().split()
    assert tuple(map(float, numbers)) == found.shift
    chosen = (0.0, 0.0, 0.0) if suffix == ".ply" else (410_100.0, 5_650_900.0, 0.0)
    expected = chosen if shift == "auto" else shift
    assert found.shift == expected
    if suffix == ".3mf":
        _, vertices, faces = read_3mf(path.read_bytes())
    elif suffix in (".glb", ".off"):
        mesh = trimesh.load(path, force="mesh", process=False)
        vertices, faces = mesh.vertices, mesh.faces
    else:
        vertices, faces = (part.numpy() for part in load_mesh(path))
    assert np.abs(vertices[faces] + found.shift - (100.0 * V + FAR)[F]).max() < (4e-3 if shift != "auto" else 2e-5)


@pytest.mark.parametrize(
    ("lower", "sides", "shift"),
    [
        ((410_123.4, 5_650_987.6, 2120.0), (850.0, 300.0, 40.0), (410_100.0, 5_650_900.0, 0.0)),
        ((410_123.4, 5_650_987.6, 4120.0), (850.0, 300.0, 40.0), (410_100.0, 5_650_900.0, 4100.0)),
        ((-410_123.4, 0.3, 0.0), (1.5, 1.0, 0.1), (-410_124.0, 0.0, 0.0)),
        ((12.345, -45.6, 0.0), (0.025, 0.01, 0.01), (12.34, -45.6, 0.0)),
        ((0.1, 0.2, -0.3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
        ((5e6, 5e6, 5e6), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    ],
)
def test_a_shift_that_is_chosen_is_round_and_leaves_numbers_of_the_meshs_size(lower, sides, shift):
    upper = tuple(low + side for low, side in zip(lower, sides, strict=True))
    found = round_shift(lower, upper)
    assert found == pytest.approx(shift, abs=1e-12)
    assert all(len(repr(abs(number))) < 10 for number in found)
    for low, high, number in zip(lower, upper, found, strict=True):
        assert max(abs(low - number), abs(high - number)) <= 4.0 * max(sides) or max(sides) == 0.0


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"to_origin": True}, "shift moves the mesh, and to_origin and printable=True do too"),
        ({"size": 120.0}, "shift: the numbers of its file are added to those of the mesh"),
        ({"units": "mm"}, "shift: the numbers of its file are added to those of the mesh"),
        ({"shift": "none"}, "shift must be one of auto"),
        ({"shift": (1.0, 2.0)}, "shift must be three finite numbers"),
        ({"shift": (1.0, 2.0, np.nan)}, "shift must be three finite numbers"),
    ],
)
def test_a_shift_that_cannot_be_is_one_line(tmp_path, asked, line):
    mesh = ns.Mesh(V, V, F)
    with pytest.raises(ns.SettingsError, match=line):
        ns.save_mesh(tmp_path / "a.ply", mesh, **({"shift": "auto"} | asked))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("parts", [[], ["--max-memory", "2GB"]])
def test_the_command_moves_a_mesh_and_says_by_what(tmp_path, parts):
    """The same in parts; the repeat command and the report have it; and a folder of clouds is read without the file."""
    cloud = write_cloud(tmp_path / "a.ply", far_torus())
    args = [cloud, "auto", 60, 20, "auto", "--seed", 0, "--regularization", 1e-7, *parts]
    found = run("fit-grid.py", *args, "--shift", "auto", "--out", tmp_path / "b.stl", "--report", tmp_path / "b.json")
    assert (found.code, found.err) == (0, "")
    (entry,) = json.loads((tmp_path / "b.json").read_text())["runs"]
    shift = entry["mesh"]["placed"]["shift"]
    numbers = " ".join(map(repr, shift))
    assert f"shift:    {numbers}, to be added, in {tmp_path / 'b.stl.offset.xyz'}" in found.out
    assert (tmp_path / "b.stl.offset.xyz").read_text() == f"{numbers}\n"
    assert "--shift auto" in entry["repeat_command"]
    plain = run("fit-grid.py", *args, "--out", tmp_path / "c.ply")
    assert plain.code == 0
    assert not (tmp_path / "c.ply.offset.xyz").exists()
    moved, kept = load_mesh(tmp_path / "b.stl")[0].numpy(), load_mesh(tmp_path / "c.ply")[0].numpy()
    assert np.abs(moved.min(0) + np.array(shift) - kept.min(0)).max() < 1e-5
    assert shift == np.floor(kept.min(0)).tolist()
    assert [path for path in clouds_in(tmp_path) if path.endswith(".xyz")] == []


@pytest.mark.parametrize("words", [["1", "2"], ["auto", "1"], ["x"], ["1", "2", "3", "4"]])
def test_words_behind_shift_that_say_nothing_are_one_line(tmp_path, words):
    cloud = write_cloud(tmp_path / "a.ply", sphere(100))
    found = run("fit-grid.py", cloud, "auto", 20, 8, "auto", "--shift", *words)
    assert found.code == 2
    assert f"--shift: expected auto, none or three numbers X Y Z, got {' '.join(words)!r}" in found.err


def test_a_shift_has_no_place_beside_standard_output(tmp_path):
    cloud = write_cloud(tmp_path / "a.ply", sphere(100))
    found = run("fit-grid.py", cloud, "auto", 20, 8, "auto", "--shift", "auto", "--out", "-")
    assert (found.code, found.out) == (2, "")
    assert "error: --shift writes its numbers beside the mesh; name a file with --out" in found.err


@pytest.mark.parametrize("suffix", MESH_FORMATS)
def test_a_moved_mesh_is_read_with_its_digits_by_other_programs(tmp_path, suffix):
    """The table of docs/input.md, but for Open3D: to what float32 has of 150 m."""
    for name in ("trimesh", "plyfile", "this program"):
        read, formats = READERS[name]
        if suffix in formats:
            if (name, suffix) == ("trimesh", ".3mf"):
                pytest.importorskip("lxml")
            assert error(suffix, "auto", read, tmp_path) < 2e-5
            assert error(suffix, None, read, tmp_path) < (0.5 if suffix == ".stl" else 1e-6)
