"""Colours and further numbers in runs in parts: a vertex has what all points give it, in any block."""

import numpy as np
import pytest
from parts import SETTINGS, done, middle, tiny
from scipy.spatial import cKDTree
from shapes import torus

import neural_splines as ns
from neural_splines.files import records
from neural_splines.files.meshes import save_mesh
from neural_splines.files.ply import parse_header
from neural_splines.files.point_clouds import load_scanned_cloud
from neural_splines.files.streams import ReadOptions
from neural_splines.run import in_parts
from neural_splines.surface.attributes import Attributes, densities, distances, interpolated

ALL = ReadOptions(("all",))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(in_parts, "sizes", tiny)


def cloud(path, strays=False):
    """A torus with attributes that vary; some points repeated with other classes, some far from all others."""
    shape, rng = torus(900), np.random.default_rng(0)
    points, normals = shape.points.numpy(), shape.normals.numpy()
    far = np.array([(0.0, 0.0, 4.0), (0.1, 0.0, 4.1)]) if strays else np.empty((0, 3))
    points = np.vstack([points, points[:30], far])
    normals = np.vstack([normals, normals[:30], np.tile([1.0, 0, 0], (len(far), 1))])
    count = len(points)
    scalars = {
        "class": rng.integers(0, 9, count).astype(np.uint8), "time": 1e9 + np.arange(count) / 7.0,
        "heat": rng.random(count).astype(np.float32), "number": np.arange(count, dtype=np.int32),
    }  # fmt: skip
    colours = rng.integers(0, 256, (count, 3)).astype(np.uint8)
    save_mesh(path, points, normals, None, colours=colours, scalars=scalars)
    return path


def vertices_of(path):
    data = path.read_bytes()
    header = parse_header(data)
    names = [p.name for p in header.find("vertex").properties]
    return records.read(data, header, {"vertex": names})[0]["vertex"]


def test_a_vertex_has_what_all_points_give_it(small, tmp_path):
    """But outliers; the points around it may lie in several nodes, as far away as they count."""
    path = cloud(tmp_path / "cloud.ply", strays=True)
    result = done(path, tmp_path, options=ALL, quality=("density",))
    assert result.nodes > 4
    assert result.blocks >= 4
    scanned, found = load_scanned_cloud(path, ("all",)), vertices_of(tmp_path / "mesh.ply")
    vertices = records.block(found, ("x", "y", "z"))
    kept = distances(vertices, scanned.points) < 1.0
    assert (~kept).sum() == result.totals.outliers == 2
    attributes = Attributes(scanned.colours, scanned.scalars).of_rows(kept)
    expected, _ = interpolated(scanned.points[kept], attributes, vertices)
    assert np.abs(records.block(found, ("red", "green", "blue")) - expected.colours).max() <= 1  # sums in another order
    assert (records.block(found, ("red", "green", "blue")) == expected.colours).mean() > 0.99
    density = found.pop("quality")
    assert density.dtype == np.float32
    assert np.allclose(density, densities(np.unique(scanned.points[kept], axis=0), vertices), rtol=1e-3)
    assert set(expected.scalars) == {"class", "time", "heat", "number"}
    for name, values in expected.scalars.items():
        assert found[name].dtype == values.dtype
        if values.dtype.kind == "f":
            assert np.abs(found[name] - values).max() < 1e-5 * np.ptp(values)  # vertices are written in float32
        else:
            assert np.array_equal(found[name], values)


def test_vertices_are_trusted_as_those_of_a_whole_run(small, tmp_path, monkeypatch):
    """In one part the same, but for rounding; in many nearly: cells are others, and what is far is left out."""
    path, names = cloud(tmp_path / "cloud.ply"), ("support", "uncertainty", "gauss-curvature")
    shape = torus(900)
    result = ns.reconstruct(shape.points.numpy(), shape.normals.numpy(), SETTINGS)
    expected, tree = result.qualities(*names), cKDTree(result.mesh.vertices)
    for many in (True, False):
        if not many:
            monkeypatch.setattr(in_parts, "sizes", lambda *_: (10_000, 64))
        (tmp_path / str(many)).mkdir()
        made = done(path, tmp_path / str(many), quality=names)
        assert (made.blocks >= 4) == many
        found = vertices_of(tmp_path / str(many) / "mesh.ply")
        assert found["support_class"].dtype == np.uint8
        assert np.array_equal(found["quality"], found["support"])
        rows = tree.query(records.block(found, ("x", "y", "z")))[1]
        for name, apart in (("support", 0.05), ("uncertainty", 0.3), ("gauss_curvature", 0.6)):
            whole, off = expected[name][rows], apart if many else 1e-4
            assert np.median(np.abs(found[name] - whole)) < off * np.median(np.abs(whole)), name
        assert (found["support_class"] == expected["support_class"][rows]).mean() > 0.98


def test_two_files_in_parts_are_one_cloud(small, tmp_path):
    """The mesh of all points; a number that one of them lacks is left out."""
    whole = cloud(tmp_path / "whole.ply")
    scanned = load_scanned_cloud(whole, ("class",))
    for number, rows in enumerate((slice(0, 400), slice(400, None))):
        more = {"class": scanned.scalars["class"][rows]} | ({"extra": np.zeros(400)} if not number else {})
        part = tmp_path / f"{number}.ply"
        save_mesh(part, scanned.points[rows], scanned.normals[rows], None, colours=scanned.colours[rows], scalars=more)
    for folder, sources, options in (
        ("one", [whole], ReadOptions(("class",))),
        ("two", [tmp_path / "0.ply", tmp_path / "1.ply"], ALL),
    ):
        (tmp_path / folder).mkdir()
        result = done(sources, tmp_path / folder, options=options)
        assert result.form.parts == (
            () if folder == "one" else ((f"{tmp_path}/0.ply", 400), (f"{tmp_path}/1.ply", 530))
        )
    assert (tmp_path / "one" / "mesh.ply").read_bytes() == (tmp_path / "two" / "mesh.ply").read_bytes()


def test_a_damaged_file_of_attributes_is_made_anew(small, tmp_path):
    """And so are the attributes of a block that is."""
    path = cloud(tmp_path / "cloud.ply")
    done(path, tmp_path, options=ALL)
    mesh = (tmp_path / "mesh.ply").read_bytes()
    file, work = tmp_path / "work" / "attributes.bin", tmp_path / "work"
    file.write_bytes(middle(file.read_bytes()))
    block = min(work.glob("block-*.npz"))
    block.write_bytes(middle(block.read_bytes()))
    kept = work / block.name.replace("block", "attributes")
    before = kept.stat().st_mtime_ns
    done(path, tmp_path, options=ALL)
    assert (tmp_path / "mesh.ply").read_bytes() == mesh
    assert kept.stat().st_mtime_ns > before
