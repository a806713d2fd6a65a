"""What a mesh is as a shape, against trimesh, formulas and small meshes with one fault each."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
import trimesh
from scripts import captured, run, write_cloud
from shapes import sphere, torus

from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.command_line import check
from neural_splines.files.meshes import load_mesh, save_mesh
from neural_splines.surface.checks import checked

V = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)], float)
F = np.array([(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)])
THROUGH = 3  # of two tetrahedra a tip of one is in the other: its three sides pass one face
NOTHING = {"nonmanifold_edges": 0, "nonmanifold_vertices": 0, "turned_edges": 0, "flat_faces": 0, "intersecting": 0}


def two(turn, shared=(), shift=0.0):
    """Two tetrahedra, the second turned or mirrored along axes, with some vertices of the first in place of its own."""
    vertices = np.vstack([V, V * turn + shift])
    faces = np.vstack([F, F[:, :: int(np.prod(turn))] + 4])
    for v in shared:
        faces[faces == v + 4] = v
    used, place = np.unique(faces, return_inverse=True)
    return vertices[used], place.reshape(-1, 3)


@pytest.mark.parametrize(
    ("mesh", "found"),
    [
        ((V, F), {"genus": 0, "volume": 1 / 6, "components": 1, "border_edges": 0}),
        ((V, F[:, ::-1]), {"genus": 0, "volume": -1 / 6}),
        ((V, F[1:]), {"border_edges": 3, "border_loops": 1, "longest_border": 2 + 2**0.5, "volume": None, "genus": 0}),
        ((V, F[:2]), {"border_edges": 4, "border_loops": 1}),
        ((V, np.vstack([F[:3], F[3:, ::-1]])), {"turned_edges": 3, "volume": None, "genus": None}),
        (two((1, 1, -1), shift=5.0), {"components": 2, "genus": 0, "volume": 1 / 3}),
        (two((-1, -1, -1), [0]), {"nonmanifold_vertices": 1, "components": 2, "genus": None}),
        (two((1, -1, -1), [0, 1]), {"nonmanifold_edges": 1, "genus": None}),
        (two((1, 1, 1), shift=0.125), {"components": 2, "intersecting": THROUGH}),
        ((np.vstack([V, [0.5, 0, 0]]), np.vstack([F, [0, 1, 4]])), {"flat_faces": 1, "nonmanifold_edges": 1}),
        ((np.empty((0, 3)), np.empty((0, 3), int)), {"faces": 0, "area": 0.0, "volume": None, "components": 0}),
    ],
    ids=[
        "solid",
        "inside out",
        "open",
        "half",
        "turned",
        "apart",
        "at a vertex",
        "at an edge",
        "through",
        "flat",
        "none",
    ],
)
def test_each_fault_is_counted(mesh, found):
    said = vars(checked(*mesh, intersecting=True))
    expected = NOTHING | found
    if "flat_faces" in found or "turned_edges" in found:
        del expected["intersecting"]
    for name, value in expected.items():
        assert said[name] == pytest.approx(value), name


def test_handles_are_counted_through_borders():
    """A torus, with a window, and with a second one; a Moebius strip has no sides."""
    shape = trimesh.creation.torus(1.0, 0.4)
    whole = checked(shape.vertices, shape.faces)
    assert (whole.genus, whole.border_loops) == (1, 0)
    assert whole.volume == pytest.approx(shape.volume)
    assert whole.area == pytest.approx(shape.area)
    middle = shape.triangles_center
    opened = checked(shape.vertices, shape.faces[(middle[:, 0] < 1.2) & (middle[:, 0] > -1.2)])
    assert (opened.genus, opened.border_loops, opened.volume) == (1, 2, None)
    n = 20
    turn = np.arange(n) * 2 * np.pi / n
    along = np.stack([np.cos(turn), np.sin(turn), 0 * turn], 1)
    across = np.cos(turn / 2)[:, None] * along + np.sin(turn / 2)[:, None] * (0, 0, 1)
    strip = np.concatenate([along + 0.3 * across, along - 0.3 * across])
    i = np.arange(n)
    j = (i + 1) % n
    top, bottom = np.where(j > 0, j, n), np.where(j > 0, j + n, 0)
    faces = np.concatenate([np.stack([i, top, i + n], 1), np.stack([i + n, top, bottom], 1)])
    said = checked(strip, faces)
    assert (said.border_loops, said.turned_edges, said.genus) == (1, 1, None)


def test_the_command_looks_at_meshes_of_others(tmp_path):
    """Of every format that is read; --strict is for scripts."""
    for suffix in (".ply", ".obj", ".stl", ".3mf"):
        save_mesh(tmp_path / f"a{suffix}", V, None, F)
        found = captured(check.main, tmp_path / f"a{suffix}", "--strict")
        assert (found.code, found.err) == (0, "")
        assert found.out.splitlines() == [
            "mesh:     4 vertices, 4 faces", "shape:    closed, genus 0, area 2.366, volume 0.1667",
        ]  # fmt: skip
    save_mesh(tmp_path / "open.ply", V, None, F[1:])
    save_mesh(tmp_path / "out.ply", V, None, F[:, ::-1])
    for name, line in (("open.ply", "3 edges have one face"), ("out.ply", "its faces look inwards")):
        found = captured(check.main, tmp_path / name)
        assert found.code == 0
        assert found.err.startswith(f"neural-splines check: warning: {tmp_path / name}: {line}\n")
        assert captured(check.main, tmp_path / name, "--strict").code == 3
    (tmp_path / "bad.3mf").write_bytes((tmp_path / "a.3mf").read_bytes()[:-40])
    found = captured(check.main, tmp_path / "bad.3mf")
    assert found.code == 2
    assert "bad.3mf: is no whole 3MF file (File is not a zip file); the file is truncated" in found.err


def test_a_run_says_what_its_mesh_is(tmp_path):
    """In the summary, and with intersections in the report; whole and in parts, as the file says."""
    cloud = write_cloud(tmp_path / "cloud.ply", torus(1500))
    for more in ([], ["--max-memory", "4GB"]):
        words = ["fit-grid.py", cloud, "auto", "auto", 24, "auto", "--seed", 0, "--out", tmp_path / "a.ply"]
        found = run(*words, "--report", tmp_path / "a.json", *more)
        vertices, faces = (part.numpy() for part in load_mesh(tmp_path / "a.ply"))
        said = checked(vertices, faces, intersecting=True)
        (line,) = [line for line in found.out.splitlines() if line.startswith("shape:")]
        assert line.split(maxsplit=1)[1] == said.summary()
        assert (said.genus, said.closed) == (1, True)
        (entry,) = json.loads((tmp_path / "a.json").read_text())["runs"]
        assert entry["mesh"]["shape"] == pytest.approx(vars(said), rel=1e-5)


def with_outliers():
    """A ball without its lower fifth, in a cloud of points that are none of it: `--fill-holes` has much to close."""
    ball, rng = sphere(1000), np.random.default_rng(0)
    keep = ball.points[:, 2] > -0.6
    stray = torch.from_numpy(rng.uniform(-1.6, 1.6, (40, 3)))
    normals = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(40, 3))), dim=1)
    return OrientedCloud(torch.cat([ball.points[keep], stray]), torch.cat([ball.normals[keep], normals]))


@pytest.mark.parametrize(
    "asked", ["", "--min-component .5", "--trim 3", "--remove-outliers none --min-component .5", "--dense"]
)
def test_what_is_left_open_after_filling_is_always_said(tmp_path, asked):
    cloud = write_cloud(tmp_path / "cloud.ply", with_outliers())
    for filled in ([], [3]):
        words = [cloud, "auto", "auto", 20, "auto", "--seed", 0, "--points-per-cell", 60, "--regularization", 1e-6]
        found = run("fit-grid.py", *words, "--out", tmp_path / "a.ply", *asked.split(), "--fill-holes", *filled)
        assert found.code == 0, found.err
        vertices, faces = load_mesh(tmp_path / "a.ply")
        border = checked(vertices.numpy(), faces.numpy()).border_edges
        assert (f"{border} edges have one face" in found.err) == (border > 0)


def groups(links, nodes) -> int:
    """How many components: each node is merged with what it is linked to, one link at a time."""
    of = {node: {node} for node in nodes}
    for one, other in links:
        if of[one] is not of[other]:
            of[one] |= of[other]
            for node in of[other]:
                of[node] = of[one]
    return len({id(group) for group in of.values()})


@pytest.mark.parametrize("seed", range(12))
def test_any_faces_are_counted_as_by_hand(seed):
    """Random ones, which meet in all ways, and many about one vertex, in any order."""
    random = np.random.default_rng(seed)
    count = (5, 8, 20, 200)[seed % 4]
    faces = np.stack([random.permutation(count)[:3] for _ in range(3 * count)])
    if seed % 3 == 0:
        ring = 5 + np.arange(150)
        faces = np.concatenate([faces, np.stack([0 * ring, ring, np.roll(ring, -1)], 1)])
        count = max(count, 155)
    faces = random.permutation(faces)
    sides = {}
    for f, face in enumerate(faces.tolist()):
        for k in range(3):
            a, b = face[k], face[(k + 1) % 3]
            sides.setdefault((min(a, b), max(a, b)), []).append((f, a < b))
    two = [use for use in sides.values() if len(use) == 2]
    corners = [(f, v) for f, face in enumerate(faces.tolist()) for v in face]
    linked = [((one[0], v), (other[0], v)) for edge, use in sides.items() for one, other in pairwise(use) for v in edge]
    fans, used = groups(linked, corners), len(np.unique(faces))
    said = checked(random.random((count, 3)), faces)
    assert said.border_edges == sum(len(use) == 1 for use in sides.values())
    assert said.nonmanifold_edges == sum(len(use) > 2 for use in sides.values())
    assert said.turned_edges == sum(one[1] == other[1] for one, other in two)
    assert said.nonmanifold_vertices == fans - used
    joined = [(one[0], other[0]) for use in sides.values() for one, other in pairwise(use)]
    assert said.components == groups(joined, range(len(faces)))
