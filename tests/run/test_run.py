"""One run, whole or in parts: the same steps, and so the same surface, whatever the store and the number of parts."""

from dataclasses import replace

import pytest
import torch
from parts import SETTINGS, done, tiny
from scripts import run, write_cloud
from shapes import euler_number, hemisphere, is_watertight, torus

import neural_splines as ns
from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.cloud.neighbours import Neighbours
from neural_splines.files.meshes import load_mesh
from neural_splines.files.work_directory import WorkDirectory
from neural_splines.run import in_parts
from neural_splines.run.blocks import Block
from neural_splines.run.store import MemoryStore
from neural_splines.run.whole import mesh_cloud


@pytest.fixture
def small(monkeypatch):
    """Parts of at most 300 points and 16 cubes a side."""
    monkeypatch.setattr(in_parts, "sizes", tiny)


@pytest.mark.parametrize("trim", ["auto", "none"])
def test_one_part_is_the_whole(trim, tmp_path):
    """The same vertices and faces, to the bit of the file."""
    settings = replace(SETTINGS, trim=trim)
    result = done(write_cloud(tmp_path / "cloud.ply", hemisphere(900)), tmp_path, settings)
    assert (result.nodes, result.blocks) == (1, 1)
    read = ns.load_point_cloud(tmp_path / "cloud.ply")
    whole = mesh_cloud(OrientedCloud(*map(torch.from_numpy, read)), settings).mesh
    vertices, faces = load_mesh(tmp_path / "mesh.ply")
    assert torch.equal(vertices, whole.vertices.float().double())
    assert torch.equal(faces, whole.faces)


def test_stores_give_back_what_they_were_given(tmp_path):
    (tmp_path / "work").mkdir()
    given = {"x": torch.rand(5, 3).double(), "k": torch.arange(4), "flag": torch.tensor(True), "words": "why", "n": 3}
    for store in (MemoryStore(), WorkDirectory(str(tmp_path / "work"))):
        assert not store.has("result")
        store.save("result", **given)
        store.sync(["result"])
        assert store.has("result")
        found = store.load("result")
        assert all(torch.equal(found[name], given[name]) for name in ("x", "k", "flag"))
        assert (found["words"], int(found["n"])) == ("why", 3)
        assert set(store.load("result", "k", "other")) == {"k"}
        store.hold("thing", given)
        assert store.held("thing") is (given if isinstance(store, MemoryStore) else None)


def test_blocks_without_points_close_the_surface(monkeypatch, tmp_path):
    """A hemisphere whose open side is closed far outside of its points, as a whole run closes it."""
    monkeypatch.setattr(in_parts, "sizes", lambda asked, kind: (300, 7))
    shape = hemisphere(600)
    settings = replace(
        SETTINGS, cells=ns.CellSettings(fill_holes=True, points_per_cell=30), trim="none", scale=3.0, grid_size=36
    )
    result = done(write_cloud(tmp_path / "cloud.ply", shape), tmp_path, settings)
    held = [bool(((shape.points >= low) & (shape.points <= high)).all(1).any()) for low, high in boxes_of(result)]
    assert not all(held)
    vertices, faces = load_mesh(tmp_path / "mesh.ply")
    assert is_watertight(faces)
    assert euler_number(faces) == 2
    whole = mesh_cloud(shape, settings).mesh
    assert float(Neighbours(whole.vertices).query(vertices)[0].mean()) < 0.02 * shape.box.diagonal


def boxes_of(result):
    """Lower and upper corners of the blocks of a run that were meshed."""
    parts = [Block.of(result.plan, result.around, block) for block in result.touched]
    windows = [result.plan.lattice.part(part.first, part.last).box for part in parts]
    return [(box.lower, box.upper) for box in windows]


@pytest.mark.parametrize("option", [["--max-memory", "2GB"], ["--workers=2"]])
def test_one_spline_in_parts_is_refused_with_what_works(option, tmp_path):
    found = run("fit.py", tmp_path / "cloud.ply", "auto", 100, 16, *option)
    name = option[0].partition("=")[0]
    assert found.code == 2
    assert found.err.startswith(
        f"fit.py: error: {name} is for runs in parts only, but fit.py fits one spline to all points"
    )
    assert len(found.err.splitlines()) == 1


@pytest.mark.parametrize("kind", ["uniform", "k-means"])
def test_cells_of_any_kind_are_those_of_the_whole(kind, small, tmp_path):
    """Uniform cells across walls of nodes are fitted once, by one node, to all of their points."""
    shape, cells = torus(1500), ns.CellSettings(cells_per_axis=9 if kind == "uniform" else "auto")
    settings = replace(SETTINGS, cells=cells, nystrom_mode="k-means" if kind == "k-means" else "blue-noise")
    result = done(write_cloud(tmp_path / "cloud.ply", shape), tmp_path, settings)
    whole = mesh_cloud(shape, settings)
    assert result.nodes > 5
    above = len(whole.fit.cells) - result.totals.cells.cells  # cells of cubes that hold several nodes
    assert above == 0 if kind == "uniform" else 0 <= above < result.nodes
    vertices, faces = load_mesh(tmp_path / "mesh.ply")
    assert is_watertight(faces)
    assert float(Neighbours(whole.mesh.vertices).query(vertices)[0].mean()) < 0.1 * whole.lattice.voxel_size
