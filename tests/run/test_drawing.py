"""Pictures of a run in parts: of its mesh, or of a thinned one where the memory is small; what is shown is said."""

import torch
from parts import SETTINGS, tiny
from scripts import run, write_cloud
from shapes import is_watertight, torus

from neural_splines.cloud.neighbours import Neighbours
from neural_splines.command_line import parts
from neural_splines.files.meshes import load_mesh
from neural_splines.run import in_parts
from neural_splines.run.drawing import distances_to_points, drawn_mesh, drawn_points
from neural_splines.runtime.budget import DRAWN_FACE_BYTES
from neural_splines.runtime.monitor import PhaseTimer
from neural_splines.settings import SceneSettings


def test_a_mesh_is_drawn_as_far_as_the_memory_allows(tmp_path, monkeypatch):
    monkeypatch.setattr(in_parts, "sizes", tiny)
    path, out = write_cloud(tmp_path / "cloud.ply", torus(900)), tmp_path / "mesh.ply"
    work = str(tmp_path / "work")
    with in_parts.mesh_files(
        [str(path)], in_parts.Output(str(out)), SETTINGS, SceneSettings(), work, PhaseTimer()
    ) as found:
        arguments = found.plan, found.touched, found.kept
        vertices, faces, note = drawn_mesh(*arguments, DRAWN_FACE_BYTES * found.mesh.faces)
        coarse, few, thin = drawn_mesh(*arguments, DRAWN_FACE_BYTES * found.mesh.faces / 4)
        points = drawn_points(found.plan)
        near = distances_to_points(found.plan, torch.from_numpy(coarse), points[::7])
    written = load_mesh(out)
    assert note == ""
    assert len(found.touched) > 1
    assert torch.equal(torch.from_numpy(faces), written[1])
    assert torch.allclose(torch.from_numpy(vertices), written[0], atol=1e-6)
    assert f"a thinned mesh of {len(few):,} faces" in thin
    assert 4 * len(few) <= len(faces)
    assert is_watertight(torch.from_numpy(few))
    assert len(points) == 900
    assert torch.allclose(near, Neighbours(points).query(torch.from_numpy(coarse))[0])


def test_a_page_says_that_its_mesh_is_thinned(tmp_path, monkeypatch):
    path = write_cloud(tmp_path / "cloud.ply", torus(400))
    args = ["fit-grid.py", path, "auto", 30, 20, "auto", "--regularization", 1e-7, "--max-memory", "2GB", "--quiet"]
    args += ["--out", tmp_path / "mesh.ply", "--html", tmp_path / "page.html"]
    assert run(*args).code == 0
    assert "a thinned mesh" not in (tmp_path / "page.html").read_text()
    monkeypatch.setattr(parts, "drawing_memory", lambda *_: 1e5)
    assert run(*args).code == 0
    faces = len(load_mesh(tmp_path / "mesh.ply")[1])
    assert f"the mesh itself has {faces:,}" in (tmp_path / "page.html").read_text()
