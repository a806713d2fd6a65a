"""Clouds of surveys: LAS, LAZ and E57."""

import struct
import sys

import numpy as np
import pytest
from scripts import run
from test_cloud_formats import COUNT, RGB, UTM, N, P

from neural_splines.errors import CloudError
from neural_splines.files.point_clouds import load_scanned_cloud


@pytest.mark.parametrize("suffix", [".las", ".laz"])
def test_las_keeps_offsets_colours_and_attributes(tmp_path, suffix):
    """UTM metres with a step of a millimetre; 16-bit colours; the intensity."""
    laspy = pytest.importorskip("laspy")
    header = laspy.LasHeader(point_format=3, version="1.2")
    header.offsets, header.scales = np.floor(UTM.min(0)), [1e-3] * 3
    las = laspy.LasData(header)
    las.x, las.y, las.z = UTM.T
    las.red, las.green, las.blue = (257 * RGB).T
    las.intensity = np.arange(COUNT)
    las.write(str(tmp_path / f"a{suffix}"))
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
    laspy = pytest.importorskip("laspy")
    las = laspy.LasData(laspy.LasHeader(point_format=2, version="1.2"))
    las.x, las.y, las.z = P.T
    path = tmp_path / f"a{suffix}"
    las.write(str(path))
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, offset, value)
    path.write_bytes(data)
    with pytest.raises(CloudError, match="the file is truncated"):
        load_scanned_cloud(path)


def test_las_with_normals_and_without_colours(tmp_path):
    laspy = pytest.importorskip("laspy")
    las = laspy.LasData(laspy.LasHeader(point_format=2, version="1.2"))
    las.header.scales = [1e-9] * 3
    for name in ("NormalX", "NormalY", "NormalZ"):
        las.add_extra_dim(laspy.ExtraBytesParams(name=name, type=np.float32))
    las.x, las.y, las.z = P.T
    las.NormalX, las.NormalY, las.NormalZ = N.T
    las.write(str(tmp_path / "a.las"))
    found = load_scanned_cloud(tmp_path / "a.las")
    assert np.abs(found.normals - N).max() < 1e-7
    assert found.colours is None  # room for colours, but none in it


def test_e57_has_all_scans_and_their_viewpoints(tmp_path):
    pye57 = pytest.importorskip("pye57")
    stands = np.array([(10.0, 0, 0), (0, -20, 5)])
    with pye57.E57(str(tmp_path / "a.e57"), mode="w") as file:
        for stand in stands:
            local = dict(zip(("cartesianX", "cartesianY", "cartesianZ"), (P - stand).T.copy(), strict=True))
            colours = dict(zip(("colorRed", "colorGreen", "colorBlue"), RGB.T.astype(np.uint8), strict=True))
            file.write_scan_raw({**local, **colours}, translation=stand, rotation=np.array([1.0, 0, 0, 0]))
    found = load_scanned_cloud(tmp_path / "a.e57")
    assert np.abs(found.points - np.vstack([P, P])).max() < 2e-6  # pye57 writes float32
    assert np.array_equal(found.viewpoints, np.repeat(stands, COUNT, axis=0))
    assert np.array_equal(found.colours, np.vstack([RGB, RGB]))


def test_offsets_survive_from_las_to_the_mesh(tmp_path):
    """The centre of a ball at UTM coordinates, in every format that has double or an offset."""
    import trimesh

    laspy = pytest.importorskip("laspy")
    las = laspy.LasData(laspy.LasHeader(point_format=2, version="1.2"))
    las.header.offsets, las.header.scales = np.floor(UTM.min(0)), [1e-5] * 3
    las.x, las.y, las.z = UTM.T
    las.write(str(tmp_path / "a.las"))
    for suffix in (".ply", ".obj", ".off", ".glb"):
        out = tmp_path / f"mesh{suffix}"
        done = run("fit.py", tmp_path / "a.las", "auto", 150, 16, "--seed", 0, "--out", out)
        assert done.code == 0, done.err
        found = trimesh.load(out)
        bounds = found.bounds
        assert np.abs(bounds.mean(0) - UTM.mean(0)).max() < 0.02, suffix


@pytest.mark.parametrize(("package", "name"), [("laspy", "a.las"), ("pye57", "a.e57")])
def test_an_extra_that_is_missing_is_one_line_with_the_command(tmp_path, monkeypatch, package, name):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / name).write_bytes(b"LASF")
    with pytest.raises(CloudError, match=rf"need(s|) {package} .*; pip install 'neural-splines\[{name[2:]}\]'"):
        load_scanned_cloud(tmp_path / name)
