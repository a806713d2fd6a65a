"""Clouds of surveys: LAS, LAZ and E57."""

import struct

import numpy as np
import pytest
from format_bytes import e57, las
from pieces import in_pieces, same
from scripts import run
from test_cloud_formats import COUNT, RGB, UTM, N, P

from neural_splines.errors import CloudError, ReconstructionWarning
from neural_splines.files.point_clouds import load_scanned_cloud
from neural_splines.files.streams import ReadOptions


@pytest.mark.parametrize("suffix", [".las", ".laz"])
def test_las_keeps_offsets_colours_and_attributes(tmp_path, suffix):
    """UTM metres with a step of a millimetre; 16-bit colours; the intensity."""
    laspy = pytest.importorskip("laspy")
    header = laspy.LasHeader(point_format=3, version="1.2")
    header.offsets, header.scales = np.floor(UTM.min(0)), [1e-3] * 3
    file = laspy.LasData(header)
    file.x, file.y, file.z = UTM.T
    file.red, file.green, file.blue = (257 * RGB).T
    file.intensity = np.arange(COUNT)
    file.write(str(tmp_path / f"a{suffix}"))
    found = load_scanned_cloud(tmp_path / f"a{suffix}", ["intensity"])
    assert np.abs(found.points - UTM).max() <= 0.5001e-3
    assert np.array_equal(found.colours, RGB)
    assert np.array_equal(found.scalars["intensity"], np.arange(COUNT))
    assert found.normals is None


@pytest.mark.parametrize(
    ("suffix", "offset", "value"),
    [(".las", 100, 2**32 - 1), (".las", 107, 2**31), (".laz", 107, 2**31), (".las", 96, 2**31)],
)
def test_las_counts_are_not_trusted(tmp_path, suffix, offset, value):
    """Records that laspy would look for, points that its decompressor would die of: one line, at once."""
    pytest.importorskip("laspy")
    path, data = tmp_path / f"a{suffix}", bytearray(las(P, compressed=suffix == ".laz"))
    struct.pack_into("<I", data, offset, value)
    path.write_bytes(data)
    with pytest.raises(CloudError, match="the file is truncated"):
        load_scanned_cloud(path)


def test_las_with_normals_and_without_colours(tmp_path):
    pytest.importorskip("laspy")
    (tmp_path / "a.las").write_bytes(las(P, N))
    found = load_scanned_cloud(tmp_path / "a.las")
    assert np.abs(found.normals - N).max() < 1e-7
    assert found.colours is None  # room for colours, but none in it


@pytest.mark.parametrize("suffix", [".las", ".laz"])
@pytest.mark.parametrize("form", [3, 6])
def test_las_points_marked_as_noise_are_left_out(tmp_path, suffix, form):
    """Classes 7 and 18 and withheld points, whole and in pieces, with one line that counts them."""
    laspy = pytest.importorskip("laspy")
    las = laspy.LasData(laspy.LasHeader(point_format=form, version="1.4"))
    for k, name in enumerate(("nx", "ny", "nz")):
        las.add_extra_dim(laspy.ExtraBytesParams(name=name, type=np.float64))
        las[name] = N[:, k]
    las.header.scales = [1e-9] * 3
    las.x, las.y, las.z = P.T
    las.intensity, marks = np.arange(COUNT), np.zeros((2, COUNT), int)
    marks[0, :30], marks[1, 20:40] = (7, 18) * 15, 1
    las.classification, las.withheld = marks
    path = tmp_path / f"a{suffix}"
    las.write(str(path))
    line = f"40 of {COUNT} points are marked as noise"
    with pytest.warns(ReconstructionWarning, match=line):
        found = load_scanned_cloud(path, ["intensity"])
    assert np.array_equal(found.scalars["intensity"], np.arange(40, COUNT))
    assert np.abs(found.points - P[40:]).max() <= 1e-9
    with pytest.warns(ReconstructionWarning, match=line) as said:
        pieces = in_pieces(path, ReadOptions(("intensity",)))
    assert len(said) == 1
    assert same(pieces, found)
    las.withheld[:] = 1
    las.write(str(path))
    with pytest.raises(CloudError, match=f"{COUNT} of {COUNT} points are marked as noise"):
        load_scanned_cloud(path)


