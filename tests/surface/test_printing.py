"""Meshes for printers: of the file as it was written, read back, by checks that the program does not make itself."""

import sys

import numpy as np
import pytest
import torch
import trimesh
from format_bytes import read_3mf
from glb import values
from scripts import run, write_cloud
from shapes import sphere, torus

import neural_splines as ns
from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.surface.checks import checked

pytest.importorskip("manifold3d")
TILT = np.array([[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]) @ [[1, 0, 0], [0, 0.8, 0.6], [0, -0.6, 0.8]]


def part_of(shape, keep, turn=None):
    """The points of a shape that were seen, turned."""
    points, normals = shape.points[keep(shape.points)], shape.normals[keep(shape.points)]
    turn = torch.eye(3).double() if turn is None else torch.from_numpy(turn)
    return OrientedCloud(points @ turn.T, normals @ turn.T)


BALL, FINE = sphere(1200), sphere(2500)
STANDING = part_of(BALL, lambda x: x[:, 2] > -0.6)  # as on a table
FINE_WORDS = ["auto", "auto", 32, "auto", "--seed", 0, "--points-per-cell", 100, "--regularization", 1e-7]
WORDS = ["auto", "auto", 24, "auto", "--seed", 0, "--points-per-cell", 60, "--regularization", 1e-7]


def read(path):
    """The numbers of a file, as programs with float32 have them; equal corners are one vertex. Others find no fault."""
    if path.suffix == ".3mf":
        metres, vertices, faces = read_3mf(path.read_bytes())
        assert metres == 1e-3
    elif path.suffix == ".glb":
        found = trimesh.load(path, force="mesh", process=False)
        vertices, faces = values(path, "POSITION"), found.faces
    else:
        found = trimesh.load(path, process=False)
        vertices, faces = found.vertices, found.faces
    single = np.asarray(vertices, np.float32)
    assert np.abs(single - vertices).max() <= 1e-8 * np.abs(vertices).max()  # nine digits of text
    assert len(np.unique(vertices, axis=0)) == len(np.unique(single, axis=0))
    assert not checked(vertices, faces, intersecting=True).intersecting or path.suffix == ".stl"  # corner by corner
    used, place = np.unique(single, axis=0, return_inverse=True)
    return used.astype(np.float64), place.reshape(-1)[faces]


def assert_printable(path):
    vertices, faces = read(path)
    said = checked(vertices, faces, intersecting=True)
    assert said.lines() == []
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0
    assert np.abs(vertices.min(0)).max() == 0.0  # at the origin
    return vertices, said


@pytest.mark.parametrize("suffix", [".stl", ".3mf", ".ply", ".glb", ".obj"])
def test_what_stood_on_a_table_gets_a_flat_bottom_in_every_format(tmp_path, suffix):
    """At the right size, though the surface that closes a ball is a ball; where the last points are, not below."""
    cloud, out = write_cloud(tmp_path / "cloud.ply", STANDING), tmp_path / f"a{suffix}"
    size = [] if suffix == ".glb" else ["--size", 120]
    found = run("fit-grid.py", cloud, *WORDS, "--printable", *size, "--out", out)
    assert (found.code, found.err) == (0, "")
    vertices, said = assert_printable(out)
    assert said.genus == 0
    sides, unit = np.ptp(vertices, axis=0), 1.0 if suffix == ".glb" else 60.0
    assert suffix == ".glb" or sides.max() == pytest.approx(120, rel=1e-6)
    assert sides[2] == pytest.approx(1.6 * unit, rel=0.03)
    bottom = vertices[:, 2] == 0.0
    radius = np.ptp(vertices[bottom, 0]) / 2
    assert radius == pytest.approx(0.8 * unit, rel=0.06)
    assert said.volume == pytest.approx(np.pi * (2 / 3 + 0.6 - 0.6**3 / 3) * unit**3, rel=0.03)


@pytest.mark.parametrize(
    ("cloud", "words", "genus"),
    [
        (BALL, WORDS, 0),
        (torus(1200), WORDS, 1),
        (part_of(FINE, lambda x: x[:, 2].abs() < 0.6), FINE_WORDS, 0),
        (part_of(BALL, lambda x: x[:, 2] > -0.5, TILT), WORDS, 0),
        (part_of(torus(1200), lambda x: x[:, 0] > -0.9), WORDS, 1),
    ],
    ids=["ball", "torus", "barrel", "tilted", "notched torus"],
)
def test_shapes_without_and_with_flat_rims(tmp_path, cloud, words, genus):
    out = tmp_path / "a.stl"
    found = run("fit-grid.py", write_cloud(tmp_path / "cloud.ply", cloud), *words, "--printable", "--out", out)
    assert (found.code, found.err) == (0, "")
    vertices, said = assert_printable(out)
    assert said.genus == genus
    sides = np.ptp(cloud.points.numpy(), axis=0)
    assert np.abs(np.ptp(vertices, axis=0) - sides).max() < 0.03 * sides.max()


def test_a_table_that_was_scanned_too_is_left_out(tmp_path):
    """A ball on a rough table: one body with a flat bottom, no crumbs of the table."""
    rng = np.random.default_rng(0)
    flat = np.c_[3.0 * rng.random((1500, 2)) - 1.5, 0.004 * rng.standard_normal(1500) - 0.7]
    flat = torch.from_numpy(flat[np.hypot(flat[:, 0], flat[:, 1]) > 0.75])
    up = torch.tensor([0.0, 0.0, 1.0]).double().expand(len(flat), 3)
    standing = part_of(FINE, lambda x: x[:, 2] > -0.6)
    cloud = OrientedCloud(torch.cat([standing.points, flat]), torch.cat([standing.normals, up]))
    out = tmp_path / "a.stl"
    found = run("fit-grid.py", write_cloud(tmp_path / "cloud.ply", cloud), *FINE_WORDS, "--printable", "--out", out)
    assert (found.code, found.err) == (0, "")
    vertices, said = assert_printable(out)
    assert (said.components, said.genus) == (1, 0)
    assert np.ptp(vertices[:, 2]) == pytest.approx(1.7, abs=0.06)
    assert (vertices[:, 2] == 0.0).sum() > 20


def test_the_side_of_a_flat_scan_is_no_bottom(tmp_path):
    """Of a cap no wider than the way it bends: the plane of its rim leaves what it was made of."""
    cloud = part_of(sphere(6000), lambda x: x[:, 2] > 0.85)
    out = tmp_path / "a.stl"
    found = run("fit-grid.py", write_cloud(tmp_path / "cloud.ply", cloud), *WORDS, "--printable", "--out", out)
    assert found.code == 0, found.err
    vertices, said = assert_printable(out)
    assert said.components == 1
    assert np.ptp(vertices[:, 0]) > 0.95 * np.ptp(cloud.points[:, 0].numpy())


def test_planes_that_are_asked_for_cut(tmp_path):
    """A ball at a tilted plane, at its bottom, and with fit.py; the repeat command writes the same bytes."""
    cloud, out = write_cloud(tmp_path / "cloud.ply", BALL), tmp_path / "a.ply"
    normal = np.array([0.6, 0.0, 0.8])
    plane = ["--cut-plane", *2 * normal, 0.2]
    assert run("fit-grid.py", cloud, *WORDS, *plane, "--out", out).code == 0
    said = assert_printable(out)[1]
    assert said.volume == pytest.approx(np.pi * (2 / 3 - 0.1 + 0.1**3 / 3), rel=0.03)
    assert run("fit-grid.py", cloud, *WORDS, "--flat-bottom", "--up", "-x", "--out", out).code == 0
    vertices, _ = assert_printable(out)
    assert 3 <= (vertices[:, 0] == vertices[:, 0].max()).sum()
    assert 1.8 < np.ptp(vertices[:, 0]) < 1.99
    words = [cloud, "auto", 300, 24, "--seed", 0, "--printable", "--size", 50, "--out", out, "--verbose"]
    found = run("fit.py", *words)
    assert_printable(out)
    before = out.read_bytes()
    again = next(line for line in found.out.splitlines() if line.startswith("repeat:"))
    assert run(*again.split()[1:]).code == 0
    assert out.read_bytes() == before


def test_an_independent_program_finds_no_fault(tmp_path):
    open3d = pytest.importorskip("open3d")
    out = tmp_path / "a.ply"
    cloud = write_cloud(tmp_path / "cloud.ply", STANDING)
    assert run("fit-grid.py", cloud, *WORDS, "--printable", "--size", 40, "--out", out).code == 0
    mesh = open3d.io.read_triangle_mesh(str(out))
    assert mesh.is_watertight()
    assert mesh.is_edge_manifold(False)
    assert mesh.is_vertex_manifold()
    assert mesh.is_orientable()
    assert not mesh.is_self_intersecting()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--cut-plane", 0, 0, 0, 1], "--cut-plane needs four numbers a b c d, of which the first three are not all 0"),
        (["--cut-plane", "nan", 0, 1, 1], "--cut-plane must be at least -inf, got nan"),
        (["--cut-plane", 0, 0, 1, 5], "nothing of the surface is left above the plane; choose another"),
        (["--printable", "--trim", "1"], "the mesh cannot be made printable: "),
    ],
)
def test_what_cannot_be_printed_is_one_line_and_no_file(tmp_path, monkeypatch, asked, message):
    monkeypatch.chdir(tmp_path)
    cloud = write_cloud(tmp_path / "cloud.ply", STANDING)
    found = run("fit-grid.py", cloud, *WORDS, *asked)
    assert (found.code, found.out) == (2, "")
    assert message in found.err
    assert len(found.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["cloud.ply"]


def test_without_the_extra_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "manifold3d", None)
    cloud = write_cloud(tmp_path / "cloud.ply", BALL)
    found = run("fit.py", cloud, "auto", 100, 12, "--seed", 0, "--printable", "--out", tmp_path / "a.ply")
    assert found.code == 2
    assert "--printable needs the package manifold3d; pip install manifold3d" in found.err


