"""Clouds of other libraries in, meshes for them out: with the real library where it is installed."""

import sys
from collections.abc import Mapping

import numpy as np
import pytest
import torch
import trimesh
from shapes import torus

import neural_splines as ns
from neural_splines.runtime.interchange import taken_apart

RING = torus(900)
P, N = RING.points.numpy(), RING.normals.numpy()
FEW = {"grid_size": 20, "regularization": 1e-6}


def structured():
    table = np.empty(len(P), [(name, "f8") for name in ("X", "Y", "Z", "nx", "ny", "nz", "class")])
    for k, name in enumerate(table.dtype.names[:6]):
        table[name] = np.hstack([P, N])[:, k]
    return table


def frame():
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(np.hstack([P, N]), columns=["x", "y", "z", "normal_x", "normal_y", "normal_z"])


def open3d_cloud():
    open3d = pytest.importorskip("open3d")
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(P))
    cloud.normals = open3d.utility.Vector3dVector(N)
    return cloud


def open3d_tensors():
    open3d = pytest.importorskip("open3d")
    cloud = open3d.t.geometry.PointCloud(open3d.core.Tensor(P))
    cloud.point.normals = open3d.core.Tensor(N)
    return cloud


def pyvista_cloud():
    cloud = pytest.importorskip("pyvista").PolyData(P)
    cloud.point_data["Normals"] = N
    return cloud


class Capsule:
    """An array of a library that has DLPack alone."""

    def __init__(self, array):
        self._array = torch.from_numpy(array)

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


class Columns(Mapping):
    def __init__(self):
        self._columns = dict(zip(("x", "y", "z", "nx", "ny", "nz"), np.hstack([P, N]).T, strict=True))

    def __getitem__(self, name):
        return self._columns[name]

    def __iter__(self):
        return iter(self._columns)

    def __len__(self):
        return len(self._columns)


WITH_NORMALS = [structured, frame, open3d_cloud, open3d_tensors, pyvista_cloud, Columns]
WITHOUT = [
    lambda: P,
    lambda: P.tolist(),
    lambda: torch.from_numpy(P),
    lambda: trimesh.PointCloud(P),
    lambda: Capsule(P),
]


@pytest.mark.parametrize("make", WITH_NORMALS, ids=lambda make: make.__name__)
def test_points_and_normals_of_a_cloud_are_found(make):
    points, normals = taken_apart(make())
    assert np.array_equal(points, P)
    assert np.array_equal(normals, N)


@pytest.mark.parametrize("make", WITHOUT, ids=["array", "lists", "tensor", "trimesh", "DLPack"])
def test_what_has_no_normals_has_none(make):
    points, normals = taken_apart(make())
    assert np.array_equal(np.asarray(getattr(points, "numpy", lambda: points)()), P)
    assert normals is None


def test_a_mesh_is_a_cloud_of_its_vertices():
    ball = trimesh.creation.icosphere(2)
    points, normals = taken_apart(ball)
    assert np.array_equal(points, ball.vertices)
    assert (points * normals).sum(1).min() > 0.99


def test_one_call_with_settings_by_name():
    """The same as with arrays and records of settings; normals are estimated where there are none."""
    plain = ns.reconstruct(P, N, ns.Settings(cells=ns.CellSettings(points_per_cell=300), **FEW))
    found = ns.reconstruct(structured(), points_per_cell=300, **FEW)
    assert np.array_equal(found.mesh.vertices, plain.mesh.vertices)
    given = ns.reconstruct(P, N, ns.Settings(grid_size=40, seed=3), points_per_cell=300, seed=0, **FEW)
    assert np.array_equal(given.mesh.vertices, plain.mesh.vertices)
    estimated = ns.reconstruct(P, points_per_cell=300, **FEW)
    x, y, z = estimated.mesh.vertices.T
    assert np.abs(np.hypot(np.hypot(x, y) - 1.0, z) - 0.4).max() < 0.05
    field = ns.fit(P, N, num_nystrom_samples=100, grid_size=20)
    assert len(ns.extract_mesh(field, grid_size=12).faces) < len(ns.extract_mesh(field, grid_size=20).faces)
    assert len(ns.fit_cells(P, N, cells_per_axis=2, grid_size=20).box.sides) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gridsize": 64}, "there is no setting 'gridsize'; did you mean grid_size?"),
        ({"fillholes": True}, "there is no setting 'fillholes'; did you mean fill_holes?"),
        ({"Trim": 1.0}, "there is no setting 'Trim'; did you mean trim?"),
        ({"colour": "red"}, "there is no setting 'colour'; help(neural_splines.Settings) lists them"),
        ({"cells": None, "overlap": 0.5}, "overlap needs cells, but cells=None fits one spline; drop one of them"),
    ],
)
def test_near_names_are_told(options, message):
    with pytest.raises(ns.SettingsError) as caught:
        ns.reconstruct(P, N, **options)
    assert str(caught.value) == message


@pytest.mark.parametrize("table", [np.zeros(3, [("a", "f8"), ("b", "f8")]), {"a": [1.0], "b": [2.0]}])
def test_a_table_without_coordinates_is_refused(table):
    with pytest.raises(ns.SettingsError, match="a table of points needs columns x, y and z; it has a, b"):
        ns.reconstruct(table)


@pytest.fixture(scope="module")
def mesh():
    return ns.reconstruct(P, N, **FEW).mesh


def test_a_mesh_for_trimesh(mesh):
    found = mesh.to_trimesh()
    assert found.is_watertight
    assert np.array_equal(found.vertices, mesh.vertices)
    assert np.array_equal(found.faces, mesh.faces)
    assert np.abs(found.vertex_normals - mesh.normals).max() < 1e-12


def test_a_mesh_for_open3d(mesh):
    pytest.importorskip("open3d")
    found = mesh.to_open3d()
    assert found.is_watertight()
    assert np.array_equal(np.asarray(found.vertices), mesh.vertices)
    assert np.array_equal(np.asarray(found.triangles), mesh.faces)
    assert np.array_equal(np.asarray(found.vertex_normals), mesh.normals)


def test_a_mesh_for_pyvista(mesh):
    pytest.importorskip("pyvista")
    found = mesh.to_pyvista()
    assert found.is_manifold
    assert np.array_equal(found.points, mesh.vertices)
    assert np.array_equal(found.faces.reshape(-1, 4)[:, 1:], mesh.faces)
    assert np.array_equal(found.point_data["Normals"], mesh.normals)


@pytest.mark.parametrize("name", ["trimesh", "open3d", "pyvista"])
def test_a_library_that_is_missing_is_one_line(mesh, name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ns.BackendError, match=rf"to_{name}\(\) needs the package {name} .*; pip install {name}"):
        getattr(mesh, f"to_{name}")()
