"""Scenes in parts: the laws that parts, workers and interruptions keep. Parts are tiny, so that there are many."""

import math
import os
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from scripts import run, write_cloud
from shapes import edges, euler_number, hemisphere, is_watertight, sphere, torus

import neural_splines as ns
from neural_splines.clouds import OrientedCloud
from neural_splines.errors import (
    CloudError,
    NeuralSplinesError,
    OutputError,
    SettingsError,
)
from neural_splines.files import streams
from neural_splines.files.meshes import load_mesh
from neural_splines.files.streams import open_stream
from neural_splines.files.work_directory import WorkDirectory
from neural_splines.geometry import Box
from neural_splines.neighbours import Neighbours
from neural_splines.runtime.monitor import PhaseTimer
from neural_splines.scene import blocks
from neural_splines.scene import run as scene
from neural_splines.scene.nodes import COUNTED, Nodes, counted
from neural_splines.scene.partition import kept_partition, partition
from neural_splines.scene.plan import raw
from neural_splines.scene.points import extent
from neural_splines.settings import SceneSettings
from neural_splines.surface.lattice import Lattice
from neural_splines.surface.mesh import Mesh

SETTINGS = ns.Settings(grid_size=24, regularization=1e-8, num_nystrom_samples=60, device="cpu")
ALONE = SceneSettings()


def TINY(asked, kind):
    return 300, 16


@pytest.fixture
def small(monkeypatch):
    """Parts of at most 300 points and 16 cubes a side."""
    monkeypatch.setattr(scene, "sizes", TINY)


def done(cloud, folder, settings=SETTINGS, asked=ALONE, name="mesh.ply"):
    return scene.reconstruct(str(cloud), str(folder / name), settings, asked, str(folder / "work"), PhaseTimer())


@pytest.fixture
def cloud(tmp_path):
    return write_cloud(tmp_path / "cloud.ply", torus(1500))


def test_parts_make_one_closed_mesh(cloud, small, tmp_path):
    result = done(cloud, tmp_path)
    vertices, faces = load_mesh(tmp_path / "mesh.ply")
    assert (len(vertices), len(faces)) == (result.vertices, result.faces)
    assert result.nodes > 5
    assert result.blocks >= 4
    assert is_watertight(faces)
    assert euler_number(faces) == 0
    assert len(torch.unique(vertices, dim=0)) == len(vertices)
    whole = ns.reconstruct(*(t.numpy() for t in (torus(1500).points, torus(1500).normals)), SETTINGS)
    assert len(whole.mesh.faces) == pytest.approx(len(faces), rel=0.01)


