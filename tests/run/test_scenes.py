"""Scenes in parts: the laws that parts, workers and interruptions keep. Parts are tiny, so that there are many."""

import os
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from parts import SETTINGS, done, middle, tiny
from scripts import run, write_cloud
from shapes import edges, euler_number, hemisphere, is_watertight, sphere, torus

import neural_splines as ns
from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.errors import (
    NeuralSplinesError,
    OutputError,
    SettingsError,
)
from neural_splines.files.meshes import load_mesh
from neural_splines.files.streams import ReadOptions
from neural_splines.files.work_directory import WorkDirectory
from neural_splines.run import in_parts, steps
from neural_splines.run.in_parts import AS_GIVEN
from neural_splines.run.layout import Layout
from neural_splines.run.partition import kept_partition
from neural_splines.settings import SceneSettings


@pytest.fixture
def small(monkeypatch):
    """Parts of at most 300 points and 16 cubes a side."""
    monkeypatch.setattr(in_parts, "sizes", tiny)


@pytest.fixture
def cloud(tmp_path):
    return write_cloud(tmp_path / "cloud.ply", torus(1500))


def test_parts_make_one_closed_mesh(cloud, small, tmp_path):
    result = done(cloud, tmp_path)
    vertices, faces = load_mesh(tmp_path / "mesh.ply")
    assert (len(vertices), len(faces)) == (result.mesh.vertices, result.mesh.faces)
    assert result.nodes > 5
    assert result.blocks >= 4
    assert is_watertight(faces)
    assert euler_number(faces) == 0
    assert len(torch.unique(vertices, dim=0)) == len(vertices)
    whole = ns.reconstruct(*(t.numpy() for t in (torus(1500).points, torus(1500).normals)), SETTINGS)
    assert len(whole.mesh.faces) == pytest.approx(len(faces), rel=0.01)


