"""Fewer faces with a promise: on the surface, as manifold as before, and with an error that is measured."""

import json

import numpy as np
import pytest
import torch
from scripts import run, write_cloud
from shapes import torus

import neural_splines as ns
from neural_splines.files.meshes import load_mesh
from neural_splines.quantities import plain
from neural_splines.surface.checks import checked
from neural_splines.surface.collapse import Stage, collapsed
from neural_splines.surface.intersections import intersections
from neural_splines.surface.mesh import Mesh
from neural_splines.surface.simplification import measured, simplified, within


def ring(x):
    """The distance from a torus, and its gradient."""
    flat = x[:, :2].norm(dim=1)
    across = torch.stack([flat - 1.0, x[:, 2]], 1)
    distance = across.norm(dim=1)
    out = torch.cat(
        [(across[:, :1] / distance[:, None]) * x[:, :2] / flat[:, None], across[:, 1:] / distance[:, None]], 1
    )
    return distance - 0.4, out


def grid_of_ring(n=160, share=1.0):
    """Triangles of a torus [2 n^2 / 2], of a share of its turn."""
    u, v = np.meshgrid(np.arange(n) * 2 * np.pi * share / n, np.arange(n // 2) * 4 * np.pi / n, indexing="ij")
    place = np.arange(n * (n // 2)).reshape(n, -1)
    rows = place if share == 1.0 else place[:-1]
    a, b = rows, np.roll(place, -1, 0)[: len(rows)]
    c, d = np.roll(a, -1, 1), np.roll(b, -1, 1)
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([b, d, c], -1).reshape(-1, 3)])
    x = np.stack([(1 + 0.4 * np.cos(v)) * np.cos(u), (1 + 0.4 * np.cos(v)) * np.sin(u), 0.4 * np.sin(v)], -1).reshape(
        -1, 3
    )
    return Mesh(torch.from_numpy(x), torch.from_numpy(x), torch.from_numpy(faces))


@pytest.mark.parametrize("share", [1.0, 0.6], ids=["closed", "open"])
def test_the_surface_has_fewer_faces_and_nothing_tears(share):
    """A tenth of the faces, with its borders; on both sides of the surface, so nearer than with vertices on it."""
    mesh = grid_of_ring(share=share)
    before = checked(mesh.vertices.numpy(), mesh.faces.numpy(), intersecting=True)
    found = simplified(mesh, ring, len(mesh.faces) // 10)
    after = checked(found.vertices.numpy(), found.faces.numpy(), intersecting=True)
    assert len(found.faces) < 0.11 * len(mesh.faces)
    for name in ("components", "border_loops", "genus", "nonmanifold_edges", "nonmanifold_vertices"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.intersecting == after.turned_edges == after.flat_faces == 0
    assert after.longest_border == pytest.approx(before.longest_border, rel=0.02)
    value, slope = ring(found.vertices)
    assert float(value.min()) < 0.0 < float(value.max())
    on_it = found.vertices - value[:, None] * slope
    assert measured(found, ring, 0).largest < 0.8 * measured(Mesh(on_it, on_it, found.faces), ring, 0).largest
    assert float((found.normals * slope).sum(1).min()) > 1 - 1e-9


def test_the_error_is_the_largest_distance_of_places():
    """Of a ball in triangles: the sagitta, that of the place farthest from their corners; the mean by quadrature."""
    mesh = grid_of_ring(40)
    error = measured(mesh, ring, 0)
    a, b, c = mesh.vertices[mesh.faces].unbind(1)
    weights = torch.from_numpy(np.random.default_rng(1).dirichlet([1.0, 1.0, 1.0], 400))
    area = torch.linalg.cross(b - a, c - a).norm(dim=1)
    at = sum(w[:, None, None] * corner for w, corner in zip(weights.T, (a, b, c), strict=True))
    off = ring(at.reshape(-1, 3))[0].abs().reshape(400, -1)
    assert error.places == 200_000
    assert error.mean == pytest.approx(float((off.mean(0) * area).sum() / area.sum()), rel=0.01)
    assert 0.97 * float(off.max()) < error.largest <= 1.01 * float(off.max())


def test_an_error_that_is_asked_for_is_kept_with_few_faces():
    """And with a quarter of them it would not be: the error falls with the number of faces."""
    mesh = grid_of_ring()
    found, error = within(mesh, ring, 0.005, 0)
    assert error.largest <= 0.005
    assert error == measured(found, ring, 0)
    assert len(found.faces) < 0.3 * len(mesh.faces)
    assert measured(simplified(mesh, ring, len(found.faces) // 4), ring, 0).largest > 0.005
    with pytest.raises(ns.SettingsError, match=r"max_error 1e-09: the mesh without fewer faces is 0\.00\d+ off"):
        within(mesh, ring, 1e-9, 0)


def test_a_run_has_as_few_faces_as_are_asked_for(tmp_path):
    """The summary and the report say the error; colours are those of the new vertices; Python does the same."""
    cloud = write_cloud(tmp_path / "cloud.ply", torus(1500))
    words = [
        "fit-grid.py",
        cloud,
        "auto",
        "auto",
        32,
        "auto",
        "--seed",
        0,
        "--report",
        tmp_path / "a.json",
        "--quality",
    ]
    found = run(*words, "distance", "--faces", 800, "--out", tmp_path / "a.ply")
    assert found.code == 0, found.err
    vertices, faces = load_mesh(tmp_path / "a.ply")
    assert 700 < len(faces) <= 800
    assert checked(vertices.numpy(), faces.numpy()).genus == 1
    (entry,) = json.loads((tmp_path / "a.json").read_text())["runs"]
    error = entry["mesh"]["error"]
    (line,) = [line for line in found.out.splitlines() if line.startswith("error:")]
    said = f"at most {plain(error['largest'])} off the surface, {plain(error['mean'])} in the mean, at 200,000 places"
    assert line == f"error:    {said}"
    assert 0 < error["mean"] < error["largest"] < 0.05
    assert "--faces 800" in entry["repeat_command"]
    result = ns.reconstruct(*ns.load_point_cloud(cloud), ns.Settings(grid_size=32, max_error=2 * error["largest"]))
    assert len(result.mesh.faces) < 800
    assert result.error.largest <= 2 * error["largest"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--faces", "3"], "--faces must be a whole number of at least 4"),
        (["--max-error", "0"], "--max-error must be greater than 0, got 0"),
        (
            ["--faces", "90", "--max-error", "0.1"],
            "--faces and --max-error both say how many faces there are; drop one",
        ),
        (["--max-error", "1e-12"], "--max-error 1e-12: the mesh without fewer faces is"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, monkeypatch, asked, message):
    monkeypatch.chdir(tmp_path)
    cloud = write_cloud(tmp_path / "cloud.ply", torus(600))
    found = run("fit.py", cloud, "auto", 200, 20, "--seed", 0, *asked)
    assert (found.code, found.out) == (2, "")
    assert message in found.err
    assert [path.name for path in tmp_path.iterdir()] == ["cloud.ply"]


def test_what_cannot_have_so_few_faces_says_how_many_are_left(tmp_path):
    cloud = write_cloud(tmp_path / "cloud.ply", torus(600))
    found = run("fit.py", cloud, "auto", 200, 20, "--seed", 0, "--faces", 4, "--out", tmp_path / "a.ply")
    vertices, faces = load_mesh(tmp_path / "a.ply")
    assert f"warning: --faces 4: {len(faces)} are left, with fewer the mesh would tear" in found.err
    assert checked(vertices.numpy(), faces.numpy()).genus == 1


def test_sheets_that_lie_close_do_not_come_to_meet():
    """Waves with another sheet just below: collapsed without looking they would pass through each other."""
    n = 60
    u, v = np.meshgrid(np.arange(n) / n, np.arange(n) / n, indexing="ij")
    height = 0.02 * np.sin(40 * u) * np.sin(40 * v)
    at = np.arange(n * n).reshape(n, n)
    a, b, c, d = (x.reshape(-1) for x in (at[:-1, :-1], at[1:, :-1], at[:-1, 1:], at[1:, 1:]))
    one = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
    x = np.concatenate([np.stack([u, v, height + lift], -1).reshape(-1, 3) for lift in (0.0, 0.002)])
    mesh = Mesh(torch.from_numpy(x), torch.from_numpy(x), torch.from_numpy(np.concatenate([one, one + n * n])))
    assert len(intersections(x, mesh.faces.numpy())) == 0
    count = len(mesh.faces) // 4
    last = collapsed([Stage.first(x, mesh.faces.numpy())], count)[-1]
    assert len(intersections(last.vertices, last.faces)) > 0
    found = simplified(mesh, lambda x: (x[:, 2], torch.ones_like(x)), count)
    assert len(intersections(found.vertices.numpy(), found.faces.numpy())) == 0
    assert len(found.faces) < 0.6 * len(mesh.faces)
