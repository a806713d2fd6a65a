"""Reading never does anything but a cloud or one line; writing is all or nothing."""

from __future__ import annotations

import errno
import json
import os
import re
import warnings

import cloud_bytes
import numpy as np
import pytest
import torch
from cloud_bytes import sphere
from corpus import CORPUS

from neural_splines.cloud.clouds import outlier_warning
from neural_splines.cloud.degeneracy import shape_lines
from neural_splines.errors import CloudError, ReconstructionWarning
from neural_splines.files import arrays, meshes, point_clouds, reading, records
from neural_splines.normals.orient import orient
from neural_splines.settings import NormalSettings

CASES = {case.name: case for case in CORPUS}


def load(path) -> tuple[object, str]:
    """The cloud, and all that would be said about it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scanned = point_clouds.load_scanned_cloud(path)
        found = orient(scanned, NormalSettings(device="cpu"), str(path))
    steps = point_clouds.step_lines(found.cloud.box, str(path)) if scanned.single else []
    said = [str(w.message) for w in caught if w.category is ReconstructionWarning]
    assert len(said) == len(caught)
    return found.cloud, "\n".join([*said, *steps, *found.notes, outlier_warning(found.cloud) or ""]).strip()


def mesh(count: int = 1000, generator=None):
    points = torch.rand(count, 3, generator=generator, dtype=torch.float64)
    normals = torch.nn.functional.normalize(points - 0.5, dim=1)
    return points, normals, torch.randint(0, count, (2 * count, 3), generator=generator)


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_corpus(case, tmp_path):
    path = case.file(tmp_path)
    if case.outcome == "error":
        with pytest.raises(CloudError) as caught:
            load(path)
        said = str(caught.value)
        assert said.startswith(f"{path}: ")
        assert "; " in said, "no remedy"
        assert said.isprintable(), "not one line"
    else:
        cloud, said = load(path)
        said = " ".join([*([said] if said else []), *shape_lines(cloud)])  # a run says these beside
        assert case.outcome == ("warning" if said else "mesh"), said
        assert len(cloud) >= 2
        assert cloud.points.isfinite().all()
        assert (cloud.normals.norm(dim=1) - 1).abs().max() < 1e-15
    assert case.message in said


def test_corpus_is_large_and_its_names_differ():
    assert len({case.name for case in CORPUS}) == len(CORPUS) >= 40


@pytest.mark.parametrize(
    "name",
    """text big_endian double mixed_types_and_order colours colours_text faces_after triangles_before polygons_before
    polygons_before_big_endian polygons_before_text unknown_elements lists_in_vertices lists_in_vertices_text crlf_text
    crlf_header_binary cr_text cr_header_binary byte_order_mark comments blank_lines normals_named_normal_x obj off
    ply_by_another_name non_unit_normals huge_normals many_duplicates""".split(),
)
def test_every_variant_of_the_sphere_is_the_sphere(name, tmp_path):
    cloud, _ = load(CASES[name].file(tmp_path))
    points, normals = (torch.from_numpy(a) for a in sphere())
    assert torch.allclose(cloud.points, points, rtol=0, atol=1e-7)  # float32
    assert torch.allclose(cloud.normals, normals, rtol=0, atol=2e-7)


def test_double_coordinates_keep_every_bit(tmp_path):
    points, normals = sphere(400, 5.0, (5e5, 5e6, 100.0))
    cloud, _ = load(CASES["utm_double"].file(tmp_path))
    assert np.array_equal(cloud.points.numpy(), points)
    assert np.abs(cloud.normals.numpy() - normals).max() < 4e-16


def test_text_keeps_digits_beyond_the_declared_float(tmp_path):
    path = tmp_path / "cloud.ply"
    path.write_bytes(cloud_bytes.reworded(b"5000000.123456789"))
    assert load(path)[0].points[0, 0] == 5000000.123456789


def test_normals_of_an_obj_follow_its_faces(tmp_path):
    scanned = point_clouds.load_scanned_cloud(CASES["obj_faces"].file(tmp_path))
    cloud = orient(scanned, NormalSettings(source="file", device="cpu"), "obj_faces.obj").cloud
    assert torch.allclose(cloud.normals[:3], torch.from_numpy(sphere()[1][:3]), rtol=0, atol=1e-15)
    assert len(cloud) == 6  # the others have none


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "Permission denied"), OSError(errno.EIO, "I/O error")])
def test_what_the_system_refuses_is_one_line(error, tmp_path, monkeypatch):
    path = CASES["text"].file(tmp_path)

    def refuse(*_):
        raise error

    monkeypatch.setattr(reading, "open", refuse, raising=False)
    with pytest.raises(CloudError, match=re.escape(f"{path}: cannot be read ({error.strerror})")):
        point_clouds.load_point_cloud(path)


def test_too_little_memory_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "read", lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(CloudError, match="does not fit into memory"):
        point_clouds.load_point_cloud(CASES["text"].file(tmp_path))


def test_odd_names_stay_one_line(tmp_path):
    for name in ("a\nb.ply", "a\0b.ply", "", "\udcff.ply", "x" * 300):
        with pytest.raises(CloudError) as caught:
            point_clouds.load_point_cloud(os.path.join(tmp_path, name) if name else "")
        assert str(caught.value).isprintable()


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.ply")
    with pytest.raises(CloudError, match="not a regular file"):
        point_clouds.load_point_cloud(tmp_path / "pipe.ply")


@pytest.mark.parametrize("voxel_size", [None, 1e-2])
def test_mesh_round_trip(tmp_path, generator, voxel_size):
    vertices, normals, faces = mesh(generator=generator)
    path = tmp_path / "mesh.ply"
    meshes.save_mesh(path, vertices, normals, faces, voxel_size=voxel_size)
    got_vertices, got_faces = meshes.load_mesh(path)
    assert torch.equal(got_faces, faces)
    assert torch.equal(got_vertices, vertices if voxel_size is None else vertices.float().double())
    cloud, report = point_clouds.load_point_cloud(path)
    assert report.kept == 1000
    assert torch.allclose(cloud.normals, normals, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("offset", "type_"), [(0.0, b"float"), (1e5, b"float"), (5e6, b"double"), (1e39, b"double")])
def test_vertices_are_double_where_float_would_lose_a_hundredth_of_a_voxel(tmp_path, generator, offset, type_):
    vertices, normals, faces = mesh(generator=generator)
    meshes.save_mesh(tmp_path / "mesh.ply", vertices + offset, normals, faces, voxel_size=1.0)
    assert b"property %b x\n" % type_ in (tmp_path / "mesh.ply").read_bytes()
    error = (meshes.load_mesh(tmp_path / "mesh.ply")[0] - (vertices + offset)).abs().max()
    assert error <= 0.01


@pytest.mark.parametrize("with_normals", [True, False])
def test_others_read_our_meshes(tmp_path, generator, with_normals):
    trimesh, plyfile = pytest.importorskip("trimesh"), pytest.importorskip("plyfile")
    vertices, normals, faces = mesh(generator=generator)
    meshes.save_mesh(tmp_path / "mesh.ply", vertices, normals if with_normals else None, faces)
    theirs = trimesh.load(tmp_path / "mesh.ply", process=False)
    assert np.array_equal(theirs.vertices, vertices.numpy())
    assert np.array_equal(theirs.faces, faces.numpy())
    theirs = plyfile.PlyData.read(tmp_path / "mesh.ply")
    assert np.array_equal(np.stack(theirs["face"]["vertex_indices"]), faces.numpy())
    assert ("nx" in theirs["vertex"]) == with_normals


def test_an_empty_mesh_is_written_and_said_to_be_empty(tmp_path):
    empty = torch.zeros(0, 3, dtype=torch.float64)
    meshes.save_mesh(tmp_path / "mesh.ply", empty, empty, empty.long())
    with pytest.raises(CloudError, match="the mesh has no faces"):
        meshes.load_mesh(tmp_path / "mesh.ply")


@pytest.mark.parametrize("order", ["<", ">", "ascii"])
def test_polygons_become_fans_in_order(tmp_path, order):
    contents = cloud_bytes.ply(order=order, after=cloud_bytes.FACES) + cloud_bytes.lists(cloud_bytes.MIXED, order)
    (tmp_path / "mesh.ply").write_bytes(contents)
    vertices, faces = meshes.load_mesh(tmp_path / "mesh.ply")
    assert faces.tolist() == [[0, i, i + 1] for n in cloud_bytes.MIXED for i in range(1, n - 1)]
    assert len(vertices) == 400


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (cloud_bytes.ply(), "no element 'face'"),
        (cloud_bytes.ply(after="element face 1\nproperty int a") + bytes(4), "no list vertex_indices"),
        (cloud_bytes.ply(after=cloud_bytes.FACES) + cloud_bytes.lists([2] * 60), "no faces"),
        (cloud_bytes.ply(after=cloud_bytes.FACES) + cloud_bytes.lists([3] * 59), "the data end after 59"),
        (
            cloud_bytes.ply(after=cloud_bytes.FACES) + bytes([3]) + bytes([99] * 12) + cloud_bytes.lists([3] * 59),
            "not there",
        ),
        (cloud_bytes.ply(after=cloud_bytes.FACES, order="ascii") + b"3 0 1 2.5\n" * 60, "not integers"),
        (cloud_bytes.ply(after=cloud_bytes.FACES, order="ascii") + b"3 0 1 nan\n" * 60, "not integers"),
        (cloud_bytes.ply(after=cloud_bytes.FACES, order="ascii") + b"3 0 1 1e300\n" * 60, "not integers"),
        (cloud_bytes.ply(np.nan * cloud_bytes.P, after=cloud_bytes.FACES) + cloud_bytes.lists([3] * 60), "not finite"),
        (b"solid", "not a PLY"),
    ],
)
def test_malformed_meshes_are_one_line(tmp_path, contents, message):
    (tmp_path / "mesh.ply").write_bytes(contents)
    with pytest.raises(CloudError, match=message) as caught:
        meshes.load_mesh(tmp_path / "mesh.ply")
    assert str(caught.value).startswith(f"{tmp_path / 'mesh.ply'}: ")


def test_arrays_and_grids_load_without_pickle(tmp_path, generator):
    grid = torch.rand(3, 4, 5, generator=generator)
    arrays.save_arrays(tmp_path / "a.npz", grid=grid, eps=0.5, numbers=np.arange(3), name="text")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as data:
        assert np.array_equal(data["grid"], grid)
        assert (float(data["eps"]), str(data["name"])) == (0.5, "text")
    metadata = {"origin": torch.zeros(3), "voxel_size": np.float64(0.1), "residual": float("nan"), "n": (1, 2)}
    arrays.save_grid(tmp_path / "g.npy", grid, tmp_path / "g.json", metadata)
    assert np.array_equal(np.load(tmp_path / "g.npy", allow_pickle=False), grid)
    loaded = json.loads((tmp_path / "g.json").read_text())
    assert loaded == {"origin": [0.0, 0.0, 0.0], "voxel_size": 0.1, "residual": None, "n": [1, 2]}
    with pytest.raises(TypeError):
        arrays.save_arrays(tmp_path / "b.npz", thing=object())
    assert sorted(os.listdir(tmp_path)) == ["a.npz", "g.json", "g.npy"]


def test_arrays_in_parts_are_the_bytes_of_whole_ones(tmp_path):
    table, row = np.arange(15.0).reshape(5, 3), np.arange(4.0)
    arrays.save_arrays(tmp_path / "whole.npz", table=table, row=row)
    parts = {"table": ((5, 3), iter([table[:2], table[2:2], table[2:]])), "row": ((4,), [row])}
    arrays.save_arrays_in_parts(tmp_path / "parts.npz", parts)
    assert (tmp_path / "parts.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