def test_python_prints_what_the_command_prints(tmp_path):
    """The same bytes, with colours that are carried; what cannot be is one line in Python's words."""
    cloud, out, other = write_cloud(tmp_path / "cloud.ply", STANDING), tmp_path / "a.ply", tmp_path / "b.ply"
    assert run("fit-grid.py", cloud, *WORDS, "--printable", "--size", 60, "--out", out).code == 0
    options = {"grid_size": 24, "points_per_cell": 60, "regularization": 1e-7, "seed": 0}
    result = ns.reconstruct(*ns.load_point_cloud(cloud), fill_holes=True, **options)
    ns.save_mesh(other, result, printable=True, size=60)
    assert other.read_bytes() == out.read_bytes()
    colours = 100.0 + 50.0 * result.mesh.vertices
    ns.save_mesh(other, result, printable=True, size=60, colours=colours)
    _vertices, said = assert_printable(other)
    assert said.faces == checked(*trimesh_of(out), intersecting=False).faces
    tints = trimesh.load(other, process=False).visual.vertex_colors[:, :3]
    world = trimesh.load(other, process=False).vertices / 30.0  # a ball of radius 1 is 60 long
    above = world[:, 2] > 0.3
    assert np.abs(np.ptp(tints[above], axis=0) - 50.0 * np.ptp(world[above], axis=0)).max() < 12.0
    ns.save_mesh(other, result, cut_plane=[0, 0, 1, 0.1])
    assert np.ptp(read(other)[0][:, 2]) == pytest.approx(0.9, abs=0.02)
    with pytest.raises(ns.SettingsError, match="printable needs what reconstruct returned"):
        ns.save_mesh(other, result.mesh, printable=True)
    scrap = part_of(BALL, lambda x: x[:, 2] > 0.4 * x[:, 0])
    open_one = ns.reconstruct(scrap.points, scrap.normals, trim=1.0, min_component=0.0, **options)
    with pytest.raises(ns.PrintError, match=r"edges have one face; reconstruct it with fill_holes=True"):
        ns.save_mesh(other, open_one, printable=True)


def trimesh_of(path):
    found = trimesh.load(path, process=False)
    return np.asarray(found.vertices), np.asarray(found.faces)