def test_one_part_is_the_whole(cloud, tmp_path):
    """The same cells, draws and cubes: the mesh of `reconstruct`, but for the order in which it is written."""
    settings = replace(SETTINGS, remove_outliers="none")
    result = done(cloud, tmp_path, settings)
    assert (result.nodes, result.blocks) == (1, 1)
    c = torus(1500)
    whole = ns.reconstruct(c.points.float().double().numpy(), c.normals.numpy(), settings).mesh
    vertices, faces = load_mesh(tmp_path / "mesh.ply")
    assert len(vertices) == len(whole.vertices)
    assert len(faces) == len(whole.faces)


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
        patch.setattr(scene, "sizes", TINY)
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
    nodes = kept_partition(SETTINGS.scale, store).nodes
    for name in ("cells-1.npz", "points.bin"):
        data = bytearray((tmp_path / "work" / name).read_bytes())
        data[len(data) // 2] ^= 1
        (tmp_path / "work" / name).write_bytes(data)
    with pytest.raises(OutputError, match=r"cells-1\.npz: was damaged and is removed; run the same command again"):
        store.load("cells-1")
    with pytest.raises(OutputError, match=r"points\.bin: was damaged; run the same command again"):
        [raw(store, nodes, node) for node in range(len(nodes))]
    done(path, tmp_path)
    assert (tmp_path / "mesh.ply").read_bytes() == mesh


@pytest.mark.parametrize("rounds", [1, 6])
def test_blocks_are_meshed_again_as_often_as_the_surface_comes_in(rounds, small, finished, tmp_path, monkeypatch):
    path, mesh, _ = finished
    asked, missed = [], scene.missed

    def found(*args):
        asked.append(1)
        cubes = torch.tensor([0], dtype=torch.int64)
        return {0: cubes, 1: cubes} if len(asked) <= rounds else missed(*args)

    monkeypatch.setattr(scene, "missed", found)
    done(path, tmp_path)
    assert len(asked) > rounds
    assert (tmp_path / "mesh.ply").read_bytes() == mesh


def test_a_run_that_is_stopped_between_rounds_goes_on(small, finished, tmp_path, monkeypatch):
    path, mesh, _ = finished
    missed = scene.missed

    def stopping(*args):
        monkeypatch.setattr(scene, "missed", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        return {0: torch.tensor([0], dtype=torch.int64)}

    monkeypatch.setattr(scene, "missed", stopping)
    with pytest.raises(KeyboardInterrupt):
        done(path, tmp_path)
    assert (tmp_path / "work" / "block-0.npz").exists()
    monkeypatch.setattr(scene, "missed", missed)
    done(path, tmp_path)
    assert (tmp_path / "mesh.ply").read_bytes() == mesh


def test_another_run_is_refused_by_name(cloud, tmp_path):
    store = WorkDirectory(str(tmp_path / "work"))

    def claim(classes=(), **settings):
        with store.claimed(scene.identity(str(cloud), classes, replace(SETTINGS, **settings), 300, 16, "cpu")):
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
    monkeypatch.setattr(scene, "sizes", TINY)
    done(path, tmp_path)
    monkeypatch.setattr(scene, "sizes", lambda asked, kind: (5000, 64))
    assert done(path, tmp_path).resumed
    assert (tmp_path / "mesh.ply").read_bytes() == mesh
    with pytest.raises(SettingsError, match="points_per_node 300 where this one has 5000"):
        done(path, tmp_path, asked=SceneSettings(max_memory=10**9))


def test_rows_need_nothing_that_some_systems_lack(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "pwrite", raising=False)  # Windows has none
    store, rows = WorkDirectory(str(tmp_path)), np.arange(12.0).reshape(4, 3)
    with store.rows_into("rows", 3) as put:
        put(2, rows[2:])
        put(0, rows[:2])
    found = store.rows("rows", 3, 1, 2, zlib.crc32(rows[1:3].data))
    assert np.array_equal(found, rows[1:3])
    assert store.rows("rows", 3, 1, 2, zlib.crc32(rows[1:3].data) ^ 1) is None
    assert store.rows("rows", 3, 3, 2, 0) is None
    assert store.rows("none", 3, 0, 1, 0) is None


def test_two_runs_do_not_share_a_folder(tmp_path):
    store = WorkDirectory(str(tmp_path / "work"))
    with store.claimed({"a": 1}), pytest.raises(OutputError, match="another run is using it"), store.claimed({"a": 1}):
        pass
    with store.claimed({"a": 1}):
        pass


def test_workers_make_the_mesh_of_one_process(small, finished, tmp_path):
    path, mesh, _ = finished
    done(path, tmp_path, asked=SceneSettings(workers=2))
    assert (tmp_path / "mesh.ply").read_bytes() == mesh


@pytest.mark.parametrize(("stray", "passes"), [([0.0, 0.0, 0.0], 1), ([2000.0, 0.0, 0.0], 2), ([2e5, 1e5, 0.0], 3)])
def test_nodes_hold_every_point_once_and_no_more_than_asked(stray, passes):
    """Also where a far point makes the box large: then they are counted again, in finer cubes."""
    points = torch.cat([torus(4000).points, torch.tensor([stray], dtype=torch.float64)])
    box = Box.around(points).scaled(1.1)
    asked = []

    def count(*cubes):
        asked.append(cubes)
        found = counted(box, points, *cubes)
        assert found.numel() <= COUNTED
        return found

    nodes = Nodes.of(box, 500, count)
    assert len(asked) == passes
    node = nodes.of_points(points)
    assert torch.equal(torch.bincount(node, minlength=len(nodes)), nodes.counts)
    assert int(nodes.counts.max()) <= 500
    inside = (points >= nodes.lower[node]) & (points < nodes.upper[node])
    assert bool(inside.all())


def test_a_stray_changes_neither_nodes_nor_lattice(small, tmp_path):
    """It is no part of the surface, as in a run without parts; the others are shared out and meshed as without it."""
    clean = torus(900)
    position = torch.tensor([[-2e5, 0.0, 0.0]], dtype=torch.float64)
    spoilt = OrientedCloud(torch.cat([clean.points, position]), torch.cat([clean.normals, clean.normals[:1]]))
    without, found = (
        done(write_cloud(tmp_path / f"{k}.npy", cloud), tmp_path / k, asked=ALONE)
        for k, cloud in (("without", clean), ("with", spoilt))
    )
    assert (found.outliers, without.outliers) == (1, 0)
    assert found.lattice.shape == without.lattice.shape
    assert torch.equal(found.lattice.origin, without.lattice.origin)
    assert is_watertight(load_mesh(tmp_path / "with" / "mesh.ply")[1])
    assert abs(found.vertices / without.vertices - 1.0) < 0.01
    assert found.nodes > 3


def test_a_stray_that_leaves_the_others_in_one_cube_is_one_line(small, tmp_path):
    cloud = torus(900)
    cloud.points[0, 0] = 1e30
    with pytest.raises(CloudError, match=r"cloud.npy: most points lie in a box of side 2.*; remove these"):
        done(write_cloud(tmp_path / "cloud.npy", cloud), tmp_path)


def test_a_block_says_where_float32_would_leave_a_face_without_its_area():
    """The mesh is written in doubles then, though rounding moves no vertex by a hundredth of a voxel."""
    corners = 849_000.0 + torch.tensor([[0.0, 0.0, 0.0], [0.02, 0.0, 0.0], [0.0, 9.0, 0.0]], dtype=torch.float64)
    faces, part = torch.tensor([[0, 1, 2]]), Lattice((4, 4, 4), torch.full((3,), 849_000.0).double() - 20.0, 20.0)
    mesh = Mesh(corners, torch.zeros(3, 3), faces, torch.tensor([[0, 1], [0, 2], [0, 3]]))
    found = blocks.stored(part, blocks.Block((0, 0, 0), (3, 3, 3), part, [], 1.0), mesh)
    assert found["loss"] == math.inf


def test_what_is_far_and_no_outlier_is_in_the_box(tmp_path):
    small, large = sphere(40), torus(5000)
    points = torch.cat([large.points, 0.05 * small.points + 40.0])
    path = write_cloud(tmp_path / "cloud.npy", OrientedCloud(points, torch.cat([large.normals, small.normals])))
    store = WorkDirectory(str(tmp_path / "work"))
    with store.claimed({}):
        parts = partition(open_stream(path, None), "cloud", 1.1, 700, store, PhaseTimer())
        typical = float(Neighbours(points).spacing(points).median())
        assert float(parts.most.sides.max()) < 5.0
        box = extent(store, parts, typical, 0.0)
    assert torch.equal(box.upper, points.amax(0))
    assert torch.equal(box.lower, points.amin(0))


@pytest.mark.parametrize("suffix", [".ply", ".npy", ".xyz"])
def test_pieces_are_the_points_of_the_file(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "ROWS", 64)
    shape = sphere(300)
    path = tmp_path / f"cloud{suffix}"
    table = np.concatenate([shape.points.numpy(), shape.normals.numpy()], 1)
    if suffix == ".ply":
        write_cloud(path, shape)
    elif suffix == ".npy":
        np.save(path, table)
    else:
        np.savetxt(path, table)
    stream = open_stream(path)
    points, normals = (np.concatenate(parts) for parts in zip(*stream.pieces(), strict=True))
    assert stream.count == 300
    if suffix == ".xyz":
        with pytest.raises(CloudError, match=r"cloud\.xyz: is of a format that is read as a whole"):
            open_stream(path, 1000)
    else:
        assert open_stream(path, 1000).count == 300
    np.testing.assert_allclose(points, table[:, :3], atol=1e-6)
    np.testing.assert_allclose(normals, table[:, 3:], atol=1e-6)


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        (["--max-memory", "1MB"], "use a larger --max-memory or fewer --workers"),
        (["--workers", "0"], "--workers must be a whole number"),
        (["--max-memory", "many"], "expected a size such as 4GB"),
        (["--scheduler", "tcp://h:1"], "--scheduler needs a --work-dir"),
        (["--work-dir", "w", "--fill-holes"], "--fill-holes closes a scene as a whole"),
        (["--work-dir", "w", "--report", "r.json"], "--report needs the whole scene at once"),
        (["--work-dir", "w", "--out", "m.obj"], "scenes in parts are written as PLY"),
        (["--work-dir", "w", "--normals", "estimate"], "write them first with: neural-splines normals"),
        (["--work-dir", "/proc/no"], "cannot be a work directory"),
    ],
)
def test_what_cannot_be_done_in_parts_is_one_line(extra, line, cloud, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = run("fit-grid.py", cloud, "auto", "auto", 24, "auto", *extra)
    assert found.code == 2
    assert line in found.err
    assert len(found.err.splitlines()) == 1
    assert not (tmp_path / "recon.ply").exists()


def test_a_cloud_without_a_surface_is_one_line(small, tmp_path):
    with pytest.raises(NeuralSplinesError):
        done(write_cloud(tmp_path / "two.ply", OrientedCloud(*torch.zeros(2, 3, 3, dtype=torch.float64))), tmp_path)


def test_the_command_line_works_in_parts(tmp_path):
    """And leave nothing beside the mesh."""
    path = write_cloud(tmp_path / "cloud.ply", sphere(1200))
    args = ["--regularization", 1e-8, "--max-memory", "2GB", "--out", tmp_path / "mesh.ply"]
    outcome = run("fit-grid.py", path, "auto", "auto", 24, "auto", "--seed", 0, "--device", "cpu", *args)
    assert outcome.code == 0, outcome.err
    assert "in 1 nodes" in outcome.out
    assert sorted(os.listdir(tmp_path)) == ["cloud.ply", "mesh.ply"]
    assert is_watertight(load_mesh(tmp_path / "mesh.ply")[1])
