"""GLB as its readers read it: light for colours, a material, y upwards, at its place."""

import shlex

import numpy as np
import pytest
import trimesh
from glb import parsed, placed, shown, values
from scripts import run, write_cloud
from shapes import sphere

import neural_splines as ns
from neural_splines.files.meshes import save_mesh
from neural_splines.ranges import UPS

V = np.array([(0, 0, 0), (1, 0.123456789, 0), (0, 1, 0.3), (0.2, 0.1, 1.5)], float)
F = np.array([(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)])
UTM = np.array([5.1e5, 4.57e6, 812.0])


def test_every_colour_comes_back_from_its_light(tmp_path):
    """All 256 values of each channel, to a thirtieth of one; opaque."""
    colours = np.stack([np.arange(256), np.arange(256)[::-1], np.roll(np.arange(256), 100)], 1).astype(np.uint8)
    save_mesh(tmp_path / "a.glb", np.random.default_rng(0).random((256, 3)), None, [[0, 1, 2]], colours=colours)
    found = values(tmp_path / "a.glb", "COLOR_0")
    assert np.abs(shown(found[:, :3]) - colours).max() < 1 / 30
    assert (found[:, 3] == 1.0).all()


@pytest.mark.parametrize(("up", "axis"), UPS.items())
def test_what_is_up_is_y_for_readers(tmp_path, up, axis):
    """And far from the origin a vertex keeps its digits, in the place that the reader turns it to."""
    save_mesh(tmp_path / "a.glb", V + UTM, None, F, up=axis, voxel_size=0.1)
    found = placed(tmp_path / "a.glb")
    assert np.abs(found[:, 1] - (V + UTM) @ axis).max() < 1e-6
    edges, turned = V[1:] - V[0], found[1:] - found[0]
    assert np.abs(turned @ turned.T - edges @ edges.T).max() < 1e-6
    loaded = trimesh.load(tmp_path / "a.glb", force="mesh", process=False)
    assert np.abs(loaded.vertices - found).max() < 1e-6
    if up == "z":  # as all exporters do
        assert np.abs(found - (V + UTM)[:, [0, 2, 1]] * (1, 1, -1)).max() < 1e-6


@pytest.mark.parametrize(
    ("faces", "closed"),
    [
        (F, True),
        (F[::-1, ::-1], True),
        (F[:3], False),
        (np.vstack([F[:3], F[3:, ::-1]]), False),
        (np.vstack([F, F[:1]]), False),
        (np.vstack([F, F[:1, [0, 0, 1]]]), True),
        (np.vstack([F, F + 4]), True),
    ],
    ids=["closed", "inside out", "open", "one face turned", "one face twice", "one face without area", "two"],
)
def test_open_meshes_are_shown_from_both_sides(tmp_path, faces, closed):
    """A surface without a back has two fronts; metallic 0, since readers take 1 where nothing is said: black."""
    save_mesh(tmp_path / "a.glb", np.vstack([V, V + 5]), None, faces)
    (material,) = parsed(tmp_path / "a.glb")[0]["materials"]
    assert material.get("doubleSided", False) == (not closed)
    assert material["pbrMetallicRoughness"] == {"metallicFactor": 0.0, "roughnessFactor": 1.0}


def test_a_run_knows_what_is_up(tmp_path):
    """A disc lies on z as maps do, a ball stands on y as models do, --up says it; whole, in parts and from Python."""
    ball = sphere(800)
    for height, asked, axis in ((0.2, [], "z"), (1.0, [], "y"), (1.0, ["--up", "-x"], "-x")):
        stretch = np.array([1.0, 1.0, height])
        normals = ball.normals.numpy() / stretch
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        np.savetxt(tmp_path / "cloud.xyz", np.hstack([ball.points.numpy() * stretch, normals]))
        command = [tmp_path / "cloud.xyz", "auto", "auto", 24, "auto", "--seed", 0, *asked]
        assert run("fit-grid.py", *command, "--out", tmp_path / "a.glb").code == 0
        assert run("fit-grid.py", *command, "--out", tmp_path / "b.glb", "--max-memory", "4GB").code == 0
        for path in ("a.glb", "b.glb"):
            found, vertices = placed(tmp_path / path), values(tmp_path / path, "POSITION")
            assert np.abs(found[:, 1] - vertices @ UPS[axis]).max() < 1e-6
        if not asked:
            result = ns.reconstruct(*ns.load_point_cloud(tmp_path / "cloud.xyz"), ns.Settings(grid_size=24))
            ns.save_mesh(tmp_path / "c.glb", result)
            assert (tmp_path / "c.glb").read_bytes() == (tmp_path / "a.glb").read_bytes()
    with pytest.raises(ns.SettingsError, match="up must be one of auto, x, y, z, -x, -y, -z, got 'w'"):
        ns.save_mesh(tmp_path / "c.glb", result, up="w")


def test_the_repeat_command_says_what_is_up(tmp_path):
    """Also of normals from the file, and of a direction that looks like an option."""
    cloud, out = write_cloud(tmp_path / "ball.ply", sphere(300)), tmp_path / "a.glb"
    first = run("fit.py", cloud, "auto", 100, 12, "--out", out, "--up", "-z", "--verbose")
    before = out.read_bytes()
    again = next(line for line in first.out.splitlines() if line.startswith("repeat:"))
    out.unlink()
    assert run(*shlex.split(again)[1:]).code == 0
    assert out.read_bytes() == before
    assert np.abs(placed(out)[:, 1] + values(out, "POSITION")[:, 2]).max() < 1e-6