def test_e57_has_all_scans_and_their_viewpoints(tmp_path):
    pytest.importorskip("pye57")
    stands = np.array([(10.0, 0, 0), (0, -20, 5)])
    (tmp_path / "a.e57").write_bytes(e57([(P, RGB, stand) for stand in stands]))
    found = load_scanned_cloud(tmp_path / "a.e57")
    assert np.abs(found.points - np.vstack([P, P])).max() < 2e-6  # pye57 writes float32
    assert np.array_equal(found.viewpoints, np.repeat(stands, COUNT, axis=0))
    assert np.array_equal(found.colours, np.vstack([RGB, RGB]))


def test_offsets_survive_from_las_to_the_mesh(tmp_path):
    """The centre of a ball at UTM coordinates, in every format that has double or an offset."""
    import trimesh

    pytest.importorskip("laspy")
    (tmp_path / "a.las").write_bytes(las(UTM))
    for suffix in (".ply", ".obj", ".off", ".glb"):
        out = tmp_path / f"mesh{suffix}"
        done = run("fit.py", tmp_path / "a.las", "auto", 150, 16, "--seed", 0, "--out", out)
        assert done.code == 0, done.err
        found = trimesh.load(out)
        bounds = found.bounds
        if suffix == ".glb":  # its readers have y upwards
            bounds = np.sort(bounds[:, [0, 2, 1]] * (1, -1, 1), axis=0)
        assert np.abs(bounds.mean(0) - UTM.mean(0)).max() < 0.02, suffix


@pytest.mark.parametrize("invalid", [False, True])
def test_e57_normals_of_the_extension_are_turned_as_the_points(tmp_path, invalid):
    """By a quarter about z; without the points that the scanner calls invalid."""
    pye57 = pytest.importorskip("pye57")
    libe57 = pye57.libe57
    bad = np.arange(COUNT) % 7 == 0
    columns = dict(zip(("cartesianX", "cartesianY", "cartesianZ"), P.T, strict=True))
    columns |= dict(zip(("nor:normalX", "nor:normalY", "nor:normalZ"), N.T, strict=True))
    with pye57.E57(str(tmp_path / "a.e57"), mode="w") as file:
        image = file.image_file
        image.extensionsAdd("nor", "http://www.libe57.org/E57_EXT_surface_normals.txt")
        scan, pose, prototype = (libe57.StructureNode(image) for _ in range(3))
        scan.set("guid", libe57.StringNode(image, "{1}"))
        for name, values in (
            ("rotation", dict(w=0.5**0.5, x=0, y=0, z=0.5**0.5)),
            ("translation", dict(x=1, y=2, z=3)),
        ):
            node = libe57.StructureNode(image)
            for axis, value in values.items():
                node.set(axis, libe57.FloatNode(image, float(value)))
            pose.set(name, node)
        scan.set("pose", pose)
        for name in columns:
            prototype.set(name, libe57.FloatNode(image, 0.0, libe57.E57_DOUBLE, -1e3, 1e3))
        if invalid:
            columns["cartesianInvalidState"] = bad
            prototype.set("cartesianInvalidState", libe57.IntegerNode(image, 0, 0, 2))
        points = libe57.CompressedVectorNode(image, prototype, libe57.VectorNode(image, True))
        scan.set("points", points)
        file.data3d.append(scan)
        buffers, rows = libe57.VectorSourceDestBuffer(), [np.array(row, float) for row in columns.values()]
        for name, row in zip(columns, rows, strict=True):
            buffers.append(libe57.SourceDestBuffer(image, name, row, COUNT, True, True))
        writer = points.writer(buffers)
        writer.write(COUNT)
        writer.close()
    found = load_scanned_cloud(tmp_path / "a.e57")
    kept = ~bad if invalid else slice(None)
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    assert np.allclose(found.points, P[kept] @ turn.T + [1, 2, 3])
    assert np.allclose(found.normals, N[kept] @ turn.T)


@pytest.mark.parametrize(
    ("package", "suffix", "command"),
    [("laspy", "las", "pip install laspy lazrs"), ("pye57", "e57", "pip install pye57")],
)
def test_an_extra_that_is_missing_is_one_line_with_the_command(tmp_path, monkeypatch, package, suffix, command):
    """It is looked for where this process would find it, by the process that decodes."""
    pytest.importorskip("laspy")
    (tmp_path / f"a.{suffix}").write_bytes(las(P) if suffix == "las" else b"ASTM-E57")
    (tmp_path / f"{package}.py").write_text("raise ImportError('not here')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CloudError, match=rf"needs? {package} \(not here\); {command}$"):
        load_scanned_cloud(tmp_path / f"a.{suffix}")