def test_an_open_surface_is_cut_back_alike_on_both_sides_of_a_wall(small, tmp_path):
    shape = hemisphere(1200)
    path = write_cloud(tmp_path / "cloud.ply", shape)
    done(path, tmp_path)
    _, faces = load_mesh(tmp_path / "mesh.ply")
    pairs, count = edges(faces)
    assert int(count.max()) == 2
    border = pairs[count == 1]
    ends = torch.bincount(border.reshape(-1))
    assert set(ends.tolist()) <= {0, 2}  # closed loops: nothing is torn at walls
    assert euler_number(faces) == 1  # one disc, one border


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The cloud of a run in eight nodes and blocks, its mesh, and how many results were kept."""
    folder = tmp_path_factory.mktemp("finished")
    path = write_cloud(folder / "cloud.ply", sphere(900))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_parts, "sizes", tiny)
        done(path, folder)
    return path, (folder / "mesh.ply").read_bytes(), len(list((folder / "work").glob("*.npz")))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(share, small, finished, tmp_path, monkeypatch):
    path, mesh, results = finished
    made, stop, save = [], int(share * results), WorkDirectory.save

    def stopping(store, name, **arrays):
        if len(made) == stop:
            raise KeyboardInterrupt
        made.append(name)
        save(store, name, **arrays)

    monkeypatch.setattr(WorkDirectory, "save", stopping)
    with pytest.raises(KeyboardInterrupt):
        done(path, tmp_path)
    assert not (tmp_path / "mesh.ply").exists()
    monkeypatch.setattr(WorkDirectory, "save", save)
    assert done(path, tmp_path).resumed == stop
    assert (tmp_path / "mesh.ply").read_bytes() == mesh


def test_a_full_disk_is_one_line_and_nothing_is_lost(small, finished, tmp_path, monkeypatch):
    path, mesh, _ = finished
    made, save = [], np.savez

    def full(stream, **arrays):
        made.append(1)
        if len(made) == 9:
            raise OSError(28, os.strerror(28))
        save(stream, **arrays)

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OutputError, match="No space left"):
        done(path, tmp_path)
    assert not [name for name in os.listdir(tmp_path / "work") if name.endswith(".tmp")]
    monkeypatch.setattr(np, "savez", save)
    assert done(path, tmp_path).resumed == 8
    assert (tmp_path / "mesh.ply").read_bytes() == mesh


def test_what_is_damaged_while_it_is_used_is_one_line_and_made_again(small, finished, tmp_path):
    path, mesh, _ = finished
    done(path, tmp_path)
    store = WorkDirectory(str(tmp_path / "work"))
    source = kept_partition(SETTINGS.scale, store, Layout(("normals",), (), oriented=False)).source
    for name in ("cells-1.npz", "points.bin"):
        (tmp_path / "work" / name).write_bytes(middle((tmp_path / "work" / name).read_bytes()))
    with pytest.raises(OutputError, match=r"cells-1\.npz: was damaged and is removed; run the same command again"):
        store.load("cells-1")
    with pytest.raises(OutputError, match=r"points\.bin: was damaged; run the same command again"):
        [source.scan_of(node) for node in range(len(source.nodes))]
    done(path, tmp_path)
    assert (tmp_path / "mesh.ply").read_bytes() == mesh


@pytest.mark.parametrize("rounds", [1, 6])
def test_blocks_are_meshed_again_as_often_as_the_surface_comes_in(rounds, small, finished, tmp_path, monkeypatch):
    path, mesh, _ = finished
    asked, missed = [], steps.missed

    def found(*args):
        asked.append(1)
        cubes = torch.tensor([0], dtype=torch.int64)
        return {0: cubes, 1: cubes} if len(asked) <= rounds else missed(*args)

    monkeypatch.setattr(steps, "missed", found)
    done(path, tmp_path)
    assert len(asked) > rounds
    assert (tmp_path / "mesh.ply").read_bytes() == mesh


def test_a_run_that_is_stopped_between_rounds_goes_on(small, finished, tmp_path, monkeypatch):
    path, mesh, _ = finished
    missed = steps.missed

    def stopping(*args):
        monkeypatch.setattr(steps, "missed", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        return {0: torch.tensor([0], dtype=torch.int64)}

    monkeypatch.setattr(steps, "missed", stopping)
    with pytest.raises(KeyboardInterrupt):
        done(path, tmp_path)
    assert (tmp_path / "work" / "block-0.npz").exists()
    monkeypatch.setattr(steps, "missed", missed)
    done(path, tmp_path)
    assert (tmp_path / "mesh.ply").read_bytes() == mesh


def test_another_run_is_refused_by_name(cloud, tmp_path):
    store = WorkDirectory(str(tmp_path / "work"))

    def claim(classes=(), **settings):
        options = ReadOptions(classes=classes)
        with store.claimed(
            in_parts.identity([str(cloud)], options, replace(SETTINGS, **settings), AS_GIVEN, 300, 16, "cpu")
        ):
            pass

    claim()
    claim(device="auto")  # what computes is known by what it is, not by what it was called
    with pytest.raises(SettingsError, match="grid_size 24 where this one has 41"):
        claim(grid_size=41)
    with pytest.raises(SettingsError, match="seed 0 where this one has 3"):
        claim(seed=3)
    with pytest.raises(SettingsError, match=r"classes .* where this one has "):
        claim(classes=(2, 6))
    write_cloud(cloud, torus(1501))
    with pytest.raises(SettingsError, match="input_bytes"):
        claim()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(SettingsError, match="something else"), WorkDirectory(str(tmp_path / "mine")).claimed({}):
        pass


def test_a_run_that_goes_on_keeps_its_parts_whatever_memory_is_free(finished, tmp_path, monkeypatch):
    path, mesh, _ = finished
    monkeypatch.setattr(in_parts, "sizes", tiny)
    done(path, tmp_path)
    monkeypatch.setattr(in_parts, "sizes", lambda asked, kind: (5000, 64))
    assert done(path, tmp_path).resumed
    assert (tmp_path / "mesh.ply").read_bytes() == mesh
    with pytest.raises(SettingsError, match="points_per_node 300 where this one has 5000"):
        done(path, tmp_path, asked=SceneSettings(max_memory=10**9))


def test_rows_need_nothing_that_some_systems_lack(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "pwrite", raising=False)  # Windows has none
    store, rows = WorkDirectory(str(tmp_path)), np.arange(12.0).reshape(4, 3)
    row = np.dtype((np.float64, (3,)))
    with store.rows_into("rows", row) as put:
        put(2, rows[2:])
        put(0, rows[:2])
    found = store.rows("rows", row, 1, 2, zlib.crc32(rows[1:3].data))
    assert np.array_equal(found, rows[1:3])
    assert store.rows("rows", row, 1, 2, zlib.crc32(rows[1:3].data) ^ 1) is None
    assert store.rows("rows", row, 3, 2, 0) is None
    assert store.rows("none", row, 0, 1, 0) is None


def test_two_runs_do_not_share_a_folder(tmp_path):
    store = WorkDirectory(str(tmp_path / "work"))
    with store.claimed({"a": 1}), pytest.raises(OutputError, match="another run is using it"), store.claimed({"a": 1}):
        pass
    with store.claimed({"a": 1}):
        pass


@pytest.mark.parametrize(
    ("extra", "code", "line"),
    [
        (["--max-memory", "1MB"], 2, "use a larger --max-memory or fewer --workers"),
        (["--workers", "0"], 2, "--workers must be a whole number"),
        (["--max-memory", "many"], 2, "expected a size such as 4GB"),
        (["--scheduler", "tcp://h:1"], 2, "--scheduler needs a --work-dir"),
        (["--work-dir", "/proc/no"], 2, "cannot be a work directory"),
    ],
)
def test_what_cannot_be_done_in_parts_is_one_line(extra, code, line, cloud, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = run("fit-grid.py", cloud, "auto", "auto", 24, "auto", *extra)
    assert found.code == code
    assert line in found.err
    assert len(found.err.splitlines()) == 1
    assert not (tmp_path / "recon.ply").exists()


def test_a_cloud_without_a_surface_is_one_line(small, tmp_path):
    with pytest.raises(NeuralSplinesError):
        done(write_cloud(tmp_path / "two.ply", OrientedCloud(*torch.zeros(2, 3, 3, dtype=torch.float64))), tmp_path)


def test_the_command_line_works_in_parts(tmp_path):
    """And leave nothing beside the mesh."""
    path = write_cloud(tmp_path / "cloud.ply", sphere(1200))
    args = ["--regularization", 1e-8, "--max-memory", "2GB", "--out", tmp_path / "mesh.obj"]
    outcome = run("fit-grid.py", path, "auto", "auto", 24, "auto", "--seed", 0, "--device", "cpu", *args)
    assert outcome.code == 0, outcome.err
    assert "1 node of points, 1 block of the lattice" in outcome.out
    assert sorted(os.listdir(tmp_path)) == ["cloud.ply", "mesh.obj"]
    assert is_watertight(load_mesh(tmp_path / "mesh.obj")[1])
